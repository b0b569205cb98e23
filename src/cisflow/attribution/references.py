"""The sequences that integrated gradients and DeepLIFT/SHAP start from."""

import itertools

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import gammaln
from torch import Tensor

from cisflow.models.convnet import one_hot
from cisflow.seeds import seed_of

# Bases that are shuffled at a time, in all sequences and copies.
BLOCK = 1 << 23


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
    else:
        shuffled = dinucleotide_shuffles(x, count, seed)
    return one_hot(torch.from_numpy(shuffled.reshape(-1, x.shape[1]))).unflatten(0, (len(x), count))


def reference_seed(task: str) -> int:
    """Return the seed of a task's references: one for all runs and trials, so that maps differ by the models alone."""
    return seed_of(task, "references")


def is_its_only_shuffle(x: NDArray[np.uint8], kind: str) -> NDArray[np.bool_]:
    """Return which sequences (n, length) have no shuffle of a kind but themselves, as repeats of one base.

    The number of sequences with the same neighbouring bases and the same ends is that of Eulerian circuits (de Bruijn &
    van Aardenne-Ehrenfest 1951) by which the edge from the last to the first base is gone first, over the orders of
    edges between the same two bases.
    """
    if kind == "permuted":
        return (x == x[:, :1]).all(1)
    steps = _steps(x)
    degrees = steps.sum(2) + (x[:, -1:] == np.arange(4))
    trees = _trees(x, steps).sum(1)
    orders = gammaln(np.maximum(degrees, 1)).sum(1) - gammaln(steps + 1).sum((1, 2))
    return np.log(trees) + orders < np.log(1.5)


def dinucleotide_shuffles(x: NDArray[np.uint8], count: int, seed: int) -> NDArray[np.uint8]:
    """Return shuffles (n, count, length) that keep the ends and the counts of neighbouring bases.

    All such sequences are equally probable. A sequence is a path through the four bases that takes each of its steps
    once; a random path is found by drawing the last step from each base, which together lead to the last base of the
    sequence, and then any order of the other steps (Altschul & Erickson, Mol. Biol. Evol. 2, 526, 1985). The last steps
    are drawn from a list of all, by their number of ways.

    Parameters
    ----------
    x
        Base indices (n, length), without unknown bases.
    count
        Number of shuffles of each sequence.
    seed
        They are a function of it and of the sequences.
    """
    last_steps, orders = np.random.default_rng(seed).spawn(2)
    rows = max(BLOCK // (count * x.shape[1]), 1)
    parts = [_shuffles(x[start : start + rows], count, last_steps, orders) for start in range(0, len(x), rows)]
    return np.concatenate(parts) if parts else np.empty((0, count, x.shape[1]), np.uint8)


def _steps(x: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return how often each base follows each (n, 4, 4)."""
    pairs = 4 * x[:, :-1] + x[:, 1:]
    return np.stack([(pairs == pair).sum(1) for pair in range(16)], axis=1).reshape(-1, 4, 4)


def _last_steps() -> NDArray[np.int64]:
    """Return for each last base all choices of the last step from the others that lead to it: (4, 16, 4), bases.

    There are 16 trees of four vertices that lead to one of them (Cayley). The last base itself has no last step.
    """
    found = []
    for last in range(4):
        choices = itertools.product(*([last] if base == last else range(4) for base in range(4)))
        arrays = np.array(list(choices))
        ends = np.broadcast_to(np.arange(4), arrays.shape)
        for _ in range(3):
            ends = np.take_along_axis(arrays, ends, axis=1)
        found.append(arrays[(ends == last).all(1)])
    return np.stack(found)


LAST_STEPS = _last_steps()


def _trees(x: NDArray[np.uint8], steps: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return in how many ways each choice of last steps (n, 16) can be taken from a sequence's steps (n, 4, 4)."""
    last = x[:, -1].astype(np.int64)
    # A base that is not there, and the last one, take no part: one way, to the last base.
    without = (steps.sum(2) == 0) | (last[:, None] == np.arange(4))
    to_last = np.eye(4, dtype=np.int64)[last][:, None, :]
    ways = np.where(without[:, :, None], to_last, steps)
    chosen = np.take_along_axis(ways.transpose(0, 2, 1), LAST_STEPS[last], axis=1)
    return chosen.astype(np.float64).prod(2)


def _shuffles(
    x: NDArray[np.uint8], count: int, last_steps: np.random.Generator, orders: np.random.Generator
) -> NDArray[np.uint8]:
    number, length = x.shape
    steps = _steps(x)
    cumulative = _trees(x, steps).cumsum(1)
    # Which choice, (n, count).
    thresholds = last_steps.random((number, count, 1)) * cumulative[:, None, -1:]
    choice = (cumulative[:, None] <= thresholds).sum(2)
    after = LAST_STEPS[x[:, -1, None], choice]

    # The steps of each copy, those from the same base side by side in a random order, and the last one last.
    keys = orders.random((number, count, length - 1))
    _put_last(x, after, keys)
    queue = np.take_along_axis(x[:, None, 1:], np.argsort(keys + x[:, None, :-1] * 4, axis=2), axis=2)

    place = np.broadcast_to((steps.sum(2).cumsum(1) - steps.sum(2))[:, None], (number, count, 4)).reshape(-1, 4).copy()
    queue, copies = queue.reshape(-1, length - 1), np.arange(number * count)
    found = np.empty((number * count, length), np.uint8)
    found[:, 0] = np.repeat(x[:, 0], count)
    for position in range(1, length):
        base = found[:, position - 1]
        found[:, position] = queue[copies, place[copies, base]]
        place[copies, base] += 1
    return found.reshape(number, count, length)


def _put_last(x: NDArray[np.uint8], after: NDArray[np.int64], keys: NDArray[np.float64]) -> None:
    """Raise the key of one step from each base, of those to the base that is to follow it last, above all others."""
    for base in range(4):
        # The last base of a sequence has no last step.
        concerned = x[:, -1] != base
        is_step = (x[:, None, :-1] == base) & (x[:, None, 1:] == after[:, :, base, None]) & concerned[:, None, None]
        rows, copies = np.nonzero(is_step.any(2))
        keys[rows, copies, is_step.argmax(2)[rows, copies]] = 2
