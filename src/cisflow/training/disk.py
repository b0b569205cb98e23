"""Arrays of HDF5 files that stay on disk: rows are read when they are asked for."""

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from cisflow.errors import CisflowError
from cisflow.io import h5_reader


class OnDisk:
    """An array of an HDF5 file, possibly virtual over other files, whose first axis is the row.

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
        _check_sources(self.path, name)
        # It stays open until nobody needs the array any more; HDF5 keeps the files of a virtual one open with it.
        self._array = h5py.File(path, "r")[name]
        self.shape, self.dtype, self.ndim = self._array.shape, self._array.dtype, self._array.ndim

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | tuple | NDArray[np.int64]) -> NDArray:
        """Return a slice as h5py takes it, or rows by their numbers in any order."""
        if not isinstance(rows, np.ndarray):
            return self._array[rows]
        found = np.empty((len(rows), *self.shape[1:]), self.dtype)
        for place, row in enumerate(rows):
            self._array.read_direct(found, np.s_[row], np.s_[place])
        return found


def _check_sources(path: Path, name: str) -> None:
    """Refuse an array whose files, or theirs, are not there or not whole."""
    for source, inner in _sources(path, name):
        if not source.is_file():
            raise CisflowError(f"{path}: '{name}' is made of files of which one is missing: {source}. Make it again.")
        _check_sources(source, inner)


def _sources(path: Path, name: str) -> Iterator[tuple[Path, str]]:
    """Yield the files and arrays that a virtual array is made of, each once."""
    with h5_reader(path) as h5:
        array = h5[name]
        found = {(part.file_name, part.dset_name) for part in array.virtual_sources()} if array.is_virtual else ()
    for file, inner in sorted(found):
        yield (path if file == "." else path.parent / file), inner
