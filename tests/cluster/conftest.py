"""A real Slurm of one node, and a copy of the repository whose profiles/slurm is filled in for it.

These tests take minutes. They run where they are named (`make test-cluster`, `pytest tests/cluster`), as root, with
Debian's packages of Slurm; a run of the whole suite skips them.
"""

import os
import shutil
import socket
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from tests.workflow.conftest import copy_of_repository, environment

HERE = Path(__file__).parent
SCRIPT = HERE / "slurm.sh"
PROGRAMS = ("slurmctld", "slurmd", "slurmdbd", "sacct", "munged", "mariadbd")

# What stands in angle brackets in profiles/slurm, for this cluster.
PLACES = {"<your account>": "genomics", "<CPU partition>": "cpu", "<GPU partition>": "gpu"}


def pytest_collection_modifyitems(config, items):
    named = any(HERE in (path := Path(arg.split("::")[0]).resolve(), *path.parents) for arg in config.args)
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("cluster")
            if not named:
                item.add_marker(pytest.mark.skip(reason="needs a Slurm of its own, and minutes: make test-cluster"))


class Slurm:
    """A running Slurm, and what a process needs in its environment to use it (`variables`)."""

    def __init__(self, folder: Path, **settings: str):
        self.folder = folder
        self.settings = {"CISFLOW_SLURM": str(folder), "CISFLOW_SLURM_PORT": str(free_ports(4)), **settings}
        path = f"{folder}/bin{os.pathsep}{environment()['PATH']}"
        self.variables = {"SLURM_CONF": f"{folder}/etc/slurm.conf", "PATH": path}

    def script(self, command: str) -> None:
        """Run a command of slurm.sh."""
        # Not to a pipe: what it starts would keep that open.
        with (self.folder / "slurm.sh.log").open("a+") as log:
            own = environment() | self.settings
            done = subprocess.run([SCRIPT, command], env=own, stdout=log, stderr=log, check=False)
            log.seek(0)
            assert done.returncode == 0, f"slurm.sh {command}: {log.read()[-5000:]}"

    def run(self, *command: str) -> str:
        """Run a command of Slurm (sbatch, squeue, scontrol, …) and return what it printed."""
        done = subprocess.run(command, env=environment() | self.variables, text=True, capture_output=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def accounting(self, *fields: str, steps: bool = False) -> list[dict[str, str]]:
        """Return JobIDRaw and these fields of all jobs so far; a requeued job has a row for each of its runs."""
        names = ("JobIDRaw", *fields)
        flags = [
            "--duplicates",
            "--noheader",
            "--parsable2",
            "--starttime=now-1day",
            *([] if steps else ["--allocations"]),
        ]
        lines = self.run("sacct", *flags, f"--format={','.join(names)}").splitlines()
        return [dict(zip(names, line.split("|"), strict=True)) for line in lines]


def free_ports(count: int) -> int:
    """Return the first of some ports in a row that nobody listens on, and no other worker of pytest looks at."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    for first in range(16810 + 500 * worker, 16810 + 500 * (worker + 1), 10):
        try:
            for port in range(first, first + count):
                with closing(socket.socket()) as free:
                    free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    free.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise AssertionError("no free ports")


def needed() -> None:
    """Skip where a Slurm cannot be started."""
    if os.geteuid() != 0:
        pytest.skip("starting a Slurm needs root")
    path = f"{os.environ['PATH']}:/usr/sbin"
    if missing := [name for name in PROGRAMS if shutil.which(name, path=path) is None]:
        pytest.skip(f"no {', '.join(missing)} here: {SCRIPT} install, or make test-cluster")


@pytest.fixture(scope="session")
def slurm(tmp_path_factory):
    """The Slurm of this session, with accounting."""
    needed()
    running = Slurm(tmp_path_factory.mktemp("slurm"))
    try:
        running.script("up")
        yield running
    finally:
        running.script("down")


@pytest.fixture(autouse=True)
def node_takes_jobs(request):
    """Fail here, and not in a later wait, where an earlier test has left the node in a state that takes no jobs."""
    if "slurm" in request.fixturenames:
        request.getfixturevalue("slurm").script("ready")


def fill_in(clone: Path, **settings) -> Path:
    """Fill in profiles/slurm of a copy of the repository, with other settings if need be (None leaves one out).

    Jobs run in the Python of the tests, on one of two CPUs, and there is no shared file system to wait for.
    """
    path = clone / "profiles/slurm/config.yaml"
    for file in path.parent.glob("*.yaml"):
        text = file.read_text()
        for place, value in PLACES.items():
            text = text.replace(place, value)
        file.write_text(text)
    own = {
        "software-deployment-method": None, "set-threads": None, "latency-wait": 5,
        "slurm-init-seconds-before-status-checks": 3,
    }  # fmt: skip
    merged = yaml.safe_load(path.read_text()) | own | settings
    path.write_text(yaml.safe_dump({key: value for key, value in merged.items() if value is not None}))
    assert "<" not in path.read_text(), "a placeholder that the tests do not know"
    return clone


@pytest.fixture
def cluster_clone(slurm, root, tmp_path) -> Path:
    """A fresh copy of the repository whose profiles/slurm fits the Slurm of the tests."""
    return fill_in(copy_of_repository(root, tmp_path / "clone"))
