"""Evaluate the runs of a task: predictions of every trial, and their metrics."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from cisflow.errors import CisflowError
from cisflow.evaluation.baselines import BASELINES
from cisflow.evaluation.metrics import metric_rows, pooled_rows
from cisflow.evaluation.predict import as_predictions, output_batches, predict_outputs
from cisflow.io import atomic, h5_reader, h5_writer
from cisflow.models.heads import Head
from cisflow.models.zoo import HEADS
from cisflow.tables import EPOCHS, read_tsv
from cisflow.training.checkpoint import load_model, read_description, scale_of
from cisflow.training.disk import OnDisk
from cisflow.trials import OF_BINS

Row = dict[str, Any]
Arrays = Mapping[str, NDArray | OnDisk]
# The activation of heads, which have none that a task chooses, in tables.
HEAD = "head"


@dataclass(frozen=True)
class Sets:
    """Splits of a data set: the arrays x, y, id, and mask where there is one.

    They are in memory but for embeddings, and for labels of bins, `bins/y` and `bins/mask`, if there are any.
    """

    kind: str
    targets: list[str]
    splits: Mapping[str, Arrays]


def read_sets(path: str | Path, splits: Sequence[str]) -> Sets:
    """Read splits of a data set.

    Raises
    ------
    CisflowError
        A split is missing, or has labels for bins.
    """
    with h5_reader(path, "dataset/1") as h5:
        missing = [split for split in splits if split not in h5]
        if missing:
            raise CisflowError(f"{path}: there is no split {', '.join(missing)}; there are {', '.join(h5)}.")
        if bins := [split for split in splits if h5[split]["y"].ndim != 2]:
            raise CisflowError(
                f"{path}: the split '{bins[0]}' has labels for bins, (n, bins, targets), and models predict (n, "
                "targets). Make it with 'labels: window'."
            )
        read = _read_embeddings if h5.attrs.get("input") == "embeddings" else _read
        arrays = {split: read(path, h5[split]) for split in splits}
        return Sets(str(h5.attrs["kind"]), list(h5.attrs["targets"]), arrays)


def _read(path: str | Path, group: h5py.Group) -> Arrays:
    return {key: group[key][:] for key in group if key != "truth"}


def _read_embeddings(path: str | Path, group: h5py.Group) -> Arrays:
    far = ["x", *(f"bins/{key}" for key in group.get("bins", ()))]
    near = {key: OnDisk(path, f"{group.name}/{key}")[:] for key in ("y", "mask", "id") if key in group}
    return near | {key: OnDisk(path, f"{group.name}/{key}") for key in far}


def trial_folders(run: str | Path) -> list[Path]:
    """Return the checkpoints of a run, in the order of their numbers.

    Raises
    ------
    CisflowError
        There are none, or not all that the run's provenance names.
    """
    folders = sorted(Path(run).glob("trial-*"), key=trial_number)
    if not folders:
        raise CisflowError(f"{run}: there are no checkpoints (folders trial-0, ...). The rule 'train' makes them.")
    provenance = Path(run) / "provenance.json"
    trained = json.loads(provenance.read_text(encoding="utf-8")).get("seeds", {}) if provenance.is_file() else {}
    if missing := sorted(trained.keys() - {folder.name for folder in folders}):
        raise CisflowError(
            f"{run}: {len(missing)} of its {len(trained)} trials {'is' if len(missing) == 1 else 'are'} missing: "
            f"{', '.join(missing)}. To make them again, remove the folder and run the same command: rm -r {run}"
        )
    return folders


def trial_number(folder: Path) -> int:
    """Return the number in the name of a checkpoint's folder."""
    return int(folder.name.partition("-")[2])


def describe(trial: Path) -> Row:
    """Return the columns that tell which model a row of a table is about."""
    spec = read_description(trial)["model"]
    return {
        "run": trial.parent.name,
        "model": spec["name"],
        "activation": spec.get("activation", HEAD),
        "trial": trial_number(trial),
    }


def evaluate_run(
    task: str, run: str | Path, sets: Sets, device: torch.device | str = "cpu", bins: str | Path | None = None
) -> tuple[pl.DataFrame, list[Row]]:
    """Return predictions and metrics of all trials of a run.

    Parameters
    ----------
    task, run
        Name of the task, and the folder of the run's checkpoints.
    sets
        What the models are evaluated on.
    device
        Where they run.
    bins
        HDF5 file to write if the models have an output for each bin: `trial-<number>/<split>`, float32 (n, bins,
        targets), in the labels' units.

    Returns
    -------
    predictions
        A row for each trial, set and sequence: trial, set, id, and for each target `y.<target>` (label) and
        `p.<target>` (prediction). A label that was not measured is null.
    rows
        Rows of the metrics table, with the keys `tables.METRICS`.
    """
    tables: list[pl.DataFrame] = []
    rows: list[Row] = []
    trials = trial_folders(run)
    with _writer(trials[0], bins, sets.targets) as h5:
        for trial in trials:
            model, scale = load_model(trial, device=device), scale_of(trial, device)
            about = {"task": task, **describe(trial)}
            for split, arrays in sets.splits.items():
                if h5 is None:
                    outputs = predict_outputs(model, arrays["x"], scale)
                else:
                    of_bins = h5.create_dataset(
                        f"{trial.name}/{split}", (len(arrays["y"]), model.bins, model.targets), "f4"
                    )
                    outputs = _write_bins(of_bins, output_batches(model, arrays["x"], scale))
                    rows += _rows_of_bins(about, split, arrays, of_bins, sets)
                p = as_predictions(outputs, sets.kind)
                tables.append(_table(about["trial"], split, arrays, p, sets.targets))
                rows += _rows(about, split, arrays, outputs, sets, pooled=isinstance(model, Head))
    return pl.concat(tables), rows


@contextmanager
def _writer(trial: Path, bins: str | Path | None, targets: list[str]) -> Iterator[h5py.File | None]:
    """Open the file of predictions for bins, if a trial's model makes them."""
    kind = HEADS.get(read_description(trial)["model"]["name"])
    if kind is None or kind.labels != "bins":
        yield None
        return
    if bins is None:
        raise ValueError(f"{trial}: the model has an output for each bin, and no file is named for them")
    with h5_writer(bins, "predictions/1") as h5:
        h5.attrs["targets"] = targets
        yield h5


def _write_bins(into: h5py.Dataset, batches: Iterable[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Write outputs (n, bins, targets), and return their means over the bins, (n, targets)."""
    means, start = [], 0
    for part in batches:
        into[start : start + len(part)] = part
        start += len(part)
        means.append(part.mean(1))
    return np.concatenate(means)


def _rows_of_bins(about: Row, split: str, arrays: Arrays, p: h5py.Dataset, sets: Sets) -> Iterator[Row]:
    if "bins/y" not in arrays:
        return
    for row in metric_rows(sets.kind, arrays["bins/y"], p, sets.targets, arrays.get("bins/mask")):
        yield {**about, "set": split, **row, "metric": f"{row['metric']}{OF_BINS}"}


def evaluate_baseline(task: str, name: str, train: Arrays, sets: Sets) -> list[Row]:
    """Return metrics of a baseline (a key of `BASELINES`) that is fitted to the arrays of the training split."""
    labels = np.where(train["mask"], train["y"], np.nan) if "mask" in train else train["y"]
    about = {"task": task, "run": f"baseline_{name}", "model": name, "activation": "baseline", "trial": None}
    return [
        row
        for split, arrays in sets.splits.items()
        for row in _rows(about, split, arrays, BASELINES[name](train["x"], labels, arrays["x"]), sets)
    ]


def _rows(about: Row, split: str, arrays: Arrays, p: NDArray, sets: Sets, pooled: bool = False) -> Iterator[Row]:
    y, mask = arrays["y"], arrays.get("mask")
    found = metric_rows(sets.kind, y, p, sets.targets, mask)
    for row in found + (pooled_rows(sets.kind, y, p, mask) if pooled else []):
        yield {**about, "set": split, **row}


def _table(trial: int, split: str, arrays: Arrays, p: NDArray, targets: list[str]) -> pl.DataFrame:
    columns = {"trial": np.full(len(p), trial, np.int32), "set": [split] * len(p)}
    columns["id"] = np.char.decode(arrays["id"], "utf-8")
    for index, target in enumerate(targets):
        columns |= {f"y.{target}": arrays["y"][:, index], f"p.{target}": p[:, index]}
    table = pl.DataFrame(columns)
    if "mask" not in arrays:
        return table
    measured = (pl.Series(f"y.{target}", arrays["mask"][:, index]) for index, target in enumerate(targets))
    return table.with_columns(pl.when(mask).then(pl.col(mask.name)).alias(mask.name) for mask in measured)


def histories(task: str, run: str | Path) -> pl.DataFrame:
    """Return the training histories of all trials of a run, one below the other.

    How long an epoch took differs in every run, and stays with the checkpoint.
    """
    parts = []
    for trial in trial_folders(run):
        about = [pl.lit(value).alias(name) for name, value in {"task": task, **describe(trial)}.items()]
        parts.append(read_tsv(trial / "history.tsv", EPOCHS, others=pl.Float64).select(*about, pl.exclude("seconds")))
    return pl.concat(parts)


def write_parquet(path: str | Path, table: pl.DataFrame) -> None:
    """Write a table as Parquet, atomically."""
    with atomic(path) as partial:
        table.write_parquet(partial)
