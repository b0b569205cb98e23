"""Files over shards: arrays that copy nothing, and what tells whether a shard is still what it was.

A file over shards has the group `shards`: `file` (paths from its own folder), `content` (checksums of what is in them,
empty where a file has none), `bytes` (their sizes) and, where rows are shared out, `rows` (how many each has).
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from cisflow.errors import CisflowError
from cisflow.io import VDS_PREFIX, h5_reader


@dataclass(frozen=True)
class Piece:
    """A part of a virtual array: where it goes, and the array of a file that it is.

    Attributes
    ----------
    place
        Index into the virtual array.
    path, key
        The file, and its array there.
    shape
        Of that array.
    rows
        Which of its rows are taken; by default all.
    """

    place: Any
    path: Path
    key: str
    shape: tuple[int, ...]
    rows: slice | None = None


def rows_of(shard: int, shards: int, regions: int) -> tuple[int, int]:
    """Return first and last (exclusive) region of a shard; shards differ by a region at most.

    Raises
    ------
    CisflowError
        There is no such shard, or there are fewer regions than shards.
    """
    if not 0 <= shard < shards <= regions:
        raise CisflowError(
            f"shard {shard} of {shards}: it is from 0, and {regions} regions make as many shards at most."
        )
    return regions * shard // shards, regions * (shard + 1) // shards


def put_virtual(
    group: h5py.Group,
    key: str,
    shape: tuple[int, ...],
    kind: np.dtype | type,
    pieces: Iterable[Piece],
    folder: Path,
    empty: Any = 0,
) -> h5py.Dataset:
    """Make an array over arrays of other files, which it names by paths from its own folder.

    Parameters
    ----------
    group, key, shape, kind
        Where it goes, and what it is.
    pieces
        What it is made of.
    folder
        That of the file of `group`, once it has its name.
    empty
        What it has where there is no piece.
    """
    layout = h5py.VirtualLayout(shape, kind)
    # As h5py does for every other dataset: the time of writing would make the same array other bytes.
    layout.dcpl.set_obj_track_times(False)
    for piece in pieces:
        source = h5py.VirtualSource(os.path.relpath(piece.path, folder), piece.key, piece.shape, kind)
        layout[piece.place] = source if piece.rows is None else source[piece.rows]
    return group.create_virtual_dataset(key, layout, fillvalue=empty)


def put_shards(
    h5: h5py.Group, paths: Sequence[Path], contents: Sequence[str], folder: Path, rows: Sequence[int] | None = None
) -> None:
    """Write the group `shards` of a file in `folder`; `contents` are the attributes `content` of the shards."""
    h5["shards/file"] = np.array([os.path.relpath(path, folder).encode() for path in paths])
    h5["shards/content"] = np.array([content.encode() for content in contents])
    h5["shards/bytes"] = np.array([path.stat().st_size for path in paths])
    if rows is not None:
        h5["shards/rows"] = np.array(rows)


def check_shards(path: Path, shards: h5py.Group, schema: str | None, makers: tuple[str, str]) -> None:
    """Check that the files that a file over shards needs are there and are what they were.

    Parameters
    ----------
    path
        The file over shards.
    shards
        Its group of that name.
    schema
        That of all shards; None for any.
    makers
        The rules that make a shard, and the file over them, for messages.

    Raises
    ------
    CisflowError
        They are not, or HDF5 would look for them elsewhere; it would itself show a missing one as empty values.
    """
    if os.environ.get(VDS_PREFIX):
        raise CisflowError(f"{VDS_PREFIX} is set, so that HDF5 would look for shards elsewhere; unset it.")
    for name, content, size in zip(*(shards[key][:] for key in ("file", "content", "bytes")), strict=True):
        shard = Path(os.path.normpath(path.parent / name.decode()))
        if not shard.is_file():
            raise CisflowError(
                f"{shard}: there is no such file, and {path} needs it. Move them together, or run '{makers[0]}' again."
            )
        with h5_reader(shard, schema) as h5:
            if shard.stat().st_size != size or h5.attrs.get("content", "") != content.decode():
                raise CisflowError(f"{shard}: it has changed since {path} was made over it. Run '{makers[1]}' again.")
