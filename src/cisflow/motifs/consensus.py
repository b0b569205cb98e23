"""A motif in letters."""

import numpy as np
from numpy.typing import NDArray

from cisflow.sequence import ALPHABET


def consensus(ppm: NDArray[np.float64]) -> str:
    """Return the most probable base at each position of probabilities (4, width), or 'n' where none has over half."""
    return "".join(ALPHABET[base] if p > 0.5 else "n" for base, p in zip(ppm.argmax(0), ppm.max(0), strict=True))
