"""Predictions of runs at places of a genome, as arrays: all runs on the same windows."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import polars as pl
from numpy.typing import NDArray

from cisflow.errors import CisflowError
from cisflow.io import h5_reader

# A window at the end of a contig may begin before it.
PLACE = r"^(.+):(-?\d+)-(\d+)$"
KEYS = ("trial", "set", "id")


@dataclass(frozen=True)
class Windows:
    """Windows of one split: contigs, starts and ends (n,), and labels (n, targets), NaN where not measured."""

    chrom: NDArray[np.str_]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    labels: NDArray[np.float64]


@dataclass(frozen=True)
class Predictions:
    """Predictions of the runs of a task.

    Attributes
    ----------
    targets
        The tracks.
    splits
        Windows and labels of each split.
    trials
        Numbers of the trials of each run.
    runs
        By run and split: predictions (trials, n, targets).
    """

    targets: list[str]
    splits: dict[str, Windows]
    trials: dict[str, list[int]]
    runs: dict[str, dict[str, NDArray[np.float64]]]


def read_predictions(paths: Sequence[str | Path]) -> Predictions:
    """Read the predictions of runs, a Parquet file each (docs/evaluation.md).

    Raises
    ------
    CisflowError
        A file is missing or has other columns, ids that are no places, or other windows or labels than the first one.
    """
    first, splits = None, {}
    trials, runs = {}, {}
    for path in map(Path, paths):
        table = _read(path)
        targets = _targets(path, table)
        first = first or (path, targets)
        if targets != first[1]:
            raise CisflowError(f"{path}: it has other targets than {first[0]}. Run 'evaluate' again.")
        labels, values = ([f"{kind}.{target}" for target in targets] for kind in "yp")
        trials[path.stem] = table["trial"].unique(maintain_order=True).to_list()
        runs[path.stem] = {}
        for (split,), own in table.partition_by("set", as_dict=True, maintain_order=True).items():
            parts = own.partition_by("trial", maintain_order=True)
            for part in parts:
                ids, y = part["id"], part.select(labels).to_numpy().astype(np.float64)
                known = splits.setdefault(split, (ids, y))
                if not ids.equals(known[0]) or not np.array_equal(y, known[1], equal_nan=True):
                    raise CisflowError(
                        f"{path}: trial {part['trial'][0]} has other windows or labels in the split '{split}' than "
                        f"{first[0]}. Run 'evaluate' again."
                    )
            found = np.stack([part.select(values).to_numpy().astype(np.float64) for part in parts])
            if len(found) != len(trials[path.stem]):
                raise CisflowError(f"{path}: not all trials have the split '{split}'. Run 'evaluate' again.")
            runs[path.stem][split] = found
        if lacking := splits.keys() - runs[path.stem]:
            raise CisflowError(f"{path}: there is no split '{min(lacking)}'. Run 'evaluate' again.")
    if first is None:
        raise CisflowError("there are no predictions: the task has no runs.")
    if unequal := [run for run, own in runs.items() if own.keys() != splits.keys()]:
        raise CisflowError(f"the runs {unequal[0]} and others have unequal splits. Run 'evaluate' again.")
    windows = {split: Windows(*places(ids, first[0]), y) for split, (ids, y) in splits.items()}
    return Predictions(first[1], windows, trials, runs)


def _read(path: Path) -> pl.DataFrame:
    try:
        table = pl.read_parquet(path)
    except FileNotFoundError:
        raise CisflowError(f"{path}: there is no such file; the rule 'evaluate' makes it.") from None
    except pl.exceptions.PolarsError as error:
        raise CisflowError(f"{path}: it cannot be read as Parquet ({error}). Run 'evaluate' again.") from error
    if missing := [name for name in KEYS if name not in table.columns]:
        raise CisflowError(f"{path}: there is no column {', '.join(missing)}; there are {', '.join(table.columns)}.")
    if table.is_empty():
        raise CisflowError(f"{path}: it has no rows. Run 'evaluate' again.")
    return table


def _targets(path: Path, table: pl.DataFrame) -> list[str]:
    targets = [name.removeprefix("y.") for name in table.columns if name.startswith("y.")]
    lacking = [target for target in targets if f"p.{target}" not in table.columns]
    if lacking or not targets:
        raise CisflowError(f"{path}: there is no prediction (column p.) of {', '.join(lacking) or 'any target'}.")
    return targets


def places(ids: pl.Series, path: str | Path) -> tuple[NDArray[np.str_], NDArray[np.int64], NDArray[np.int64]]:
    """Return contigs, starts and ends of windows that are called chrom:start-end.

    Raises
    ------
    CisflowError
        An id is no such name.
    """
    parts = ids.to_frame("id").select(
        pl.col("id").str.extract(PLACE, number).alias(str(number)) for number in (1, 2, 3)
    )
    if (wrong := parts["3"].is_null()).any():
        raise CisflowError(
            f"{path}: the id '{ids.filter(wrong)[0]}' is no place as chr1:1000-2000 ({wrong.sum():,} such rows). "
            "Statistics of heads need windows of a genome."
        )
    start, end = (parts[name].cast(pl.Int64).to_numpy() for name in "23")
    return parts["1"].to_numpy().astype(str), start, end


def target_windows(windows: Windows, crop: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return starts and ends of what the labels of windows are of: all but `crop` bases at both ends.

    Raises
    ------
    CisflowError
        Nothing is left of a window.
    """
    start, end = windows.start + crop, windows.end - crop
    if (start >= end).any():
        row = int(np.argmax(start >= end))
        place = f"{windows.chrom[row]}:{windows.start[row]}-{windows.end[row]}"
        raise CisflowError(f"the window {place} has no target region: {crop} bases are cropped at both its ends.")
    return start, end


def training_means(path: str | Path, targets: Sequence[str]) -> NDArray[np.float64]:
    """Return the mean of each target's measured labels in the training split of a data set; NaN for one without any.

    Raises
    ------
    CisflowError
        The data set has other targets, or labels for bins.
    """
    with h5_reader(path, "dataset/1") as h5:
        if list(h5.attrs["targets"]) != list(targets):
            raise CisflowError(f"{path}: it has other targets than the predictions. Run 'evaluate' again.")
        train = h5["train"]
        y = train["y"][:].astype(np.float64)
        if y.ndim != 2:
            raise CisflowError(f"{path}: its labels are of bins, and statistics of heads are of windows.")
        measured = np.isfinite(y) & (train["mask"][:] if "mask" in train else True)
    count = measured.sum(0)
    return np.where(count > 0, np.where(measured, y, 0).sum(0) / np.maximum(count, 1), np.nan)


def dataset_windows(path: str | Path) -> dict[str, Windows]:
    """Return the windows of all splits of a data set, without labels (n, 0)."""
    with h5_reader(path, "dataset/1") as h5:
        found = {}
        for split in h5:
            if isinstance(h5[split], h5py.Group) and "id" in h5[split]:
                ids = pl.Series("id", [text.decode() for text in h5[split]["id"][:]], dtype=pl.String)
                found[split] = Windows(*places(ids, path), np.empty((len(ids), 0)))
    return found


def contig_sizes(index: str | Path) -> dict[str, int]:
    """Return the sizes of the contigs in the index (.fai) of a genome.

    Raises
    ------
    CisflowError
        The file is missing or no index.
    """
    try:
        rows = [line.split("\t") for line in Path(index).read_text(encoding="utf-8").splitlines()]
        return {row[0]: int(row[1]) for row in rows}
    except (OSError, ValueError, IndexError) as error:
        raise CisflowError(
            f"{index}: it is no index of a genome ({error}). The rule 'index_genome' makes it."
        ) from error


def natural(name: str) -> tuple[int | str, ...]:
    """Return a key that sorts names with numbers in them as people do: chr2 before chr10."""
    return tuple(int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name))
