"""Arrays of MATLAB 5 files (`save -v6`, `-v7`, and `scipy.io.savemat`), without ever holding one in memory.

Format: MathWorks, "MAT-File Level 5 File Format". A file is a header of 128 bytes and one element for each variable; an
element is a tag (type, bytes) and its data. A compressed element is a zlib stream that holds another element. MATLAB
counts the first axis fastest, so the bytes of an array of (n, 4, length) are those of a C array of (length, 4, n): the
layout in which MATLAB 7.3 saves the same variable as HDF5, and in which it is unpacked here.
"""

import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import h5py
import numpy as np

from cisflow.errors import CisflowError

BLOCK = 1 << 22  # bytes inflated and written at a time
HEADER = 128
MATRIX, COMPRESSED = 14, 15
# How the numbers of an array may be stored, by type of element.
TYPES = {1: "i1", 2: "u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<f4", 9: "<f8", 12: "<i8", 13: "<u8"}
NUMERIC_CLASSES = range(6, 16)  # double to uint64; the others are text, cells, structures, sparse matrices, objects
COMPLEX = 0x0800


def is_mat5(path: str | Path) -> bool:
    """Return whether a file is called '.mat' and begins as MATLAB 5 files of little-endian machines do."""
    path = Path(path)
    if path.suffix != ".mat" or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(HEADER)[124:] == b"\x00\x01IM"


def unpack(path: str | Path, h5: h5py.File) -> None:
    """Copy every array of real numbers to an HDF5 file: same name, axes reversed, as MATLAB 7.3 has them.

    Parameters
    ----------
    path
        The MATLAB 5 file. Variables that are not arrays of real numbers are left out.
    h5
        Where they go. The memory needed is a few times BLOCK, or one step of MATLAB's last axis if that is more.

    Raises
    ------
    CisflowError
        The file is truncated or damaged.
    """
    try:
        with Path(path).open("rb") as file:
            for stream in _variables(file):
                _unpack_variable(stream, h5)
                stream.finish()
    except (EOFError, ValueError, KeyError, struct.error, zlib.error) as error:
        raise CisflowError(f"{path}: the MATLAB file is truncated or damaged ({error}). Fetch it again.") from error


class _Stream:
    """The bytes of one variable, inflated as they are asked for."""

    def __init__(self, file: BinaryIO, size: int, compressed: bool):
        self._file, self._left = file, size
        self._inflater = zlib.decompressobj() if compressed else None

    def read(self, count: int) -> bytes:
        """Return the next `count` bytes; EOFError if there are fewer."""
        parts = []
        while count:
            part = self._raw(count) if self._inflater is None else self._inflated(count)
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def finish(self) -> None:
        """Inflate what is left, since the checksum comes last."""
        while self._inflater is not None and not self._inflater.eof:
            self._inflated(BLOCK)

    def _raw(self, count: int) -> bytes:
        part = self._file.read(min(count, self._left))
        if not part:
            raise EOFError("it ends within an array")
        self._left -= len(part)
        return part

    def _inflated(self, count: int) -> bytes:
        if self._inflater.eof:
            raise EOFError("a compressed array is shorter than it says")
        # What was read before may still give output, even where no byte of it is left over.
        part = self._inflater.decompress(self._inflater.unconsumed_tail, count)
        return part if part or self._inflater.eof else self._inflater.decompress(self._raw(BLOCK), count)


def _variables(file: BinaryIO) -> Iterator[_Stream]:
    """Yield each variable's bytes, from its dimensions on."""
    file.seek(HEADER)
    while tag := file.read(8):
        kind, size = struct.unpack("<II", tag)
        end = file.tell() + size
        stream = _Stream(file, size, kind == COMPRESSED)
        if kind == COMPRESSED:
            kind, _ = struct.unpack("<II", stream.read(8))
        if kind == MATRIX:
            yield stream
        file.seek(end)


def _unpack_variable(stream: _Stream, h5: h5py.File) -> None:
    flags = int(np.frombuffer(_element(stream), "<u4")[0])
    shape = np.frombuffer(_element(stream), "<i4")
    name = _element(stream).decode("latin-1")
    if flags & 0xFF not in NUMERIC_CLASSES or flags & COMPLEX or not name:
        return
    kind, size, small = _tag(stream)
    dtype = np.dtype(TYPES[kind])
    if size != math.prod(shape.tolist()) * dtype.itemsize:
        raise ValueError(f"'{name}' has {size:,} bytes, which do not fit its shape {tuple(shape.tolist())}")
    array = h5.create_dataset(name, tuple(shape[::-1].tolist()), dtype)
    if array.size:
        _copy(stream, array, small)


def _copy(stream: _Stream, array: h5py.Dataset, small: bytes | None) -> None:
    """Fill an array in the order of its bytes, some whole steps of its first axis at a time."""
    step = array.nbytes // len(array)
    for start in range(0, len(array), rows := max(1, BLOCK // step)):
        count = min(rows, len(array) - start)
        data = stream.read(count * step) if small is None else small
        array[start : start + count] = np.frombuffer(data, array.dtype).reshape(count, *array.shape[1:])


def _tag(stream: _Stream) -> tuple[int, int, bytes | None]:
    """Return type and bytes of the next element, and its data if they are small enough to stand in the tag."""
    tag = stream.read(8)
    kind, size = struct.unpack("<II", tag)
    if kind >> 16:
        kind, size = kind & 0xFFFF, kind >> 16
        return kind, size, tag[4 : 4 + size]
    return kind, size, None


def _element(stream: _Stream) -> bytes:
    """Return the data of the next element, which is padded to eight bytes."""
    _, size, small = _tag(stream)
    return stream.read(-(-size // 8) * 8)[:size] if small is None else small
