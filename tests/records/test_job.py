"""The record of a job: what is written when it ends in this way or that."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.limits import HANG, LIMIT
from tests.workflow.conftest import environment

from cisflow import checksums, job
from cisflow.checksums import LARGE, checksum, describe
from cisflow.io import sha256
from cisflow.records.read import KILLED, RUNNING, read_jobs

SCRIPT = '''
"""A small job."""
import os, sys, time
from pathlib import Path
from cisflow.errors import CisflowError
from cisflow.io import atomic
from cisflow.provenance import record
from cisflow.script import TRY_AGAIN, parser, run

def main():
    flags = parser(__doc__)
    flags.add_argument("--do", required=True)
    flags.add_argument("--out", type=Path)
    args = flags.parse_args()
    {body}

run(main)
'''
DO = """if args.do == "publish":
        with atomic(args.out) as partial:
            partial.write_text(os.environ["CONTENT"])
            print("writing", flush=True)
            if os.environ["CONTENT"] == "old":
                sys.stdin.readline()
    elif args.do == "write":
        args.out.write_text("abc")
        record(args.out.with_suffix(".json"), [], {"a": 1}, time.time())
    elif args.do == "grow":
        kept = bytearray(300 * 2**20)
    elif args.do == "child":
        import subprocess
        subprocess.run([sys.executable, "-c", "kept = bytearray(200 * 2**20)"], check=True)
    elif args.do == "refuse":
        raise CisflowError("this is wrong")
    elif args.do == "break":
        raise ZeroDivisionError("by nothing")
    elif args.do == "wait":
        print("waiting", flush=True)
        time.sleep({hang})
    elif args.do == "later":
        sys.exit(TRY_AGAIN)
    elif args.do == "full":
        raise OSError(28, "No space left on device")
    elif args.do == "vanish":
        os._exit(3)"""


@pytest.fixture
def script(tmp_path) -> Path:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT.replace("{body}", DO).replace("{hang}", str(HANG)))
    return path


def command(script: Path, do: str, *flags: str) -> list[str]:
    own = ["--log", "results/logs/stage/task/name.v1.log", "--asked", "rule=small", "threads=2", "mem_mb=500"]
    own += ["--asked", "gpu=0", "--reads", *flags, "--writes", "out.txt", "--out", "out.txt"]
    return [sys.executable, str(script), *own, "--do", do]


def run(root, script: Path, do: str, *flags: str, **variables: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        command(script, do, *flags), cwd=script.parent, capture_output=True, text=True, check=False,
        env=environment() | {"PYTHONPATH": str(root / "src")} | variables,
    )  # fmt: skip


def lines(script: Path) -> list[dict]:
    found = (script.parent / "results/logs/stage/task/name.v1.jsonl").read_text().splitlines()
    return [json.loads(line) for line in found]


def test_of_a_job_that_is_done_everything_is_known(root, script):
    (script.parent / "in.txt").write_text("xyz")
    done = run(root, script, "write", "in.txt", SLURM_JOB_ID="77", SLURM_JOB_PARTITION="gpu")
    assert done.returncode == 0, done.stderr
    start, end = lines(script)
    assert start["id"] == end["id"]
    assert (start["rule"], start["job"]) == ("small", "stage/task/name.v1")
    assert start["asked"] == {"threads": 2, "mem_mb": 500, "gpu": 0}
    assert start["command"] == [str(script), "--out", "out.txt", "--do", "write"]
    assert start["slurm"] == {"job": "77", "partition": "gpu"}
    assert end["status"] == "done"
    assert end["reads"] == {"in.txt": {"bytes": 3, "sha256": hashlib.sha256(b"xyz").hexdigest()}}
    assert end["writes"] == {"out.txt": {"bytes": 3, "sha256": hashlib.sha256(b"abc").hexdigest()}}
    assert end["provenance"] == ["out.json"]
    assert end["versions"]["python"] == sys.version.split()[0]
    assert end["cpu_seconds"] > 0
    assert 0 < end["seconds"] < LIMIT
    assert 10 < end["memory_mb"] < 400
    assert end["children_mb"] == 0
    assert end["cpu"]["visible"] == len(os.sched_getaffinity(0))


@pytest.fixture
def orphan(root, script):
    """A job that is about to give its output its name, and whose Snakemake is no longer there."""
    (script.parent / "in.txt").write_text("xyz")
    process = subprocess.Popen(
        command(script, "publish", "in.txt"), cwd=script.parent, text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=environment() | {"PYTHONPATH": str(root / "src"), "CONTENT": "old"},
    )  # fmt: skip
    assert process.stdout.readline() == "writing\n"
    yield process
    process.kill()
    process.communicate()


def test_a_job_that_was_left_behind_does_not_replace_what_a_later_one_wrote(root, script, orphan):
    later = run(root, script, "publish", "in.txt", CONTENT="new")
    assert later.returncode == 0, later.stderr
    _, told = orphan.communicate("\n", timeout=LIMIT)
    assert orphan.returncode == 1
    assert "out.txt: not written, since another process has started to make it" in told
    assert (script.parent / "out.txt").read_text() == "new"
    assert sorted(path.name for path in script.parent.iterdir()) == ["in.txt", "out.txt", "results", "script.py"]
    assert {line["status"] for line in lines(script) if line["event"] == "end"} == {"done", "failed"}


def test_nothing_is_written_where_the_record_was_removed(script, orphan):
    (script.parent / "results/logs/stage/task/name.v1.jsonl").unlink()
    _, told = orphan.communicate("\n", timeout=LIMIT)
    assert orphan.returncode == 1
    assert "out.txt: not written, since the record of this job" in told
    assert not (script.parent / "out.txt").exists()


def test_a_record_that_was_cut_off_does_not_stop_the_next_attempt(root, script):
    (script.parent / "in.txt").write_text("xyz")
    path = script.parent / "results/logs/stage/task/name.v1.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text('{"id": "1", "event": "sta')
    done = run(root, script, "publish", "in.txt", CONTENT="new")
    assert done.returncode == 0, done.stderr
    assert (script.parent / "out.txt").read_text() == "new"


def test_what_a_killed_job_has_left_is_removed_by_the_next(root, script, orphan):
    orphan.kill()
    orphan.wait()
    assert list(script.parent.glob(".out.txt.*.partial"))
    assert run(root, script, "publish", "in.txt", CONTENT="new").returncode == 0
    assert not list(script.parent.glob(".out.txt.*"))


def test_peaks_of_memory_are_those_of_the_job_and_of_its_largest_child(root, script):
    run(root, script, "grow")
    run(root, script, "child")
    grown, child = (event for event in lines(script) if event["event"] == "end")
    assert 300 < grown["memory_mb"] < 400
    assert grown["children_mb"] == 0
    assert child["memory_mb"] < 150
    assert 200 < child["children_mb"] < 260


@pytest.mark.parametrize(
    ("do", "status", "message", "code"),
    [
        ("refuse", "failed", "error: this is wrong", 1),
        ("break", "failed", "ZeroDivisionError: by nothing", 1),
        ("later", "stopped", "exit status 75", 75),
        ("full", "failed", "error: no space left on the disk", 1),
    ],
)
def test_a_job_that_fails_says_why(root, script, do, status, message, code):
    (script.parent / "in.txt").write_text("xyz")
    assert run(root, script, do, "in.txt").returncode == code
    _, end = lines(script)
    assert end["status"] == status
    assert end["message"].startswith(message)
    # No checksums: nothing rests on what it read.
    assert end["reads"] == {"in.txt": {"bytes": 3}}
    assert end["writes"] == {"out.txt": {"missing": True}}


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, "terminated"), (signal.SIGINT, "interrupted"), (signal.SIGKILL, None)]
)
def test_a_job_that_is_killed_is_known_too(root, script, number, status):
    running = subprocess.Popen(
        command(script, "wait"), cwd=script.parent, env=environment() | {"PYTHONPATH": str(root / "src")},
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert running.stdout.readline() == "waiting\n"
    (found,), _ = read_jobs(script.parent / "results/logs")
    assert found.status == RUNNING
    running.send_signal(number)
    running.communicate()
    (found,), notes = read_jobs(script.parent / "results/logs")
    assert found.status == (status or KILLED)
    assert notes == []
    assert run(root, script, "write").returncode == 0
    (found,), _ = read_jobs(script.parent / "results/logs")
    assert [attempt["status"] for attempt in found.last] == [status or KILLED, "done"]


def test_a_process_that_ends_itself_at_once_has_no_end(root, script):
    assert run(root, script, "vanish").returncode == 3
    (found,), _ = read_jobs(script.parent / "results/logs")
    assert found.status == KILLED


def test_without_a_log_there_is_no_record(root, script):
    flags = [word for word in command(script, "write") if word not in ("--log", "results/logs/stage/task/name.v1.log")]
    done = subprocess.run(flags, cwd=script.parent, env=environment() | {"PYTHONPATH": str(root / "src")}, check=False)
    assert done.returncode == 0
    assert not (script.parent / "results").exists()


def test_a_record_that_cannot_be_written_costs_no_result(root, script):
    (script.parent / "results").write_text("a file where a folder should be")
    done = run(root, script, "write")
    assert done.returncode == 0
    assert (script.parent / "out.txt").read_text() == "abc"
    assert "the run record is incomplete" in done.stderr


def test_what_cannot_be_read_for_its_checksum_costs_no_result(root, script):
    name = "x" * 300
    done = run(root, script, "write", name)
    assert done.returncode == 0
    assert "the run record has no checksum of it" in done.stderr
    assert "File name too long" in lines(script)[1]["reads"][name]["unreadable"]


def test_a_wrong_flag_of_the_record_is_refused(root, script):
    done = run(root, script, "write", "--asked", "nothing")
    assert done.returncode == 2
    assert "not NAME=VALUE: nothing" in done.stderr


def test_gpus_are_those_that_torch_has_used_and_torch_is_not_loaded_for_it(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert job._gpus() == {}
    reserved = [0, 5 * 2**20]
    cuda = SimpleNamespace(
        is_initialized=lambda: True, device_count=lambda: 2, get_device_name=lambda number: f"GPU {number}",
        max_memory_allocated=lambda number: reserved[number] // 2, max_memory_reserved=reserved.__getitem__,
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    used = {"name": "GPU 1", "allocated_mb": 2.5, "reserved_mb": 5.0}
    assert job._gpus() == {"gpus": [used], "cuda_visible_devices": "2,3"}
    cuda.is_initialized = lambda: False
    assert job._gpus() == {}


@pytest.fixture
def memory(tmp_path):
    """A folder in which checksums are remembered."""
    checksums.remember_in(tmp_path / "kept")
    yield tmp_path / "kept"
    checksums.remember_in(None)


def test_a_large_file_is_read_once_until_it_changes(tmp_path, memory, monkeypatch):
    large = tmp_path / "large.h5"
    large.write_bytes(b"a" * LARGE)
    read = []
    monkeypatch.setattr(checksums, "sha256", lambda path: read.append(path) or sha256(path))
    known = sha256(large)
    assert [checksum(large), checksum(large)] == [known, known]
    assert len(read) == 1
    # Another file of the same size and time in its place is another file.
    stat, other = large.stat(), tmp_path / "other.h5"
    other.write_bytes(b"b" * LARGE)
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    other.replace(large)
    assert checksum(large) == sha256(large) != known
    os.utime(large)
    checksum(large)
    assert len(read) == 3
    for kept in memory.iterdir():
        kept.write_text("{")
    assert checksum(large) == sha256(large)


def test_small_files_are_always_read(tmp_path, memory):
    (tmp_path / "small").write_text("a")
    assert checksum(tmp_path / "small") == sha256(tmp_path / "small")
    assert not memory.exists()


def test_a_folder_has_the_checksum_of_the_list_that_sha256sum_writes(tmp_path):
    for name in ("b/c.txt", "a.txt", ".hidden", "b/.hidden", ".git/x"):
        (tmp_path / "f" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "f" / name).write_text(name)
    listed = subprocess.run(
        ["sha256sum", "a.txt", "b/c.txt"], cwd=tmp_path / "f", capture_output=True, check=True
    ).stdout
    known = {"bytes": 12, "files": 2, "sha256": hashlib.sha256(listed).hexdigest()}
    assert describe(tmp_path / "f") == known
    assert describe(tmp_path / "f", digests=False) == {"bytes": 12, "files": 2}


def test_the_clock_starts_with_the_process():
    code = "import time; time.sleep(1); from cisflow import job; print(time.time() - job._started())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) >= 1
    assert time.time() - job._started() > 0
