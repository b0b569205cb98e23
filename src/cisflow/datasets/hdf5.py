"""Data sets from HDF5 and MATLAB files of other makers: the papers' files, and users' own.

Rows pass through in blocks, so that the memory needed does not depend on their number.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

import h5py
import numpy as np
from numpy.typing import NDArray

from cisflow.datasets.mat5 import is_mat5, unpack
from cisflow.datasets.store import SPLITS, Split, Stream
from cisflow.errors import CisflowError
from cisflow.io import check_written, h5_reader
from cisflow.sequence import ALPHABET, UNKNOWN, encode

# A block has at most so many rows and so many bytes in the file. It is large because MATLAB stores the rows of a file
# beside each other in compressed chunks, which are inflated anew for every block that touches them.
BLOCK_ROWS, BLOCK_BYTES = 1 << 15, 1 << 27
# Rows converted at a time.
PIECE = 2048
# Base indices count from 1 where A is a smaller part of the known bases, and unknown bases a larger one of all: no
# genome has so little A.
FEW = 0.01


@dataclass(frozen=True)
class Layout:
    """How the arrays of a file are to be read; keys of a task's `dataset`.

    Attributes
    ----------
    keys
        Names of the arrays `x` and `y`, with '{split}' for train, valid and test.
    channels
        Order of the four channels of one-hot sequences.
    target
        'binary' (labels must be 0 or 1) or 'real' (they must be finite).
    columns
        The columns of the labels that are taken, counted from 0, in this order; all if empty.
    keep
        'all' rows, or those with 'any_positive' label among the columns taken.
    reverse_complement
        Splits to which the reverse complement of every row is appended, after all rows.
    """

    keys: Mapping[str, str]
    channels: str = ALPHABET
    target: str = "binary"
    columns: Sequence[int] = ()
    keep: str = "all"
    reverse_complement: Sequence[str] = ()


@contextmanager
def open_hdf5(files: Sequence[str | Path], layout: Layout, scratch: str | Path = ".") -> Iterator[dict[str, Stream]]:
    """Open the splits; sequences and labels are read and checked when their blocks are asked for.

    Parameters
    ----------
    files
        The file, or the files of train, valid and test: HDF5, or MATLAB if the name ends in '.mat'. Sequences are
        one-hot, (n, 4, length) or (n, length, 4) with any axes of length 1 besides, or base indices (n, length), or
        text (n,); labels are (n,) or (n, targets). MATLAB's arrays are meant as MATLAB shows them.
    layout
        How they are to be read.
    scratch
        Folder for the arrays of MATLAB 5 files, which have to be unpacked; nothing is left there.

    Raises
    ------
    CisflowError
        An array is missing, empty, of another shape or type than said; or, when the blocks are read, has a value that
        is not allowed.
    """
    with ExitStack() as stack:
        opened = [stack.enter_context(_open(Path(file), Path(scratch))) for file in files]
        opened = opened * len(SPLITS) if len(opened) == 1 else opened
        splits = {name: _Rows(name, h5, layout) for name, h5 in zip(SPLITS, opened, strict=True)}
        _same_shape(files, splits)
        yield {name: rows.stream() for name, rows in splits.items()}


@dataclass(frozen=True)
class _File:
    """An open file, by the name that the user knows, and whether its axes are MATLAB's."""

    path: Path
    h5: h5py.File
    matlab: bool


@contextmanager
def _open(path: Path, scratch: Path) -> Iterator[_File]:
    if is_mat5(path):
        scratch.mkdir(parents=True, exist_ok=True)
        # A file without a name is gone with the process, however it ends.
        with TemporaryFile(dir=scratch) as unnamed, h5py.File(unnamed, "w") as h5:
            unpack(path, h5)
            yield _File(path, h5, True)
    else:
        with h5_reader(path) as h5:
            yield _File(path, h5, path.suffix == ".mat")


class _Array:
    """An array of a file, rows first."""

    def __init__(self, file: _File, key: str, kinds: str):
        array = file.h5.get(key)
        self.where = f"{file.path}: '{key}'"
        if array is None:
            raise CisflowError(
                f"{file.path}: there is no array '{key}'. There are: {', '.join(_names(file.h5)) or 'none'}. "
                "Name the arrays of the file with 'keys: {x: ..., y: ...}' in the task's dataset."
            )
        if not isinstance(array, h5py.Dataset) or array.dtype.kind not in kinds:
            raise CisflowError(f"{self.where} is {_kind(array)}, and {'text or ' * ('O' in kinds)}numbers are needed.")
        check_written(array)
        self._array, self._matlab = array, file.matlab
        axes = slice(None, None, -1 if file.matlab else 1)
        self.shape, self.chunk = array.shape[axes], (array.chunks or (1,))[axes][0]
        if not self.shape or not self.shape[0]:
            raise CisflowError(f"{self.where} is empty.")
        self.row_bytes = array.dtype.itemsize * int(np.prod(self.shape[1:]))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> NDArray:
        return self._array[..., rows].T if self._matlab else self._array[rows]

    @property
    def is_one_hot(self) -> bool:
        """Whether it has four channels."""
        return self._array.dtype.kind not in "OS" and len(_row_shape(self.shape)) > 1

    def length(self) -> int:
        """Return the length of its sequences, in bases."""
        if self._array.dtype.kind in "OS":
            return len(self[:1].ravel()[0])
        shape = _row_shape(self.shape)
        if len(shape) == 1:
            return shape[0]
        if len(shape) == 2 and shape.count(4) == 1:
            return shape[1 - shape.index(4)]
        raise CisflowError(
            f"{self.where} has rows of the shape {shape}; one-hot sequences have (4, length) or (length, 4), "
            "base indices (length,), and text is one string a row."
        )


def sequence_length(path: Path, key: str) -> int:
    """Return the length, in bases, of the sequences of an array of an HDF5 file.

    Raises
    ------
    CisflowError
        The file cannot be read, or the array is not one of sequences.
    """
    with h5_reader(path) as h5:
        return _Array(_File(path, h5, path.suffix == ".mat"), key, "biufOS").length()


def _names(h5: h5py.File) -> list[str]:
    found: list[str] = []
    h5.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
    return found


def _kind(item: h5py.Dataset | h5py.Group) -> str:
    return f"an array of type {item.dtype}" if isinstance(item, h5py.Dataset) else "a group, not an array"


def _row_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape[1:] if size != 1)


class _Rows:
    """The rows of one split: sequences, labels, and which of them are wanted."""

    def __init__(self, name: str, file: _File, layout: Layout):
        self.name, self.layout = name, layout
        self.x = _Array(file, layout.keys["x"].format(split=name), "biufOS")
        self.y = _Array(file, layout.keys["y"].format(split=name), "biuf")
        if len(self.x) != len(self.y):
            raise CisflowError(
                f"{file.path}: the split '{name}' has {len(self.x)} sequences and {len(self.y)} rows of labels."
            )
        if len(_row_shape(self.y.shape)) > 1:
            raise CisflowError(
                f"{self.y.where} has rows of the shape {self.y.shape[1:]}; labels are (n,) or (n, targets)."
            )
        self._bases = np.zeros(UNKNOWN + 1, np.int64)
        if layout.channels != ALPHABET and not self.x.is_one_hot:
            raise CisflowError(
                f"{self.x.where}: dataset.channels is the order of one-hot channels, and there are none; leave it out."
            )
        self.length, columns = self.x.length(), int(np.prod(self.y.shape[1:]))
        if not self.length:
            raise CisflowError(f"{self.x.where}: its sequences have no bases.")
        if layout.columns and max(layout.columns) >= columns:
            raise CisflowError(
                f"{self.y.where} has {columns} columns, 0 to {columns - 1}, and dataset.columns asks for "
                f"{max(layout.columns)}."
            )
        self.targets = len(layout.columns) or columns

    def stream(self) -> Stream:
        """Return the split's size and blocks; labels are read twice where they decide which rows are kept."""
        kept = len(self.y)
        if self.layout.keep != "all":
            kept = sum(int(self._wanted(self._labels(block)).sum()) for block in self._blocks())
        if not kept:
            raise CisflowError(f"{self.y.where}: no row has a positive label among dataset.columns.")
        other_strand = self.name in self.layout.reverse_complement
        return Stream(kept, self.length, self.targets, self._converted(), other_strand, dropped=len(self.y) - kept)

    def _blocks(self) -> Iterator[slice]:
        rows = min(BLOCK_ROWS, max(1, BLOCK_BYTES // (self.x.row_bytes + self.y.row_bytes)))
        rows = rows // self.x.chunk * self.x.chunk or rows
        return (slice(start, min(start + rows, len(self.x))) for start in range(0, len(self.x), rows))

    def _converted(self) -> Iterator[Split]:
        for block in self._blocks():
            yield from self._convert(block)
            self._check_bases()

    def _convert(self, block: slice) -> Iterator[Split]:
        y = self._labels(block)
        wanted = np.flatnonzero(self._wanted(y))
        x = self.x[block] if wanted.size else None
        for start in range(0, wanted.size, PIECE):
            chosen = wanted[start : start + PIECE]
            numbers = block.start + chosen
            names = np.char.add(f"{self.name}-", numbers.astype(str)).astype(np.bytes_)
            yield Split(self._sequences(x[chosen], numbers), y[chosen], names)

    def _wanted(self, y: NDArray) -> NDArray[np.bool_]:
        return (y > 0).any(axis=1) if self.layout.keep == "any_positive" else np.ones(len(y), bool)

    def _labels(self, block: slice) -> NDArray[np.float32]:
        values = self.y[block].reshape(block.stop - block.start, -1)
        values = values[:, list(self.layout.columns) or slice(None)].astype(np.float64)
        binary = self.layout.target == "binary"
        wrong = np.argwhere(~(np.isin(values, (0, 1)) if binary else np.isfinite(values)))
        if wrong.size:
            row, column = wrong[0]
            number = self.layout.columns[column] if self.layout.columns else column
            need = "0 or 1 (for numbers say 'target: real')" if binary else "finite"
            raise CisflowError(
                f"{self.y.where}: the label in row {block.start + row}, column {number} is {values[row, column]:g} and "
                f"must be {need} ({len(wrong)} such labels in rows {block.start} to {block.stop - 1})."
            )
        return values.astype(np.float32)

    def _sequences(self, values: NDArray, numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return base indices (n, length) of rows of these numbers in the file."""
        if values.dtype.kind in "OS":
            return _from_text(values, self.length, self.x.where, numbers)
        values = values.reshape(len(values), *_row_shape(values.shape))
        if values.ndim == 2:
            x = _indices(values, self.x.where, numbers)
            self._bases += np.bincount(x.ravel(), minlength=len(self._bases))
            return x
        values = values if values.shape[2] == 4 else values.transpose(0, 2, 1)
        return _from_one_hot(values, self.layout.channels, self.x.where, numbers)

    def _check_bases(self) -> None:
        """Refuse base indices that count from 1: A would be read as C, and T as unknown."""
        known, unknown = int(self._bases[:UNKNOWN].sum()), int(self._bases[UNKNOWN])
        if known and unknown > FEW * (known + unknown) and self._bases[0] < FEW * known:
            raise CisflowError(
                f"{self.x.where}: {unknown / (known + unknown):.1%} of its bases are 4 (unknown), and "
                f"{self._bases[0] / known:.1%} of the others 0 (A). They seem to be 1 to 4 for A, C, G and T, as in "
                "MATLAB and R. Write 0 to 3 for A, C, G and T, and 4 for an unknown base."
            )


def _from_text(values: NDArray, length: int, where: str, numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
    # Another encoding than Latin-1 has other letters, which are named as such.
    texts = [value.decode("latin-1") if isinstance(value, bytes) else value for value in values.ravel()]
    rows = [encode(text, f"{where}, row {number}") for number, text in zip(numbers, texts, strict=True)]
    lengths = {length, *map(len, rows)}
    if len(lengths) > 1:
        raise CisflowError(
            f"{where}: sequences of unequal length, from {min(lengths)} to {max(lengths)} bases; make them one length."
        )
    return np.stack(rows)


def _indices(values: NDArray, where: str, numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
    if values.dtype.kind not in "iu":
        raise CisflowError(f"{where}: base indices must be integers from 0 to 4 (A, C, G, T, unknown).")
    wrong = np.argwhere((values < 0) | (values > UNKNOWN))
    if wrong.size:
        row, position = wrong[0]
        raise CisflowError(
            f"{where}: row {numbers[row]}, position {position} is {values[row, position]}; "
            "base indices are from 0 to 4 (A, C, G, T, unknown)."
        )
    return values.astype(np.uint8)


def _from_one_hot(values: NDArray, channels: str, where: str, numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return base indices of (n, length, 4); an unknown base is all zeros, or all equal (0.25)."""
    ones = values == 1
    known = (ones.sum(axis=2, dtype=np.uint8) == 1) & ((values == 0).sum(axis=2, dtype=np.uint8) == 3)
    unknown = (values == values[:, :, :1]).all(axis=2) & np.isin(values[:, :, 0], (0, 0.25))
    wrong = np.argwhere(~(known | unknown))
    if wrong.size:
        row, position = wrong[0]
        raise CisflowError(
            f"{where}: row {numbers[row]}, position {position} has the values {values[row, position].tolist()}, which "
            "is neither a one-hot base nor an unknown one."
        )
    order = np.array([ALPHABET.index(base) for base in channels], np.uint8)
    return np.where(known, order[ones.argmax(axis=2)], np.uint8(UNKNOWN))


def _same_shape(files: Sequence[str | Path], splits: Mapping[str, _Rows]) -> None:
    for what, sizes in (
        ("sequence lengths", {name: rows.length for name, rows in splits.items()}),
        ("numbers of targets", {name: rows.targets for name, rows in splits.items()}),
    ):
        if len(set(sizes.values())) > 1:
            raise CisflowError(f"{', '.join(map(str, files))}: the splits have unequal {what}: {json.dumps(sizes)}.")
