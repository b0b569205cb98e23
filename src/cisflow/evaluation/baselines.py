"""Simple predictors that a model must beat."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cisflow.sequence import gc_content


def gc_baseline(x_train: NDArray[np.uint8], y_train: NDArray, x: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return GC content as a score (n, targets) of binary targets, with the sign that it has in the training split.

    Scores are from -0.5 to 0.5, and at least 0 where label 1 is predicted, like the logits that they stand beside. A
    label of the training split that is NaN was not measured.
    """
    train, score = gc_content(x_train), gc_content(x)
    positive, negative = (np.array([np.nanmean(train[y == value]) for y in y_train.T]) for value in (1, 0))
    return np.where(positive >= negative, 1, -1) * (score[:, None] - 0.5)


BASELINES: dict[str, Callable[..., NDArray]] = {"gc_content": gc_baseline}
