"""A folder is worked on by one process at a time, and a claim ends with its process."""

import fcntl
import logging
import os
import shutil
import subprocess
import sys

import pytest

from cisflow.claim import GivenUp, claimed, is_claimed

HOLD = """
import sys, time
from cisflow.claim import claimed
with claimed(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the folder until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "run")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"SLURM_JOB_ID": "41"},
    )  # fmt: skip
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_folder_that_nobody_holds_is_had_at_once(tmp_path):
    for _ in range(2):
        with claimed(tmp_path / "new" / "run"):
            assert "process" in (tmp_path / "new" / "run" / "claim").read_text()


def test_a_folder_that_is_held_is_waited_for(tmp_path, holder, caplog):
    asked = []

    def stop() -> bool:
        asked.append(1)
        if len(asked) == 3:
            holder.kill()
            holder.wait()
        assert len(asked) < 500
        return False

    assert is_claimed(tmp_path / "run")
    with claimed(tmp_path / "run", stop, every=0.02):
        assert len(asked) >= 3
    assert not is_claimed(tmp_path / "run")
    assert not is_claimed(tmp_path / "other")
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "Slurm job 41 on" in caplog.text


def test_who_waits_can_be_stopped(tmp_path, holder):
    with pytest.raises(GivenUp, match="Slurm job 41"), claimed(tmp_path / "run", lambda: True, every=0.02):
        raise AssertionError("it is held")


def test_the_holder_may_delete_the_folder(tmp_path, monkeypatch):
    """A lock on a deleted file is not taken for the claim: the next one who comes would have the folder, too."""
    lock = fcntl.flock

    def deleted_before_it_is_locked(file, how):
        monkeypatch.setattr(fcntl, "flock", lock)
        shutil.rmtree(tmp_path / "run")
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", deleted_before_it_is_locked)
    with claimed(tmp_path / "run", every=0.02):
        inode = (tmp_path / "run" / "claim").stat().st_ino
        with pytest.raises(GivenUp), claimed(tmp_path / "run", lambda: True):
            raise AssertionError("it is held")
        assert (tmp_path / "run" / "claim").stat().st_ino == inode


def test_a_file_system_without_locks_is_told(tmp_path, monkeypatch, caplog):
    def no_lock(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", no_lock)
    with claimed(tmp_path / "run"):
        assert "no lock can be had there (Function not implemented)" in caplog.text
