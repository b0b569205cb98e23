"""Galleries: which sequences are drawn, and the table of what models read in them."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cisflow.attribution.explained import Explained
from cisflow.attribution.maps import reduce
from cisflow.attribution.methods import attribute
from cisflow.attribution.presets import Settings
from cisflow.datasets.region import read_region
from cisflow.errors import CisflowError
from cisflow.evaluation.evaluate import Arrays
from cisflow.evaluation.predict import predict, predict_outputs
from cisflow.models.convnet import ConvNet
from cisflow.sequence import ALPHABET, UNKNOWN

log = logging.getLogger(__name__)

Row = dict[str, Any]


@dataclass(frozen=True)
class Selected:
    """Sequences of a gallery: x uint8 (n, length), names, and labels (n,), NaN where there is none."""

    x: NDArray[np.uint8]
    names: list[str]
    labels: NDArray[np.float64]
    left_out: int = 0


def from_split(arrays: Arrays, target: int, choice: Mapping[str, Any], models: Sequence[ConvNet]) -> Selected:
    """Return the rows of a split that a gallery names, or the best of them; those with unknown bases are left out.

    Parameters
    ----------
    arrays
        x, y, id, and mask where there is one, of the split.
    target
        Number of the target that is explained.
    choice
        The gallery's settings `rows` or `best`, and `among`.
    models
        For `best`: the outputs (logits, or values) of each are predicted, and their mean is what counts. A model whose
        output for a sequence is no number has no say in it. Of the two strands of a sequence one is taken.

    Raises
    ------
    CisflowError
        A row is beyond the list that is counted, or all have unknown bases.
    """
    y = arrays["y"][:, target].astype(np.float64)
    labels = np.where(arrays["mask"][:, target], y, np.nan) if "mask" in arrays else y
    listed = np.flatnonzero(labels == 1) if choice["among"] == "positives" else np.arange(len(labels))
    wanted = listed if choice["rows"] is None else listed[_within(choice["rows"], len(listed), choice["among"])]
    known = (arrays["x"][wanted] != UNKNOWN).all(1)
    rows, left_out = wanted[known], wanted[~known]
    names = ", ".join(name.decode() for name in arrays["id"][left_out[:5]])
    log.info("left out for unknown bases: %d of %d%s", len(left_out), len(wanted), f" ({names})" if names else "")
    if choice["rows"] is not None and not len(rows):
        raise CisflowError("galleries: all rows that are listed have unknown bases; choose others.")
    if choice["best"] is not None and len(rows):
        rows = rows[np.argsort(-_mean_output(models, arrays["x"][rows], target), kind="stable")]
        rows = _one_strand(arrays["id"][rows], rows)[: choice["best"]]
    ids = [name.decode() for name in arrays["id"][rows]]
    return Selected(arrays["x"][rows], ids, labels[rows], len(left_out))


def _within(rows: Sequence[int], count: int, among: str) -> NDArray[np.int64]:
    if beyond := [row for row in rows if row >= count]:
        what = "positive sequences of the target" if among == "positives" else "sequences"
        raise CisflowError(
            f"galleries: there is no row {', '.join(map(str, beyond))}: the split has {count} {what}, counted from 0. "
            "Change 'rows', 'among', 'split' or 'target' of the gallery."
        )
    return np.asarray(rows)


def _mean_output(models: Sequence[ConvNet], x: NDArray[np.uint8], target: int) -> NDArray[np.float64]:
    total, defined = np.zeros(len(x)), np.zeros(len(x), np.int64)
    for model in models:
        output = predict_outputs(model, x)[:, target].astype(np.float64)
        finite = np.isfinite(output)
        total, defined = total + np.where(finite, output, 0), defined + finite
    return np.divide(total, defined, out=np.full(len(x), -np.inf), where=defined > 0)


def _one_strand(ids: NDArray[np.bytes_], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rows without those whose other strand (the same id, with or without '-rc') comes before."""
    names = [name.decode().removesuffix("-rc") for name in ids]
    return rows[np.sort(np.unique(names, return_index=True)[1])]


def from_genome(path: str | Path, region: Mapping[str, Any], length: int) -> Selected:
    """Return a stretch of a genome, which must be as long as the models' sequences.

    Parameters
    ----------
    path
        FASTA file.
    region
        chrom, start and end, 0-based and half-open.
    length
        Of the models' sequences, in bases.

    Raises
    ------
    CisflowError
        It has another length, lies beyond the chromosome, or has unknown bases.
    """
    chrom, start, end = (region[key] for key in ("chrom", "start", "end"))
    name = f"{chrom}:{start}-{end}"
    if end - start != length:
        raise CisflowError(f"galleries: {name} has {end - start} bases, and the models take sequences of {length}.")
    x = read_region(path, chrom, start, end)
    if unknown := int((x == UNKNOWN).sum()):
        raise CisflowError(f"{path}: {name} has {unknown} unknown bases; choose another region for the gallery.")
    return Selected(x[None], [name], np.array([np.nan]))


def kept(window: Sequence[int] | None, length: int) -> range:
    """Return the positions that a gallery keeps.

    Raises
    ------
    CisflowError
        The window ends beyond the sequences.
    """
    first, last = window or (0, length)
    if last > length:
        raise CisflowError(f"galleries: the window ends at {last}, and the sequences have {length} bases.")
    return range(first, last)


def gallery_rows(
    about: Row, explained: Explained, selected: Selected, method: str, positions: range, settings: Settings, seed: int,
    kind: str,
) -> Iterator[Row]:  # fmt: skip
    """Yield the rows of a gallery's table (`tables.GALLERY`) for one model: the base that is there and its score.

    A score or prediction that is no number is None, an empty field.

    Parameters
    ----------
    about
        The columns that tell the trial and the target.
    explained
        The model and which of its outputs is explained.
    selected
        The sequences.
    method, positions
        How they are explained (`presets.METHODS`), and the positions that are kept.
    settings, seed
        As of `methods.attribute`.
    kind
        Of the target: 'binary' or 'real'.
    """
    if not selected.names:
        return
    scores = reduce(attribute(explained, selected.x, method, settings, seed).scores, selected.x, method, settings)
    predictions = predict(explained.model, selected.x, kind)[:, explained.target]
    for number, (name, x) in enumerate(zip(selected.names, selected.x, strict=True)):
        values = {"label": _number(selected.labels[number]), "prediction": _number(predictions[number])}
        of = {**about, "method": method, "example": number, "sequence": name, **values}
        for position in positions:
            score = _number(scores[number, position])
            yield {**of, "position": position, "base": ALPHABET[x[position]], "score": score}


def _number(value: np.floating) -> float | None:
    return float(value) if np.isfinite(value) else None
