"""Evaluate the runs of a task: predictions of every trial, and their metrics."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from cisflow.errors import CisflowError
from cisflow.evaluation.baselines import BASELINES
from cisflow.evaluation.metrics import metric_rows
from cisflow.evaluation.predict import predict
from cisflow.io import atomic, h5_reader
from cisflow.tables import ABOUT, HISTORY, read_tsv
from cisflow.training.checkpoint import load_model, read_description

Row = dict[str, Any]
Arrays = Mapping[str, NDArray]


@dataclass(frozen=True)
class Sets:
    """Splits of a data set, in memory: the arrays x, y, id, and mask where there is one."""

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
        arrays = {split: {key: h5[split][key][:] for key in h5[split] if key != "truth"} for split in splits}
        return Sets(str(h5.attrs["kind"]), list(h5.attrs["targets"]), arrays)


def trial_folders(run: str | Path) -> list[Path]:
    """Return the checkpoints of a run, in the order of their numbers.

    Raises
    ------
    CisflowError
        There are none.
    """
    folders = sorted(Path(run).glob("trial-*"), key=trial_number)
    if not folders:
        raise CisflowError(f"{run}: there are no checkpoints (folders trial-0, ...). The rule 'train' makes them.")
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
        "activation": spec["activation"],
        "trial": trial_number(trial),
    }


def evaluate_run(
    task: str, run: str | Path, sets: Sets, device: torch.device | str = "cpu"
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

    Returns
    -------
    predictions
        A row for each trial, set and sequence: trial, set, id, and for each target `y.<target>` (label) and
        `p.<target>` (prediction).
    rows
        Rows of the metrics table, with the keys `tables.METRICS`.
    """
    tables: list[pl.DataFrame] = []
    rows: list[Row] = []
    for trial in trial_folders(run):
        model, about = load_model(trial, device=device), {"task": task, **describe(trial)}
        for split, arrays in sets.splits.items():
            p = predict(model, arrays["x"], sets.kind)
            tables.append(_table(about["trial"], split, arrays, p, sets.targets))
            rows += _rows(about, split, arrays, p, sets)
    return pl.concat(tables), rows


def evaluate_baseline(task: str, name: str, train: Arrays, sets: Sets) -> list[Row]:
    """Return metrics of a baseline (a key of `BASELINES`) that is fitted to the arrays of the training split."""
    labels = np.where(train["mask"], train["y"], np.nan) if "mask" in train else train["y"]
    about = {"task": task, "run": f"baseline_{name}", "model": name, "activation": "baseline", "trial": None}
    return [
        row
        for split, arrays in sets.splits.items()
        for row in _rows(about, split, arrays, BASELINES[name](train["x"], labels, arrays["x"]), sets)
    ]


def _rows(about: Row, split: str, arrays: Arrays, p: NDArray, sets: Sets) -> Iterator[Row]:
    for row in metric_rows(sets.kind, arrays["y"], p, sets.targets, arrays.get("mask")):
        yield {**about, "set": split, **row}


def _table(trial: int, split: str, arrays: Arrays, p: NDArray, targets: list[str]) -> pl.DataFrame:
    columns = {"trial": np.full(len(p), trial, np.int32), "set": [split] * len(p), "id": arrays["id"].astype(str)}
    for index, target in enumerate(targets):
        columns |= {f"y.{target}": arrays["y"][:, index], f"p.{target}": p[:, index]}
    return pl.DataFrame(columns)


def histories(task: str, run: str | Path) -> pl.DataFrame:
    """Return the training histories of all trials of a run, one below the other."""
    parts = []
    for trial in trial_folders(run):
        about = [pl.lit(value).alias(name) for name, value in {"task": task, **describe(trial)}.items()]
        history = read_tsv(trial / "history.tsv", HISTORY[len(ABOUT) :])
        # A column without any number, as a trial that diverged at once has, would be read as text.
        parts.append(history.select(*about, "epoch", pl.exclude("epoch").cast(pl.Float64)))
    return pl.concat(parts)


def write_parquet(path: str | Path, table: pl.DataFrame) -> None:
    """Write a table as Parquet, atomically."""
    with atomic(path) as partial:
        table.write_parquet(partial)
