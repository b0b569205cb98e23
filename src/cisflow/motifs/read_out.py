"""The filters of a task's runs: a MEME file for each trial, and one table."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cisflow.evaluation.evaluate import describe, trial_folders
from cisflow.motifs.filters import Filter, FilterSettings, filter_matrices
from cisflow.pwm import write_meme
from cisflow.training.checkpoint import load_model

Row = dict[str, Any]


def filters_of_run(
    task: str, run: Path, x: NDArray[np.uint8], settings: FilterSettings, out: Path, device: torch.device | str = "cpu"
) -> Iterator[Row]:
    """Write a MEME file for each trial of a run, `out/<run>/<trial>.meme`, and yield the rows of the filter table."""
    for trial in trial_folders(run):
        found = filter_matrices(load_model(trial, device=device), x, settings)
        write_meme(out / run.name / f"{trial.name}.meme", [f.motif() for f in found if f.ppm is not None])
        about = {"task": task, **describe(trial)}
        yield from ({**about, **_filter_row(f)} for f in found)


def _filter_row(f: Filter) -> Row:
    return {
        "filter": f.name,
        "status": f.status,
        "sites": f.sites,
        "max_activation": f.max_activation if math.isfinite(f.max_activation) else None,
        "start": f.start,
        "end": f.end,
        "bits": f.bits,
        "consensus": f.consensus,
    }
