"""The report page of a task: its figures and the tables behind them, in one HTML file that needs no other."""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import polars as pl

from cisflow import __version__
from cisflow.figures.captions import CAPTIONS, LEFT_OUT
from cisflow.figures.read import dataset_tables, match_table
from cisflow.io import atomic
from cisflow.tables import FILTERS, METRICS, TOMTOM, UNINFORMATIVE, read_tsv

# Runs whose filters are listed, and hits of a filter.
LISTED, HITS = 4, 3


@dataclass
class Table:
    """A table of the page, folded under its title if it has one; `words`: its last column is text."""

    columns: list[str]
    rows: list[tuple]
    title: str = ""
    words: bool = False


@dataclass
class Section:
    """A part of the page."""

    title: str
    note: str = ""
    image: str = ""
    tables: list[Table] = field(default_factory=list)


@dataclass(frozen=True)
class Dataset:
    """Paths of the tables of a task's data set."""

    quality: Path
    distributions: Path
    accounting: Path


@dataclass(frozen=True)
class Motifs:
    """Paths of the tables of a task's filters."""

    matches: Path
    filters: Path
    tomtom: Path


def task_report(
    task: str, title: str, settings: Mapping[str, Any], figures: list[Path], dataset: Dataset,
    metrics: Path | None, motifs: Motifs | None,
) -> str:  # fmt: skip
    """Return the page.

    Parameters
    ----------
    task, title
        The task's name and title.
    settings
        Its resolved configuration.
    figures
        PNG files of the standard figures, by name; the page says why one of `captions.LEFT_OUT` is not there, but of
        heads, which have none of these.
    dataset, metrics, motifs
        Tables; `metrics` is None for a task without a model, `motifs` for one without filters.
    """
    images = {path.stem: base64.b64encode(path.read_bytes()).decode() for path in figures}
    tables = {"dataset": list(_dataset_tables(dataset))}
    if metrics is not None:
        tables["performance"] = [_table(_metric_summary(metrics))]
    if motifs is not None:
        tables["matches"] = [_table(_match_summary(motifs.matches))]
        tables["filters"] = list(_filter_tables(motifs))
    sections = []
    for name, (heading, note) in CAPTIONS.items():
        if name in images or name == "dataset":
            sections.append(Section(heading, note, images.get(name, ""), tables.get(name, [])))
        elif name in LEFT_OUT and metrics is not None and "heads" not in images:
            sections.append(Section(heading, LEFT_OUT[name]))
    environment = jinja2.Environment(loader=jinja2.PackageLoader("cisflow.figures"), autoescape=True)
    return environment.get_template("task.html.j2").render(
        task=task, title=title, version=__version__, sections=sections, settings=json.dumps(settings, indent=2)
    )


def write_report(path: str | Path, html: str) -> None:
    """Write the page, atomically."""
    with atomic(path) as partial:
        partial.write_text(html, encoding="utf-8")


def _table(table: pl.DataFrame, title: str = "", words: bool = False) -> Table:
    return Table(table.columns, [tuple(map(_text, row)) for row in table.iter_rows()], title, words)


def _dataset_tables(dataset: Dataset) -> Iterator[Table]:
    """Yield the numbers of the data set, those of each target, its labels, and its account."""
    quality, found, accounting = dataset_tables(vars(dataset))
    numbers = quality.pivot("split", index=["target", "quantity"], values="value")
    of_all = numbers.filter(pl.col("target").is_null() | (pl.col("target") == "all")).drop("target")
    of_targets = numbers.filter(pl.col("target") != "all")
    yield _table(of_all, "Numbers of each split")
    yield _table(of_targets, f"Labels of each target: {of_targets['target'].n_unique()} targets")
    quantiles = found.filter(pl.col("part").is_in(["quantile", "unknown"]))
    what = pl.when(part="unknown").then(pl.lit("unknown bases of a row")).otherwise("target").alias("of")
    quantiles = quantiles.with_columns(what).pivot("name", index=["of", "split", "n"], values="value")
    yield _table(quantiles, "Quantiles of unknown bases, and of labels if they are real")
    rows = accounting.group_by("unit", "step", "reason", "input", maintain_order=True).agg(pl.col("rows").sum())
    yield _table(rows, "What came in (+), went out (-) and is kept")


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
    return _spread(table, ["run", "set"], "quantity", "value")


def _filter_tables(motifs: Motifs) -> Iterator[Table]:
    """Yield how many filters of the first trial of each run match, beside their null, and each run's filters."""
    filters, hits = read_tsv(motifs.filters, FILTERS), read_tsv(motifs.tomtom, TOMTOM)
    first = pl.col("trial") == filters["trial"].min()
    filters, hits = filters.filter(first), hits.filter(first)
    matrices = filters.group_by("run", maintain_order=True).agg(
        pl.len().alias("filters"),
        pl.col("status").is_in(["ok", UNINFORMATIVE]).sum().alias("with a matrix"),
        (pl.col("status") == UNINFORMATIVE).sum().alias(UNINFORMATIVE),
    )
    for kind, column in (("filters", "with a hit"), ("shuffled", "shuffled ones with a hit")):
        count = pl.col("query").n_unique().alias(column)
        matrices = matrices.join(hits.filter(pl.col("set") == kind).group_by("run").agg(count), "run", "left")
    yield _table(matrices.with_columns(pl.col("with a hit", "shuffled ones with a hit").fill_null(0)))
    for run in filters["run"].unique(maintain_order=True)[:LISTED]:
        own = filters.filter(pl.col("run") == run)
        best = _best_hits(hits.filter((pl.col("run") == run) & (pl.col("set") == "filters")))
        listed = own.join(best, left_on="filter", right_on="query", how="left", maintain_order="left")
        columns = ("filter", "status", "sites", "bits", "consensus", "best hits")
        yield _table(listed.select(columns), f"{run}, trial {own['trial'][0]}: {len(own)} filters", words=True)


def _best_hits(hits: pl.DataFrame) -> pl.DataFrame:
    """Return for each query its best hits in words."""
    words = pl.format(
        "{} {} (E {}, q {})", pl.col("target_name").fill_null(""), "target",
        *(pl.col(column).map_elements(lambda value: f"{value:.1e}", pl.String) for column in ("e_value", "q_value")),
    )  # fmt: skip
    ranked = hits.sort("e_value", maintain_order=True).group_by("query", maintain_order=True)
    return ranked.agg(words.head(HITS).str.join("; ").alias("best hits"))


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
