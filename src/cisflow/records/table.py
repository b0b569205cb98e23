"""Tables of what jobs took beside what they asked for, and what to ask for next time."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import polars as pl

from cisflow.records.read import KILLED, Attempt, Job
from cisflow.tables import RECORD_RULES, RECORDS

# What is asked for next time: the most that was used, and so much more, rounded up to steps.
MORE_MEMORY, MEMORY_STEP = 1.3, 250  # MiB
MORE_TIME, TIME_STEP = 1.5, 5  # minutes
MB = 1e6


def jobs_table(jobs: Iterable[Job]) -> pl.DataFrame:
    """Return a row for each job (`RECORDS`), the costliest first: that of its last attempts (`Job.last`).

    `seconds` are those of the last attempt, and `total_seconds` of all; memory is in MiB, the most of any attempt.
    `asked_*` is what the first of them asked for; sizes are in MB (10^6 bytes).
    """
    rows = [_row(job) for job in jobs]
    return pl.DataFrame(rows, schema=RECORDS, strict=False).sort(
        "total_seconds", "job", descending=[True, False], nulls_last=True
    )


def rules_table(jobs: Iterable[Job]) -> pl.DataFrame:
    """Return a row for each rule (`RECORD_RULES`), the costliest first, with what to ask for next time.

    `hours` are of all attempts, `core_hours` times threads, `gpu_hours` times GPUs. `memory_used` is the part of what
    was asked for that was used at most; `next_*` is in Snakemake's units, MiB and minutes.
    """
    by_rule: dict[str, list[Job]] = {}
    for job in jobs:
        by_rule.setdefault(job.rule, []).append(job)
    rows = [_rule_row(rule, own) for rule, own in by_rule.items()]
    return pl.DataFrame(rows, schema=RECORD_RULES, strict=False).sort(
        "core_hours", "rule", descending=[True, False], nulls_last=True
    )


def profile_lines(rules: pl.DataFrame) -> list[str]:
    """Return lines for a profile that ask for what was used, and for twice as much at each further attempt."""
    lines = ["set-resources:"]
    for row in rules.sort("rule").iter_rows(named=True):
        if row["next_mem_mb"] is not None:
            lines += [f"  {row['rule']}:"]
            lines += [f"    mem_mb: {row['next_mem_mb']} * 2 ** (attempt - 1)"]
            lines += [f"    runtime: {row['next_runtime']} * 2 ** (attempt - 1)"]
    return lines if len(lines) > 1 else []


def _row(job: Job) -> dict[str, Any]:
    first, last = job.last[0], job.last[-1]
    slurm = last.get("slurm", {})
    gpus = [gpu for attempt in job.last for gpu in attempt.get("gpus", [])]
    return {
        "rule": job.rule,
        "job": job.name,
        "status": job.status,
        "attempts": len(job.last),
        "endings": ", ".join(attempt["status"] for attempt in job.last[:-1]),
        "started": first["started"],
        "host": last["host"],
        "slurm_job": slurm.get("job"),
        "device": gpus[-1]["name"] if gpus else last.get("cpu", {}).get("model"),
        "threads": _asked(first, "threads"),
        "gpus": _asked(first, "gpu") or 0,
        "seconds": last.get("seconds"),
        "total_seconds": _sum(attempt.get("seconds") for attempt in job.last),
        "cpu_seconds": _sum(attempt.get("cpu_seconds") for attempt in job.last),
        "asked_minutes": _asked(first, "runtime"),
        "memory_mb": _most(map(memory, job.last)),
        "asked_memory_mb": _asked(first, "mem_mb"),
        "gpu_memory_mb": _most(gpu["reserved_mb"] for gpu in gpus),
        "read_mb": _size(last.get("reads")),
        "written_mb": _size(last.get("writes")),
        "recording_seconds": last.get("recording_seconds"),
        "cisflow": last.get("versions", {}).get("cisflow"),
        "commit": last.get("commit"),
    }


def _rule_row(rule: str, jobs: Sequence[Job]) -> dict[str, Any]:
    rows = [_row(job) for job in jobs]
    seconds = sorted(row["seconds"] for row in rows if row["status"] == "done" and row["seconds"] is not None)
    peak, asked = _most(row["memory_mb"] for row in rows), _most(row["asked_memory_mb"] for row in rows)
    hours = [(row["total_seconds"] or 0) / 3600 for row in rows]
    mem, runtime, note = _next(jobs)
    return {
        "rule": rule,
        "jobs": len(jobs),
        "done": sum(row["status"] == "done" for row in rows),
        "attempts": sum(row["attempts"] for row in rows),
        "retried": sum(row["attempts"] > 1 for row in rows),
        "hours": sum(hours),
        "core_hours": sum(hour * (row["threads"] or 1) for hour, row in zip(hours, rows, strict=True)),
        "gpu_hours": sum(hour * row["gpus"] for hour, row in zip(hours, rows, strict=True)),
        "median_seconds": seconds[(len(seconds) - 1) // 2] if seconds else None,
        "most_seconds": _most(map(time_needed, jobs)),
        "asked_minutes": _most(row["asked_minutes"] for row in rows),
        "memory_mb": peak,
        "asked_memory_mb": asked,
        "memory_used": peak / asked if peak and asked else None,
        "gpu_memory_mb": _most(row["gpu_memory_mb"] for row in rows),
        "next_mem_mb": mem,
        "next_runtime": runtime,
        "note": note,
    }


def memory(attempt: Attempt) -> float | None:
    """Return the memory of an attempt in MiB: the peak of its process, and that of its largest child.

    The two need not have had them at the same time, and further children are not in it.
    """
    return attempt["memory_mb"] + attempt["children_mb"] if "memory_mb" in attempt else None


def time_needed(job: Job) -> float | None:
    """Return the seconds that a job needs in one go: all attempts that went on from the one before, or its longest."""
    longest = carried = 0.0
    for attempt in job.last:
        if "seconds" in attempt:
            carried += attempt["seconds"]
            longest = max(longest, carried)
            carried = carried if attempt["status"] == "stopped" else 0.0
    return longest or None


def _next(jobs: Sequence[Job]) -> tuple[int | None, int | None, str | None]:
    """Return memory and minutes to ask for, and what is uncertain about them; None while no job of the rule is done."""
    if not any(job.result for job in jobs):
        return None, None, "no job is done yet"
    mem = _most(memory(attempt) for job in jobs for attempt in job.last)
    seconds = _most(map(time_needed, jobs))
    mem = _step(mem * MORE_MEMORY, MEMORY_STEP)
    runtime = _step(seconds / 60 * MORE_TIME, TIME_STEP)
    # What was killed, and not done since, may have needed more than it had.
    had = [
        max((_asked(attempt, "mem_mb") or 0 for attempt in job.last if attempt["status"] == KILLED), default=0)
        for job in jobs
        if job.status != "done"
    ]
    killed = [amount for amount in had if amount]
    note = f"{len(killed)} killed, and not done since: memory is twice what they had" if killed else None
    return max([mem, *(2 * amount for amount in killed)]), runtime, note


def _step(amount: float, step: int) -> int:
    return math.ceil(amount / step) * step


def _asked(attempt: Attempt, name: str) -> int | None:
    found = attempt.get("asked", {}).get(name)
    return found if isinstance(found, int) else None


def _size(files: Any) -> float | None:
    return None if files is None else sum(file.get("bytes", 0) for file in files.values()) / MB


def _known(values: Iterable[Any]) -> Iterator[Any]:
    return (value for value in values if value is not None)


def _most(values: Iterable[Any]) -> Any:
    return max(_known(values), default=None)


def _sum(values: Iterable[Any]) -> float | None:
    found = list(_known(values))
    return sum(found) if found else None
