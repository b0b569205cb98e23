"""The ground truth of synthetic sequences: the base probabilities that each was drawn from."""

from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from cisflow.errors import CisflowError
from cisflow.io import h5_reader
from cisflow.pwm import information

# A position is of a motif if the generating probabilities have more information than this, in bits.
INFORMATIVE = 0.01


def read_truth(dataset: str | Path, split: str, ids: NDArray[np.bytes_] | None = None) -> NDArray[np.float32]:
    """Return the generating probabilities (n, length, 4) of sequences, by their identities; None: of the whole split.

    Raises
    ------
    CisflowError
        The data set has no ground truth, or lacks one of the sequences.
    """
    with h5_reader(dataset, "dataset/1") as h5:
        if not isinstance(h5.get(f"{split}/truth"), h5py.Dataset):
            raise CisflowError(
                f"{dataset}: it has no ground truth ('{split}/truth') to score against; only synthetic data sets "
                "have one."
            )
        if ids is None:
            return h5[split]["truth"][:]
        places = {name: row for row, name in enumerate(h5[split]["id"][:])}
        missing = [name.decode() for name in ids if name not in places]
        if missing:
            raise CisflowError(f"{dataset}: there is no sequence {missing[0]} in '{split}'. Compute the maps again.")
        rows = np.array([places[name] for name in ids])
        return h5[split]["truth"][: rows.max() + 1][rows]


def bits(truth: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the information (n, length) of probabilities (n, length, 4)."""
    return information(truth.astype(np.float64).swapaxes(1, 2), epsilon=1e-10)
