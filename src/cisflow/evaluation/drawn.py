"""What figures of heads draw: densities of labels and predictions, and both along chromosomes."""

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import NDArray

from cisflow.evaluation.domains import LABELS
from cisflow.evaluation.heads import Row
from cisflow.evaluation.windows import Predictions, Windows, natural, target_windows

# Bins of a density along each axis, and the parts of labels and predictions that its axes leave out at either end.
BINS, OUTSIDE = 40, 0.001
NOWHERE = "unindexed"


def unit_of(track: str, units: Mapping[str, Mapping[str, object]], known: Mapping[str, str]) -> tuple[float, str]:
    """Return by what labels of a track are divided to be drawn, and the unit that they have then.

    The first pattern of `units` that fits counts; else labels are drawn in the unit `known` of them.
    """
    for pattern, spec in units.items():
        if fnmatchcase(track, pattern):
            return float(spec["divide_by"]), str(spec["unit"])
    return 1.0, known.get(track, "")


def density_rows(task: str, split: str, found: Predictions, units: Mapping[str, tuple[float, str]]) -> Iterator[Row]:
    """Yield rows of the table `tables.HEAD_DENSITY`: windows by label and prediction of the first trial of each run.

    The axes of a track are the same for all runs, both ways; a last row without bins counts the windows beyond them.
    """
    y = found.splits[split].labels
    for column, target in enumerate(found.targets):
        divisor, unit = units[target]
        measured = ~np.isnan(y[:, column])
        labels = y[measured, column] / divisor
        predicted = {run: own[split][0][measured, column] / divisor for run, own in found.runs.items()}
        low, high = _limits([labels, *predicted.values()])
        edges = np.linspace(low, high, BINS + 1)
        for run, values in predicted.items():
            about = {"task": task, "run": run, "trial": found.trials[run][0], "set": split, "target": target}
            about |= {"unit": unit, "low": low, "high": high, "bins": BINS}
            finite = np.isfinite(values)
            count, _, _ = np.histogram2d(labels[finite], values[finite], bins=(edges, edges))
            for x, z in np.argwhere(count):
                yield about | {"label_bin": int(x), "prediction_bin": int(z), "count": int(count[x, z])}
            yield about | {"count": int(len(labels) - count.sum())}


def _limits(values: Sequence[NDArray[np.float64]]) -> tuple[float, float]:
    whole = np.concatenate(values) if values else np.empty(0)
    whole = whole[np.isfinite(whole)]
    if not whole.size:
        return 0.0, 1.0
    low, high = np.quantile(whole, [OUTSIDE, 1 - OUTSIDE])
    # With few windows no quantile is beyond them; equal values get room on both sides.
    room = 0.02 * (high - low) or max(abs(low), 1.0) * 0.1
    return float(low - room), float(high + room)


def most_tested(windows: Mapping[str, Windows]) -> str:
    """Return the chromosome with most windows of the split test; without one, with most windows at all."""
    names = windows["test"].chrom if "test" in windows else np.concatenate([own.chrom for own in windows.values()])
    found, count = np.unique(names, return_counts=True)
    best = [str(name) for name in found[count == count.max()]]
    return min(best, key=natural)


def stretches(
    windows: Windows, chrom: str, crop: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the target regions of windows on a chromosome: their row numbers, and borders of the stretches they make.

    Returns
    -------
    rows, first, last
        Row i is over the stretches first[i] to last[i] - 1 of `borders_of` the same windows.
    """
    rows = np.flatnonzero(windows.chrom == chrom)
    start, end = (own[rows] for own in target_windows(windows, crop))
    borders = np.unique(np.concatenate([start, end]))
    return rows, np.searchsorted(borders, start), np.searchsorted(borders, end)


def profile_rows(
    task: str, chrom: str, targets: Sequence[str], found: Predictions, units: Mapping[str, tuple[float, str]], crop: int
) -> Iterator[Row]:
    """Yield rows of the table `tables.HEAD_PROFILES`: labels and predictions (first trial) along a chromosome.

    Stretches that several windows of a split are over have the mean of those that have a value; stretches where none
    has one have no row.
    """
    for split, windows in found.splits.items():
        rows, first, last = stretches(windows, chrom, crop)
        if not rows.size:
            continue
        start, end = target_windows(windows, crop)
        borders = np.unique(np.concatenate([start[rows], end[rows]]))
        for target in targets:
            column, (divisor, unit) = found.targets.index(target), units[target]
            labels = windows.labels[rows, column]
            series = {LABELS: (None, labels)}
            series |= {run: (found.trials[run][0], own[split][0][rows, column]) for run, own in found.runs.items()}
            for run, (trial, values) in series.items():
                value, over = _averaged(values / divisor, first, last, len(borders) - 1)
                about = {"task": task, "run": run, "trial": trial, "set": split, "target": target, "unit": unit}
                for place in np.flatnonzero(over):
                    at = {"chrom": chrom, "start": int(borders[place]), "end": int(borders[place + 1])}
                    yield about | at | {"value": float(value[place]), "windows": int(over[place])}


def _averaged(values: NDArray, first: NDArray, last: NDArray, count: int) -> tuple[NDArray, NDArray]:
    """Return the mean of the values over each stretch, and their number."""
    there = np.isfinite(values)
    sums, over = np.zeros(count + 1), np.zeros(count + 1, np.int64)
    for place, sign in ((first[there], 1), (last[there], -1)):
        np.add.at(sums, place, sign * values[there])
        np.add.at(over, place, sign)
    sums, over = sums.cumsum()[:-1], over.cumsum()[:-1]
    return np.where(over > 0, sums / np.maximum(over, 1), np.nan), over


def composition_rows(
    task: str, chrom: str, windows: Mapping[str, Windows], crop: int, sizes: Mapping[str, int]
) -> Iterator[Row]:
    """Yield rows of the table `tables.HEAD_COMPOSITION`: where the target regions of each split are on a chromosome.

    Each row is a stretch of a split, or of none ('unindexed'), with its part of the chromosome; a base of two splits
    is in both.
    """
    size = sizes[chrom]
    covered = []
    for split, own in windows.items():
        start, end = target_windows(own, crop)
        on = own.chrom == chrom
        merged = _merged(np.maximum(start[on], 0), np.minimum(end[on], size))
        covered.append(merged)
        yield from _parts(task, chrom, split, merged, size)
    union = _merged(*np.concatenate(covered, axis=1)) if covered else np.empty((2, 0), np.int64)
    yield from _parts(task, chrom, NOWHERE, _between(union, size), size)


def _merged(start: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.int64]:
    order = np.argsort(start, kind="stable")
    start, end = start[order], np.maximum.accumulate(end[order]) if len(end) else end
    if not len(start):
        return np.empty((2, 0), np.int64)
    first = np.append(True, start[1:] > end[:-1])
    return np.stack([start[first], end[np.append(first[1:], True)]])


def _between(covered: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    edges = np.concatenate([[0], covered.T.ravel(), [size]]).reshape(-1, 2).T
    return edges[:, edges[1] > edges[0]]


def _parts(task: str, chrom: str, split: str, merged: NDArray[np.int64], size: int) -> Iterator[Row]:
    for start, end in merged.T:
        at = {"start": int(start), "end": int(end), "fraction": float(end - start) / size}
        yield {"task": task, "chrom": chrom, "set": split, "size": size, **at}
