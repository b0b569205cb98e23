"""Our Basenji2 held against TensorFlow's: the same windows through the same weights file."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import h5py
import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from cisflow.errors import CisflowError
from cisflow.io import h5_reader, h5_writer, sha256, write_tsv
from cisflow.models.folded import Folded
from cisflow.sequence import one_hot
from cisflow.tables import INPUT_REGIONS, PARITY, read_tsv
from cisflow.tracks.contigs import reconcile
from cisflow.tracks.genome import Genome, index_genome
from cisflow.tracks.intervals import read_intervals

LOG = logging.getLogger("cisflow")


def take_windows(fasta: str | Path, regions: str | Path, length: int, count: int, out: str | Path) -> int:
    """Write the bases of some regions, evenly chosen, for both sides (schema windows/1).

    Parameters
    ----------
    fasta
        Genome; it is indexed for the while if it has no index.
    regions
        BED file of windows, or the regions of a task (regions.tsv), whose input windows are meant.
    length
        Bases of a window of the model.
    count
        How many are taken at most; the first and the last are among them.
    out
        HDF5 file to write: `x` uint8 (n, length), base indices, and `id`.

    Returns
    -------
    int
        How many were taken.

    Raises
    ------
    CisflowError
        A file is not right, or a region is of another length or on no contig of the genome.
    """
    table = _places(regions)
    rows = np.unique(np.linspace(0, len(table) - 1, min(count, len(table))).round().astype(int))
    table = table[rows.tolist()]
    wrong = table.filter(table["end"] - table["start"] != length)
    if len(wrong):
        chrom, start, end, line = wrong.select("chrom", "start", "end", "line").row(0)
        raise CisflowError(
            f"{regions}, line {line}: {chrom}:{start}-{end} has {end - start:,} bases, and the model's windows have "
            f"{length:,}."
        )
    with _indexed(fasta) as genome:
        names = reconcile(table["chrom"], genome.sizes, regions, fasta)
        if missing := [name for name in table["chrom"] if name not in names]:
            raise CisflowError(f"{regions}: the contig '{missing[0]}' is not in {fasta}.")
        chrom = np.array([names[name] for name in table["chrom"]])
        start = table["start"].to_numpy()
        x, outside = genome.encode(chrom, start, length), genome.outside(chrom, start, length)
    if outside.any():
        LOG.info("%d bases are beyond the ends of their contig, and N", outside.sum())
    ids = [f"{name}:{first}-{first + length}" for name, first in zip(chrom, start, strict=True)]
    with h5_writer(out, "windows/1", {Path(path).name: sha256(path) for path in (fasta, regions)}) as h5:
        h5["x"], h5["id"] = x, np.array(ids, np.bytes_)
    return len(x)


def _places(regions: str | Path) -> pl.DataFrame:
    """Return chrom, start, end and line of windows."""
    if Path(regions).suffix != ".tsv":
        return read_intervals(regions)
    table = read_tsv(regions, INPUT_REGIONS).with_row_index("line", offset=2)
    return table.select("chrom", "line", start="input_start", end="input_end")


@contextmanager
def _indexed(fasta: str | Path) -> Iterator[Genome]:
    if Path(f"{fasta}.gzi").is_file():
        with Genome(fasta) as genome:
            yield genome
        return
    with TemporaryDirectory() as folder:
        index_genome(fasta, Path(folder) / "genome.fa.gz")
        with Genome(Path(folder) / "genome.fa.gz") as genome:
            yield genome


def compare(
    model: Folded, weights: str | Path, windows: str | Path, reference: str | Path, tolerance: float, out: str | Path
) -> float:
    """Compute windows, and hold them against TensorFlow's.

    Parameters
    ----------
    model
        Ours, with the weights of the file.
    weights, windows
        What TensorFlow's are of, too.
    reference
        What TensorFlow made (`cisflow.embeddings.tensorflow_side`).
    tolerance
        How much a value may differ at most.
    out
        Table to write, a row a window and kind of value: the largest difference and where it is.

    Returns
    -------
    float
        The largest difference of all.

    Raises
    ------
    CisflowError
        A value differs by more, or the reference is of other weights or other windows.
    """
    with h5_reader(windows, "windows/1") as h5:
        x, ids = h5["x"][:], h5["id"][:].astype(str)
    rows = []
    with h5_reader(reference, "basenji2-reference/1") as h5:
        for name, path in (("weights", weights), ("windows", windows)):
            if h5.attrs[name] != sha256(path):
                raise CisflowError(f"{reference}: it was made from other {name} than {path}. Make it again.")
        for row, name in enumerate(ids):
            for kind, values in _ours(model, x[row]):
                rows.append({"window": name, "values": kind, **_largest(values, _theirs(h5, kind, row, values.shape))})
                LOG.info("%(window)s, %(values)s: largest difference %(difference).2g", rows[-1])
    worst = max(rows, key=_size)
    if not worst["difference"] <= tolerance:
        raise CisflowError(
            f"{weights}: our numbers are not TensorFlow's. The largest difference is {worst['difference']:.3g}, in "
            f"{worst['values']} of {worst['window']}, bin {worst['bin']}, channel {worst['channel']}: "
            f"{worst['ours']:.6g} here and {worst['tensorflow']:.6g} there; allowed is {tolerance:g}. "
            f"Ours was computed with GELU '{model.gelu}' in {model.dtype}."
        )
    write_tsv(out, PARITY, rows)
    return worst["difference"]


def _ours(model: Folded, x: NDArray[np.uint8]) -> Iterator[tuple[str, NDArray[np.float32]]]:
    sequence = torch.from_numpy(one_hot(x[None])).transpose(1, 2)
    yield "embeddings", model.embed(sequence)[0].float().cpu().numpy()
    if model.head is not None:
        yield "tracks", model(sequence)[0].cpu().numpy()


def _theirs(h5: h5py.File, kind: str, row: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    if kind not in h5 or h5[kind].shape[1:] != shape:
        found = h5[kind].shape[1:] if kind in h5 else "none"
        raise CisflowError(f"{h5.filename}: TensorFlow's {kind} have the shape {found}, and ours {shape}.")
    return h5[kind][row]


def _largest(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> dict[str, Any]:
    difference = np.abs(ours.astype(np.float64) - theirs)
    # A NaN is larger than all numbers: argmax finds the first of them.
    place = np.unravel_index(np.argmax(difference), difference.shape)
    found = {"difference": difference[place], "ours": ours[place], "tensorflow": theirs[place]}
    numbers = {key: float(value) for key, value in found.items()}
    return numbers | {"bin": int(place[0]), "channel": int(place[1]), "spread": float(theirs.std())}


def _size(row: dict[str, Any]) -> float:
    return np.inf if np.isnan(row["difference"]) else row["difference"]
