"""Scores of the runs of a task on windows of a genome, with bootstrap intervals, and the runs compared in pairs."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from cisflow.evaluation.intervals import (
    benjamini_hochberg,
    blocks_of,
    correlation,
    draw_blocks,
    interval,
    mean_squared_error,
    moments,
    rank_correlations,
    two_sided,
)
from cisflow.evaluation.windows import Predictions
from cisflow.seeds import generator

Row = dict[str, Any]

# The predictor that every run must beat: each track's mean over the training split.
BASELINE = "baseline_track_mean"
METRICS = ("pearson", "spearman", "mse", "skill")
# Of fewer blocks there are no intervals: resamples of so few say nothing of other ones.
FEWEST = 10
# All tracks together, as if they were one: what is between the tracks counts, too.
POOLED = "pooled"
MEAN = "mean"


@dataclass(frozen=True)
class Bootstrap:
    """How intervals are made: resamples, length of a block in bases, and their level."""

    resamples: int = 1000
    block: int = 2_000_000
    level: float = 0.95


@dataclass(frozen=True)
class Score:
    """A metric of a run: `values` of trials (trials, columns), `draws` of resamples (trials, resamples, columns)."""

    values: NDArray[np.float64]
    draws: NDArray[np.float64]


@dataclass(frozen=True)
class Split:
    """Scores of all runs in a split, by run and metric, of each track, and of all tracks pooled."""

    tracks: dict[str, dict[str, Score]]
    pooled: dict[str, dict[str, Score]]
    measured: NDArray[np.int64]
    blocks: int


def resampling(task: str, split: str, blocks: int, how: Bootstrap) -> NDArray[np.float64]:
    """Return how often each block of a split is in each resample: the same for all runs; none of too few blocks."""
    return draw_blocks(generator("bootstrap", task, split), blocks, how.resamples if blocks >= FEWEST else 0)


def score_split(task: str, split: str, found: Predictions, means: NDArray[np.float64], how: Bootstrap) -> Split:
    """Score all runs, and the baseline, in a split.

    Parameters
    ----------
    task, split
        Their names are the seed.
    found
        Labels and predictions.
    means
        Mean of each track in the training split (targets,): what the baseline predicts.
    how
        Resamples and blocks.
    """
    windows = found.splits[split]
    block = blocks_of(windows, how.block)
    counts = resampling(task, split, int(block.max()) + 1, how)
    flat = np.broadcast_to(means, (1, *windows.labels.shape))
    runs = {run: own[split] for run, own in found.runs.items()} | {BASELINE: flat}
    tracks = {run: _of_tracks(windows.labels, p, block, counts) for run, p in runs.items()}
    pooled = {run: _of_all(windows.labels, p, block, counts) for run, p in runs.items()}
    for scores in (tracks, pooled):
        reference = scores[BASELINE]["mse"]
        for own in scores.values():
            own["skill"] = _skill(own["mse"], reference)
    return Split(tracks, pooled, (~np.isnan(windows.labels)).sum(0), counts.shape[1])


def _of_tracks(y: NDArray, p: NDArray, block: NDArray, counts: NDArray) -> dict[str, Score]:
    trials = [_moments(y, own, block, counts) for own in p]
    ranked = [_ranked(y[:, track], p[:, :, track], block, counts) for track in range(y.shape[1])]
    return {
        "pearson": _stack([(correlation(whole, fine), correlation(drawn, fine)) for whole, drawn, fine in trials]),
        "mse": _stack([(mean_squared_error(whole), mean_squared_error(drawn)) for whole, drawn, _ in trials]),
        "spearman": Score(np.stack([v for v, _ in ranked], -1), np.stack([d for _, d in ranked], -1)),
    }


def _of_all(y: NDArray, p: NDArray, block: NDArray, counts: NDArray) -> dict[str, Score]:
    """Score all tracks as one column; ranks of all of them together are not resampled."""
    y, block = y.reshape(-1, 1), np.repeat(block, y.shape[1])
    p = p.reshape(len(p), -1, 1)
    trials = [_moments(y, own, block, counts) for own in p]
    ranks = np.array([_spearman(y[:, 0], own[:, 0]) for own in p])[:, None]
    return {
        "pearson": _stack([(correlation(whole, fine), correlation(drawn, fine)) for whole, drawn, fine in trials]),
        "mse": _stack([(mean_squared_error(whole), mean_squared_error(drawn)) for whole, drawn, _ in trials]),
        "spearman": Score(ranks, np.full((len(p), len(counts), 1), np.nan)),
    }


def _moments(y: NDArray, p: NDArray, block: NDArray, counts: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Return the moments of all windows, of each resample, and which columns have a correlation."""
    sums, fine = moments(y, p, block)
    drawn = (counts @ sums.reshape(len(sums), -1)).reshape(-1, *sums.shape[1:])
    return sums.sum(0), drawn, fine


def _stack(trials: list[tuple[NDArray, NDArray]]) -> Score:
    return Score(np.stack([values for values, _ in trials]), np.stack([draws for _, draws in trials]))


def _ranked(y: NDArray, p: NDArray, block: NDArray, counts: NDArray) -> tuple[NDArray, NDArray]:
    """Return Spearman correlations of a track: (trials,) and (trials, resamples)."""
    values = np.array([_spearman(y, own) for own in p])
    draws = np.full((len(p), len(counts)), np.nan)
    measured, fine = ~np.isnan(y), ~np.isnan(values)
    if fine.any():
        draws[fine] = rank_correlations(y[measured], p[fine][:, measured], block[measured], counts)
    return values, draws


def _spearman(y: NDArray, p: NDArray) -> float:
    measured = ~np.isnan(y)
    y, p = y[measured], p[measured]
    if len(y) < 2 or not np.isfinite(p).all() or np.ptp(y) == 0 or np.ptp(p) == 0:
        return np.nan
    return float(stats.spearmanr(y, p).statistic)


def _skill(errors: Score, reference: Score) -> Score:
    """Return 1 - MSE / MSE of the baseline."""
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = (1 - errors.values / reference.values, 1 - errors.draws / reference.draws)
    return Score(*(np.where(np.isfinite(part), part, np.nan) for part in parts))


def mean(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Return the mean of what is defined along an axis; NaN where nothing is."""
    defined = ~np.isnan(values)
    count = defined.sum(axis)
    return np.where(count > 0, np.where(defined, values, 0).sum(axis) / np.maximum(count, 1), np.nan)


def score_rows(task: str, split: str, scores: Split, found: Predictions, how: Bootstrap) -> list[Row]:
    """Return rows of the table `tables.HEAD_SCORES`: each trial, and with intervals the mean over trials.

    Targets are the tracks, 'mean' over those where the metric is defined, and 'pooled'.
    """
    rows: list[Row] = []
    for run in scores.tracks:
        about = {"task": task, "run": run, "set": split}
        trials = found.trials.get(run, [None])
        for metric in METRICS:
            # Errors of tracks in different units have no mean.
            targets = [*found.targets, *([MEAN] * (metric != "mse"))]
            own, numbers = _with_mean(scores.tracks[run][metric], metric), list(scores.measured)
            numbers += [int((~np.isnan(mean(own.values, 0)[: len(found.targets)])).sum())] * (metric != "mse")
            rows += _rows(about, metric, targets, own, numbers, trials, how)
            total = int(scores.measured.sum())
            rows += _rows(about, metric, [POOLED], scores.pooled[run][metric], [total], trials, how)
    return rows


def _with_mean(score: Score, metric: str) -> Score:
    if metric == "mse":
        return score
    parts = (np.concatenate([part, mean(part, -1)[..., None]], -1) for part in (score.values, score.draws))
    return Score(*parts)


def _rows(
    about: Row, metric: str, targets: list[str], score: Score, numbers: list[int], trials: list[int | None],
    how: Bootstrap,
) -> list[Row]:  # fmt: skip
    values, draws = mean(score.values, 0), mean(score.draws, 0)
    rows = []
    for column, target in enumerate(targets):
        own = about | {"target": target, "metric": metric, "n": int(numbers[column])}
        each = score.values[:, column]
        if trials != [None]:
            rows += [own | {"trial": trial, "value": _number(value)} for trial, value in zip(trials, each, strict=True)]
        low, high = interval(draws[:, column], how.level)
        counted = int((~np.isnan(each)).sum())
        rows.append(own | {"value": _number(values[column]), "low": low, "high": high, "trials": counted})
    return rows


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def comparison_rows(task: str, split: str, scores: Split, found: Predictions, how: Bootstrap) -> list[Row]:
    """Return rows of the table `tables.HEAD_COMPARISON`: differences of Pearson correlations between pairs of runs.

    Both runs of a pair, each as the mean over its trials, have the same resamples. The p-values of the tracks of a pair
    are adjusted together (Benjamini & Hochberg); that of the mean over tracks is not.
    """
    parts = {
        run: _with_mean(Score(mean(own.values, 0)[None], mean(own.draws, 0)[None]), "pearson")
        for run in found.runs
        for own in [scores.tracks[run]["pearson"]]
    }
    rows: list[Row] = []
    for run, other in combinations(parts, 2):
        one, two = parts[run], parts[other]
        values, draws = (one.values - two.values)[0], (one.draws - two.draws)[0]
        # Of a mean over tracks, both must have the same ones.
        both = ~np.isnan(values[:-1])
        values[-1], draws[:, -1] = mean(values[:-1], 0), mean(np.where(both, draws[:, :-1], np.nan), 1)
        p = [None if np.isnan(value) else two_sided(own) for value, own in zip(values, draws.T, strict=True)]
        q = benjamini_hochberg(np.array([np.nan if value is None else value for value in p[:-1]], np.float64))
        for column, target in enumerate([*found.targets, MEAN]):
            low, high = interval(draws[:, column], how.level) if p[column] is not None else (None, None)
            rows.append({
                "task": task, "set": split, "target": target, "metric": "pearson", "run": run, "other": other,
                "value": _number(one.values[0, column]), "other_value": _number(two.values[0, column]),
                "difference": _number(values[column]), "low": low, "high": high, "p": p[column],
                "q": None if target == MEAN else _number(q[column]),
                "n": int(both.sum()) if target == MEAN else int(scores.measured[column]),
            })  # fmt: skip
    return rows


def undefined(rows: list[Row]) -> Mapping[str, int]:
    """Return how many values of each metric are not defined in rows of scores."""
    found: dict[str, int] = {}
    for row in rows:
        if row["value"] is None:
            found[row["metric"]] = found.get(row["metric"], 0) + 1
    return found
