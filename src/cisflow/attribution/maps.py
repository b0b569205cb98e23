"""What an attribution method says of sequences, without the libraries that compute it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cisflow.attribution.presets import Settings
from cisflow.sequence import one_hot as letters


@dataclass(frozen=True)
class Map:
    """Attributions of n sequences.

    Attributes
    ----------
    scores
        float32 (n, length, 4), what the method says of every base (see `presets.Settings.contribution`); effects of
        substitutions for mutagenesis.
    convergence
        float32 (n,): |sum of the attributions - difference of the outputs| / |difference of the outputs|, both summed
        over references; None for a method that has no such promise.
    spread
        float32 (n,): standard deviation over references of the score of the base that is there, relative to the mean
        absolute score; None for a method without references.
    """

    scores: NDArray[np.float32]
    convergence: NDArray[np.float32] | None = None
    spread: NDArray[np.float32] | None = None


def reduce(scores: NDArray[np.float32], x: NDArray[np.uint8], method: str, settings: Settings) -> NDArray[np.float32]:
    """Return one score a position, (n, length), of a map (n, length, 4): see `presets.Settings`."""
    if method != "mutagenesis":
        return (scores * letters(x)).sum(-1)
    # The effect of the base that is there is zero, so that the sum is over the three others.
    return np.sqrt((scores**2).sum(-1)) if settings.mutagenesis == "length" else -scores.sum(-1) / 3
