"""Nothing is lost, whatever happens on the cluster: the results are those of an undisturbed run, byte for byte.

What is done, and the page that is written from the account of it, are in faults.py.
"""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from pathlib import Path

import polars
import pytest
import yaml

from tests.cluster import faults
from tests.cluster.conftest import Slurm, fill_in
from tests.limits import LIMIT
from tests.workflow.conftest import USER_TASK, copy_of_repository, environment, succeed, write_user_data

# Long enough to be disturbed half-way; its state is saved several times a second.
EPOCHS = 120
TASK = (
    USER_TASK.partition("    attribution:")[0]
    .replace("epochs: 3", f"epochs: {EPOCHS}, early_stop: null, save_minutes: 5.0e-3")
    .replace("loggers: [tensorboard, wandb]", "loggers: []")
    .replace("[relu, exponential]", "relu")
    .replace("trials: 2", "trials: 1")
)
RESULTS = "results/tasks/mine"
RUN = f"{RESULTS}/runs/cnn-50_relu"
LOG = "results/logs/training/mine/cnn-50_relu.log"


def until(condition: Callable[[], object], what: str, seconds: float = LIMIT) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not in {seconds} seconds: {what}"
        time.sleep(0.1)


class Work:
    """A folder, the Slurm it uses, and the Snakemake at work in it."""

    def __init__(self, clone: Path, slurm: Slurm):
        self.clone, self.slurm, self.processes = clone, slurm, []
        self.began = time.monotonic()

    def start(self) -> subprocess.Popen:
        command = ["snakemake", "--profile", "profiles/slurm", f"{RESULTS}/metrics.tsv"]
        with self.output.open("a") as out:
            process = subprocess.Popen(
                command, cwd=self.clone, env=environment() | self.slurm.variables, stdin=subprocess.DEVNULL,
                stdout=out, stderr=out, start_new_session=True,
            )  # fmt: skip
        self.processes.append(process)
        return process

    @property
    def output(self) -> Path:
        """What all Snakemakes of the folder have printed."""
        return self.clone.parent / "snakemake.log"

    def finish(self) -> None:
        """Wait for the Snakemake that was started last."""
        assert self.processes[-1].wait(LIMIT) == 0, self.output.read_text()[-5000:]

    def refuse(self) -> str:
        """Start a Snakemake that is to refuse, and return what it says."""
        before = len(self.output.read_text()) if self.output.exists() else 0
        assert self.start().wait(LIMIT) == 1
        return self.output.read_text()[before:]

    def train(self, epochs: int = 10) -> str:
        """Start, and return the training's job when it has done some epochs, and saved."""
        process = self.start()
        state = self.clone / RESULTS / "work"
        until(
            lambda: (self.epochs() >= epochs and list(state.rglob("*.state"))) or process.poll() is not None,
            "epochs, and a state of them",
        )
        assert process.poll() is None, self.output.read_text()[-5000:]
        (job,) = self.jobs()
        return job

    def epochs(self) -> int:
        log = self.clone / LOG
        return len(re.findall(r"epoch \d+/", log.read_text())) if log.exists() else 0

    def jobs(self) -> list[str]:
        rows = (row.split("|") for row in self.slurm.run("squeue", "-h", "-o", "%i|%k|%Z").splitlines())
        return [job for job, comment, place in rows if "rule_train" in comment and Path(place) == self.clone]

    def attempts(self) -> list[dict[str, str]]:
        """Return every run of the training, of Slurm's accounts."""
        rows = self.slurm.accounting("State", "TimelimitRaw", "WorkDir", "Comment")
        return [row for row in rows if "rule_train" in row["Comment"] and Path(row["WorkDir"]) == self.clone]

    def state(self, job: str) -> str:
        # What slurmctld knows comes to the accounts a little later.
        return next((row["State"] for row in reversed(self.attempts()) if row["JobIDRaw"] == job), "")

    def log_of(self, job: str) -> str:
        """Return the log that Slurm keeps of a job that failed."""
        (path,) = (self.clone / ".snakemake/slurm_logs").rglob(f"{job}.log")
        return path.read_text()

    def made(self) -> dict[str, object]:
        """Return the results, without what says how long it took."""
        weights = {path.name: path.read_bytes() for path in (self.clone / RUN).glob("trial-0/*.safetensors")}
        tables = [f"{RESULTS}/metrics.tsv", f"{RESULTS}/history.tsv", f"{RUN}/trial-0/history.tsv"]
        timeless = {name: without_times(self.clone / name) for name in tables}
        return weights | timeless

    def stop(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if jobs := self.jobs():
            self.slurm.run("scancel", *jobs)


def without_times(path: Path) -> str:
    table = polars.read_csv(path, separator="\t", infer_schema=False)
    return table.drop([name for name in table.columns if name == "seconds"]).write_csv()


@pytest.fixture(scope="module")
def prepared(slurm, root, tmp_path_factory) -> Path:
    """A folder with the task, its data set made; metrics are computed without Slurm, which is not what is tested."""
    clone = copy_of_repository(root, tmp_path_factory.mktemp("faults") / "clone")
    # A job that is tried again asks for twice as much, and the node has 8000.
    fill_in(clone, **{"set-resources": ["train:mem_mb=1000"]})
    write_user_data(clone / "data" / "mine.h5")
    with (clone / "config/tasks.yaml").open("a") as file:
        file.write(TASK)
    with (clone / "Snakefile").open("a") as file:
        file.write("\n\nlocalrules:\n    evaluate,\n")
    succeed(clone, "--profile", "profiles/local", "--cores", "1", f"{RESULTS}/dataset.h5")
    return clone


@pytest.fixture(scope="module")
def undisturbed(prepared, slurm, tmp_path_factory) -> tuple[dict[str, object], float]:
    """The results of a run that nobody disturbs, and the seconds that it takes."""
    work = Work(shutil.copytree(prepared, tmp_path_factory.mktemp("undisturbed") / "clone"), slurm)
    try:
        work.start()
        work.finish()
    finally:
        work.stop()
    seconds, made = time.monotonic() - work.began, work.made()
    assert len(made) == 5
    assert epochs_of(work) == list(range(1, EPOCHS + 1))
    return made, seconds


@pytest.fixture
def work(prepared, slurm, tmp_path):
    """A folder to be disturbed."""
    work = Work(shutil.copytree(prepared, tmp_path / "clone"), slurm)
    yield work
    work.stop()


@pytest.fixture
def unharmed(work, undisturbed, request) -> Callable[[], None]:
    """Wait for the end, hold what was made against what an undisturbed run has made, and keep a line of it."""
    work.began = time.monotonic()

    def check() -> None:
        work.finish()
        made, seconds = undisturbed
        lost, equal = time.monotonic() - work.began - seconds, work.made() == made
        (went_on,) = re.findall(r"going on in epoch (\d+)", (work.clone / LOG).read_text()) or ["1"]
        came = {"attempts": len(work.attempts()), "before": int(went_on) - 1, "after": EPOCHS - int(went_on) + 1}
        name = request.function.__name__.removeprefix("test_")
        faults.keep(name, version(work.slurm), **came, equal=equal, lost=round(lost, 1))
        assert equal
        assert epochs_of(work) == list(range(1, EPOCHS + 1)), "an epoch is there twice, or is not"
        assert (came["attempts"] > 1) == (came["before"] > 0), "it went on if and only if it was disturbed"
        assert not list((work.clone / RESULTS / "work/cnn-50_relu").rglob("*.state"))

    return check


def version(slurm: Slurm) -> str:
    return slurm.run("sinfo", "--version").split()[-1]


def epochs_of(work: Work) -> list[int]:
    return polars.read_csv(work.clone / RUN / "trial-0/history.tsv", separator="\t")["epoch"].to_list()


def ended(work: Work, job: str, state: str) -> None:
    until(lambda: work.state(job).startswith(state), f"{job} {state}")


def training_of(clone: Path) -> int:
    """Return the process of the training at work in a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            program, *arguments = (process / "cmdline").read_text().split("\0")
            if "python" in program and "training/train.py" in arguments[0] and (process / "cwd").resolve() == clone:
                found.append(int(process.name))
    (one,) = found
    return one


def hold(work: Work) -> None:
    """Let the training stand still, or a fast machine would be done with it; Slurm wakes up a job that it ends."""
    os.kill(training_of(work.clone), signal.SIGSTOP)


def test_cancelled(work, unharmed):
    job = work.train()
    hold(work)
    work.slurm.run("scancel", job)
    ended(work, job, "CANCELLED")
    unharmed()
    assert "run again to go on from there" in work.log_of(job)
    assert [row["State"].split()[0] for row in work.attempts()] == ["CANCELLED", "COMPLETED"]


def test_out_of_time(work, unharmed):
    profile = work.clone / "profiles/slurm/config.yaml"
    settings = yaml.safe_load(profile.read_text())
    settings["set-resources"].append("train:runtime=attempt")
    profile.write_text(yaml.safe_dump(settings))
    job = work.train()
    hold(work)
    ended(work, job, "TIMEOUT")
    unharmed()
    assert "run again to go on from there" in work.log_of(job)
    # Two attempts, or more on a slow machine.
    *before, last = [row["State"] for row in work.attempts()]
    assert (set(before), last) == ({"TIMEOUT"}, "COMPLETED")
    assert [row["TimelimitRaw"] for row in work.attempts()] == [str(n + 1) for n in range(len(before) + 1)]


def test_requeued(work, unharmed):
    job = work.train()
    hold(work)
    work.slurm.run("scontrol", "requeue", job)
    unharmed()
    assert [row["State"] for row in work.attempts()] == ["REQUEUED", "COMPLETED"]


def test_pre_empted(work, unharmed):
    job = work.train()
    hold(work)
    work.slurm.run("sbatch", "-p", "urgent", "--cpus-per-task=2", "--mem=100", "-o", "/dev/null", "--wrap=sleep 2")
    unharmed()
    assert [(row["JobIDRaw"], row["State"]) for row in work.attempts()] == [(job, "PREEMPTED"), (job, "COMPLETED")]


def test_drained(work, unharmed):
    job = work.train()
    hold(work)
    work.slurm.script("drain")
    try:
        work.slurm.run("scontrol", "requeue", job)
        until(lambda: work.slurm.run("squeue", "-h", "-j", job, "-o", "%T").strip() == "PENDING", "pending")
        time.sleep(8)
        assert work.slurm.run("squeue", "-h", "-j", job, "-o", "%T").strip() == "PENDING"
    finally:
        work.slurm.script("resume")
    unharmed()


def test_controller_killed(work, unharmed):
    work.train()
    work.slurm.script("kill-ctld")
    time.sleep(12)
    work.slurm.script("start-ctld")
    unharmed()


def test_accounting_killed(work, unharmed):
    work.train()
    os.kill(int((work.slurm.folder / "run/slurmdbd.pid").read_text()), signal.SIGKILL)
    try:
        until(lambda: "Slurm does not say how its jobs are" in work.output.read_text(), "a poll")
    finally:
        work.slurm.script("up")
    unharmed()
    assert "Slurm answers again" in work.output.read_text()


def kill_snakemake(work: Work) -> None:
    work.processes[-1].kill()
    work.processes[-1].wait()
    assert "cannot be locked" in work.refuse()
    succeed(work.clone, "--unlock")


def test_snakemake_killed(work, unharmed):
    work.train()
    hold(work)
    kill_snakemake(work)
    told = work.refuse()
    assert "Nothing was started: Slurm has 1 jobs in this folder" in told
    work.slurm.run("scancel", re.search(r"scancel (--name=\S+)\.", told)[1])
    work.start()
    unharmed()


def test_left_behind(work, unharmed):
    job = work.train()
    kill_snakemake(work)
    ended(work, job, "COMPLETED")
    work.start()
    unharmed()
    assert len(work.attempts()) == 1


def test_disk_full(work, unharmed):
    with small_disk(work.clone / "results") as folder:
        job = work.train()
        fill(folder / "filler")
        ended(work, job, "FAILED")
        (folder / "filler").unlink()
        work.finish()
        shown = work.log_of(job)
        assert len(re.findall("^error: .*no space left", shown, flags=re.MULTILINE)) == 1
        assert "Traceback" not in shown
    unharmed()


def fill(path: Path) -> None:
    """Write until the disk is full."""
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 20))


@contextmanager
def small_disk(folder: Path):
    """Put what is in a folder on a disk of 64 MB; afterwards it is in the folder again."""
    aside = folder.rename(folder.with_name("aside"))
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "results", folder], check=True)
    try:
        shutil.copytree(aside, folder, dirs_exist_ok=True)
        shutil.rmtree(aside)
        yield folder
        shutil.copytree(folder, aside)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
    folder.rmdir()
    aside.rename(folder)


def test_started_twice(work, unharmed):
    work.train()
    first = work.processes[-1]
    assert "cannot be locked" in work.refuse()
    work.processes.append(first)
    unharmed()


def test_no_accounting(prepared, tmp_path):
    """The executor plugin would wait for ever after an outage of the controller."""
    slurm = Slurm(tmp_path, CISFLOW_SLURM_ACCOUNTING="no")
    work = Work(shutil.copytree(prepared, tmp_path / "work" / "clone"), slurm)
    try:
        slurm.script("up")
        work.began = time.monotonic()
        told = work.refuse()
        seconds = time.monotonic() - work.began
        assert "Nothing was started: this Slurm keeps no accounts" in told
        assert "rule train" not in told[told.index("Nothing was started") :]
        assert work.jobs() == []
    finally:
        slurm.script("down")
    faults.keep("no_accounting", version(slurm), seconds=round(seconds, 1))


def test_each_fault_has_its_test():
    assert {f"test_{name}" for name in faults.FAULTS | faults.REFUSALS} <= set(globals())
