"""The data-set contract: one HDF5 file with base indices, labels and identities for each split.

`<split>/x` uint8 (n, length), `<split>/y` float32 (n, targets) or (n, bins, targets), `<split>/id` bytes (n,);
optionally `<split>/mask` bool of y's shape, False where a label was not measured, and `<split>/truth` float32
(n, length, 4), the base probabilities from which a synthetic sequence was drawn. x, y and mask are stored contiguous
and uncompressed, so that training can memory-map them. A split's attribute `dropped` is the number of the source's rows
that were left out.

Of embeddings, x is (n, bins, channels), float16, or uint16 with the bits of bfloat16 (its attribute `dtype`), and
`bases` has the sequences; labels of bins are `bins/y` and `bins/mask`. The file's attribute `input` is 'embeddings',
and its group `shards` tells the files that x and other arrays are in (`cisflow.tracks.shards`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from cisflow.io import h5_writer
from cisflow.sequence import reverse_complement
from cisflow.tracks.shards import Piece, put_shards, put_virtual

SPLITS = ("train", "valid", "test")


@dataclass
class Split:
    """The rows of one split, as the contract has them."""

    x: NDArray[np.uint8]
    y: NDArray[np.float32]
    id: NDArray[np.bytes_]
    mask: NDArray[np.bool_] | None = None
    truth: NDArray[np.float32] | None = None


@dataclass
class Stream:
    """A split that need not fit into memory.

    Attributes
    ----------
    rows, length, targets
        Its size, without the other strand.
    blocks
        Its rows in order, each once; without truth.
    other_strand
        Whether the reverse complement of every row is appended, after all rows.
    dropped
        How many rows of the source are left out.
    bins
        Labels of a row and target, along the sequence; None for one.
    masked
        Whether blocks have a mask.
    id_bytes
        Bytes of the longest id; by default of '<split>-<row of the source>'.
    """

    rows: int
    length: int
    targets: int
    blocks: Iterable[Split]
    other_strand: bool = False
    dropped: int = 0
    bins: int | None = None
    masked: bool = False
    id_bytes: int | None = None


@dataclass(frozen=True)
class Virtual:
    """A split that is a view of arrays in other files.

    Attributes
    ----------
    arrays
        Name to values that are copied.
    pieces
        Name to shape, type and pieces of what stays where it is.
    numbers
        Those of x: 'float16', or 'bfloat16' in uint16.
    """

    arrays: Mapping[str, NDArray]
    pieces: Mapping[str, tuple[tuple[int, ...], np.dtype, Sequence[Piece]]]
    numbers: str


@dataclass(frozen=True)
class About:
    """What is further told of a data set: attributes, and the files that it stands on with their checksums."""

    attributes: Mapping[str, Any]
    files: Sequence[Path]
    contents: Sequence[str]


def write_dataset(
    path: str | Path,
    splits: Mapping[str, Split | Stream | Virtual],
    targets: list[str],
    kind: str,
    inputs: Mapping[str, str] | None = None,
    about: About | None = None,
) -> None:
    """Write a data set.

    Parameters
    ----------
    path
        The HDF5 file.
    splits
        Rows by split.
    targets
        Names of the columns of `y`.
    kind
        'binary' (labels 0 and 1) or 'real'.
    inputs
        SHA-256 of the files that it was made from, by file name.
    about
        What is further told of it.
    """
    with h5_writer(path, "dataset/1", inputs) as h5:
        for name, split in splits.items():
            group = h5.create_group(name)
            if isinstance(split, Virtual):
                _write_virtual(group, split, Path(path).parent)
            else:
                (_write_stream if isinstance(split, Stream) else _write_split)(group, split)
        if about:
            h5.attrs.update(about.attributes)
            put_shards(h5, about.files, about.contents, Path(path).parent)
        h5.attrs["length"] = h5[name]["x"].shape[1]
        h5.attrs["targets"] = targets
        h5.attrs["kind"] = kind


def _write_split(group: h5py.Group, split: Split) -> None:
    for key in ("x", "y", "id", "mask"):
        if (array := getattr(split, key)) is not None:
            group.create_dataset(key, data=array)
    if split.truth is not None:
        rows = min(256, len(split.truth)) or 1
        group.create_dataset(
            "truth", data=split.truth, chunks=(rows, *split.truth.shape[1:]), compression="lzf", shuffle=True
        )


def _write_virtual(group: h5py.Group, split: Virtual, folder: Path) -> None:
    for key, values in split.arrays.items():
        group[key] = values
    for key, (shape, kind, pieces) in split.pieces.items():
        put_virtual(group, key, shape, kind, pieces, folder)
    group["x"].attrs["dtype"] = split.numbers


def _write_stream(group: h5py.Group, split: Stream) -> None:
    group.attrs["dropped"] = split.dropped
    rows = split.rows * (2 if split.other_strand else 1)
    group.create_dataset("x", (rows, split.length), np.uint8)
    shape = (rows, split.targets) if split.bins is None else (rows, split.bins, split.targets)
    group.create_dataset("y", shape, np.float32)
    if split.masked:
        group.create_dataset("mask", shape, np.bool_)
    longest = split.id_bytes or len(f"{group.name[1:]}-{split.rows + split.dropped}")
    group.create_dataset("id", (rows,), f"S{longest + len('-rc')}")
    start = 0
    for block in split.blocks:
        _put(group, start, block)
        if split.other_strand:
            _put(group, split.rows + start, _turned(block))
        start += len(block.x)
    if start != split.rows:
        raise ValueError(f"{group.name[1:]}: {split.rows} rows were announced, and {start} came")


def _turned(block: Split) -> Split:
    """Return the other strand of rows; labels along the sequence turn with it."""
    y, mask = (array[:, ::-1] if array is not None and array.ndim == 3 else array for array in (block.y, block.mask))
    return Split(reverse_complement(block.x), y, np.char.add(block.id, b"-rc"), mask)


def _put(group: h5py.Group, start: int, block: Split) -> None:
    for key in ("x", "y", "id", "mask"):
        if (array := getattr(block, key)) is not None:
            group[key][start : start + len(block.x)] = array
