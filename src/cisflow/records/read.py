"""Read the records of jobs (`cisflow.job`)."""

import json
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cisflow.errors import CisflowError

# An attempt that has no end: it is running here, or was killed; of the last one on another host this is not known.
RUNNING, KILLED, NO_END = "running", "killed", "no end"
Attempt = Mapping[str, Any]


@dataclass(frozen=True)
class Job:
    """A job by the name of its log below `logs/`, and its attempts, oldest first.

    An attempt has the keys of the lines that `cisflow.job` writes when it starts and when it ends; without the second
    line, `status` is one of `RUNNING`, `KILLED` and `NO_END`.
    """

    name: str
    attempts: Sequence[Attempt]

    @cached_property
    def last(self) -> Sequence[Attempt]:
        """The attempts since the job was done before: those of its last result, or of the one that is not there yet."""
        before = [number for number, attempt in enumerate(self.attempts[:-1], 1) if attempt["status"] == "done"]
        return self.attempts[before[-1] if before else 0 :]

    @property
    def rule(self) -> str:
        """Its rule; of a script that was run by hand, the script's name."""
        return self.attempts[-1]["rule"] or Path(self.attempts[-1]["command"][0]).stem

    @property
    def status(self) -> str:
        """How the last attempt ended."""
        return self.attempts[-1]["status"]

    @cached_property
    def result(self) -> Attempt | None:
        """The last attempt that was done."""
        return next((attempt for attempt in reversed(self.attempts) if attempt["status"] == "done"), None)


def read_jobs(logs: str | Path) -> tuple[list[Job], list[str]]:
    """Return all jobs that have a record below a folder, by name, and a note for each line that is no record.

    A line is cut short where a job was killed, or a disk was full, while it was written.

    Raises
    ------
    CisflowError
        There is no record.
    """
    logs, notes, jobs = Path(logs), [], []
    for path in sorted(logs.rglob("*.jsonl")):
        attempts = _attempts(path, notes)
        if attempts:
            jobs.append(Job(path.relative_to(logs).with_suffix("").as_posix(), attempts))
    if not jobs:
        raise CisflowError(f"{logs}: there is no record of a job (*.jsonl). Records are made when jobs are run.")
    return jobs, notes


def _attempts(path: Path, notes: list[str]) -> list[Attempt]:
    found: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(path.read_text(errors="replace", encoding="utf-8").splitlines(), 1):
        try:
            event = json.loads(line)
            kind, name = event.pop("event"), event["id"]
            if kind == "start":
                found[name] = {"status": None} | event
            else:
                found[name] |= event
        except (ValueError, KeyError, TypeError, AttributeError):
            notes.append(f"{path}:{number}: this is no record of a job; it was left out.")
    attempts = list(found.values())
    for attempt in attempts[:-1]:
        attempt["status"] = attempt["status"] or KILLED
    for attempt in attempts[-1:]:
        attempt["status"] = attempt["status"] or _state(attempt)
    return attempts


def _state(attempt: Attempt) -> str:
    """Return whether the process of an attempt without an end is still there."""
    if attempt["host"] != socket.gethostname():
        return NO_END
    try:
        words = Path("/proc", str(attempt["pid"]), "cmdline").read_bytes().split(b"\0")
    except OSError:
        return KILLED
    return RUNNING if attempt["command"][0].encode() in words else KILLED
