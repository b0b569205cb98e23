"""The report page of a task: its figures and the tables behind them, in one HTML file that needs no other."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import polars as pl

from cisflow import __version__
from cisflow.figures.read import match_table
from cisflow.io import atomic
from cisflow.tables import METRICS, read_tsv

# Title and explanation of each standard figure, in the order of the page.
FIGURES = {
    "performance": ("Performance", "Test metrics, mean over targets; every dot is a trial, the bar its median."),
    "matches": (
        "Motif matches",
        "Fraction of first-layer filters with a Tomtom hit; dashed: the same filters with shuffled positions.",
    ),
    "filters": (
        "Filters",
        "Logos of the first trial (0 to 2 bits), under their best hit: ground truth in black, another motif in grey, "
        "a dash for none.",
    ),
    "training": (
        "Training",
        "Losses (with the L2 penalty) and validation metrics pooled over targets; a line a trial.",
    ),
}


@dataclass
class Section:
    """A part of the page."""

    title: str
    note: str = ""
    image: str = ""
    columns: list[str] = field(default_factory=list)
    rows: list[tuple] = field(default_factory=list)


def task_report(
    task: str,
    title: str,
    settings: Mapping[str, Any],
    figures: list[Path],
    quality: Path,
    metrics: Path,
    matches: Path | None,
) -> str:
    """Return the page.

    Parameters
    ----------
    task, title
        The task's name and title.
    settings
        Its resolved configuration.
    figures
        PNG files of the standard figures, by name.
    quality, metrics, matches
        Tables; `matches` is None for a task without filters.
    """
    images = {path.stem: base64.b64encode(path.read_bytes()).decode() for path in figures}
    tables = {"performance": _metric_summary(metrics)}
    if matches is not None:
        tables["matches"] = _match_summary(matches)
    sections = [
        _table("Data set", "", read_tsv(quality, ()).pivot("split", index=["target", "quantity"], values="value"))
    ]
    for name, (heading, note) in FIGURES.items():
        if name in images:
            section = _table(heading, note, tables.get(name))
            section.image = images[name]
            sections.append(section)
    environment = jinja2.Environment(loader=jinja2.PackageLoader("cisflow.figures"), autoescape=True)
    return environment.get_template("task.html.j2").render(
        task=task, title=title, version=__version__, sections=sections, settings=json.dumps(settings, indent=2)
    )


def write_report(path: str | Path, html: str) -> None:
    """Write the page, atomically."""
    with atomic(path) as partial:
        partial.write_text(html)


def _table(title: str, note: str, table: pl.DataFrame | None) -> Section:
    if table is None:
        return Section(title, note)
    return Section(title, note, columns=table.columns, rows=[tuple(map(_text, row)) for row in table.iter_rows()])


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if value.is_integer() else f"{value:.4g}"
    return str(value)


def _metric_summary(path: Path) -> pl.DataFrame:
    table = read_tsv(path, METRICS).filter(pl.col("target") == "mean")
    return _spread(table, ["run", "set"], "metric", "value")


def _match_summary(path: Path) -> pl.DataFrame:
    table = match_table(path).unpivot(["match_fraction", "match_any"], index=["run", "set"], variable_name="quantity")
    return _spread(table.with_columns(pl.col("value").cast(pl.Float64)), ["run", "set"], "quantity", "value")


def _spread(table: pl.DataFrame, index: list[str], on: str, value: str) -> pl.DataFrame:
    """Return 'mean ± sd' of a column for each row of `index` and each value of `on`, and the number of trials."""
    column = pl.col(value)
    summary = table.group_by(*index, on, maintain_order=True).agg(
        pl.len().alias("n"),
        pl.when(column.drop_nulls().len() > 0)
        .then(pl.format("{} ± {}", column.mean().round(4), column.std(ddof=0).round(4)))
        .otherwise(pl.lit("undefined"))
        .alias("text"),
    )
    return summary.pivot(on, index=[*index, "n"], values="text")
