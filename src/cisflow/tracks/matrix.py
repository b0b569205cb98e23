"""Track matrices: one file a track and shard, and one file over them that copies nothing.

A shard (schema track/1) has `values` float32 (regions of the shard, bins) and `mask` bool of the same shape, True where
the value was measured, as in data sets; a value that was not is NaN. A matrix (tracks/1) has `values` and `mask`
(regions, bins, tracks), virtual arrays over the shards, `regions` (chrom, start, end, split), `tracks` (name, unit,
transform), and `shards`: the files that it needs, with what they were when it was made.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import polars as pl

from cisflow.errors import CisflowError
from cisflow.io import atomic, h5_reader, h5_writer, sha256, write_tsv
from cisflow.tables import REGIONS, TRACK_COUNTS, read_tsv, write_table
from cisflow.tracks.binning import Source
from cisflow.tracks.region_table import get_regions, put_regions
from cisflow.tracks.shards import Piece, check_shards, put_shards, put_virtual, rows_of

# Bins that are made together, and bins of a compressed chunk.
BLOCK, CHUNK = 1 << 18, 1 << 16
# Keys of a track's settings that say where its files are, not how values are made.
FILES = ("file", "numerator", "denominator", "lift", "unit", "description")


@dataclass(frozen=True)
class Regions:
    """Regions of equal length, [N]: the table, and the number of each one's contig.

    Attributes
    ----------
    table
        chrom, start, end, split.
    contig
        Number in the genome's sizes, (regions,).
    length
        Of each, in bases.
    """

    table: pl.DataFrame
    contig: np.ndarray
    length: int


def read_regions(path: str | Path, sizes: Mapping[str, int], width: int) -> Regions:
    """Read the regions of a task.

    Parameters
    ----------
    path
        Table with the columns chrom, start, end and split.
    sizes
        The genome's contigs.
    width
        Width of a bin, in bases.

    Raises
    ------
    CisflowError
        There is none, their lengths differ or are no multiple of a bin's width, or a contig is not the genome's.
    """
    table = read_tsv(path, REGIONS).select(*REGIONS)
    if not len(table):
        raise CisflowError(f"{path}: there is no region in it.")
    number = {name: n for n, name in enumerate(sizes)}
    unknown = table.with_row_index("line", 2).filter(~pl.col("chrom").is_in(list(number)))
    if len(unknown):
        line, name = unknown.row(0)[:2]
        raise CisflowError(
            f"{path}, line {line}: the genome has no contig '{name}' ({', '.join(list(sizes)[:3])}, ...)."
        )
    lengths = (table["end"] - table["start"]).unique().sort()
    if len(lengths) > 1 or lengths[0] <= 0 or lengths[0] % width:
        found = ", ".join(map(str, lengths[:3]))
        raise CisflowError(
            f"{path}: regions must have one length, a multiple of a bin's {width} bases; there are lengths {found}."
        )
    contig = table["chrom"].replace_strict(number, return_dtype=pl.Int64).to_numpy()
    return Regions(table, contig, int(lengths[0]))


def bin_track(
    regions: str | Path,
    name: str,
    track: Mapping[str, Any],
    sizes: Mapping[str, int],
    genome: str,
    width: int,
    shard: int,
    shards: int,
    out: str | Path,
    counts: str | Path,
) -> list[str]:
    """Write a shard of a track: the values of its regions by bin, in blocks.

    Parameters
    ----------
    regions
        Table of all regions (see `read_regions`).
    name
        The track's.
    track
        Its settings (`cisflow.config.tracks.Track`, as a dictionary) with paths in the places of files.
    sizes, genome
        Contigs of the regions' assembly with their sizes, and its name, for messages.
    width
        Of a bin, in bases.
    shard, shards
        Which shard this is, from 0, and how many there are.
    out, counts
        HDF5 file and TSV file (`TRACK_COUNTS`) to write.

    Returns
    -------
    list
        What to tell the user.

    Raises
    ------
    CisflowError
        A file is not right.
    """
    known = read_regions(regions, sizes, width)
    first, last = rows_of(shard, shards, len(known.table))
    contig, start = known.contig[first:last], known.table["start"].to_numpy()[first:last]
    bins = known.length // width
    # Both files, or neither.
    with Source(track, sizes, genome) as source, atomic(counts) as table, h5_writer(out, "track/1") as h5:
        transform = json.dumps(
            {key: value for key, value in track.items() if key not in FILES}, sort_keys=True, default=str
        )
        content = hashlib.sha256(transform.encode())
        h5.attrs.update(name=name, unit=track["unit"], transform=transform, width=width, regions=sha256(regions),
            first=first, last=last)  # fmt: skip
        chunk = (min(max(CHUNK // bins, 1), last - first), bins)
        arrays = [
            h5.create_dataset(
                key, (last - first, bins), kind, chunks=chunk, shuffle=True, compression=1, fletcher32=True
            )
            for key, kind in (("values", np.float32), ("mask", bool))
        ]
        step = max(BLOCK // bins // chunk[0], 1) * chunk[0]
        for at in range(0, last - first, step):
            rows = slice(at, min(at + step, last - first))
            for array, values in zip(arrays, source.bins(contig[rows], start[rows], bins, width), strict=True):
                array[rows] = values
                content.update(np.ascontiguousarray(values))
        h5.attrs["content"] = content.hexdigest()
        write_tsv(table, TRACK_COUNTS, _rows(name, shard, source.counts))
    return _told(name, shard, source)


def _rows(name: str, shard: int, counts: Counter[tuple[str, str]]) -> list[dict[str, Any]]:
    kept = {key: count for key, count in counts.items() if count or not key[1]}
    return [
        dict(zip(TRACK_COUNTS, (name, shard, what, detail, count), strict=True))
        for (what, detail), count in kept.items()
    ]


def _told(name: str, shard: int, source: Source) -> list[str]:
    total = source.counts["total", ""]
    notes = [f"{name}, shard {shard}: {source.counts['measured', '']:,} of {total:,} bins measured"]
    notes += [
        f"  {count:,} {what}{f' ({detail})' if detail else ''}"
        for (what, detail), count in source.counts.items()
        if count and what not in ("total", "measured")
    ]
    return notes + source.notes


def gather(
    regions: str | Path, shards: Mapping[str, Sequence[str | Path]], units: Mapping[str, str], out: str | Path
) -> None:
    """Make one matrix over shards, which stay where they are; it names them by paths from its own folder.

    Parameters
    ----------
    regions
        Table that the shards were made for.
    shards
        Track to its shards, in order; the tracks in the order of the matrix.
    units
        Track to its unit.
    out
        HDF5 file to write.

    Raises
    ------
    CisflowError
        A shard is not right, or is not of these regions, or not the next one; or tracks differ in their bins.
    """
    out, table, total = Path(out), read_tsv(regions, REGIONS), sha256(regions)
    parts = [_part(name, path, total) for name, paths in shards.items() for path in paths]
    for name in shards:
        _check_rows(name, [part for part in parts if part.track == name], len(table))
    if len(shapes := {part.bins for part in parts}) > 1:
        raise CisflowError(f"{out}: the tracks have different numbers of bins: {', '.join(map(str, sorted(shapes)))}.")
    bins, names = parts[0].bins, list(shards)
    with h5_writer(out, "tracks/1", {Path(regions).name: total}) as h5:
        for key, kind, empty in (("values", np.float32, np.nan), ("mask", bool, False)):
            pieces = [
                Piece(np.s_[part.first : part.last, :, names.index(part.track)], part.path, key, part.shape)
                for part in parts
            ]
            put_virtual(h5, key, (len(table), bins, len(names)), kind, pieces, out.parent, empty)
        put_regions(h5, table)
        transforms = {part.track: part.transform for part in parts}
        columns = (names, [units.get(name, "") for name in names], [transforms[name] for name in names])
        for key, texts in zip(("name", "unit", "transform"), columns, strict=True):
            h5[f"tracks/{key}"] = np.array([text.encode() for text in texts])
        h5.attrs["width"] = parts[0].width
        put_shards(h5, [part.path for part in parts], [part.content for part in parts], out.parent)


@dataclass(frozen=True)
class _Part:
    track: str
    path: Path
    first: int
    last: int
    bins: int
    width: int
    transform: str
    content: str

    @property
    def shape(self) -> tuple[int, int]:
        return self.last - self.first, self.bins


def _part(name: str, path: str | Path, regions: str) -> _Part:
    with h5_reader(path, "track/1") as h5:
        found = dict(h5.attrs)
        if found["name"] != name:
            raise CisflowError(f"{path}: it is of the track '{found['name']}', not of '{name}'.")
        if found["regions"] != regions:
            raise CisflowError(f"{path}: it was made for other regions. Remove it, and it will be made again.")
        bins = h5["values"].shape[1]
        numbers = (int(found[key]) for key in ("first", "last"))
        return _Part(name, Path(path), *numbers, bins, int(found["width"]), found["transform"], found["content"])


def _check_rows(name: str, parts: Sequence[_Part], regions: int) -> None:
    at = 0
    for part in parts:
        if part.first != at:
            raise CisflowError(
                f"{part.path}: it has the regions from {part.first}, and the shards of '{name}' before it end at {at}."
            )
        at = part.last
    if at != regions:
        raise CisflowError(f"the shards of '{name}' have {at:,} of {regions:,} regions; some are missing.")


@dataclass(frozen=True)
class Matrix:
    """An open track matrix.

    Attributes
    ----------
    values, mask
        Arrays in the files, (regions, bins, tracks): float32, NaN where not measured; bool, True where measured.
    regions
        Table with chrom, start, end, split.
    tracks, units, transforms
        Of each track: its name, its unit, and how its values were made (JSON).
    width
        Of a bin, in bases.
    """

    values: h5py.Dataset
    mask: h5py.Dataset
    regions: pl.DataFrame
    tracks: list[str]
    units: list[str]
    transforms: list[str]
    width: int


@contextmanager
def read_matrix(path: str | Path) -> Iterator[Matrix]:
    """Open a track matrix, once every shard is there and is what it was when the matrix was made.

    Raises
    ------
    CisflowError
        The matrix or a shard is missing or is not right; HDF5 itself would show a missing shard as empty values.
    """
    # Each array of each shard would keep a cache of its own, which together are the whole matrix. That the shards are
    # there is checked once for all arrays.
    with h5_reader(path, "tracks/1", cache=0, check=False) as h5:
        check_shards(Path(path), h5["shards"], "track/1", ("bin_track", "gather_tracks"))
        texts = {key: [text.decode() for text in h5[f"tracks/{key}"]] for key in ("name", "unit", "transform")}
        yield Matrix(h5["values"], h5["mask"], get_regions(h5), *texts.values(), int(h5.attrs["width"]))


def content_hash(path: str | Path) -> str:
    """Return a SHA-256 of what a track matrix shows: the same, however many shards it has and wherever they are.

    Raises
    ------
    CisflowError
        As `read_matrix`.
    """
    with read_matrix(path) as matrix:
        about = [matrix.tracks, matrix.units, matrix.transforms, matrix.width, matrix.regions.rows()]
        found = hashlib.sha256(json.dumps(about).encode())
        regions, bins, tracks = matrix.values.shape
        step = max(BLOCK // bins, 1)
        # One track after another, as the shards are.
        for track in range(tracks):
            for at in range(0, regions, step):
                for array in (matrix.values, matrix.mask):
                    found.update(np.ascontiguousarray(array[at : at + step, :, track]))
    return found.hexdigest()


def gather_counts(paths: Sequence[str | Path], out: str | Path) -> None:
    """Write the tables of counts of shards as one."""
    write_table(out, pl.concat([read_tsv(path, TRACK_COUNTS) for path in paths]))
