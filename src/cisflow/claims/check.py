"""Check published numbers against the tables of a run of the workflow."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from scipy import stats

from cisflow.claims.tables import TABLES
from cisflow.tables import ABOUT, ATTRIBUTION_SCORES, MATCHES, METRICS, read_tsv

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


def read_tables(folder: str | Path) -> dict[str, pl.DataFrame]:
    """Return the tables of a task that claims are checked against, a row a trial: model, activation and values.

    `metrics` has the test metrics, averaged over targets; `matches` the statistics of the real (not shuffled) filters;
    `attribution` the scores of all methods, as auroc_saliency. A table that does not exist is left out.
    """
    paths = {name: Path(folder) / path for name, path in TABLES.items()}
    return {name: _READ[name](path) for name, path in paths.items() if path.exists()}


def _metrics(path: Path) -> pl.DataFrame:
    table = read_tsv(path, METRICS).filter((pl.col("set") == "test") & (pl.col("target") == "mean"))
    return table.pivot("metric", index=["run", "model", "activation", "trial"], values="value")


def _matches(path: Path) -> pl.DataFrame:
    return read_tsv(path, MATCHES).filter(pl.col("set") == "filters")


def _attribution(path: Path) -> pl.DataFrame:
    table = read_tsv(path, ATTRIBUTION_SCORES).unpivot(["auroc", "aupr"], index=[*ABOUT, "method"])
    names = pl.concat_str("variable", "method", separator="_")
    return table.with_columns(names).pivot("variable", index=list(ABOUT), values="value")


_READ = {"metrics": _metrics, "matches": _matches, "attribution": _attribution}


def check_claim(name: str, claim: Claim, tables: Mapping[str, pl.DataFrame]) -> Iterator[Row]:
    """Yield a row for each published number of a claim.

    Parameters
    ----------
    name, claim
        The claim, as config/claims.yaml has it.
    tables
        Of the claim's task, from `read_tables`.

    Yields
    ------
    dict
        With the keys `COLUMNS`. `ours` is the statistic over our trials, `low` and `high` their quartiles (for t_test
        they are empty); `difference` is ours minus published (for t_test in log10).
    """
    for model, by_activation in claim["expected"].items():
        for activation, published in by_activation.items():
            values = _values(tables, claim, model, activation)
            yield {
                "claim": name,
                "model": model,
                "activation": activation,
                "metric": claim["metric"],
                "statistic": claim["statistic"],
                "published": published,
                "trials": len(values),
                "tolerance": claim["tolerance"],
                **_compare(claim, published, values, _versus(tables, claim, model, activation)),
            }


def _values(tables: Mapping[str, pl.DataFrame], claim: Claim, model: str, activation: str) -> np.ndarray:
    table = tables.get(claim["table"])
    if table is None or claim["metric"] not in table.columns:
        return np.empty(0)
    own = table.filter((pl.col("model") == model) & (pl.col("activation") == activation))
    return own[claim["metric"]].drop_nulls().to_numpy()


def _versus(tables: Mapping[str, pl.DataFrame], claim: Claim, model: str, activation: str) -> np.ndarray | None:
    if claim["statistic"] != "t_test":
        return None
    return _values(tables, claim, model, claim["versus"][activation])


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
