"""Data sets from HDF5 files of other makers: the papers' files, and users' own."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from cisflow.datasets.store import SPLITS, Split
from cisflow.errors import CisflowError
from cisflow.io import h5_reader
from cisflow.sequence import ALPHABET, UNKNOWN, encode, reverse_complement

# Rows converted at a time.
BLOCK = 4096


def read_hdf5(
    path: str | Path,
    keys: Mapping[str, str],
    channels: str = ALPHABET,
    kind: str = "binary",
    flip: Sequence[str] = (),
) -> dict[str, Split]:
    """Read sequences and labels, and check every value.

    Parameters
    ----------
    path
        The file. Sequences are one-hot, (n, 4, length) or (n, length, 4) with any axes of length 1 besides, or base
        indices (n, length), or text (n,); labels are (n,) or (n, targets).
    keys
        Names of the arrays `x` and `y`, with '{split}' for train, valid and test.
    channels
        Order of the four channels of one-hot sequences.
    kind
        'binary' (labels must be 0 or 1) or 'real' (they must be finite).
    flip
        Splits to which the reverse complement of every row is appended, after all rows.

    Raises
    ------
    CisflowError
        An array is missing, empty, of another shape or type than said, or has a value that is not allowed.
    """
    with h5_reader(path) as h5:
        splits = {split: _read_split(h5, split, keys, channels, kind) for split in SPLITS}
    _same_shape(path, splits)
    return {name: _with_other_strand(split) if name in flip else split for name, split in splits.items()}


def _read_split(h5: h5py.File, split: str, keys: Mapping[str, str], channels: str, kind: str) -> Split:
    x = _sequences(_array(h5, keys["x"].format(split=split), "biufOS"), channels)
    y = _labels(_array(h5, keys["y"].format(split=split), "biuf"), kind)
    if len(x) != len(y):
        raise CisflowError(f"{h5.filename}: the split '{split}' has {len(x)} sequences and {len(y)} rows of labels.")
    names = np.char.add(f"{split}-", np.arange(len(x)).astype(str)).astype(np.bytes_)
    return Split(x, y, names)


def _kind(item: h5py.Dataset | h5py.Group) -> str:
    return f"an array of type {item.dtype}" if isinstance(item, h5py.Dataset) else "a group, not an array"


def _array(h5: h5py.File, key: str, kinds: str) -> h5py.Dataset:
    if key not in h5:
        raise CisflowError(
            f"{h5.filename}: there is no array '{key}'. There are: {', '.join(_arrays(h5)) or 'none'}. "
            "Name the arrays of the file with 'keys: {x: ..., y: ...}' in the task's dataset."
        )
    array = h5[key]
    if not isinstance(array, h5py.Dataset) or array.dtype.kind not in kinds:
        raise CisflowError(
            f"{h5.filename}: '{key}' is {_kind(array)}, and {'text or ' * ('O' in kinds)}numbers are needed."
        )
    if not array.shape or not array.shape[0]:
        raise CisflowError(f"{h5.filename}: '{key}' is empty.")
    return array


def _arrays(h5: h5py.File) -> list[str]:
    found: list[str] = []
    h5.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
    return found


def _sequences(array: h5py.Dataset, channels: str) -> NDArray[np.uint8]:
    """Return base indices (n, length), converted block by block so that the floats are never in memory together."""
    where = f"{array.file.filename}: '{array.name.lstrip('/')}'"
    blocks = ((start, array[start : start + BLOCK]) for start in range(0, len(array), BLOCK))
    return np.concatenate([_block(values, channels, where, start) for start, values in blocks])


def _block(values: NDArray, channels: str, where: str, start: int) -> NDArray[np.uint8]:
    if values.dtype.kind in "OS":
        return _from_text(values, where, start)
    shape = (len(values), *(size for size in values.shape[1:] if size != 1))
    values = values.reshape(shape)
    if values.ndim == 2:
        return _indices(values, where)
    axes = [axis for axis in (1, 2) if values.ndim == 3 and values.shape[axis] == 4]
    if len(axes) != 1:
        raise CisflowError(
            f"{where} has rows of the shape {values.shape[1:]}; one-hot sequences have (4, length) or (length, 4), "
            "base indices (length,), and text is one string a row."
        )
    return _from_one_hot(np.moveaxis(values, axes[0], 2), channels, where, start)


def _from_text(values: NDArray, where: str, start: int) -> NDArray[np.uint8]:
    texts = [value.decode() if isinstance(value, bytes) else value for value in values.ravel()]
    rows = [encode(text, f"{where}, row {start + number}") for number, text in enumerate(texts)]
    lengths = {len(row) for row in rows}
    if len(lengths) > 1:
        raise CisflowError(
            f"{where}: sequences of unequal length, from {min(lengths)} to {max(lengths)} bases; make them one length."
        )
    return np.stack(rows)


def _indices(values: NDArray, where: str) -> NDArray[np.uint8]:
    if values.dtype.kind not in "iu" or values.min() < 0 or values.max() > UNKNOWN:
        raise CisflowError(f"{where}: base indices must be integers from 0 to 4 (A, C, G, T, unknown).")
    return values.astype(np.uint8)


def _from_one_hot(values: NDArray, channels: str, where: str, start: int) -> NDArray[np.uint8]:
    """Return base indices of (n, length, 4); an unknown base is all zeros, or all equal (0.25)."""
    known = (np.sort(values, axis=2) == [0, 0, 0, 1]).all(axis=2)
    unknown = (values == values[:, :, :1]).all(axis=2) & np.isin(values[:, :, 0], (0, 0.25))
    wrong = np.argwhere(~(known | unknown))
    if wrong.size:
        row, position = wrong[0]
        raise CisflowError(
            f"{where}: row {start + row}, position {position} has the values {values[row, position].tolist()}, which "
            "is neither a one-hot base nor an unknown one."
        )
    order = np.array([ALPHABET.index(base) for base in channels], np.uint8)
    return np.where(known, order[values.argmax(axis=2)], np.uint8(UNKNOWN)).astype(np.uint8)


def _labels(array: h5py.Dataset, kind: str) -> NDArray[np.float32]:
    where = f"{array.file.filename}: '{array.name.lstrip('/')}'"
    values = array[:].astype(np.float64)
    values = values.reshape(len(values), -1)
    allowed = np.isin(values, (0, 1)) if kind == "binary" else np.isfinite(values)
    wrong = np.argwhere(~allowed)
    if wrong.size:
        row, column = wrong[0]
        need = "0 or 1 (for numbers say 'target: real')" if kind == "binary" else "finite"
        raise CisflowError(
            f"{where}: the label in row {row}, column {column} is {values[row, column]:g} and must be {need} "
            f"({len(wrong)} such labels in all)."
        )
    return values.astype(np.float32)


def _same_shape(path: str | Path, splits: Mapping[str, Split]) -> None:
    for what, sizes in (
        ("sequence lengths", {name: split.x.shape[1] for name, split in splits.items()}),
        ("numbers of targets", {name: split.y.shape[1] for name, split in splits.items()}),
    ):
        if len(set(sizes.values())) > 1:
            raise CisflowError(f"{path}: the splits have unequal {what}: {json.dumps(sizes)}.")


def _with_other_strand(split: Split) -> Split:
    return Split(
        np.concatenate([split.x, reverse_complement(split.x)]),
        np.concatenate([split.y, split.y]),
        np.concatenate([split.id, np.char.add(split.id, b"-rc")]),
    )
