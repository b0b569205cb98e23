"""Whether attributions can be trusted: numbers for each map, and the gate before a figure uses them."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cisflow.attribution.maps import Map
from cisflow.errors import CisflowError

LOG = logging.getLogger("cisflow")
Row = dict[str, Any]


def quality_rows(
    about: Row, maps: Mapping[str, Map], reduced: Mapping[str, NDArray], turned: Mapping[str, NDArray]
) -> Iterator[Row]:
    """Yield rows of the quality table (`tables.ATTRIBUTION_QUALITY`): medians over sequences.

    Parameters
    ----------
    about
        The columns that tell the trial.
    maps
        By method.
    reduced
        One score a position (n, length), by method.
    turned
        The same for the reverse complements of the first sequences, turned back, so that they should be alike.
    """
    for method, map_ in maps.items():
        found = {"convergence_error": map_.convergence, "spread_over_references": map_.spread}
        found["reverse_complement_correlation"] = correlations(reduced[method][: len(turned[method])], turned[method])
        if "mutagenesis" in maps and method != "mutagenesis":
            found["mutagenesis_correlation"] = correlations(reduced[method], reduced["mutagenesis"])
        for quantity, values in found.items():
            if values is not None:
                yield median_row(about, method, quantity, values)


def median_row(about: Row, method: str, quantity: str, values: NDArray) -> Row:
    """Return a row of the quality table: the median of the values (n,) that are numbers."""
    defined = values[~np.isnan(values)]
    value = float(np.median(defined)) if len(defined) else None
    return {**about, "method": method, "quantity": quantity, "value": value, "n": len(defined)}


def correlations(a: NDArray, b: NDArray) -> NDArray[np.float64]:
    """Return Pearson's correlation of each row of two arrays (n, length); NaN for a constant row."""
    a, b = (values - values.mean(1, keepdims=True) for values in (a.astype(np.float64), b.astype(np.float64)))
    size = np.sqrt((a**2).sum(1) * (b**2).sum(1))
    return np.divide((a * b).sum(1), size, out=np.full(len(a), np.nan), where=size > 0)


def check_limits(table: pl.DataFrame, limits: Mapping[str, float]) -> None:
    """Refuse maps whose median convergence error is above the limit of their method.

    A trial without any value, as one that has diverged and is kept, has no maps that a result could use: it is logged.

    Raises
    ------
    CisflowError
        It names every such trial and what to do.
    """
    trial = ["run", "trial"]
    values = table.group_by(trial, maintain_order=True).agg(pl.col("value").count())
    lacking = values.filter(pl.col("value") == 0)
    for run, number in lacking.select(trial).iter_rows():
        LOG.warning("%s trial %s: no attribution of it is finite (has it diverged?)", run, number)
    errors = table.filter(pl.col("quantity") == "convergence_error").join(lacking, on=trial, how="anti")
    beyond = [
        f"  {row['run']} trial {row['trial']}, {row['method']}: {_number(row['value'])} "
        f"(limit {limits[row['method']]:g})"
        for row in errors.filter(pl.col("method").is_in(list(limits))).iter_rows(named=True)
        if row["value"] is None or row["value"] > limits[row["method"]]
    ]
    if beyond:
        raise CisflowError(
            "attributions do not add up to the difference of the outputs (median convergence error):\n"
            + _shortened(beyond)
            + "\nFor integrated gradients raise 'steps'; for DeepLIFT/SHAP a layer lacks its rule "
            "(cisflow.attribution.deep_lift); or change 'limits' under the task's 'attribution'."
        )


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3g}"


def _shortened(lines: Iterable[str], most: int = 10) -> str:
    lines = list(lines)
    more = [f"  and {len(lines) - most} more"] if len(lines) > most else []
    return "\n".join(lines[:most] + more)
