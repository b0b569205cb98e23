"""Tracks that Basenji2 predicts over windows, averaged over strands and shifts, in HDF5 and BigWig files."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from cisflow.embeddings.embed import How, Progress, computed
from cisflow.embeddings.store import ABOUT, put_rows
from cisflow.embeddings.windows import Windows
from cisflow.errors import CisflowError
from cisflow.io import h5_reader, h5_writer
from cisflow.models.folded import Folded
from cisflow.tracks.bigwig import write_bigwig
from cisflow.tracks.region_table import get_regions, put_regions

SCHEMA = "predictions/1"
# Predictions that are in memory together while BigWig files are written.
BLOCK = 1 << 26


@dataclass(frozen=True)
class Ensemble:
    """Versions of a sequence whose predictions are averaged: each strand, with each shift.

    Attributes
    ----------
    rc
        Whether the reverse complement is one, too.
    shifts
        Bases that a sequence is moved to the right, with unknown bases in their place.
    """

    rc: bool = False
    shifts: tuple[int, ...] = (0,)

    def __call__(self, model: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """Return the mean over all versions of x (batch, 4, length) of what a model predicts, (batch, bins, tracks)."""
        total: Tensor | float = 0.0
        for turned in (False, True)[: 1 + self.rc]:
            # A, C, G, T in reverse are their complements.
            strand = x.flip(1, 2) if turned else x
            for shift in self.shifts:
                y = model(shifted(strand, shift)).float()
                total = total + (y.flip(1) if turned else y)
        return total / ((1 + self.rc) * len(self.shifts))


def shifted(x: Tensor, shift: int) -> Tensor:
    """Return one-hot sequences (batch, 4, length) moved to the right (to the left if negative), filled with zeros."""
    if shift >= 0:
        return nn.functional.pad(x, (shift, 0))[..., : x.shape[-1]]
    return nn.functional.pad(x, (0, -shift))[..., -x.shape[-1] :]


@dataclass(frozen=True)
class Track:
    """A track of a model: its number there, its name and what it is."""

    number: int
    name: str
    description: str = ""


def read_targets(path: str | Path | None, count: int) -> list[Track]:
    """Return the tracks of a model.

    Parameters
    ----------
    path
        Table with the columns identifier and description, a row a track, as targets_human.txt of cross2020; None for
        tracks that have numbers only.
    count
        How many the model has.

    Raises
    ------
    CisflowError
        The table is missing, lacks a column, has an identifier twice, or as many rows as the model has no tracks.
    """
    if path is None:
        return [Track(number, f"track-{number}") for number in range(count)]
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
    except FileNotFoundError:
        raise CisflowError(f"{path}: there is no such file.") from None
    if not rows or not {"identifier", "description"} <= rows[0].keys():
        raise CisflowError(f"{path}: a table with the columns identifier and description is expected.")
    if len(rows) != count:
        raise CisflowError(
            f"{path}: it has {len(rows):,} tracks, and the model {count:,}. Is it of the model of the other species?"
        )
    names = [row["identifier"] for row in rows]
    if len(set(names)) < count:
        raise CisflowError(f"{path}: an identifier is there twice.")
    return [Track(number, row["identifier"], row["description"]) for number, row in enumerate(rows)]


def choose_tracks(tracks: Sequence[Track], wanted: Sequence[str]) -> list[Track]:
    """Return those tracks that numbers, ranges of numbers (3-7, with both ends) or names tell, in that order.

    Raises
    ------
    CisflowError
        There is no such track, or one is told twice.
    """
    by_name, found = {track.name: track for track in tracks}, []
    for text in wanted:
        first, _, last = text.partition("-")
        if text in by_name:
            found.append(by_name[text])
        elif first.isdigit() and (last or first).isdigit() and int(first) <= int(last or first) < len(tracks):
            found += tracks[int(first) : int(last or first) + 1]
        else:
            raise CisflowError(
                f"--tracks: there is no track '{text}'; they are 0 to {len(tracks) - 1}, or their names."
            )
    if len(set(found)) < len(found):
        raise CisflowError("--tracks: a track is there twice.")
    return found


def only(model: Folded, tracks: Sequence[Track]) -> Folded:
    """Leave a model those outputs, in place; the others are not computed."""
    rows = [track.number for track in tracks]
    weight, bias = model.head.weight[rows], model.head.bias[rows]
    model.head = nn.Linear(weight.shape[1], len(rows), dtype=weight.dtype, device=weight.device)
    with torch.no_grad():
        model.head.weight.copy_(weight)
        model.head.bias.copy_(bias)
    return model


def write_predictions(
    model: Folded, genome: str | Path, windows: Windows, tracks: Sequence[Track], about: Mapping[str, Any], how: How,
    ensemble: Ensemble, dtype: str, out: str | Path, progress: Progress | None = None,
) -> int:  # fmt: skip
    """Write what a model predicts of windows.

    Parameters
    ----------
    model
        It has the outputs `tracks` (see `only`).
    genome, windows, how, progress
        As of `embed.embed_shard`.
    tracks
        Its outputs.
    about
        As of `embed.about_of`.
    ensemble
        What is averaged.
    dtype
        'float16' or 'float32'.
    out
        HDF5 file: `predictions` (regions, bins, tracks), `regions`, and `tracks` (number, name, description).

    Returns
    -------
    int
        Unknown bases in all windows.

    Raises
    ------
    CisflowError
        A value is too large for `dtype`.
    """
    shape = (len(windows), model.bins, len(tracks))
    with h5_writer(out, SCHEMA) as h5:
        h5.attrs.update({key: about[key] for key in ABOUT if key != "keep"})
        h5.attrs.update(rc=ensemble.rc, shifts=json.dumps(ensemble.shifts))
        put_regions(h5, windows.table)
        h5["regions/padded"] = windows.padded
        h5["tracks/number"] = np.array([track.number for track in tracks])
        for key in ("name", "description"):
            h5[f"tracks/{key}"] = np.array([getattr(track, key).encode() for track in tracks])
        work = lambda x: ensemble(model, x)  # noqa: E731
        with closing(computed(work, genome, windows, how, dtype, progress)) as blocks:
            h5["regions/unknown"] = unknown = put_rows(h5, "predictions", shape, dtype, {}, blocks)
    return int(unknown.sum())


def check_apart(windows: Windows) -> None:
    """Check that no base has predictions of two windows, of which a BigWig file could have one only.

    Raises
    ------
    CisflowError
        Two windows overlap without their crop.
    """
    table = windows.table.sort("chrom", "start")
    before = table.select(pl.col("chrom", "start", "end").shift(1)).rename(lambda name: f"{name}_before")
    overlap = pl.concat([table, before], how="horizontal").filter(
        (pl.col("chrom") == pl.col("chrom_before")) & (pl.col("start") < pl.col("end_before"))
    )
    if len(overlap):
        row = overlap.row(0, named=True)
        raise CisflowError(
            f"--bigwig: {row['chrom']}:{row['start_before']}-{row['end_before']} and {row['chrom']}:{row['start']}-"
            f"{row['end']}, which two windows have predictions for, overlap ({len(overlap):,} such pairs), and a base "
            "has one value in a BigWig file. Give windows apart, or do without --bigwig."
        )


def write_bigwigs(predictions: str | Path, sizes: Mapping[str, int], folder: str | Path) -> list[Path]:
    """Write predictions as BigWig files, one a track, called as the track is; what is beyond a contig is left out.

    Parameters
    ----------
    predictions
        File that `write_predictions` has written, of windows that are apart (see `check_apart`).
    sizes
        The genome's contigs.
    folder
        Where they go.

    Returns
    -------
    list
        The files.
    """
    paths = []
    with h5_reader(predictions, SCHEMA) as h5:
        array, width = h5["predictions"], int(h5.attrs["bin"])
        table = get_regions(h5).with_row_index("row").sort("chrom", "start")
        names = [name.decode() for name in h5["tracks/name"]]
        # BigWig files have their contigs in the order of names.
        order = dict(sorted(sizes.items()))
        step = max(BLOCK // (array.shape[0] * array.shape[1]), 1)
        for first in range(0, len(names), step):
            values = array[:, :, first : first + step].astype(np.float32)
            for number, name in enumerate(names[first : first + step]):
                paths.append(Path(folder) / f"{name.replace('/', '_')}.bw")
                write_bigwig(paths[-1], order, _intervals(table, values[:, :, number], width, sizes))
    return paths


def _intervals(
    table: pl.DataFrame, values: np.ndarray, width: int, sizes: Mapping[str, int]
) -> Iterator[tuple[str, int, int, float]]:
    for row, chrom, start, _, _ in table.iter_rows():
        starts = start + width * np.arange(values.shape[1])
        ends = np.minimum(starts + width, sizes[chrom])
        starts = np.maximum(starts, 0)
        there = starts < ends
        for a, b, value in zip(starts[there].tolist(), ends[there].tolist(), values[row][there].tolist(), strict=True):
            yield chrom, a, b, value
