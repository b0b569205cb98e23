"""Do the filters match the motifs that they should? Statistics of one trial's Tomtom table."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


def factor_of(ground_truth: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return the factor of each motif id of a ground truth {factor: ids}."""
    return {identifier: factor for factor, ids in ground_truth.items() for identifier in ids}


def best_hits(rows: Iterable[Row], factors: Mapping[str, str]) -> dict[str, Row]:
    """Return for each query its best hit: of those to a ground-truth motif the one of lowest q-value, else of all.

    Parameters
    ----------
    rows
        The Tomtom table of one set of queries.
    factors
        Ground-truth factor by motif id; empty without a ground truth.
    """
    best: dict[str, Row] = {}
    for row in rows:
        query = row["query"]
        if query not in best or _rank(row, factors) < _rank(best[query], factors):
            best[query] = row
    return best


def _rank(row: Row, factors: Mapping[str, str]) -> tuple[bool, float, float]:
    return (row["target"] not in factors, row["q_value"], row["p_value"])


def match_statistics(rows: Sequence[Row], filters: int, factors: Mapping[str, str]) -> dict[str, float | None]:
    """Return the fractions of a trial's filters that match.

    Parameters
    ----------
    rows
        The Tomtom table, cut at the E-value.
    filters
        Number of filters of the layer, those without a matrix included.
    factors
        Ground-truth factor by motif id.

    Returns
    -------
    dict
        `match_fraction`: filters with a hit to a ground-truth motif, over all filters; None without a ground truth.
        `match_any`: filters with any hit, over all filters. `factors_found`: the number of ground-truth factors hit.
    """
    hits = best_hits(rows, factors)
    true = [factors[row["target"]] for row in hits.values() if row["target"] in factors]
    return {
        "match_fraction": len(true) / filters if factors else None,
        "match_any": len(hits) / filters,
        "factors_found": len(set(true)) if factors else None,
    }
