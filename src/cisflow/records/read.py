"""Read the records of jobs (`cisflow.job`)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cisflow.errors import CisflowError

# How the last attempt of a job ended, if nothing says so: it was killed, or it is running.
NO_END = "no end"
Attempt = Mapping[str, Any]


@dataclass(frozen=True)
class Job:
    """A job by the name of its log below `logs/`, and its attempts, oldest first.

    An attempt has the keys of the lines that `cisflow.job` writes when it starts and when it ends; `status` is
    `NO_END` if there is no second line.
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
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        try:
            event = json.loads(line)
            kind, name = event.pop("event"), event["id"]
            if kind == "start":
                found[name] = {"status": NO_END} | event
            else:
                found[name] |= event
        except (ValueError, KeyError, TypeError, AttributeError):
            notes.append(f"{path}:{number}: this is no record of a job; it was left out.")
    return list(found.values())
