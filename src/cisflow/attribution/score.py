"""Attributions against the ground truth of synthetic sequences: do the scores stand out where the motifs are?"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from sklearn import metrics as sk

from cisflow.attribution.store import Stored
from cisflow.errors import CisflowError
from cisflow.evaluation.metrics import area_under_precision_recall
from cisflow.io import h5_reader
from cisflow.pwm import information
from cisflow.sequence import ALPHABET

Row = dict[str, Any]

# A position is of a motif if the generating probabilities have more information than this, in bits.
INFORMATIVE = 0.01


def read_truth(dataset: str | Path, split: str, ids: NDArray[np.bytes_]) -> NDArray[np.float32]:
    """Return the generating probabilities (n, length, 4) of sequences, by their identities.

    Raises
    ------
    CisflowError
        The data set has no ground truth, or lacks one of the sequences.
    """
    with h5_reader(dataset, "dataset/1") as h5:
        if not isinstance(h5.get(f"{split}/truth"), h5py.Dataset):
            raise CisflowError(
                f"{dataset}: it has no ground truth ('{split}/truth'), so attributions cannot be scored against it; "
                "only synthetic data sets have one."
            )
        places = {name: row for row, name in enumerate(h5[split]["id"][:])}
        missing = [name.decode() for name in ids if name not in places]
        if missing:
            raise CisflowError(f"{dataset}: there is no sequence {missing[0]} in '{split}'. Compute the maps again.")
        rows = np.array([places[name] for name in ids])
        return h5[split]["truth"][: rows.max() + 1][rows]


def bits(truth: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the information (n, length) of probabilities (n, length, 4)."""
    return information(truth.astype(np.float64).swapaxes(1, 2), epsilon=1e-10)


def localisation(scores: NDArray[np.float32], motif: NDArray[np.bool_]) -> tuple[NDArray, NDArray]:
    """Return AUROC and AUPR of each sequence, (n,): scores (n, length) against positions of motifs (n, length).

    They are NaN for a sequence that is all motif or has none. The area under the precision-recall curve is that of the
    trapezoidal rule (Koo & Ploenzke 2021).
    """
    defined = motif.any(1) & ~motif.all(1)
    auroc, aupr = np.full(len(scores), np.nan), np.full(len(scores), np.nan)
    for row in np.flatnonzero(defined):
        auroc[row] = sk.roc_auc_score(motif[row], scores[row])
        aupr[row] = area_under_precision_recall(motif[row], scores[row])
    return auroc, aupr


def score_row(about: Row, stored: Stored, auroc: NDArray, aupr: NDArray) -> Row:
    """Return a row of the score table (`tables.ATTRIBUTION_SCORES`): means over sequences where they are defined."""
    defined = int((~np.isnan(auroc)).sum())
    means = [float(np.nanmean(values)) if defined else None for values in (auroc, aupr)]
    return {**about, "method": stored.method, "sequences": defined, "auroc": means[0], "aupr": means[1]}


def clearest(aurocs: Sequence[NDArray], count: int) -> NDArray[np.int64]:
    """Return the sequences whose AUROC, in the median of all maps, is highest: no run is favoured."""
    middle = np.nan_to_num(np.median(np.stack(aurocs), axis=0), nan=-1.0)
    return np.argsort(-middle, kind="stable")[:count]


def example_rows(about: Row, stored: Stored, auroc: NDArray, aupr: NDArray, chosen: NDArray[np.int64]) -> Iterator[Row]:
    """Yield the rows of the example table of one map: the base that is there and its score."""
    for number, row in enumerate(chosen):
        of = {**about, "method": stored.method, "example": number, "sequence": stored.id[row].decode()}
        values = {"auroc": float(auroc[row]), "aupr": float(aupr[row])}
        for position, (base, score) in enumerate(zip(stored.x[row], stored.scores[row], strict=True)):
            yield {**of, "position": position, "base": ALPHABET[base], "score": float(score), **values}


def truth_rows(task: str, truth: NDArray, ids: NDArray[np.bytes_], chosen: NDArray[np.int64]) -> Iterator[Row]:
    """Yield the rows of the example table for the ground truth: all four bases, as high as they are informative."""
    height = truth * bits(truth)[..., None]
    for number, row in enumerate(chosen):
        of = {"task": task, "run": "truth", "method": "truth", "example": number, "sequence": ids[row].decode()}
        for position, base in np.argwhere(height[row] > 0):
            yield {**of, "position": position, "base": ALPHABET[base], "score": float(height[row, position, base])}
