"""The page of what jobs took."""

import time
from collections.abc import Sequence

import jinja2
import polars as pl

from cisflow import __version__
from cisflow.records.table import MORE_MEMORY, MORE_TIME, profile_lines

# Jobs that are listed.
LISTED = 200


def records_page(logs: str, jobs: pl.DataFrame, rules: pl.DataFrame, notes: Sequence[str]) -> str:
    """Return the page in HTML, which needs no other file.

    Parameters
    ----------
    logs
        The folder that the records are from.
    jobs, rules
        Their tables (`table.jobs_table`, `table.rules_table`).
    notes
        What has to be said of the records.
    """
    environment = jinja2.Environment(loader=jinja2.PackageLoader("cisflow.records"), autoescape=True)
    environment.filters |= {"number": number, "span": span, "minutes": minutes, "mib": mib, "mb": mb}
    shown = list(jobs.head(LISTED).iter_rows(named=True))
    used = pl.col("most_seconds") / 60 / pl.col("asked_minutes")
    return environment.get_template("records.html.j2").render(
        logs=logs, version=__version__, gathered=time.strftime("%Y-%m-%d %H:%M"), notes=notes,
        total=in_all(rules), jobs=jobs, shown=shown, left_out=len(jobs) - len(shown),
        rules=list(rules.with_columns(used.alias("time_used")).iter_rows(named=True)),
        profile="\n".join(profile_lines(rules)),
        more_memory=f"{MORE_MEMORY - 1:.0%}", more_time=f"{MORE_TIME - 1:.0%}",
    )  # fmt: skip


def in_all(rules: pl.DataFrame) -> str:
    """Return a sentence of what all jobs took."""
    sums = rules.select(pl.col("core_hours", "gpu_hours", "attempts", "jobs", "done").sum()).row(0, named=True)
    return (
        f"{sums['done']:,} of {sums['jobs']:,} jobs are done, in {sums['attempts']:,} attempts: "
        f"{number(sums['core_hours'], 3)} core hours, {number(sums['gpu_hours'], 3)} GPU hours."
    )


def number(value: float | None, digits: int = 4) -> str:
    """Return a number in so many significant digits, without an exponent; nothing for None."""
    if value is None:
        return ""
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    return f"{float(f'{value:.{digits}g}'):.10f}".rstrip("0").rstrip(".")


def span(seconds: float | None) -> str:
    """Return a time as 12.3 s, 4 min, or 5.6 h; nothing for None."""
    if seconds is None:
        return ""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def minutes(value: float | None) -> str:
    """Return minutes as `span` does."""
    return span(None if value is None else 60 * value)


def mib(value: float | None) -> str:
    """Return memory with its unit."""
    return "" if value is None else f"{value:,.0f} MiB"


def mb(value: float | None) -> str:
    """Return a size with its unit."""
    return "" if value is None else f"{value:,.1f} MB"
