"""What a task costs before it is run: multiplications and disk."""

from dataclasses import dataclass, fields
from typing import Any

from cisflow.config.project import Project
from cisflow.config.tasks import Task
from cisflow.datasets.hdf5 import Layout, open_hdf5
from cisflow.datasets.store import SPLITS
from cisflow.errors import CisflowError
from cisflow.io import h5_reader
from cisflow.models.cost import cost

# A training step computes the forward pass, and the gradients of weights and of activations.
PASSES = 3
# To measure gradients takes a forward pass and the gradients of activations, after each epoch.
MEASURED = 2


@dataclass(frozen=True)
class Size:
    """Rows of the training split and of all splits, length in bases, targets, and bins and channels of embeddings."""

    train: int
    rows: int
    length: int
    targets: int
    embedding: tuple[int, int] | None = None


def size_of(project: Project, name: str) -> Size | None:
    """Return the size of a task's data set, made or to be made; None before anything tells it."""
    dataset = project.task(name).dataset
    made = project.root / project.settings.results / "tasks" / name / "dataset.h5"
    if made.exists():
        with h5_reader(made, "dataset/1") as h5:
            rows = [len(h5[split]["y"]) for split in SPLITS]
            embedding = h5["train/x"].shape[1:] if h5.attrs.get("input") == "embeddings" else None
            return Size(rows[0], sum(rows), int(h5.attrs["length"]), len(h5.attrs["targets"]), embedding)
    if dataset.kind.startswith("synthetic"):
        targets = len(getattr(dataset, "classes", ())) or 1
        return Size(round(dataset.split[0] * dataset.sequences), dataset.sequences, dataset.length, targets)
    if dataset.kind != "hdf5" or dataset.keep != "all":
        return None
    paths = [project.root / path for path in project.dataset_inputs(name)]
    if not all(path.exists() and path.suffix != ".mat" for path in paths):
        return None  # nothing but the data set tells how many rows there will be
    layout = Layout(
        **{field.name: getattr(dataset, field.name) for field in fields(Layout)} | {"keys": dict(dataset.keys)}
    )
    with open_hdf5(paths, layout) as splits:
        rows = {split: stream.rows * (1 + stream.other_strand) for split, stream in splits.items()}
        return Size(rows["train"], sum(rows.values()), splits["train"].length, splits["train"].targets)


def cost_of(spec: dict[str, Any], size: Size) -> tuple[int, int]:
    """Return the parameters of a model, and its multiplications for one row.

    Raises
    ------
    CisflowError
        The sequences are too short for the model, or embeddings do not fit it.
    """
    try:
        return cost(spec, size.length, size.targets, size.embedding)
    except ValueError as error:
        raise CisflowError(f"{error}; choose another model, or other data.") from error


def training_work(task: Task, size: Size) -> float:
    """Return the multiplications of all trainings of a task, if all epochs run."""
    return sum(run_work(task, run, size) for run in task.runs())


def run_work(task: Task, run: str, size: Size) -> float:
    """Return the multiplications of the trainings of a run, if all epochs run."""
    _, macs = cost_of(task.runs()[run], size)
    passes = PASSES + MEASURED * (task.training.gradients is not None)
    return passes * size.train * task.trials * task.training_settings(run)["epochs"] * macs


def disk_of(task: Task, size: Size) -> float:
    """Return the bytes of a task's data set, weights and predictions."""
    runs = task.runs()
    weights = 2 * 4 * task.trials * sum(cost_of(spec, size)[0] for spec in runs.values())
    predictions = 4 * 2 * size.targets * task.trials * len(runs) * size.rows
    inputs = 0 if size.embedding else size.length * (1 if task.dataset.kind == "hdf5" else 2)  # embeddings are shared
    data = size.rows * (inputs + 4 * size.targets)
    return weights + predictions + data
