"""Arrays of HDF5 files that stay on disk: rows are read when they are asked for."""

import os
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from cisflow.errors import CisflowError
from cisflow.io import check_written, h5_reader

# Filters of compressed shards, where they are installed; HDF5 finds them by itself then.
with suppress(ImportError):
    import_module("hdf5plugin")


@dataclass(frozen=True)
class Stretch:
    """Rows `first` to `first + count` of an array, which stand one after another in a file, from a byte on."""

    first: int
    count: int
    path: Path
    offset: int


class OnDisk:
    """An array of an HDF5 file, possibly virtual over other files, whose first axis is the row.

    Where its rows stand in files as they are in memory, which is how shards are written by default, they are read past
    HDF5: that lets one thread read at a time, and several are nearer to a disk's own speed.

    Parameters
    ----------
    path, name
        The file, and the array in it.

    Raises
    ------
    CisflowError
        The file or one that the array is made of is missing or broken. (HDF5 itself would read zeros.)
    """

    def __init__(self, path: str | Path, name: str):
        self.path, self.name = Path(path), name
        with h5_reader(path) as h5:
            check_written(h5[name])
        # It stays open until nobody needs the array any more; HDF5 keeps the files of a virtual one open with it.
        self._array = h5py.File(path, "r")[name]
        self.shape, self.dtype, self.ndim = self._array.shape, self._array.dtype, self._array.ndim
        stretches = _stretches(self.path, name, self.shape[1:], self.dtype)
        self._stretches = sorted(stretches or (), key=lambda stretch: stretch.first)
        whole = sum(stretch.count for stretch in self._stretches) == len(self)
        self._firsts = np.array([stretch.first for stretch in self._stretches]) if whole else None

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | tuple | NDArray[np.int64]) -> NDArray:
        """Return a slice as h5py takes it, or rows by their numbers in any order."""
        if not isinstance(rows, np.ndarray):
            return self._array[rows]
        found = np.empty((len(rows), *self.shape[1:]), self.dtype)
        for place, row in enumerate(rows):
            if self._firsts is None:
                self._array.read_direct(found, np.s_[row], np.s_[place])
            else:
                self._read(int(row), found[place])
        return found

    def _read(self, row: int, into: NDArray) -> None:
        stretch = self._stretches[np.searchsorted(self._firsts, row, side="right") - 1]
        start, left = stretch.offset + (row - stretch.first) * into.nbytes, memoryview(into).cast("B")
        with stretch.path.open("rb", buffering=0) as file:
            while left:
                count = os.preadv(file.fileno(), [left], start)
                if not count:
                    raise CisflowError(f"{stretch.path}: the file ends before its row {row - stretch.first}.")
                start, left = start + count, left[count:]


# First and last place of a block of an array.
Bounds = tuple[tuple[int, ...], tuple[int, ...]]


def _parts(path: Path, name: str) -> list[tuple[Path, str, Bounds | None, Bounds | None]]:
    """Return what a virtual array is made of: file, array, and the block of it here and there, where it is a block."""
    with h5_reader(path) as h5:
        array = h5[name]
        found = []
        for here, file, inner, there in array.virtual_sources() if array.is_virtual else ():
            block = _block(here, array.shape)
            # What is taken whole is as large as its place here.
            shape = () if block is None else tuple(end - start + 1 for start, end in zip(*block, strict=True))
            found.append((path if file == "." else path.parent / file, inner, block, _block(there, shape)))
        return found


def _block(space: h5py.h5s.SpaceID, whole: tuple[int, ...]) -> Bounds | None:
    """Return what is selected of an array, if it is one block; `whole` is the array's shape, for all of it."""
    if space.get_select_type() == h5py.h5s.SEL_ALL:
        return (0,) * len(whole), tuple(size - 1 for size in whole)
    first, last = space.get_select_bounds()
    return (first, last) if space.get_select_npoints() == _size(first, last) else None


def _size(first: tuple[int, ...], last: tuple[int, ...]) -> int:
    return int(np.prod([end - start + 1 for start, end in zip(first, last, strict=True)]))


def _stretches(path: Path, name: str, row: tuple[int, ...], dtype: np.dtype) -> list[Stretch] | None:
    """Return where the rows of an array stand in files; None where they do not stand there as they are in memory."""
    with h5_reader(path) as h5:
        array = h5[name]
        if array.shape[1:] != row or array.dtype != dtype:
            return None
        if not array.is_virtual:
            offset = array.id.get_offset() if array.chunks is None and not array.external else None
            return None if offset is None else [Stretch(0, len(array), path, offset)]
    found: list[Stretch] = []
    for source, inner, here, there in _parts(path, name):
        inside = _stretches(source, inner, row, dtype)
        if inside is None or not (_whole_rows(here, row) and _whole_rows(there, row)):
            return None
        size = int(np.prod(row)) * dtype.itemsize
        first, last = there[0][0], there[1][0] + 1
        for stretch in inside:
            start, end = max(first, stretch.first), min(last, stretch.first + stretch.count)
            if start < end:
                offset = stretch.offset + (start - stretch.first) * size
                found.append(replace(stretch, first=here[0][0] + start - first, count=end - start, offset=offset))
    return found


def _whole_rows(bounds: Bounds | None, row: tuple[int, ...]) -> bool:
    return bounds is not None and (bounds[0][1:], bounds[1][1:]) == ((0,) * len(row), tuple(size - 1 for size in row))
