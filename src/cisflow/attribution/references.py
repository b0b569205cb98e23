"""The sequences that integrated gradients and DeepLIFT/SHAP start from."""

import numpy as np
import torch
from numpy.typing import NDArray
from tangermeme.ersatz import dinucleotide_shuffle
from torch import Tensor

from cisflow.models.convnet import one_hot
from cisflow.seeds import seed_of


def references(x: NDArray[np.uint8], kind: str, count: int, seed: int) -> Tensor:
    """Return shuffles of each sequence, one-hot (n, count, 4, length).

    Parameters
    ----------
    x
        Base indices (n, length), without unknown bases.
    kind
        'permuted': the bases in a random order. 'dinucleotide': the counts of neighbouring bases are kept too, and so
        are the first and the last base.
    count
        Number of references for each sequence.
    seed
        They are a function of it, of the sequence and of its place among the sequences.
    """
    if kind == "permuted":
        copies = np.repeat(x[:, None], count, axis=1)
        shuffled = np.random.default_rng(seed).permuted(copies, axis=2)
        return one_hot(torch.from_numpy(shuffled.reshape(-1, x.shape[1]))).unflatten(0, (len(x), count))
    # 2^31 is where the library's seeds end.
    return dinucleotide_shuffle(one_hot(torch.from_numpy(x)), n=count, random_state=seed % 2**31)


def reference_seed(task: str) -> int:
    """Return the seed of a task's references: one for all runs and trials, so that maps differ by the models alone."""
    return seed_of(task, "references")
