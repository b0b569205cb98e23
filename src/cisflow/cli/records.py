"""`cisflow records`: what jobs took, by rule or by job, and what to ask for next time."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console
from rich.table import Table

from cisflow.config.project import BASE, Project, load_settings
from cisflow.config.strict import did_you_mean
from cisflow.errors import CisflowError
from cisflow.records.page import in_all, mb, minutes, number, span
from cisflow.records.read import read_jobs
from cisflow.records.table import jobs_table, profile_lines, rules_table
from cisflow.tables import write_table

Show = Callable[[Any], str]


def _whole(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _percent(part: float | None) -> str:
    return "" if part is None else f"{part:.0%}"


# Headings, columns, and how their values are shown.
RULES: Mapping[str, tuple[str, Show]] = {
    "rule": ("rule", str),
    "jobs": ("jobs", str),
    "attempts": ("attempts", str),
    "core h": ("core_hours", lambda value: number(value, 3)),
    "GPU h": ("gpu_hours", lambda value: number(value, 3)),
    "longest": ("most_seconds", span),
    "asked": ("asked_minutes", minutes),
    "memory": ("memory_mb", _whole),
    "asked ": ("asked_memory_mb", _whole),
    "used": ("memory_used", _percent),
    "GPU memory": ("gpu_memory_mb", _whole),
    "next mem_mb": ("next_mem_mb", _whole),
    "next runtime": ("next_runtime", _whole),
}
JOBS: Mapping[str, tuple[str, Show]] = {
    "job": ("job", str),
    "status": ("status", str),
    "attempts": ("attempts", str),
    "all of them": ("total_seconds", span),
    "the last": ("seconds", span),
    "CPU": ("cpu_seconds", span),
    "memory": ("memory_mb", _whole),
    "asked": ("asked_memory_mb", _whole),
    "read": ("read_mb", mb),
    "written": ("written_mb", mb),
    "on": ("host", str),
}


def show_records(project: Project, out: Console, rule: str | None = None, tsv: Path | None = None) -> None:
    """Print the records of all jobs by rule, or those of a rule by job, and what to ask for next time.

    Raises
    ------
    CisflowError
        There is no record, or none of this rule.
    """
    jobs, notes = read_jobs(project.root / project.settings.results / "logs")
    if rule is not None:
        known = sorted({job.rule for job in jobs})
        jobs = [job for job in jobs if job.rule == rule]
        if not jobs:
            raise CisflowError(
                f"there is no record of a rule '{rule}'.{did_you_mean(rule, known)} There are: {', '.join(known)}."
            )
    by_rule = rules_table(jobs)
    if rule is None:
        out.print(_table(by_rule, RULES))
    else:
        out.print(_table(jobs_table(jobs), JOBS))
    out.print()
    for line in (in_all(by_rule), *notes, *_uncertain(by_rule)):
        out.print(line, markup=False, soft_wrap=True)
    if lines := profile_lines(by_rule):
        out.print("\nFor a profile, to ask for what was used, and a margin (docs/records.md):\n")
        for line in lines:
            out.print(line, markup=False, soft_wrap=True)
    if tsv is not None:
        write_table(tsv, jobs_table(jobs))
        out.print(f"\n{tsv} is written.", markup=False, soft_wrap=True)


def config_of(target: Path) -> Path:
    """Return the configuration whose folder of results a file is in, of those that come with cisflow.

    Raises
    ------
    CisflowError
        It is in none of them.
    """
    files = [Path(BASE), *sorted(Path("config").glob("*/config.yaml"))]
    folders, broken = {}, []
    for file in filter(Path.is_file, files):
        # What is wrong at one scale stops no result of another one.
        try:
            folders[load_settings(file).results] = file
        except CisflowError as error:
            broken.append(str(error))
    absolute = Path.cwd() / target
    # The longest first: results/demo is in results.
    for folder, file in sorted(folders.items(), key=lambda item: -len(item[0])):
        if absolute.is_relative_to(Path.cwd() / folder):
            return file
    unknown = f"{target}: it is not among the results ({', '.join(folders)}); name its configuration by --config."
    raise CisflowError("\n".join([unknown, *broken]))


def _table(rows: pl.DataFrame, shown: Mapping[str, tuple[str, Show]]) -> Table:
    table = Table(*shown, box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows.iter_rows(named=True):
        table.add_row(*("" if row[name] is None else show(row[name]) for name, show in shown.values()))
    return table


def _uncertain(rules: pl.DataFrame) -> Sequence[str]:
    return [f"{row['rule']}: {row['note']}." for row in rules.iter_rows(named=True) if row["note"]]
