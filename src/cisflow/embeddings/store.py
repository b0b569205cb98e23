"""Embeddings in files: shards, and one file over them that copies nothing (schema embeddings/1).

`embeddings` is (regions, bins, channels): float16, or uint16 with the bits of bfloat16, as its attribute `dtype` says.
`regions` has chrom, start, end (what all bins together cover, kept or not) and split, and besides `padded` and
`unknown`: bases of each window that are beyond its contig, and all that are not known. Attributes say what the
embeddings are (`ABOUT`), and of which regions (`first`, `last`, `total`).
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import polars as pl
from numpy.typing import NDArray

from cisflow.errors import CisflowError
from cisflow.io import check_written, h5_reader, h5_writer
from cisflow.tracks.region_table import get_regions, put_regions
from cisflow.tracks.shards import Piece, check_shards, put_shards, put_virtual

SCHEMA = "embeddings/1"
# Checksums of what they are made from, and how; shards of one file are alike in all of it.
ABOUT = ("weights_sha256", "params_sha256", "genome_sha256", "regions_sha256", "gelu", "precision", "keep", "bin",
    "crop", "length")  # fmt: skip
# Type in the file, by the name of the numbers.
KINDS = {"float16": np.dtype(np.float16), "bfloat16": np.dtype(np.uint16), "float32": np.dtype(np.float32)}
COUNTS = ("padded", "unknown")
# Bitshuffle with LZ4 keeps up with a GPU, where gzip and LZF do not (docs/embeddings.md). To import hdf5plugin is what
# lets HDF5 read it.
COMPRESSIONS = ("none", "bitshuffle")


def storage(compression: str, row: tuple[int, ...]) -> dict[str, Any]:
    """Return the arguments of h5py's create_dataset for an array with rows of a shape.

    An array without compression is contiguous, so that it can be memory-mapped.
    """
    return {} if compression == "none" else {"chunks": (1, *row), **hdf5plugin.Bitshuffle(cname="lz4")}


@dataclass(frozen=True)
class Block:
    """Rows of an array: the number of the first, the values, and how many bases of each row's window are not known."""

    first: int
    values: NDArray
    unknown: NDArray[np.int64]


def put_rows(
    h5: h5py.File, key: str, shape: tuple[int, ...], dtype: str, how: Mapping[str, Any], blocks: Iterator[Block]
) -> NDArray[np.int64]:
    """Write an array row by row as its blocks come; the file's attribute `content` is a checksum of it.

    Parameters
    ----------
    h5, key, shape
        Where it goes.
    dtype
        A key of `KINDS`, which is its attribute `dtype`.
    how
        Further arguments of h5py's create_dataset.
    blocks
        All rows in order.

    Returns
    -------
    NDArray
        Unknown bases of the window of each row, (regions,).
    """
    array = h5.create_dataset(key, shape, KINDS[dtype], **how)
    array.attrs["dtype"] = dtype
    unknown, content = np.zeros(shape[0], np.int64), hashlib.sha256()
    for block in blocks:
        rows = slice(block.first, block.first + len(block.values))
        array[rows] = block.values
        unknown[rows] = block.unknown
        content.update(np.ascontiguousarray(block.values))
    h5.attrs["content"] = content.hexdigest()
    return unknown


def write_shard(
    out: str | Path, about: Mapping[str, Any], place: tuple[int, int, int], regions: pl.DataFrame,
    padded: NDArray[np.int64], shape: tuple[int, int], dtype: str, compression: str, blocks: Iterator[Block],
) -> None:  # fmt: skip
    """Write a shard, which appears when it is whole.

    Parameters
    ----------
    out
        HDF5 file.
    about
        What the embeddings are: a value for each of `ABOUT`.
    place
        Number of the first region, of the last (exclusive), and how many there are in all shards.
    regions, padded
        Those of the shard, and how many bases of each are beyond its contig.
    shape
        Bins and channels.
    compression
        One of `COMPRESSIONS`.
    dtype, blocks
        As in `put_rows`.
    """
    with h5_writer(out, SCHEMA) as h5:
        h5.attrs.update({key: about[key] for key in ABOUT} | dict(zip(("first", "last", "total"), place, strict=True)))
        put_regions(h5, regions)
        h5["regions/padded"] = padded
        how = storage(compression, shape)
        h5["regions/unknown"] = put_rows(h5, "embeddings", (len(regions), *shape), dtype, how, blocks)


def is_made(path: str | Path, about: Mapping[str, Any], place: tuple[int, int, int], dtype: str) -> bool:
    """Return whether a shard is there already.

    Raises
    ------
    CisflowError
        It is there, and was made from or with something else.
    """
    if not Path(path).exists():
        return False
    with h5_reader(path, SCHEMA) as h5:
        found = {key: h5.attrs[key] for key in (*ABOUT, "first", "last", "total")}
        wanted = dict(about) | dict(zip(("first", "last", "total"), place, strict=True))
        found["dtype"], wanted["dtype"] = h5["embeddings"].attrs["dtype"], dtype
    differ = [f"{key} {_short(found[key])}, not {_short(wanted[key])}" for key in found if found[key] != wanted[key]]
    if differ:
        raise CisflowError(f"{path}: it was made with {'; '.join(differ)}. Remove it, or give the result another name.")
    return True


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _short(value: Any) -> str:
    return f"{value[:8]}..." if isinstance(value, str) and len(value) == 64 else str(value)


@dataclass(frozen=True)
class _Part:
    path: Path
    attrs: dict[str, Any]
    shape: tuple[int, ...]
    regions: pl.DataFrame
    counts: dict[str, NDArray[np.int64]]

    def alike(self) -> dict[str, Any]:
        """Return what shards of one file have in common."""
        return {key: self.attrs[key] for key in (*ABOUT, "dtype", "total")} | {"bins and channels": self.shape[1:]}


def gather(shards: Sequence[str | Path], out: str | Path) -> pl.DataFrame:
    """Make one file over shards, which stay where they are; it names them by paths from its own folder.

    Parameters
    ----------
    shards
        HDF5 files in the order of their regions.
    out
        HDF5 file to write.

    Returns
    -------
    DataFrame
        The regions with `padded` and `unknown`.

    Raises
    ------
    CisflowError
        A shard is missing or not right, was made from or with something else than the first one, or is not the next.
    """
    out = Path(out)
    if missing := [str(path) for path in shards if not Path(path).is_file()]:
        some = ", ".join(missing[:5]) + ", ..." * (len(missing) > 5)
        raise CisflowError(
            f"{len(missing)} of {len(shards)} shards are missing: {some}. The rule 'embed_shard' makes them."
        )
    parts = [_part(Path(path)) for path in shards]
    _check(parts)
    first = parts[0]
    regions = pl.concat([part.regions for part in parts])
    with h5_writer(out, SCHEMA) as h5:
        h5.attrs.update({key: first.attrs[key] for key in ABOUT})
        h5.attrs.update(first=0, last=len(regions), total=len(regions))
        put_regions(h5, regions)
        counts = {key: np.concatenate([part.counts[key] for part in parts]) for key in COUNTS}
        for key, values in counts.items():
            h5[f"regions/{key}"] = values
        kind = KINDS[first.attrs["dtype"]]
        pieces = [
            Piece(np.s_[part.attrs["first"] : part.attrs["last"]], part.path, "embeddings", part.shape)
            for part in parts
        ]
        array = put_virtual(h5, "embeddings", (len(regions), *first.shape[1:]), kind, pieces, out.parent)
        array.attrs["dtype"] = first.attrs["dtype"]
        contents = [part.attrs["content"] for part in parts]
        put_shards(h5, [part.path for part in parts], contents, out.parent, [part.shape[0] for part in parts])
        h5.attrs["content"] = hashlib.sha256("".join(contents).encode()).hexdigest()
    return regions.with_columns(pl.Series(key, values) for key, values in counts.items())


def _part(path: Path) -> _Part:
    with h5_reader(path, SCHEMA) as h5:
        array = h5["embeddings"]
        attrs = {key: _plain(value) for key, value in h5.attrs.items()}
        counts = {key: h5[f"regions/{key}"][:] for key in COUNTS}
        return _Part(path, attrs | {"dtype": array.attrs["dtype"]}, array.shape, get_regions(h5), counts)


def _check(parts: Sequence[_Part]) -> None:
    first, at = parts[0].alike(), 0
    for part in parts:
        own = part.alike()
        if differ := [f"{key} {_short(own[key])}, not {_short(first[key])}" for key in first if own[key] != first[key]]:
            raise CisflowError(
                f"{part.path}: it was not made as {parts[0].path} was: it has {'; '.join(differ)}. Remove those shards "
                "that are wrong, and they will be made again."
            )
        if part.attrs["first"] != at:
            raise CisflowError(
                f"{part.path}: it has the regions from {part.attrs['first']}, and the shards before it end at {at}."
            )
        at = part.attrs["last"]
    if at != first["total"]:
        raise CisflowError(f"{parts[-1].path}: the shards have {at:,} of {first['total']:,} regions; some are missing.")


@dataclass(frozen=True)
class Embeddings:
    """Open embeddings.

    Attributes
    ----------
    values
        Array in the files, (regions, bins, channels); see `as_float32`.
    dtype
        'float16', or 'bfloat16', whose bits are in an array of uint16.
    regions
        chrom, start, end, split, padded, unknown.
    about
        `ABOUT` and their values; `keep` is a word or a list.
    """

    values: h5py.Dataset
    dtype: str
    regions: pl.DataFrame
    about: dict[str, Any]

    def __getitem__(self, rows: Any) -> NDArray[np.float32]:
        return as_float32(self.values[rows], self.dtype)


def as_float32(values: NDArray, dtype: str) -> NDArray[np.float32]:
    """Return stored numbers of any shape as float32."""
    if dtype == "bfloat16":
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float32)


@contextmanager
def read_embeddings(path: str | Path) -> Iterator[Embeddings]:
    """Open embeddings, once every shard is there and is what it was.

    Raises
    ------
    CisflowError
        The file or a shard is missing or is not right.
    """
    with h5_reader(path, SCHEMA, check=False) as h5:
        if "shards" in h5:
            check_shards(Path(path), h5["shards"], SCHEMA, ("embed_shard", "gather_embeddings"))
        else:
            check_written(h5["embeddings"])
        regions = get_regions(h5).with_columns(pl.Series(key, h5[f"regions/{key}"][:]) for key in COUNTS)
        about = {key: _plain(h5.attrs[key]) for key in ABOUT}
        about["keep"] = json.loads(about["keep"])
        yield Embeddings(h5["embeddings"], str(h5["embeddings"].attrs["dtype"]), regions, about)
