"""The record of a job: what it read and wrote, what it ran on, what it took, and how it ended.

It is beside the job's log, its name ending in .jsonl: a line when an attempt starts, and a line when it ends. An
attempt without the second was killed, or is still running.

The record also says whose the outputs are: those of the attempt that started last. An earlier one that is still at
work, since the Snakemake that started it was killed, writes nothing once another has started.
"""

import json
import logging
import os
import platform
import resource
import socket
import sys
import time
import uuid
from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from cisflow import checksums, provenance
from cisflow.checksums import describe
from cisflow.errors import CisflowError, without_secrets
from cisflow.io import guard_outputs, remove_partial
from cisflow.locks import exclusive

MIB = 2**20
# How a script ends when it was asked to (`script.run`).
STATUS = {None: "done", 0: "done", 75: "stopped", 128 + 2: "interrupted", 128 + 15: "terminated", 128 + 1: "terminated"}
# The flags that only the record needs.
OWN = ("--log", "--asked", "--reads", "--writes")

_running: list[dict[str, Any]] = []


def begin(flags: Namespace) -> None:
    """Write that an attempt starts, if the job has a log.

    Parameters
    ----------
    flags
        `log`, the job's log; `asked`, pairs name=value: its rule, and what it asked for; `reads` and `writes`, paths.
    """
    _running.clear()
    if flags.log is None:
        return
    logs = next((parent for parent in flags.log.parents if parent.name == "logs"), flags.log.parent)
    checksums.remember_in(logs / ".checksums")
    asked = dict(pair.split("=", 1) for pair in flags.asked)
    job = {"id": uuid.uuid4().hex[:12], "path": flags.log.with_suffix(".jsonl")}
    job |= {"reads": flags.reads, "writes": flags.writes, "children": _children()}
    _running.append(job)
    for path in map(Path, flags.writes):
        remove_partial(path)
    guard_outputs(_owned)
    job["owner"] = _write(
        event="start",
        rule=asked.pop("rule", None),
        job=flags.log.relative_to(logs).with_suffix("").as_posix(),
        command=_command(sys.argv),
        asked={name: _number(value) for name, value in asked.items()},
        started=_moment(_started()),
        host=socket.gethostname(),
        pid=os.getpid(),
        **_slurm(),
    )


@contextmanager
def recorded() -> Iterator[None]:
    """Write how the block, a script's work, ends."""
    try:
        yield
    except BaseException as error:
        end(*_ending(error))
        raise
    end("done")


def end(status: str, message: str | None = None) -> None:
    """Write that the attempt ends, once; only of one that is done, with checksums of what it read and wrote."""
    if not _running:
        return
    seconds, used, begun = time.time() - _started(), _used(), time.perf_counter()
    done = status == "done"
    files = {name: {path: _described(path, done) for path in _running[-1][name]} for name in ("reads", "writes")}
    _write(
        event="end",
        status=status,
        message=message,
        ended=_moment(time.time()),
        seconds=round(seconds, 3),
        **used,
        **files,
        provenance=[str(path) for path in provenance.written],
        **provenance.software(),
        recording_seconds=round(time.perf_counter() - begun, 3),
    )
    _running.clear()


def _described(path: str, digests: bool) -> dict[str, Any]:
    try:
        return describe(path, digests)
    except OSError as error:
        logging.getLogger("cisflow").warning("%s: the run record has no checksum of it: %s", path, error)
        return {"unreadable": str(error)}


def _ending(error: BaseException) -> tuple[str, str]:
    if not isinstance(error, SystemExit):
        return "failed", f"{type(error).__name__}: {error}"
    if isinstance(error.code, str):
        return "failed", error.code
    return STATUS.get(error.code, "failed"), f"exit status {error.code}"


def _write(**facts: Any) -> bool:
    """Append a line; a record that cannot be written is no reason to lose a result. Return whether it was."""
    path = _running[-1]["path"]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+") as handle, exclusive(handle.fileno()):
            # An attempt that was killed may have left half a line.
            start = b"" if _ends_in_newline(handle) else b"\n"
            line = without_secrets(json.dumps({"id": _running[-1]["id"]} | facts, default=str))
            handle.write(start + line.encode() + b"\n")
            handle.flush()
    except OSError as error:
        logging.getLogger("cisflow").warning("%s: the run record is incomplete: %s", path, error)
        return False
    return True


def _ends_in_newline(handle: BinaryIO) -> bool:
    if not handle.seek(0, os.SEEK_END):
        return True
    handle.seek(-1, os.SEEK_END)
    return handle.read(1) == b"\n"


def _last_started(lines: Iterable[bytes]) -> str | None:
    """Return the id of the attempt that started last; a line that was cut off counts for nothing."""
    started = None
    for line in lines:
        with suppress(ValueError):
            event = json.loads(line)
            started = event["id"] if event["event"] == "start" else started
    return started


@contextmanager
def _owned(path: Path) -> Iterator[None]:
    """Hold the record while an output gets its final name, if this attempt is the last that has started.

    Raises
    ------
    CisflowError
        Another attempt has started since, or the record was removed.
    """
    job = _running[-1] if _running else None
    if job is None or not job["owner"] or not any(path.is_relative_to(output) for output in job["writes"]):
        yield
        return
    try:
        record = job["path"].open("rb+")
    except FileNotFoundError:
        raise CisflowError(f"{path}: not written, since the record of this job, {job['path']}, was removed.") from None
    with record, exclusive(record.fileno()):
        if _last_started(record) != job["id"]:
            raise CisflowError(
                f"{path}: not written, since another process has started to make it (record {job['path']}). This one "
                "is of a Snakemake that is no longer there."
            )
        yield


def _command(words: Sequence[str]) -> list[str]:
    """Return a command without the flags that are the record's own."""
    kept, own = [], False
    for word in words:
        own = word in OWN or (own and not word.startswith("--"))
        if not own:
            kept.append(word)
    return kept


def _number(text: str) -> int | str:
    return int(text) if text.isdecimal() else text


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(seconds))


def _started() -> float:
    """Return when this process started, imports included; as `time.time()`."""
    try:
        ticks = int(Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19])
        return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError):  # not Linux
        return _IMPORTED


_IMPORTED = time.time()


def _slurm() -> dict[str, Any]:
    """Return the Slurm job, if this is one."""
    names = {"job": "SLURM_JOB_ID", "restarts": "SLURM_RESTART_COUNT", "partition": "SLURM_JOB_PARTITION"}
    found = {key: os.environ[name] for key, name in names.items() if name in os.environ}
    return {"slurm": found} if "job" in found else {}


def _used() -> dict[str, Any]:
    """Return what the job took; memory in MiB, peaks of resident memory."""
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    seconds = sum(part.ru_utime + part.ru_stime for part in usage)
    # Imports may start programs, which count with this one's memory: no children of the job.
    children = provenance.peak_of_children()
    children = children if children > _running[-1]["children"] else 0
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu_seconds": round(seconds, 2),
        "memory_mb": round(_peak() / MIB, 1),
        "children_mb": round(children / MIB, 1),
        "cpu": {"model": _cpu(), "visible": cpus},
        **_gpus(),
    }


def _children() -> int:
    return provenance.resident(resource.getrusage(resource.RUSAGE_CHILDREN))


def _peak() -> int:
    """Return the highest resident memory of this very program, in bytes."""
    try:
        # Not ru_maxrss, which the process that started this one hands down.
        line = next(
            line
            for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
            if line.startswith("VmHWM")
        )
        return int(line.split()[1]) * 1024
    except (OSError, StopIteration):
        return provenance.resident(resource.getrusage(resource.RUSAGE_SELF))


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _gpus() -> dict[str, Any]:
    """Return the GPUs that PyTorch has used, if this job has used any; PyTorch is not loaded to find out."""
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    if cuda is None or not cuda.is_initialized():
        return {}
    found = [
        {
            "name": cuda.get_device_name(number),
            "allocated_mb": round(cuda.max_memory_allocated(number) / MIB, 1),
            "reserved_mb": round(cuda.max_memory_reserved(number) / MIB, 1),
        }
        for number in range(cuda.device_count())
    ]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return {"gpus": [gpu for gpu in found if gpu["reserved_mb"]], "cuda_visible_devices": visible}
