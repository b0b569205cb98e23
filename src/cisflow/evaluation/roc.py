"""ROC curves: few points of each, and areas with intervals."""

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics as sk

# Points of a curve that are kept.
POINTS = 200


def curve(positive: NDArray[np.bool_], scores: NDArray[np.float64], points: int = POINTS) -> NDArray[np.float64]:
    """Return about `points` points of the ROC curve (2, k): false and true positive rates, both rising.

    Points are kept so that neither rate leaps by more than 2 / points, except where the curve itself does.
    """
    fpr, tpr, _ = sk.roc_curve(positive, scores)
    # Of the points in one cell of the curve's own length, from corner to corner, the last is kept; and both ends.
    cell = np.floor((fpr + tpr) * points / 2).astype(int)
    kept = np.append(cell[1:] != cell[:-1], True)
    kept[0] = True
    return np.stack([fpr[kept], tpr[kept]])


def area(positive: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    """Return the area under the ROC curve; NaN where there is one class only, or a score is no number."""
    if not positive.any() or positive.all() or not np.isfinite(scores).all():
        return np.nan
    return float(sk.roc_auc_score(positive, scores))
