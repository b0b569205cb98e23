"""From the values of bases to the value of a bin.

The order is: bases without data (`fill`), blacklisted bases (`calm`), powers of two, statistic, factor, root, soft
clip, clip. Pooling and clipping are those of Basenji (https://github.com/calico/basenji, basenji_data_read.py).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cisflow.errors import CisflowError

# What is computed of the bases for each statistic; a root or another function of it may follow.
SUMMARY_OF = {
    "mean": "mean",
    "sum": "sum",
    "max": "max",
    "min": "min",
    "median": "median",
    "mean_sqrt": "mean",
    "sum_sqrt": "sum",
    "peak": "mean",
}
POOL = {"mean": np.nanmean, "sum": np.nansum, "max": np.nanmax, "min": np.nanmin, "median": np.nanmedian}
# Windows of fewer bins have no median to speak of.
MEDIAN_BINS = 8


def fill(values: NDArray[np.float64], no_data: str, bins: int) -> NDArray[np.float64]:
    """Return the bases of a window with those that have no data as the policy says.

    Parameters
    ----------
    values
        One a base, (length,), NaN where there is none.
    no_data
        `zero`, `median` (of the bases with data; 0 in a window of fewer than 8 bins) or `interpolate` (between the
        neighbours; beyond the first and the last as these); with any other they stay NaN. A window without any data
        stays as it is, but for `zero`.
    bins
        How many bins the window has.
    """
    empty = np.isnan(values)
    if no_data == "zero":
        return np.where(empty, 0.0, values)
    if not empty.any() or empty.all() or no_data not in ("median", "interpolate"):
        return values
    if no_data == "median":
        return np.where(empty, np.nanmedian(values) if bins >= MEDIAN_BINS else 0.0, values)
    there = np.flatnonzero(~empty)
    return np.interp(np.arange(len(values)), there, values[there])


def calm(values: NDArray[np.float64], black: NDArray[np.bool_], bins: int) -> NDArray[np.float64]:
    """Return the bases of a window with blacklisted ones clipped to plus and minus its median (0 below 8 bins).

    Parameters
    ----------
    values, bins
        As in `fill`, after it; the median is that of the bases that have a value then.
    black
        Which bases are blacklisted, (length,).
    """
    if not black.any() or np.isnan(values).all():
        return values
    level = abs(np.nanmedian(values)) if bins >= MEDIAN_BINS else 0.0
    return np.where(black, np.clip(values, -level, level), values)


def pool(values: NDArray[np.float64], bins: int, summary: str) -> NDArray[np.float64]:
    """Summarise the bases of a window that have data in bins of equal width; NaN for a bin without any.

    Parameters
    ----------
    values
        One a base, (length,).
    bins
        How many; they divide the length.
    summary
        mean, sum, max, min or median.
    """
    table = values.reshape(bins, -1)
    found = np.full(bins, np.nan)
    some = ~np.isnan(table).all(1)
    if some.any():
        found[some] = POOL[summary](table[some], axis=1)
    return found


@dataclass(frozen=True)
class Finished:
    """Values of bins, of the shape they came in, and how many were clipped."""

    values: NDArray[np.float64]
    soft_clipped: int
    clipped: int


def finish(
    values: NDArray[np.float64],
    statistic: str,
    scale: float = 1.0,
    soft_clip: float | None = None,
    clip: float | None = None,
) -> Finished:
    """Return summaries of bins as labels: factor, root, soft clip, clip; NaN stays.

    Parameters
    ----------
    values
        Summaries (`SUMMARY_OF`), of any shape.
    statistic
        Its root or peak function is taken, if it has one.
    scale, soft_clip, clip
        See `cisflow.config.tracks.Track`.

    Raises
    ------
    CisflowError
        A root of a negative number would have to be taken.
    """
    values = values * scale
    least = {"peak": 0.0, "mean_sqrt": -1.0, "sum_sqrt": -1.0}.get(statistic)
    if least is not None and (wrong := values < least).any():
        raise CisflowError(
            f"statistic: {statistic} has a root of negative numbers here, as of {values[wrong].flat[0]:g} "
            f"({int(wrong.sum()):,} bins); take the mean or the sum."
        )
    if statistic == "peak":
        values = np.clip(np.sqrt(4 * values), 0, 1)
    elif least is not None:
        values = np.sqrt(1 + values) - 1
    soft = np.zeros(values.shape, bool) if soft_clip is None else values > soft_clip
    if soft.any():
        values = np.where(soft, soft_clip - 1 + np.sqrt(np.where(soft, values - soft_clip, 0) + 1), values)
    hard = np.zeros(values.shape, bool) if clip is None else np.abs(values) > clip
    return Finished(values if clip is None else np.clip(values, -clip, clip), int(soft.sum()), int(hard.sum()))
