"""How large data sets are, and the multiplications of what is done with them, before anything is run."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any

import torch
from torch import nn

from cisflow.attribution.presets import REFERENCED, Settings, resolve
from cisflow.config.embeddings import Embeddings
from cisflow.config.project import Project
from cisflow.config.tasks import Task
from cisflow.datasets.hdf5 import Layout, open_hdf5
from cisflow.datasets.store import SPLITS
from cisflow.embeddings.weights import read_params
from cisflow.errors import CisflowError
from cisflow.io import h5_reader
from cisflow.models.basenji import CROSS2020, Basenji
from cisflow.models.cost import cost
from cisflow.tables import REGIONS, read_tsv

# A training step computes the forward pass, and the gradients of weights and of activations.
PASSES = 3
# To measure gradients takes a forward pass and the gradients of activations, after each epoch; so do maps.
MEASURED = 2
# DeepLIFT sends a sequence and its reference through the network together.
PAIR = 2
# Of the passes that mutagenesis would take, one for each base of each position, the part that it computes.
MUTATED = 0.25
# Sequences whose other strand is explained too (workflow/scripts/attribution/attribute.py).
TURNED = 50
OTHER_BASES = 3


@dataclass(frozen=True)
class Size:
    """Rows of train, valid and test, length in bases, targets, and bins and channels of embeddings."""

    splits: tuple[int, int, int]
    length: int
    targets: int
    embedding: tuple[int, int] | None = None

    @property
    def train(self) -> int:
        """Rows of the training split."""
        return self.splits[0]

    @property
    def rows(self) -> int:
        """Rows of all splits."""
        return sum(self.splits)

    def of(self, *names: str) -> int:
        """Return the rows of some splits."""
        return sum(self.splits[SPLITS.index(name)] for name in names)


def size_of(project: Project, name: str) -> Size | None:
    """Return the size of a task's data set, made or to be made; None before anything tells it."""
    dataset = project.task(name).dataset
    made = project.root / project.table(name, "dataset.h5")
    if made.exists():
        with h5_reader(made, "dataset/1", check=False) as h5:
            rows = tuple(len(h5[split]["y"]) for split in SPLITS)
            embedding = h5["train/x"].shape[1:] if h5.attrs.get("input") == "embeddings" else None
            return Size(rows, int(h5.attrs["length"]), len(h5.attrs["targets"]), embedding)
    if dataset.kind.startswith("synthetic"):
        targets = len(getattr(dataset, "classes", ())) or 1
        first, second = (round(part * dataset.sequences) for part in dataset.split[:2])
        return Size((first, second, dataset.sequences - first - second), dataset.length, targets)
    if dataset.kind == "matrix":
        rows = _regions(project, name)
        return rows and Size(rows, dataset.length, len(dataset.tracks))
    if dataset.kind == "embeddings":
        labels, trunk = size_of(project, dataset.labels), trunk_of(project, dataset)
        return Size(labels.splits, labels.length, labels.targets, trunk[1:]) if labels and trunk else None
    return _size_of_files(project, name) if dataset.kind == "hdf5" and dataset.keep == "all" else None


def _size_of_files(project: Project, name: str) -> Size | None:
    dataset = project.task(name).dataset
    paths = [project.root / path for path in project.dataset_inputs(name)]
    if not all(path.exists() and path.suffix != ".mat" for path in paths):
        return None  # nothing but the data set tells how many rows there will be
    layout = Layout(
        **{field.name: getattr(dataset, field.name) for field in fields(Layout)} | {"keys": dict(dataset.keys)}
    )
    with open_hdf5(paths, layout) as splits:
        rows = tuple(splits[split].rows * (1 + splits[split].other_strand) for split in SPLITS)
        return Size(rows, splits["train"].length, splits["train"].targets)


def _regions(project: Project, name: str) -> tuple[int, int, int] | None:
    """Return the rows of the splits of a task of kind matrix: of its table of regions, or as the estimates say."""
    made = project.root / project.table(name, "regions.tsv")
    if not made.exists():
        return project.settings.estimates.rows.get(name)
    splits = read_tsv(made, REGIONS)["split"]
    return tuple(int((splits == split).sum()) for split in SPLITS)


def trunk_of(project: Project, dataset: Embeddings) -> tuple[int, int, int] | None:
    """Return multiplications of a window in the trunk of embeddings, and bins and channels that are stored.

    None before the trunk's settings file is here.
    """
    settings: Mapping[str, Any] = CROSS2020
    if dataset.trunk.params:
        path = project.root / project.path(dataset.trunk.params)
        if not path.exists():
            return None
        settings = read_params(path)["model"]
    macs, bins, channels = _trunk(json.dumps(settings))
    keep = dataset.trunk.keep
    return macs, len(keep) if isinstance(keep, list) else bins if keep == "all" else 1, channels


@cache
def _trunk(settings: str) -> tuple[int, int, int]:
    """Return multiplications, bins and channels of a trunk, which is not made: it has no numbers."""
    with torch.device("meta"):
        model = Basenji(json.loads(settings), None).eval()
    macs = 0

    def count(layer: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        nonlocal macs
        macs += layer.weight.numel() * output.shape[-1]

    for layer in model.modules():
        if isinstance(layer, nn.Conv1d):
            layer.register_forward_hook(count)
    model.embed(torch.zeros((1, 4, model.length), device="meta"))
    return macs, model.bins, model.channels


def cost_of(spec: dict[str, Any], size: Size) -> tuple[int, int]:
    """Return the parameters of a model, and its multiplications for one row.

    Raises
    ------
    CisflowError
        The sequences are too short for the model, or embeddings do not fit it.
    """
    try:
        return _cost(json.dumps(spec), size.length, size.targets, size.embedding)
    except ValueError as error:
        raise CisflowError(f"{error}; choose another model, or other data.") from error


@cache
def _cost(spec: str, length: int, targets: int, embedding: tuple[int, int] | None) -> tuple[int, int]:
    return cost(json.loads(spec), length, targets, embedding)


def run_work(task: Task, run: str, size: Size) -> float:
    """Return the multiplications of the trainings of a run, if all epochs run."""
    _, macs = cost_of(task.runs()[run], size)
    passes = PASSES + MEASURED * (task.training.gradients is not None)
    return passes * size.train * task.trials * task.training_settings(run)["epochs"] * macs


def evaluation_work(task: Task, size: Size) -> float:
    """Return the multiplications of predicting the splits that a task evaluates, by all trials of all runs."""
    return task.trials * size.of(*task.evaluation.splits) * sum(cost_of(spec, size)[1] for spec in task.runs().values())


def explained(task: Task, size: Size) -> int:
    """Return how many sequences the maps of one model have, of all methods together."""
    return len(task.attribution.methods) * min(task.attribution.sequences, size.of(task.attribution.split))


def maps_work(task: Task, run: str, size: Size) -> float:
    """Return the multiplications of the attribution maps of all trials of a run."""
    own = task.attribution
    rows = min(own.sequences, size.of(own.split))
    settings = resolve(own.preset, own.changes())
    passes = sum(passes_of(method, settings, size.length) for method in own.methods)
    return task.trials * (rows + min(rows, TURNED)) * passes * cost_of(task.runs()[run], size)[1]


def passes_of(method: str, settings: Settings, length: int) -> float:
    """Return how many passes forward the map of one sequence costs; a pass back costs as much."""
    if method == "mutagenesis":
        return MUTATED * OTHER_BASES * length
    if method == "integrated_gradients":
        return settings.references * (MEASURED * settings.steps + 1) + 1
    if method == "deep_lift_shap":
        return settings.references * PAIR * MEASURED
    return MEASURED


def references_work(task: Task, run: str, size: Size) -> float:
    """Return the multiplications of comparing numbers of references, at the cost of the largest."""
    own = task.attribution
    settings = replace(resolve(own.preset, own.changes()), references=max(own.reference_counts))
    passes = sum(passes_of(method, settings, size.length) for method in own.methods if method in REFERENCED)
    return task.trials * min(own.sequences, size.of(own.split)) * passes * cost_of(task.runs()[run], size)[1]


def gallery_work(task: Task, name: str, size: Size) -> float:
    """Return the multiplications of a gallery: one trial of each run chooses sequences, and explains them."""
    gallery = task.attribution.gallery(name)
    settings = resolve(task.attribution.preset, task.attribution.changes())
    chosen = gallery.best or len(gallery.rows or [1])
    searched = size.of(gallery.split) if gallery.best else 0
    passes = searched + chosen * passes_of(gallery.method, settings, size.length)
    specs = [task.runs()[run] for run in gallery.runs or task.runs()]
    return passes * sum(cost_of(spec, size)[1] for spec in specs)
