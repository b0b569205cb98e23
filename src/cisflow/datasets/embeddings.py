"""Data sets of embeddings: rows of embeddings, with labels and splits of other data sets, without a copy of either.

A split has `x` (n, bins, channels), virtual over the shards of the embeddings; `y`, `mask` and `id` of the data set of
the labels; `bases` (n, length), virtual, the sequences in it; and, with labels of bins, `bins/y` and `bins/mask`
(n, bins, targets), virtual over the data set that has them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import polars as pl

from cisflow.datasets.store import SPLITS, About, Virtual
from cisflow.errors import CisflowError
from cisflow.io import check_written, h5_reader
from cisflow.tables import TARGETS, read_tsv
from cisflow.tracks.region_table import get_regions
from cisflow.tracks.shards import Piece, check_shards

EMBEDDINGS = "embeddings/1"


@dataclass(frozen=True)
class Inputs:
    """The files of a data set of embeddings, in the order of `Project.dataset_inputs`."""

    embeddings: Path
    labels: Path
    targets: Path
    account: Path
    bins: Path | None = None


@dataclass
class Embedded:
    """A data set of embeddings that is ready to be written.

    Attributes
    ----------
    splits
        Rows by split.
    targets, about
        Names of the labels, and what is known of each.
    quality
        Rows of the table of quality: windows that reach beyond their contig, and bases of them that do.
    further
        What is told of it, and the files that it needs.
    """

    splits: dict[str, Virtual]
    targets: list[str]
    about: dict[str, dict[str, str]]
    quality: list[dict[str, str | float]]
    further: About


@contextmanager
def open_embedded(inputs: Inputs) -> Iterator[Embedded]:
    """Bring embeddings and labels together.

    Raises
    ------
    CisflowError
        A file is missing or not right, or they are not of the same windows in the same order.
    """
    with (
        h5_reader(inputs.embeddings, EMBEDDINGS, check=False) as embeddings,
        h5_reader(inputs.labels, "dataset/1") as labels,
        h5_reader(inputs.bins or inputs.labels, "dataset/1") as bins,
    ):
        if "shards" in embeddings:
            check_shards(inputs.embeddings, embeddings["shards"], EMBEDDINGS, ("embed_shard", "gather_embeddings"))
        else:
            check_written(embeddings["embeddings"])
        regions = get_regions(embeddings).with_columns(
            pl.Series(key, embeddings[f"regions/{key}"][:]) for key in ("padded", "unknown")
        )
        maker = _Maker(inputs, embeddings, labels, bins if inputs.bins else None, regions)
        yield maker.make()


@dataclass
class _Maker:
    inputs: Inputs
    embeddings: h5py.File
    labels: h5py.File
    bins: h5py.File | None
    regions: pl.DataFrame

    def make(self) -> Embedded:
        targets = list(map(str, self.labels.attrs["targets"]))
        if self.bins is not None and list(map(str, self.bins.attrs["targets"])) != targets:
            raise CisflowError(
                f"{self.inputs.bins}: its targets are not those of {self.inputs.labels}, in the same order."
            )
        splits, quality, first = {}, [], 0
        for name in SPLITS:
            rows = slice(first, first + len(self.labels[name]["y"]))
            self._same_windows(name, rows)
            splits[name] = self._split(name, rows)
            quality += self._quality(name, rows)
            first = rows.stop
        if first != len(self.regions):
            raise CisflowError(
                f"{self.inputs.embeddings}: it has {len(self.regions):,} windows, and {self.inputs.labels} {first:,}."
            )
        return Embedded(splits, targets, self._about(), quality, self._further())

    def _about(self) -> dict[str, dict[str, str]]:
        table = read_tsv(self.inputs.targets, TARGETS).select(*TARGETS).fill_null("")
        return {row["target"]: {k: v for k, v in row.items() if k != "target"} for row in table.iter_rows(named=True)}

    def _same_windows(self, name: str, rows: slice) -> None:
        """Hold the identities of labels against the regions of the embeddings."""
        crop, own = int(self.embeddings.attrs["crop"]), self.regions[rows]
        wanted = own.select(pl.format("{}:{}-{}", "chrom", pl.col("start") - crop, pl.col("end") + crop)).to_series()
        for path, h5 in ((self.inputs.labels, self.labels), (self.inputs.bins, self.bins)):
            if h5 is None:
                continue
            found = np.char.decode(h5[name]["id"][:])
            if len(found) != len(own) or (own["split"] != name).any():
                raise CisflowError(self._other(path, f"'{name}' has {len(found):,} rows, or other ones"))
            differ = np.flatnonzero(found != wanted.to_numpy().astype(np.str_))
            if differ.size:
                row = differ[0]
                what = f"row {row} of '{name}' is {found[row]} there, and {wanted[int(row)]} here"
                raise CisflowError(self._other(path, what))

    def _other(self, path: Path | None, what: str) -> str:
        return (
            f"{path}: it is of other windows than {self.inputs.embeddings} ({what}). Labels and embeddings must be of "
            "the same regions in the same order: give their tasks the same genome, regions, length, crop and edges."
        )

    def _split(self, name: str, rows: slice) -> Virtual:
        group = self.labels[name]
        arrays = {key: group[key][:] for key in ("y", "mask", "id") if key in group}
        x = self.embeddings["embeddings"]
        pieces = {"x": ((rows.stop - rows.start, *x.shape[1:]), x.dtype, self._shards(rows, x))}
        pieces["bases"] = _whole(self.inputs.labels, group["x"])
        if self.bins is not None and self.inputs.bins is not None:
            own = self.bins[name]
            if own["y"].shape[1] != x.shape[1]:
                raise CisflowError(
                    f"{self.inputs.bins}: it has labels for {own['y'].shape[1]} bins, and the embeddings have "
                    f"{x.shape[1]}."
                )
            pieces |= {f"bins/{key}": _whole(self.inputs.bins, own[key]) for key in ("y", "mask") if key in own}
        return Virtual(arrays, pieces, str(x.attrs["dtype"]))

    def _shards(self, rows: slice, x: h5py.Dataset) -> list[Piece]:
        """Return what of each shard is in the rows of a split."""
        if "shards" not in self.embeddings:
            return [Piece(np.s_[:], self.inputs.embeddings, "embeddings", x.shape, rows)]
        found, first = [], 0
        shards = self.embeddings["shards"]
        for file, count in zip(shards["file"][:], shards["rows"][:].tolist(), strict=True):
            low, high = max(first, rows.start), min(first + count, rows.stop)
            if low < high:
                path = self.inputs.embeddings.parent / file.decode()
                place = np.s_[low - rows.start : high - rows.start]
                piece = Piece(place, path, "embeddings", (count, *x.shape[1:]), slice(low - first, high - first))
                found.append(piece)
            first += count
        return found

    def _quality(self, name: str, rows: slice) -> list[dict[str, str | float]]:
        padded = self.regions["padded"][rows]
        counts = {"padded_windows": int((padded > 0).sum()), "padded_bases": int(padded.sum())}
        return [{"split": name, "target": "all", "quantity": key, "value": value} for key, value in counts.items()]

    def _further(self) -> About:
        attrs = self.embeddings.attrs
        attributes = {"input": "embeddings", "window": int(attrs["length"])}
        attributes |= {key: int(attrs[key]) for key in ("bin", "crop")}
        attributes |= {key: attrs[key] for key in ("keep", "gelu", "weights_sha256")}
        if "shards" in self.embeddings:
            shards = self.embeddings["shards"]
            paths = [self.inputs.embeddings.parent / file.decode() for file in shards["file"][:]]
            contents = [content.decode() for content in shards["content"][:]]
        else:
            paths, contents = [self.inputs.embeddings], [str(attrs["content"])]
        others = [path for path in (self.inputs.labels, self.inputs.bins) if path]
        return About(attributes, paths + others, contents + [""] * len(others))


def _whole(path: Path, array: h5py.Dataset) -> tuple[tuple[int, ...], np.dtype, list[Piece]]:
    return array.shape, array.dtype, [Piece(np.s_[:], path, array.name, array.shape)]
