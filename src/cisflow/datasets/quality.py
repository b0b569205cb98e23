"""What a data set is like: rows by class, GC content, labels and their distribution, what is unknown or not measured.

The file is read once, in blocks; the memory needed does not grow with its rows, but for eight bytes of each sequence of
training, by which those of other splits are found to be the same.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from cisflow.datasets.identity import strand_fingerprints
from cisflow.datasets.sketch import Sketch, histogram, histogram_edges
from cisflow.datasets.store import SPLITS
from cisflow.io import h5_reader, write_tsv
from cisflow.sequence import UNKNOWN
from cisflow.tables import DATASET_DISTRIBUTIONS, DATASET_QUALITY

log = logging.getLogger(__name__)

# Bytes of sequences and labels that are looked at together.
BLOCK_BYTES = 1 << 24
# Targets, evenly spread over the columns, whose correlations and, if they are real, distributions are kept.
COMPARED = 128
LEVELS = (0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1)
# A row of zeros has a variance of rounding errors only, where it is less than this part of the sum of squares.
NOTHING = 1e-12

Row = dict[str, Any]


@dataclass(frozen=True)
class _Contents:
    """What the columns of the labels are.

    Attributes
    ----------
    targets
        Their names.
    binary
        Whether they are 0 and 1.
    compared
        Indices of those whose distributions and correlations are kept.
    """

    targets: Sequence[str]
    binary: bool
    compared: NDArray[np.int64]

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the names of the classes of rows; one whose labels are all masked is unmeasured."""
        if not self.binary:
            return ("all",)
        return (
            *(("positive", "negative") if len(self.targets) == 1 else ("any positive", "no positive")),
            "unmeasured",
        )


@dataclass(frozen=True)
class _Block:
    """Some rows: x (n, length), y and mask (n, bins, targets)."""

    x: NDArray[np.uint8]
    y: NDArray[np.float32]
    mask: NDArray[np.bool_]


def write_quality(
    quality: str | Path, distributions: str | Path, dataset: str | Path, further: Iterable[Mapping[str, Any]] = ()
) -> None:
    """Write the two tables of a data set's quality.

    Parameters
    ----------
    quality
        Single numbers, `tables.DATASET_QUALITY`: sequences, those dropped, those that are in training too (as they are
        or as their reverse complement), GC content (a fraction, the mean over sequences), unknown bases, labels that
        are not measured (masked) or not finite; of each target the positives or the mean, and the fraction that is
        masked.
    distributions
        `tables.DATASET_DISTRIBUTIONS`, parts below each other: `targets` (how many there are, and are compared), `rows`
        (by class), `gc` (a histogram of rows by class), `unknown` (quantiles of unknown bases a row); of binary labels
        `positives` (rows by their number of positive labels) and `fraction` (of each target); of real labels `quantile`
        and `histogram`, values rounded to eight significant bits; `correlation` (Pearson's, over all splits and those
        values where both targets are measured). A value that is not defined is empty.
    dataset
        A data set of the contract.
    further
        Rows that only its maker knows, put below the first table.
    """
    with h5_reader(dataset, "dataset/1") as h5:
        targets = [str(target) for target in h5.attrs["targets"]]
        compared = np.unique(np.linspace(0, len(targets) - 1, min(len(targets), COMPARED)).round().astype(np.int64))
        contents = _Contents(targets, h5.attrs["kind"] == "binary", compared)
        pairs = _Pairs(contents)
        train = _Training()
        seen = {split: _read(h5[split], contents, pairs, train) for split in SPLITS}
    for split, own in seen.items():
        for count, what in (
            (own.rows.unknown[-1], "have no known base; were they written by the program that made them?"),
            (own.in_train or 0, "are in train too, as they are or as reverse complement"),
        ):
            if count:
                total = f"{own.rows.count.sum():,}"
                log.warning("%s: %s of %s sequences of %s %s", dataset, f"{count:,}", total, split, what)
    scalars = [{"split": split} | row for split, own in seen.items() for row in own.scalars(targets)]
    write_tsv(quality, DATASET_QUALITY, [*scalars, *further])
    write_tsv(distributions, DATASET_DISTRIBUTIONS, _distributions(contents, seen, pairs))


def _distributions(contents: _Contents, seen: Mapping[str, "_Seen"], pairs: "_Pairs") -> Iterator[Row]:
    yield {"part": "targets", "name": "all", "value": len(contents.targets)}
    yield {"part": "targets", "name": "compared", "value": len(contents.compared)}
    for split, own in seen.items():
        yield from ({"split": split} | row for row in own.rows.distributions(contents))
        if contents.binary:
            yield from ({"split": split} | row for row in own.labels.of_binary(contents))
    if not contents.binary:
        edges = histogram_edges([sketch for own in seen.values() for sketch in own.labels.sketches])
        for split, own in seen.items():
            yield from ({"split": split} | row for row in own.labels.of_real(contents, edges))
    yield from pairs.distributions(contents)


class _Training:
    """The sequences of training, as fingerprints that they share with their reverse complement."""

    def __init__(self):
        self._parts: list[NDArray[np.uint64]] = []
        self._sorted: NDArray[np.uint64] | None = None

    def add(self, x: NDArray[np.uint8]) -> None:
        self._parts.append(strand_fingerprints(x))

    def count(self, x: NDArray[np.uint8]) -> int:
        """Return how many sequences with a known base are among those of training; none is added afterwards."""
        if self._sorted is None:
            self._sorted, self._parts = np.unique(np.concatenate(self._parts)), []
        own = strand_fingerprints(x[(x != UNKNOWN).any(axis=1)])
        at = np.minimum(np.searchsorted(self._sorted, own), len(self._sorted) - 1)
        return int((self._sorted[at] == own).sum())


def _read(group: h5py.Group, contents: _Contents, pairs: "_Pairs", train: _Training) -> "_Seen":
    seen = _Seen(int(group.attrs.get("dropped", 0)), _Rows(_bases(group).shape[1], contents), _Labels(contents))
    of_train = group.name == f"/{SPLITS[0]}"
    seen.in_train = None if of_train else 0
    for block in _blocks(group):
        if of_train:
            train.add(block.x)
        else:
            seen.in_train += train.count(block.x)
        measured = block.mask & np.isfinite(block.y)
        # A label that is not measured has no value; nothing below counts this zero.
        y = np.where(measured, block.y, np.float32(0))
        seen.rows.add(block.x, y, measured)
        seen.labels.add(y, measured, block.mask)
        chosen = (-1, len(contents.targets))
        pairs.add(*(array.reshape(chosen)[:, contents.compared] for array in (y, measured)))
    seen.labels.close()
    return seen


def _bases(group: h5py.Group) -> h5py.Dataset:
    """Return the sequences of a split; its x may be something else."""
    return group["bases"] if "bases" in group else group["x"]


def _blocks(group: h5py.Group) -> Iterator[_Block]:
    x, y = _bases(group), group["y"]
    row_bytes = x.shape[1] + y.dtype.itemsize * int(np.prod(y.shape[1:]))
    rows = max(1, BLOCK_BYTES // row_bytes)
    for start in range(0, len(x), rows):
        labels = y[start : start + rows]
        mask = group["mask"][start : start + rows] if "mask" in group else np.ones(labels.shape, bool)
        shape = (len(labels), -1, labels.shape[-1])
        yield _Block(x[start : start + rows], labels.reshape(shape), mask.reshape(shape))


class _Rows:
    """Rows by class, their GC content and their unknown bases."""

    def __init__(self, length: int, contents: _Contents):
        self.binary, self.classes = contents.binary, len(contents.classes)
        # Bins that are whole multiples of what one base more makes, as nearly as that goes; else there would be a comb.
        self.bins = 50 if length >= 500 else 20
        self.count = np.zeros(self.classes, np.int64)
        self.gc = np.zeros((self.classes, self.bins), np.int64)
        self.unknown = np.zeros(length + 1, np.int64)
        self.gc_total, self.with_gc = 0.0, 0

    def add(self, x: NDArray[np.uint8], y: NDArray[np.float32], measured: NDArray[np.bool_]) -> None:
        unknown = np.count_nonzero(x == UNKNOWN, axis=1)
        strong = np.count_nonzero((x == 1) | (x == 2), axis=1)
        self.unknown += np.bincount(unknown, minlength=len(self.unknown))
        group = self._class(y, measured)
        self.count += np.bincount(group, minlength=self.classes)
        with_known = unknown < x.shape[1]
        strong, known, group = strong[with_known], (x.shape[1] - unknown)[with_known], group[with_known]
        # In whole numbers: a content on the edge of two bins belongs to the upper one, without rounding.
        place = np.minimum(strong * self.bins // known, self.bins - 1)
        self.gc += np.bincount(group * self.bins + place, minlength=self.gc.size).reshape(self.gc.shape)
        self.gc_total, self.with_gc = self.gc_total + float((strong / known).sum()), self.with_gc + len(known)

    def _class(self, y: NDArray[np.float32], measured: NDArray[np.bool_]) -> NDArray[np.int64]:
        if not self.binary:
            return np.zeros(len(y), np.int64)
        return np.where((y > 0).any(axis=(1, 2)), 0, np.where(measured.any(axis=(1, 2)), 1, 2))

    def distributions(self, contents: _Contents) -> Iterator[Row]:
        edges = np.arange(self.bins + 1) / self.bins
        for name, count, gc in zip(contents.classes, self.count, self.gc, strict=True):
            if name == "unmeasured" and not count:
                continue
            yield {"part": "rows", "class": name, "value": int(count)}
            yield from (
                {"part": "gc", "class": name, "start": float(start), "end": float(end), "value": int(value)}
                for start, end, value in zip(edges[:-1], edges[1:], gc, strict=True)
            )
        yield from _quantiles("unknown", Sketch(np.arange(len(self.unknown)), self.unknown))


class _Labels:
    """Labels of each target."""

    def __init__(self, contents: _Contents):
        targets = len(contents.targets)
        self.binary, self.compared = contents.binary, contents.compared
        self.size = 0
        self.total = np.zeros(targets)
        self.masked, self.not_finite = np.zeros(targets, np.int64), np.zeros(targets, np.int64)
        self.positives: dict[int, int] = {}
        self.sketches: list[Sketch] = []
        self._counts = None if self.binary else Sketch.counts(len(self.compared))

    def add(self, y: NDArray[np.float32], measured: NDArray[np.bool_], mask: NDArray[np.bool_]) -> None:
        self.size += y.shape[0] * y.shape[1]
        self.total += y.sum(axis=(0, 1), dtype=np.float64)
        self.masked += np.count_nonzero(~mask, axis=(0, 1))
        self.not_finite += np.count_nonzero(mask & ~measured, axis=(0, 1))
        if self.binary:
            for number, rows in zip(*np.unique((y > 0).sum(axis=(1, 2)), return_counts=True), strict=True):
                self.positives[int(number)] = self.positives.get(int(number), 0) + int(rows)
        else:
            for number, target in enumerate(self.compared):
                Sketch.add(self._counts[number], y[..., target][measured[..., target]])

    def close(self) -> None:
        """Keep of the counts those that are not zero."""
        if self._counts is not None:
            self.sketches, self._counts = [Sketch.of(counts) for counts in self._counts], None

    @property
    def measured(self) -> NDArray[np.int64]:
        """Return how many labels of each target have a value."""
        return self.size - self.masked - self.not_finite

    def of_binary(self, contents: _Contents) -> Iterator[Row]:
        if len(contents.targets) > 1:
            yield from (
                {"part": "positives", "start": number, "end": number, "value": rows}
                for number, rows in sorted(self.positives.items())
            )
        for target, total, count in zip(contents.targets, self.total, self.measured, strict=True):
            fraction = float(total / count) if count else None
            yield {"part": "fraction", "target": target, "value": fraction, "n": int(count)}

    def of_real(self, contents: _Contents, edges: NDArray[np.float64]) -> Iterator[Row]:
        for column, sketch in zip(self.compared, self.sketches, strict=True):
            target = {"target": contents.targets[column]}
            yield from (row | target for row in _quantiles("quantile", sketch))
            yield from (
                {"part": "histogram", "start": start, "end": end, "value": count} | target
                for start, end, count in histogram(sketch, edges)
            )


def _quantiles(part: str, sketch: Sketch) -> Iterator[Row]:
    for level, value in zip(LEVELS, sketch.quantiles(LEVELS), strict=True):
        yield {"part": part, "name": f"{level:g}", "value": value, "n": sketch.size}


@dataclass
class _Seen:
    """What was seen of a split."""

    dropped: int
    rows: _Rows
    labels: _Labels
    in_train: int | None = None

    def scalars(self, targets: Sequence[str]) -> Iterator[Row]:
        rows, labels = self.rows, self.labels
        found = {
            "sequences": int(rows.count.sum()),
            "dropped_sequences": self.dropped,
            "gc_content": rows.gc_total / rows.with_gc if rows.with_gc else None,
            "unknown_bases": int((rows.unknown * np.arange(len(rows.unknown))).sum()),
            "without_known_base": int(rows.unknown[-1]),
            "unmeasured_labels": int(labels.masked.sum()),
            "labels_not_finite": int(labels.not_finite.sum()),
        }
        if self.in_train is not None:
            found["sequences_in_train"] = self.in_train
        yield from ({"target": "all", "quantity": key, "value": value} for key, value in found.items())
        count = labels.measured
        means = np.divide(labels.total, count, out=np.full(len(targets), np.nan), where=count > 0)
        quantity, values = ("positives", labels.total) if labels.binary else ("mean", means)
        for name, column in ((quantity, values), ("masked_fraction", labels.masked / max(labels.size, 1))):
            yield from (
                {"target": target, "quantity": name, "value": None if np.isnan(value) else float(value)}
                for target, value in zip(targets, column, strict=True)
            )


class _Pairs:
    """Sums over the values where both targets of a pair are measured; [i, j] is of target i where j is measured too."""

    def __init__(self, contents: _Contents):
        size = len(contents.compared)
        self.binary = contents.binary
        # Values are counted from the first one of their target, so that little is lost where their spread is small
        # beside them; labels 0 and 1 are summed exactly as they are.
        self.origin = np.full(size, 0.0 if contents.binary else np.nan)
        self.count, self.total, self.squares, self.products = np.zeros((4, size, size))

    def add(self, y: NDArray[np.float32], measured: NDArray[np.bool_]) -> None:
        self._find_origin(y, measured)
        values = np.where(measured, y - np.nan_to_num(self.origin), 0.0)
        self.products += values.T @ values
        if measured.all():
            self.count += len(y)
            self.total += values.sum(axis=0)[:, None]
            self.squares += np.square(values).sum(axis=0)[:, None]
        else:
            both = measured.astype(np.float64)
            self.count += both.T @ both
            self.total += values.T @ both
            self.squares += np.square(values).T @ both

    def _find_origin(self, y: NDArray[np.float32], measured: NDArray[np.bool_]) -> None:
        new = np.isnan(self.origin) & measured.any(axis=0)
        self.origin[new] = y[measured.argmax(axis=0)[new], new]

    def correlations(self) -> NDArray[np.float64]:
        """Return Pearson's correlation of each pair, NaN where a target does not vary."""
        with np.errstate(invalid="ignore", divide="ignore"):
            squares = self.squares - self.total**2 / self.count
            varies = squares > NOTHING * self.squares
            both = np.where(varies & varies.T, squares * squares.T, np.nan)
            found = (self.products - self.total * self.total.T / self.count) / np.sqrt(both)
        return np.clip(found, -1, 1)

    def distributions(self, contents: _Contents) -> Iterator[Row]:
        # Six digits: beyond them, sums in another order (as of another number of threads) differ.
        correlations = self.correlations().round(6)
        for i, j in zip(*np.triu_indices(len(contents.compared), 1), strict=True):
            names = {"target": contents.targets[contents.compared[i]], "other": contents.targets[contents.compared[j]]}
            value = None if np.isnan(correlations[i, j]) else float(correlations[i, j])
            yield {"part": "correlation", "split": "all", **names, "value": value, "n": int(self.count[i, j])}
