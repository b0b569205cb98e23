"""Scans of sequences by known motifs and by the filters of trained models, and how well they find planted motifs."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cisflow.models.convnet import ConvNet
from cisflow.motifs.filters import layer_outputs
from cisflow.motifs.localisation import ENDS, Stretches, localise, stretches, widened
from cisflow.pwm import Motif
from cisflow.seeds import generator

Row = dict[str, Any]
Parts = Mapping[tuple[int, str], Stretches]

# Rows that are scanned together: their codes and scores stay in the processor's cache.
BLOCK = 128
# Bases that are looked up together; 5 letters each, so that the table has 5^4 entries.
WORD = 4
# Of scores that are sums of some twenty numbers below 40: far above their rounding errors.
DECIMALS = 9

# Examples have at least so many stretches of motifs, so that there is something to be told apart.
SEVERAL = 3


def matrices(motifs: Sequence[Motif], scanner: str) -> list[NDArray[np.float64]]:
    """Return the scores (4, width) of the bases of motifs, of each strand.

    Parameters
    ----------
    motifs
        The motifs.
    scanner
        'ppm': probabilities; 'pwm': log-odds against a uniform background, log2(p / 0.25 + 1e-10).
    """
    both = [m.probabilities for motif in motifs for m in (motif, motif.reverse_complement())]
    return {"ppm": both, "pwm": [np.log2(p / 0.25 + 1e-10) for p in both]}[scanner]


def scan(x: NDArray[np.uint8], found: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the largest score (n, length) of matrices at each position.

    Parameters
    ----------
    x
        Base indices (n, length); an unknown base scores 0.
    found
        Matrices (4, width). A window [p - width // 2, p - width // 2 + width) belongs to position p; bases beyond the
        ends score 0.

    Returns
    -------
    ndarray
        float64, rounded: the same word on the two strands is added up in another order, and must have the same score.
    """
    words = [_words(matrix) for matrix in found]
    return np.concatenate([_scan_block(x[i : i + BLOCK], words) for i in range(0, len(x), BLOCK)])


def _words(matrix: NDArray[np.float64]) -> tuple[int, list[NDArray[np.float64]]]:
    """Return how far before its position a window begins, and the score of every word of bases, for each word of it."""
    width = matrix.shape[1]
    scores = np.zeros((5, -(-width // WORD) * WORD))
    scores[:4, :width] = matrix
    tables = [
        sum(scores[:, start + k].reshape([-1 if axis == k else 1 for axis in range(WORD)]) for k in range(WORD))
        for start in range(0, scores.shape[1], WORD)
    ]
    return width // 2, [table.ravel() for table in tables]


def _scan_block(x: NDArray[np.uint8], words: Sequence[tuple[int, list[NDArray[np.float64]]]]) -> NDArray[np.float64]:
    count, length = x.shape
    before = max(shift for shift, _ in words)
    after = max(WORD * len(tables) for _, tables in words)
    padded = np.pad(x, ((0, 0), (before, after)), constant_values=4)
    step = padded.shape[1]
    # One row after the other: a shift is then a slice of one array.
    bases = np.append(padded.ravel(), np.full(after + WORD, 4)).astype(np.intp)
    codes = sum(bases[k : len(bases) - WORD + 1 + k] * 5 ** (WORD - 1 - k) for k in range(WORD))
    best = np.full(count * step, -np.inf)
    for shift, tables in words:
        first = before - shift
        score = sum(
            table.take(codes[first + WORD * k : first + WORD * k + count * step]) for k, table in enumerate(tables)
        )
        np.maximum(best, score, out=best)
    return best.reshape(count, step)[:, :length].round(DECIMALS)


@torch.inference_mode()
def filter_scan(model: ConvNet, x: NDArray[np.uint8], layer: str) -> NDArray[np.float32]:
    """Return the largest output (n, length) of a layer's filters at each position.

    Raises
    ------
    CisflowError
        The layer does not exist, or has not one value a base.
    """
    parts = [found.amax(1).float().cpu() for _, found in layer_outputs(model, x, layer, "scan.layer")]
    return torch.cat(parts).numpy()


def divided(motif: NDArray[np.bool_], buffers: Sequence[int]) -> Parts:
    """Return the stretches of sequences for each buffer and way of finding the ends; `motif` is (n, length)."""
    return {(buffer, ends): stretches(widened(motif, buffer), ends) for buffer in buffers for ends in ENDS}


def localisation_rows(about: Row, scanner: str, scores: NDArray, parts: Parts) -> Iterator[Row]:
    """Yield the rows of the localisation table (`tables.SCAN`) of one scan.

    Means and standard deviations are over the sequences where they are defined; without any they are None.
    """
    for (buffer, ends), of in parts.items():
        areas = dict(zip(("auroc", "aupr"), localise(scores, of), strict=True))
        defined = ~np.isnan(areas["auroc"])
        row = {**about, "scanner": scanner, "buffer": buffer, "ends": ends, "sequences": int(defined.sum())}
        for name, values in areas.items():
            some = values[defined]
            row[name], row[f"{name}_sd"] = (float(some.mean()), float(some.std())) if some.size else (None, None)
        yield row


def choose_examples(motif: NDArray[np.bool_], count: int) -> NDArray[np.int64]:
    """Return the first sequences with several stretches of motifs (n, length), then those with fewer.

    No score has a part in the choice, so that no scan is favoured.
    """
    starts = motif & ~np.pad(motif, ((0, 0), (1, 0)))[:, :-1]
    return np.argsort(-np.minimum(starts.sum(1), SEVERAL), kind="stable")[:count]


def example_rows(
    about: Row, scanner: str, scores: NDArray, ids: NDArray[np.bytes_], chosen: NDArray[np.int64]
) -> Iterator[Row]:
    """Yield the rows of the example table (`tables.SCAN_EXAMPLES`): a score a position of each chosen sequence."""
    for number, row in enumerate(chosen):
        of = {**about, "scanner": scanner, "example": number, "sequence": ids[row].decode()}
        yield from ({**of, "position": position, "score": float(s)} for position, s in enumerate(scores[row]))


def motif_scans(
    task: str, x: NDArray[np.uint8], motifs: Sequence[Motif], parts: Parts
) -> tuple[list[Row], dict[str, NDArray[np.float64]]]:
    """Return the localisation rows of the scans by known motifs, and their scores (n, length) by scanner.

    The scanner 'random' has numbers that know nothing of the sequences: what a score without information reaches.
    Stretches without motifs are longer than those with, so that it is below one half.
    """
    scores = {scanner: scan(x, matrices(motifs, scanner)) for scanner in ("ppm", "pwm")}
    scores["random"] = generator("scan", task).random(x.shape)
    about = {"task": task, "run": "motifs"}
    return [row for name, found in scores.items() for row in localisation_rows(about, name, found, parts)], scores
