"""Jobs of one machine take a GPU each, whoever starts them; `nvidia-smi` is a stand-in that lists what a test says."""

import itertools
import json
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cisflow import gpus
from cisflow.errors import CisflowError
from cisflow.gpus import Gpu, allowed, claim, listed
from cisflow.models.device import choose_device
from tests.limits import HANG, LIMIT

FOUR = [f"GPU-{letter * 8}-1111-2222-3333-444444444444" for letter in "abcd"]
DIVIDED = """GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-aaaaaaaa-1111-2222-3333-444444444444)
  MIG 1g.5gb      Device  0: (UUID: MIG-11111111-1111-2222-3333-444444444444)
  MIG 3g.20gb     Device  1: (UUID: MIG-22222222-1111-2222-3333-444444444444)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-bbbbbbbb-1111-2222-3333-444444444444)
"""
# A job: claims a GPU, says what it sees and when, works for a while.
JOB = """
import json, logging, os, sys, time
logging.basicConfig(level=logging.INFO, stream=sys.stderr)
from cisflow.gpus import claim
claim(int(sys.argv[3]))
started = time.monotonic()
print(json.dumps([os.environ.get("CUDA_VISIBLE_DEVICES"), started]), flush=True)
time.sleep(float(sys.argv[2]))
open(sys.argv[1], "w").write(json.dumps([os.environ.get("CUDA_VISIBLE_DEVICES"), started, time.monotonic()]))
"""

# A job that leaves a child behind.
FORKS = """
import os, sys, time
from cisflow.gpus import claim
claim()
if os.fork():
    os._exit(0)
# Only now has the child let go.
print(os.getpid(), flush=True)
time.sleep(float(sys.argv[1]))
"""


def lines(uuids, model="NVIDIA RTX A6000") -> str:
    return "".join(f"GPU {number}: {model} (UUID: {uuid})\n" for number, uuid in enumerate(uuids))


def stand_in(folder: Path, text: str, status: int = 0) -> Path:
    """Write a `nvidia-smi` that lists GPUs; return its folder."""
    folder.mkdir(exist_ok=True)
    (folder / "list").write_text(text)
    (folder / "nvidia-smi").write_text(f'#!/bin/sh\n[ "$1" = -L ] && cat {folder}/list\nexit {status}\n')
    (folder / "nvidia-smi").chmod(0o755)
    return folder


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine of four GPUs, on which this process has claimed nothing yet; its folder of locks."""
    monkeypatch.setenv("PATH", f"{stand_in(tmp_path / 'bin', lines(FOUR))}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv(gpus.LOCKS, str(tmp_path / "locks"))
    # Set first, so that what a claim sets is undone as well.
    for name in (gpus.VISIBLE, gpus.CLAIMED, "SLURM_JOB_ID", "CUDA_DEVICE_ORDER"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setattr(gpus, "_held", None)
    monkeypatch.setattr(gpus, "TRY_EVERY", 0.02)
    yield tmp_path / "locks"
    for lock in gpus._held or ():
        os.close(lock)


def job(out: Path, seconds: float, number: int = 1, **variables: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", JOB, str(out), str(seconds), str(number)], env={**os.environ, **variables}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def seen(process: subprocess.Popen) -> str | None:
    """Wait until a job has claimed its GPU; return what it sees."""
    return json.loads(process.stdout.readline())[0]


def end(*processes: subprocess.Popen) -> None:
    for process in processes:
        process.kill()
        process.communicate()


def test_jobs_at_one_time_have_gpus_of_their_own_and_use_all(machine, tmp_path):
    """Eight jobs on four GPUs: as if two Snakemakes had started four each."""
    outs = [tmp_path / f"job-{number}" for number in range(8)]
    # Long enough that four of them are at work together on a slow machine.
    jobs = [job(out, 3.0) for out in outs]
    assert [process.wait(LIMIT) for process in jobs] == [0] * 8, jobs[0].stderr.read()
    end(*jobs)
    done = sorted(json.loads(out.read_text()) for out in outs)
    assert {device for device, _, _ in done} == set(FOUR)
    for (device, _, ended), (next_device, started, _) in itertools.pairwise(done):
        assert device != next_device or ended <= started


def test_a_killed_job_frees_its_gpu(machine, tmp_path, monkeypatch):
    monkeypatch.setenv(gpus.VISIBLE, "2")
    first = job(tmp_path / "first", HANG)
    assert seen(first) == FOUR[2]
    second = job(tmp_path / "second", 0)
    said = second.stderr.readline()
    assert "waiting for a GPU" in said
    assert f"{FOUR[2]} by pid {first.pid} (-c " in said
    assert second.poll() is None
    os.kill(first.pid, signal.SIGKILL)
    assert second.wait(LIMIT) == 0
    assert seen(second) == FOUR[2]
    end(first, second)


def test_a_forked_child_does_not_keep_the_gpu_of_a_job_that_ended(machine, tmp_path, monkeypatch):
    monkeypatch.setenv(gpus.VISIBLE, "0")
    parent = subprocess.Popen([sys.executable, "-c", FORKS, str(HANG)], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    try:
        assert parent.wait(LIMIT) == 0
        os.kill(child, 0)
        (lock,) = gpus._take(gpus._folder(), FOUR[:1], 1).values()
        os.close(lock)
    finally:
        os.kill(child, signal.SIGKILL)
        parent.communicate()


def test_children_of_a_job_see_its_gpu_and_claim_none(machine, tmp_path):
    claim()
    claim()
    assert os.environ[gpus.VISIBLE] == FOUR[0]
    child = job(tmp_path / "child", 0)
    assert seen(child) == FOUR[0]
    end(child)


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        (None, FOUR),
        ("2,3", FOUR[2:]),
        (" 3 , 1", [FOUR[3], FOUR[1]]),
        (FOUR[1], FOUR[1:2]),
        ("GPU-c,0", [FOUR[2], FOUR[0]]),
        ("1,1", FOUR[1:2]),
        # Until the first that there is not, as CUDA reads it.
        ("0,7,1", FOUR[:1]),
        ("1,-1,2", FOUR[1:2]),
        ("GPU-,1", []),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
    ],
)
def test_what_the_user_lets_jobs_see_is_respected(machine, monkeypatch, visible, expected):
    given = {} if visible is None else {gpus.VISIBLE: visible}
    assert allowed(listed(), given) == expected
    if visible is not None:
        monkeypatch.setenv(gpus.VISIBLE, visible)
    claim()
    assert os.environ.get(gpus.VISIBLE) == (expected[0] if expected else visible)
    assert sorted(path.name for path in machine.glob("*")) == [f"{uuid}.lock" for uuid in expected[:1]]


def test_parts_of_a_gpu_are_claimed_one_by_one(machine, tmp_path):
    stand_in(tmp_path / "bin", DIVIDED)
    first, second = (f"MIG-{digit * 8}-1111-2222-3333-444444444444" for digit in "12")
    assert allowed(listed(), {}) == [first, second, FOUR[1]]
    assert allowed(listed(), {gpus.VISIBLE: f"{second},0,1"}) == [second, first, FOUR[1]]
    old = "MIG-GPU-aaaaaaaa-1111-2222-3333-444444444444/1/0"
    assert allowed(listed(), {gpus.VISIBLE: old}) == [old]


def test_indices_stay_indices_where_cuda_may_count_otherwise():
    mixed = [Gpu("GPU-a", "NVIDIA T4"), Gpu("GPU-b", "NVIDIA A100")]
    assert allowed(mixed, {gpus.VISIBLE: "1,0"}) == ["1", "0"]
    assert allowed(mixed, {gpus.VISIBLE: "1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}) == ["GPU-b"]
    assert allowed(mixed, {}) == ["GPU-a", "GPU-b"]


@pytest.mark.parametrize("broken", ["absent", "failing", "empty"])
def test_nothing_is_claimed_without_gpus(machine, tmp_path, monkeypatch, caplog, broken):
    if broken == "absent":
        monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    else:
        stand_in(tmp_path / "bin", "", status=9 * (broken == "failing"))
    claim()
    assert gpus.VISIBLE not in os.environ
    assert not machine.exists()
    assert ("nvidia-smi does not list GPUs" in caplog.text) == (broken == "failing")


@pytest.mark.parametrize(("visible", "claimed"), [("1", "1"), ("1,2", FOUR[1])])
def test_in_a_job_of_slurm_only_what_is_more_than_wanted_is_claimed(machine, monkeypatch, visible, claimed):
    """Several GPUs of one Slurm job are shared by its steps, or by a Snakemake that runs inside."""
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv(gpus.VISIBLE, visible)
    claim()
    assert os.environ[gpus.VISIBLE] == claimed


def test_several_gpus_are_all_claimed_or_none(machine, tmp_path):
    first = job(tmp_path / "first", 60, number=3)
    assert seen(first) == ",".join(FOUR[:3])
    second = job(tmp_path / "second", 60, number=2)
    assert "waiting for a GPU" in second.stderr.readline()
    third = job(tmp_path / "third", 60)
    assert seen(third) == FOUR[3]  # not kept by the one that waits
    end(first, third)
    assert seen(second) == ",".join(FOUR[:2])
    end(second)
    with pytest.raises(CisflowError, match="5 GPUs are wanted, and 4 may be used"):
        claim(5)


def test_a_command_shares_rather_than_waits(machine, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv(gpus.VISIBLE, "1")
    other = job(tmp_path / "other", 60)
    seen(other)
    assert choose_device("any", wait=False).type in ("cpu", "cuda")
    assert "all GPUs that may be used are taken" in caplog.text
    assert str(other.pid) in caplog.text
    assert os.environ[gpus.VISIBLE] == "1"
    end(other)


def test_the_cpu_claims_nothing_and_any_device_does(machine, caplog):
    caplog.set_level(logging.INFO)
    choose_device("cpu")
    assert gpus.VISIBLE not in os.environ
    choose_device("any")
    assert os.environ[gpus.VISIBLE] == FOUR[0]
    assert f"GPU {FOUR[0]} is claimed by this job" in caplog.text


def test_claims_are_off_on_request(machine, monkeypatch):
    monkeypatch.setenv(gpus.LOCKS, "")
    claim()
    assert gpus.VISIBLE not in os.environ


def as_nobody(path: Path, told) -> None:
    os.setgid(65534)
    os.setuid(65534)
    lock = gpus._lock(path)
    if lock is not None:
        gpus._sign(lock)
    told.send(lock is not None)
    told.recv()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to be another user for a while")
@pytest.mark.parametrize("first", ["root", "nobody"])
def test_users_lock_each_other_out(machine, tmp_path, first):
    for folder in (tmp_path, *tmp_path.parents):
        if folder != Path("/tmp") and Path("/tmp") in folder.parents:
            folder.chmod(0o755)
    umask = os.umask(0o077)
    try:
        folder = gpus._folder()
        assert folder.stat().st_mode & 0o7777 == 0o1777
        path = folder / "GPU-a.lock"
        mine = gpus._lock(path) if first == "root" else None
        here, there = multiprocessing.Pipe()
        other = multiprocessing.get_context("fork").Process(target=as_nobody, args=(path, there))
        other.start()
        there.close()
        assert here.recv() == (first == "nobody")
        mine = mine if first == "root" else gpus._lock(path)
        assert (mine is None) == (first == "nobody")
        here.send("end")
        other.join()
        mine = gpus._lock(path) if mine is None else mine
        assert mine is not None
        os.close(mine)
        assert path.stat().st_mode & 0o777 == 0o666
    finally:
        os.umask(umask)


def test_a_deleted_lock_locks_nobody_out(machine, monkeypatch):
    path = gpus._folder() / "GPU-a.lock"
    real = gpus._open

    def deleted_meanwhile(path):
        lock = real(path)
        path.unlink()
        return lock

    monkeypatch.setattr(gpus, "_open", deleted_meanwhile)
    assert gpus._lock(path) is None
    monkeypatch.setattr(gpus, "_open", real)
    lock = gpus._lock(path)
    assert lock is not None
    os.close(lock)


@pytest.mark.parametrize("trap", ["link", "hard link", "pipe", "folder"])
def test_nothing_is_written_to_what_another_put_in_place_of_a_lock(machine, tmp_path, trap):
    theirs = tmp_path / "theirs"
    theirs.write_text("precious")
    path = gpus._folder() / f"{FOUR[0]}.lock"
    {
        "link": lambda: path.symlink_to(theirs),
        "hard link": lambda: path.hardlink_to(theirs),
        "pipe": lambda: os.mkfifo(path),
        "folder": path.mkdir,
    }[trap]()
    with pytest.raises(CisflowError, match=rf"{path}: .*Remove it, or name another folder .* in CISFLOW_GPU_LOCKS"):
        claim()
    assert theirs.read_text() == "precious"


@pytest.mark.parametrize("trap", ["link", "file", "missing"])
def test_a_folder_of_locks_that_is_none_is_refused(machine, tmp_path, monkeypatch, trap):
    if trap == "missing":
        monkeypatch.setenv(gpus.LOCKS, str(tmp_path / "not" / "there"))
    else:
        machine.symlink_to(tmp_path) if trap == "link" else machine.touch()
    with pytest.raises(CisflowError, match="no folder for locks" if trap == "missing" else "not a folder"):
        claim()


def test_waiting_is_told_and_ends(machine, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setenv(gpus.VISIBLE, "3")
    other = job(tmp_path / "other", 3.0)
    seen(other)
    claim()
    assert os.environ[gpus.VISIBLE] == FOUR[3]
    assert caplog.records[0].message.startswith("waiting for a GPU; taken are: ")
    end(other)
