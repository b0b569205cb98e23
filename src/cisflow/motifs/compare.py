"""Hits of a task's filters in a motif database, and the match statistics of each trial."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from cisflow.motifs.matches import best_hits, factor_of, match_statistics
from cisflow.motifs.tomtom import tomtom
from cisflow.pwm import Motif, read_meme, shuffled
from cisflow.seeds import generator
from cisflow.tables import ABOUT

Row = dict[str, Any]


def tomtom_of_task(
    filters: pl.DataFrame, motifs: Path, targets: Sequence[Motif], e_value: float, engine: str
) -> Iterator[Row]:
    """Yield the Tomtom rows of all filters of a task, and of the same filters with shuffled positions (the null).

    Parameters
    ----------
    filters
        The filter table.
    motifs
        The folder of its MEME files.
    targets
        The motif database.
    e_value, engine
        See `tomtom`.
    """
    queries: dict[str, list[Motif]] = {"filters": [], "shuffled": []}
    abouts: list[Row] = []
    for about in _trials(filters):
        own = read_meme(motifs / about["run"] / f"trial-{about['trial']}.meme", empty=True)
        null = shuffled(own, generator("shuffled", about["task"], about["run"], about["trial"]))
        for name, found in (("filters", own), ("shuffled", null)):
            # One comparison for all trials; the number before the bar tells them apart afterwards.
            queries[name] += [Motif(f"{len(abouts)}|{m.id}", m.name, m.matrix, m.sites) for m in found]
        abouts.append(about)
    for name, motifs_of_set in queries.items():
        for row in tomtom(motifs_of_set, targets, e_value, engine):
            number, _, query = row["query"].partition("|")
            yield {**abouts[int(number)], "set": name, **row, "query": query}


def _trials(filters: pl.DataFrame) -> list[Row]:
    return filters.select(*ABOUT).unique(maintain_order=True).to_dicts()


def matches_of_task(
    filters: pl.DataFrame, hits: pl.DataFrame, ground_truth: Mapping[str, Sequence[str]]
) -> tuple[list[Row], list[Row]]:
    """Return the rows of two tables: match statistics of each trial and set, and the label (best hit) of each filter.

    Parameters
    ----------
    filters, hits
        The filter table and the Tomtom table of a task.
    ground_truth
        Motif ids that are right, by factor; empty if none is known.
    """
    factors = factor_of(ground_truth)
    by_trial = {key: part.to_dicts() for key, part in hits.partition_by(*ABOUT, "set", as_dict=True).items()}
    statistics: list[Row] = []
    labels: list[Row] = []
    for about in _trials(filters):
        own = filters.filter(pl.all_horizontal(pl.col(key) == value for key, value in about.items()))
        sizes = {"filters": len(own), "with_matrix": int((own["status"] == "ok").sum())}
        for name in ("filters", "shuffled"):
            rows = by_trial.get((*about.values(), name), [])
            statistics.append({**about, "set": name, **sizes, **match_statistics(rows, len(own), factors)})
        best = best_hits(by_trial.get((*about.values(), "filters"), []), factors)
        labels += [{**about, **_label(name, best.get(name), factors)} for name in own["filter"]]
    return statistics, labels


def _label(name: str, hit: Mapping[str, Any] | None, factors: Mapping[str, str]) -> Row:
    hit = hit or dict.fromkeys(("target", "target_name", "e_value", "q_value"))
    kept = {key: hit[key] for key in ("target", "target_name", "e_value", "q_value")}
    return {"filter": name, "factor": factors.get(str(hit["target"])), **kept}
