"""Attributions against the ground truth of synthetic sequences: do the scores stand out where the motifs are?"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cisflow.attribution.store import Stored
from cisflow.datasets.truth import bits
from cisflow.evaluation.metrics import areas_by_row
from cisflow.sequence import ALPHABET

Row = dict[str, Any]


def localisation(scores: NDArray[np.float32], motif: NDArray[np.bool_]) -> tuple[NDArray, NDArray]:
    """Return AUROC and AUPR of each sequence, (n,): scores (n, length) against positions of motifs (n, length).

    They are NaN for a sequence that is all motif or has none. The area under the precision-recall curve is that of the
    trapezoidal rule (Koo & Ploenzke 2021).
    """
    return areas_by_row(motif, scores)


def score_row(about: Row, auroc: NDArray, aupr: NDArray) -> Row:
    """Return `about` with the means over the sequences where they are defined, and how many these are."""
    defined = int((~np.isnan(auroc)).sum())
    means = [float(np.nanmean(values)) if defined else None for values in (auroc, aupr)]
    return {**about, "sequences": defined, "auroc": means[0], "aupr": means[1]}


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
