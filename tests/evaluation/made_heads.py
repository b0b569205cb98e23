"""Predictions of made heads: tables as the rule 'evaluate' writes them, with planted truth."""

from pathlib import Path

import numpy as np
import polars as pl

from cisflow.io import h5_writer

TARGETS = ["a", "b", "c"]
LENGTH, CROP = 1000, 100


def places(contigs=("chr1", "chr2", "chr10"), each=40, step=900):
    """Return ids of windows along contigs."""
    return [f"{chrom}:{start}-{start + LENGTH}" for chrom in contigs for start in range(0, each * step, step)]


def made(rng, noise, ids=None, targets=TARGETS, trials=2, splits=("train", "valid", "test"), scale=(1.0, 20.0, 300.0)):
    """Return labels (n, targets) and predictions by run (trials, n, targets), by split; `noise` by run."""
    ids = ids or places()
    found = {}
    for split in splits:
        y = rng.normal(size=(len(ids), len(targets))) + np.arange(len(targets))
        y *= np.array(scale[: len(targets)])
        p = {
            run: np.stack([y + of * np.array(scale[: len(targets)]) * rng.normal(size=y.shape) for _ in range(trials)])
            for run, of in noise.items()
        }
        found[split] = (ids, y, p)
    return found


def write(folder: Path, found, targets=TARGETS) -> list[Path]:
    """Write a table for each run, and the data set (labels that are NaN are masked there)."""
    runs = next(iter(found.values()))[2]
    for run in runs:
        parts = []
        for trial in range(len(runs[run])):
            for split, (ids, y, p) in found.items():
                columns = {"trial": np.full(len(ids), trial, np.int32), "set": [split] * len(ids), "id": ids}
                for column, target in enumerate(targets):
                    labels = pl.Series(y[:, column]).fill_nan(None)
                    columns |= {f"y.{target}": labels, f"p.{target}": p[run][trial][:, column]}
                parts.append(pl.DataFrame(columns))
        (folder / "predictions").mkdir(parents=True, exist_ok=True)
        pl.concat(parts).write_parquet(folder / f"predictions/{run}.parquet")
    with h5_writer(folder / "dataset.h5", "dataset/1") as h5:
        h5.attrs["targets"], h5.attrs["kind"] = targets, "real"
        for split, (ids, y, _) in found.items():
            group = h5.create_group(split)
            group["id"] = np.array(ids).astype(np.bytes_)
            group["y"], group["mask"] = np.nan_to_num(y), ~np.isnan(y)
    return [folder / f"predictions/{run}.parquet" for run in runs]
