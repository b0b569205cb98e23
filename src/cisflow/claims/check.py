"""Check published numbers against the tables of a run of the workflow."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from scipy import stats

from cisflow.tables import read_trials
from cisflow.trials import paths_of

COLUMNS = (
    "claim", "model", "activation", "metric", "statistic", "published", "ours", "low", "high", "trials", "difference",
    "tolerance", "verdict",
)  # fmt: skip
# What a row can end with.
AGREES, DIFFERS, NOT_RUN, UNPUBLISHED, OTHER_TRIALS = (
    "agrees",
    "differs",
    "not yet run",
    "none published",
    "other trials",
)

Claim = Mapping[str, Any]
Row = dict[str, Any]


def read_table(results: str | Path, claim: Claim) -> pl.DataFrame | None:
    """Return the table of a claim, of all its tasks (see `trials.read_trials`); None if there is none."""
    paths = [
        Path(results, "tasks", task, path)
        for task in claim["task"]
        for path in paths_of(claim["table"], claim["expected"])
    ]
    found = [path for path in paths if path.exists()]
    return read_trials(found) if found else None


def check_claim(name: str, claim: Claim, table: pl.DataFrame | None) -> Iterator[Row]:
    """Yield a row for each published number of a claim.

    Parameters
    ----------
    name, claim
        The claim, as config/claims.yaml has it.
    table
        From `read_table`.

    Yields
    ------
    dict
        With the keys `COLUMNS`. `ours` is the statistic over our trials, `low` and `high` their quartiles (for t_test
        they are empty); `difference` is ours minus published (for t_test in log10).
    """
    for row, by_column in claim["expected"].items():
        for column, published in by_column.items():
            values = _values(table, claim, row, column)
            yield {
                "claim": name,
                "model": row,
                "activation": column,
                "metric": claim["metric"],
                "statistic": claim["statistic"],
                "published": published,
                "trials": len(values),
                "tolerance": claim["tolerance"],
                **_compare(claim, published, values, _versus(table, claim, row, column)),
            }


def _values(table: pl.DataFrame | None, claim: Claim, row: str, column: str) -> np.ndarray:
    if table is None or claim["metric"] not in table.columns:
        return np.empty(0)
    own = table.filter(*_selected(claim["by"], row, column))
    return own[claim["metric"]].drop_nulls().to_numpy()


def _selected(by: str, row: str, column: str) -> list[pl.Expr]:
    """Return what a published number's row and column select; see `config.claims.Claim.by`."""
    if by == "activation":
        return [pl.col("model") == row, pl.col("activation") == column]
    if by == "run":
        return [pl.col("run") == row.replace("*", column)]
    return [pl.col("run") == row, pl.col(by).cast(pl.Float64) == float(column)]


def _versus(table: pl.DataFrame | None, claim: Claim, row: str, column: str) -> np.ndarray | None:
    if claim["statistic"] != "t_test":
        return None
    return _values(table, claim, row, claim["versus"][column])


def _compare(claim: Claim, published: float | None, values: np.ndarray, versus: np.ndarray | None) -> Row:
    empty = dict.fromkeys(("ours", "low", "high", "difference"))
    if not len(values) or (versus is not None and not len(versus)):
        return {**empty, "verdict": NOT_RUN}
    if versus is not None:
        if {len(values), len(versus)} != {claim["trials"]}:
            # A p-value depends on the number of trials, so another number of them cannot be compared.
            return {**empty, "verdict": OTHER_TRIALS}
        ours, low, high = float(stats.ttest_ind(values, versus).pvalue), None, None
        difference = math.log10(ours) - math.log10(published) if ours > 0 else None
    else:
        ours = float(np.median(values) if claim["statistic"] == "median" else np.mean(values))
        low, high = (float(q) for q in np.quantile(values, (0.25, 0.75)))
        difference = None if published is None else ours - published
    row = {"ours": ours, "low": low, "high": high, "difference": difference}
    if published is None:
        return {**row, "verdict": UNPUBLISHED}
    agrees = difference is not None and abs(difference) <= claim["tolerance"] + 1e-12
    return {**row, "verdict": AGREES if agrees else DIFFERS}
