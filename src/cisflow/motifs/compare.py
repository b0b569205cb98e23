"""Hits of a task's filters in a motif database, and the match statistics of each trial.

Filters with shuffled positions tell what chance gives. One shuffled copy of each filter (the set 'shuffled') is the
null of the statistics. Further copies ('shuffled-1', ...) tell whether a filter's bases match in any order.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from cisflow.motifs.matches import best_hits, factor_of, match_statistics
from cisflow.motifs.tomtom import tomtom
from cisflow.pwm import Motif, read_meme, shuffled
from cisflow.seeds import generator
from cisflow.tables import ABOUT, UNINFORMATIVE

Row = dict[str, Any]
FILTERS, SHUFFLED = "filters", "shuffled"


def tomtom_of_task(
    filters: pl.DataFrame, motifs: Path, targets: Sequence[Motif], e_value: float, engine: str, shuffles: int = 0
) -> Iterator[Row]:
    """Yield the Tomtom rows of the filters of a task that are 'ok', and of the same filters with shuffled positions.

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
    shuffles
        Number of shuffled copies of each filter beside the null.
    """
    queries: dict[str, list[Motif]] = {FILTERS: [], SHUFFLED: []}
    queries |= {f"{SHUFFLED}-{copy}": [] for copy in range(1, shuffles + 1)}
    abouts: list[Row] = []
    for about in _trials(filters):
        compared = set(_of_trial(filters, about).filter(pl.col("status") == "ok")["filter"])
        matrices = read_meme(motifs / about["run"] / f"trial-{about['trial']}.meme", empty=True)
        own = [motif for motif in matrices if motif.id in compared]
        for name, found in queries.items():
            copy = own if name == FILTERS else shuffled(own, _random(name, about))
            # One comparison for all trials; the number before the bar tells them apart afterwards.
            found += [Motif(f"{len(abouts)}|{m.id}", m.name, m.matrix, m.sites) for m in copy]
        abouts.append(about)
    for name, motifs_of_set in queries.items():
        for row in tomtom(motifs_of_set, targets, e_value, engine):
            number, _, query = row["query"].partition("|")
            yield {**abouts[int(number)], "set": name, **row, "query": query}


def _random(name: str, about: Row) -> np.random.Generator:
    """Return the generator of a set of shuffled filters of a trial."""
    return generator(name, about["task"], about["run"], about["trial"])


def _of_trial(filters: pl.DataFrame, about: Row) -> pl.DataFrame:
    return filters.filter(pl.all_horizontal(pl.col(key) == value for key, value in about.items()))


def _trials(filters: pl.DataFrame) -> list[Row]:
    return filters.select(*ABOUT).unique(maintain_order=True).to_dicts()


def matches_of_task(
    filters: pl.DataFrame, hits: pl.DataFrame, ground_truth: Mapping[str, Sequence[str]]
) -> tuple[list[Row], list[Row]]:
    """Return the rows of two tables: match statistics of each trial and set, and the label of each filter.

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
        own = _of_trial(filters, about)
        by_set = {key[-1]: rows for key, rows in by_trial.items() if key[:-1] == (*about.values(),)}
        named, withheld = _labels(own, by_set, factors)
        labels += [{**about, **row} for row in named]
        uninformative = int((own["status"] == UNINFORMATIVE).sum())
        sizes = {"filters": len(own), "with_matrix": int((own["status"] == "ok").sum()) + uninformative}
        counts = {"uninformative": uninformative, "withheld": withheld}
        for name in (FILTERS, SHUFFLED):
            found = match_statistics(by_set.get(name, []), len(own), factors)
            statistics.append({**about, "set": name, **sizes, **found, **counts})
    return statistics, labels


def _labels(
    filters: pl.DataFrame, by_set: Mapping[str, Sequence[Row]], factors: Mapping[str, str]
) -> tuple[list[Row], int]:
    """Return the label of each filter of a trial, and of how many the best one is withheld.

    A motif that one of the further shuffled copies of a filter matches as well, by p-value, is not its label; the best
    other one is.
    """
    by_chance: dict[tuple[str, str], float] = {}
    for name, rows in by_set.items():
        if name.startswith(f"{SHUFFLED}-"):
            for row in rows:
                pair = row["query"], row["target"]
                by_chance[pair] = min(row["p_value"], by_chance.get(pair, 1.0))
    hits = by_set.get(FILTERS, [])
    best = best_hits(hits, factors)
    left = best_hits(
        [row for row in hits if row["p_value"] < by_chance.get((row["query"], row["target"]), 1.0)], factors
    )
    labels = []
    for name, status in filters.select("filter", "status").iter_rows():
        hit = left.get(name) or dict.fromkeys(("target", "target_name", "e_value", "q_value"))
        kept = {key: hit[key] for key in ("target", "target_name", "e_value", "q_value")}
        withheld = best[name]["target"] if name in best and best[name] is not left.get(name) else None
        factor = factors.get(str(hit["target"]))
        labels.append({"filter": name, "factor": factor, **kept, "status": status, "withheld": withheld})
    return labels, sum(label["withheld"] is not None for label in labels)
