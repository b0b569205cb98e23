"""Optional loggers beside `history.tsv`: TensorBoard, and Weights & Biases kept offline."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cisflow.errors import CisflowError

OnEpoch = Callable[[str, Mapping[str, float]], None]


def tensorboard(folder: Path, name: str, settings: Mapping[str, Any]) -> OnEpoch:
    """Return a logger that writes event files to `folder/tensorboard/<trial>`."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise _missing("tensorboard") from error

    def on_epoch(trial: str, row: Mapping[str, float]) -> None:
        # A writer for each row: a killed training leaves whole files.
        with SummaryWriter(str(folder / "tensorboard" / trial)) as writer:
            for key, value in row.items():
                writer.add_scalar(key, value, int(row["epoch"]))

    return on_epoch


def wandb(folder: Path, name: str, settings: Mapping[str, Any]) -> OnEpoch:
    """Return a logger that writes offline runs to `folder/wandb`; `wandb sync` uploads them."""
    # Offline runs as well would be reported to the makers, over the network.
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    try:
        import wandb as library
    except ImportError as error:
        raise _missing("wandb") from error
    runs: dict[str, Any] = {}

    def on_epoch(trial: str, row: Mapping[str, float]) -> None:
        if trial not in runs:
            runs[trial] = library.init(
                project="cisflow", name=f"{name}_{trial}", dir=folder, config=dict(settings), mode="offline",
                reinit="create_new",
            )  # fmt: skip
        runs[trial].log(dict(row), step=int(row["epoch"]))

    return on_epoch


def _missing(library: str) -> CisflowError:
    return CisflowError(
        f"training.loggers: '{library}' is not installed. Install it (pip install 'cisflow[loggers]') or take it out "
        "of the list; history.tsv is written in any case."
    )


LOGGERS: dict[str, Callable[[Path, str, Mapping[str, Any]], OnEpoch]] = {"tensorboard": tensorboard, "wandb": wandb}
