"""What the runs of a task are: architecture, number of trials, number of parameters."""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cisflow.errors import CisflowError

# Statistics that batch normalisation keeps beside its parameters.
BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


def head_rows(task: str, runs: Iterable[Path]) -> list[dict[str, Any]]:
    """Return rows of the table `tables.HEADS`, a run each, from folders of checkpoints.

    Raises
    ------
    CisflowError
        A checkpoint is missing or damaged.
    """
    rows = []
    for run in runs:
        trials = sorted(run.glob("trial-*"))
        if not trials:
            raise CisflowError(f"{run}: there are no checkpoints (folders trial-0, ...). The rule 'train' makes them.")
        try:
            model = json.loads((trials[0] / "model.json").read_text(encoding="utf-8"))["model"]["name"]
        except (OSError, ValueError, KeyError) as error:
            raise CisflowError(f"{trials[0]}/model.json: it cannot be read ({error}). Train again.") from error
        size = parameters(trials[0] / "best.safetensors")
        rows.append({"task": task, "run": run.name, "model": model, "trials": len(trials), "parameters": size})
    return rows


def parameters(path: Path) -> int:
    """Return the number of parameters in a safetensors file, from its header; running statistics are none.

    Raises
    ------
    CisflowError
        The file is missing or damaged.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(length, path.stat().st_size)))
        shapes = {name: about["shape"] for name, about in header.items() if name != "__metadata__"}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CisflowError(f"{path}: it is no whole safetensors file ({error}). Train again.") from error
    return sum(math.prod(shape) for name, shape in shapes.items() if not name.endswith(BUFFERS))
