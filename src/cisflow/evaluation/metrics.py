"""Metrics of predictions against labels, target by target and averaged."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn import metrics as sk

Metric = Callable[[NDArray, NDArray], float]


def area_under_precision_recall(y: NDArray, p: NDArray) -> float:
    """Return the area under the precision-recall curve by the trapezoidal rule, as the papers compute it.

    It is not the average precision, which is a step-wise sum and slightly lower.
    """
    precision, recall, _ = sk.precision_recall_curve(y, p)
    return float(sk.auc(recall, precision))


def areas_by_row(
    y: NDArray[np.bool_], p: NDArray, counted: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the areas under the ROC and the precision-recall curve (trapezoidal rule) of every row.

    They are those of `sklearn.metrics` row by row, computed for all rows together.

    Parameters
    ----------
    y, p
        Labels and predictions (n, k).
    counted
        Which entries count (n, k), where rows have unequally many; None for all.

    Returns
    -------
    auroc, aupr
        (n,), NaN for a row whose labels are all equal or that has a prediction that is not a number.
    """
    counted = np.ones(y.shape, bool) if counted is None else counted
    order = np.argsort(-p, axis=1, kind="stable")
    ranked = np.take_along_axis(p, order, 1)
    last = np.concatenate([ranked[:, :-1] != ranked[:, 1:], np.ones((len(p), 1), bool)], axis=1)
    hits, misses = (
        _to_the_last(np.take_along_axis(kind & counted, order, 1).cumsum(1, dtype=np.float64), last) for kind in (y, ~y)
    )
    defined = (hits[:, -1] > 0) & (misses[:, -1] > 0) & ~(np.isnan(p) & counted).any(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        recall, fallout, precision = hits / hits[:, -1:], misses / misses[:, -1:], hits / (hits + misses)
    # Before the first entry that counts, the curve is at recall 0 and precision 1.
    precision = np.where(hits + misses > 0, precision, 1.0)
    areas = _trapezoids(fallout, recall, 0.0), _trapezoids(recall, precision, 1.0)
    auroc, aupr = (np.where(defined, area, np.nan) for area in areas)
    return auroc, aupr


def _to_the_last(counts: NDArray, last: NDArray[np.bool_]) -> NDArray:
    """Return rising counts (n, k) with each entry's replaced by that of the next entry that is a `last`.

    Equal predictions are one threshold, so that all of them have the counts of the last of them.
    """
    return np.minimum.accumulate(np.where(last, counts, np.inf)[:, ::-1], axis=1)[:, ::-1]


def _trapezoids(x: NDArray, y: NDArray, first: float) -> NDArray:
    """Return the area under each row of y (n, k) over x (n, k), from x = 0, where y is `first`."""
    x = np.concatenate([np.zeros((len(x), 1)), x], axis=1)
    y = np.concatenate([np.full((len(y), 1), first), y], axis=1)
    return (np.diff(x, axis=1) * (y[:, 1:] + y[:, :-1])).sum(1) / 2


# Each takes labels (n,) and scores (n,): logits, or whatever is at least 0 where label 1 is predicted; or values.
METRICS: dict[str, dict[str, Metric]] = {
    "binary": {
        "auroc": sk.roc_auc_score,
        "aupr": area_under_precision_recall,
        "accuracy": lambda y, p: sk.accuracy_score(y, p >= 0),
        "f1": lambda y, p: sk.f1_score(y, p >= 0, zero_division=0),
    },
    "real": {
        "pearson": lambda y, p: stats.pearsonr(y, p).statistic,
        "spearman": lambda y, p: stats.spearmanr(y, p).statistic,
        "mse": lambda y, p: float(np.mean((y - p) ** 2)),
    },
}


def undefined(kind: str, y: NDArray, p: NDArray) -> str | None:
    """Return why ranking metrics or correlations are undefined on these labels and predictions, or None."""
    if len(y) < 2:
        return "fewer than two measured labels"
    if np.isnan(p).any() or (kind == "real" and np.isinf(p).any()):
        return "a prediction is not a number"
    if np.ptp(y) == 0:
        return "all labels are equal"
    if kind == "real" and np.ptp(p) == 0:
        return "all predictions are equal"
    return None


def target_metrics(kind: str, y: NDArray, p: NDArray) -> dict[str, float | None]:
    """Return all metrics of one target; None for those that are undefined on it."""
    if undefined(kind, y, p):
        return dict.fromkeys(METRICS[kind])
    if kind == "binary":
        # scikit-learn refuses infinite scores, which logits that overflow are.
        p = np.clip(p.astype(np.float64), -np.finfo(np.float64).max, np.finfo(np.float64).max)
    return {name: float(metric(y, p)) for name, metric in METRICS[kind].items()}


def metric_rows(
    kind: str, y: NDArray, p: NDArray, targets: list[str], mask: NDArray[np.bool_] | None = None
) -> list[dict[str, object]]:
    """Return tidy rows (target, metric, value, n): each target, and 'mean' over the targets where it is defined.

    Parameters
    ----------
    kind
        'binary' or 'real'.
    y, p
        Labels and scores (n, targets), or (n, bins, targets), where each bin is one more row. They may be HDF5
        arrays: one target is in memory at a time. Of binary labels scores are logits, not their probabilities, which
        are equal for all large logits.
    targets
        Names of the last axis.
    mask
        Where labels were measured, of y's shape; None for everywhere.
    """
    rows: list[dict[str, object]] = []
    values: dict[str, list[float]] = {name: [] for name in METRICS[kind]}
    for column, target in enumerate(targets):
        labels, predicted = y[..., column].ravel(), p[..., column].ravel()
        measured = np.ones(labels.shape, bool) if mask is None else mask[..., column].ravel()
        found = target_metrics(kind, labels[measured], predicted[measured])
        for name, value in found.items():
            rows.append({"target": target, "metric": name, "value": value, "n": int(measured.sum())})
            values[name] += [] if value is None else [value]
    for name, defined in values.items():
        mean = float(np.mean(defined)) if defined else None
        rows.append({"target": "mean", "metric": name, "value": mean, "n": len(defined)})
    return rows


def pooled_rows(kind: str, y: NDArray, p: NDArray, mask: NDArray[np.bool_] | None = None) -> list[dict[str, object]]:
    """Return rows as `metric_rows` does, with the target 'pooled': all targets of all rows as if they were one.

    Targets of different scales correlate when pooled, whatever a model knows of each.
    """
    mask = np.ones(y.shape, bool) if mask is None else mask
    found = target_metrics(kind, y[mask], p[mask])
    return [{"target": "pooled", "metric": name, "value": value, "n": int(mask.sum())} for name, value in found.items()]
