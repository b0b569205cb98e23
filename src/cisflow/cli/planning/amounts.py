"""What each job has to do, in units that times are scaled by, and what it writes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from cisflow.cli.planning.costs import (
    Size,
    cost_of,
    evaluation_work,
    explained,
    gallery_work,
    maps_work,
    references_work,
    run_work,
    size_of,
    trunk_of,
)
from cisflow.cli.planning.plan import Job
from cisflow.config.project import Estimates, Project, Rates
from cisflow.config.tasks import Task

# Units. Multiplications have rates (`estimates` of the configuration); of the others a job has so many.
TRAINING, PASSES, TRUNK = "multiplications of trainings", "multiplications of passes", "multiplications of a trunk"
MODELS, MOTIFS, MAPS, REGIONS, JOB = "models", "models' motifs", "sequences of maps", "regions", "job"
# Of jobs that import what networks need before they compute.
STARTED = (TRAINING, PASSES, TRUNK, MODELS)
FLOAT32, FLOAT16, INDEX = 4, 2, 1
# Of rules whose time depends on the network, and on nothing here.
FETCHING = ("fetch_source",)

# (task, its size, wildcards) to multiplications.
_WORK: dict[str, Callable[[Task, Size, Mapping[str, str]], float]] = {
    "train": lambda task, size, of: run_work(task, of["run"], size),
    "evaluate": lambda task, size, of: evaluation_work(task, size),
    "attribute": lambda task, size, of: maps_work(task, of["run"], size),
    "sweep_references": lambda task, size, of: references_work(task, of["run"], size),
    "explain_gallery": lambda task, size, of: gallery_work(task, of["gallery"], size),
}
# Rules that go through the models of all runs of a task, or of one run.
_OF_ALL_RUNS = {
    "filters": MODELS,
    "filters_at_threshold": MODELS,
    "tomtom": MOTIFS,
    "tomtom_at_threshold": MOTIFS,
}
_OF_ONE_RUN = ("scan_run", "activations")
_OF_MAPS = ("attribution_quality", "score_attribution")
# What is written, by rule.
KINDS = {
    "fetch_source": "downloads",
    "make_dataset": "data sets",
    "bin_track": "tracks",
    "embed_shard": "embeddings",
    "train": "weights",
    "evaluate": "predictions",
    "attribute": "maps",
}


@dataclass(frozen=True)
class Amount:
    """So many of a unit."""

    value: float
    unit: str


class Amounts:
    """What jobs of a project have to do, and what they write.

    Parameters
    ----------
    project
        The configuration.
    """

    def __init__(self, project: Project):
        self.project = project
        self._sizes: dict[str, Size | None] = {}

    def size(self, task: str) -> Size | None:
        """Return `size_of` a task, which is asked once."""
        if task not in self._sizes:
            self._sizes[task] = size_of(self.project, task)
        return self._sizes[task]

    def of(self, rule: str, wildcards: Mapping[str, str]) -> Amount | None:
        """Return what a job of a rule has to do; None before anything tells it."""
        if rule in _WORK:
            size = self.size(wildcards["task"])
            unit = TRAINING if rule == "train" else PASSES
            return size and Amount(_WORK[rule](self.project.task(wildcards["task"]), size, wildcards), unit)
        if rule == "embed_shard":
            return self._embedding(wildcards["embedding"])
        if rule in _OF_ALL_RUNS:
            task = self.project.task(wildcards["task"])
            return Amount(task.trials * len(task.runs()), _OF_ALL_RUNS[rule])
        if rule in _OF_ONE_RUN:
            return Amount(self.project.task(wildcards["task"]).trials, MODELS)
        if rule in _OF_MAPS:
            size, task = self.size(wildcards["task"]), self.project.task(wildcards["task"])
            return size and Amount(explained(task, size) * task.trials * len(task.runs()), MAPS)
        if rule == "bin_track":
            size = self.size(wildcards["task"])
            return size and Amount(size.rows / self.project.task(wildcards["task"]).dataset.shards, REGIONS)
        return Amount(1, JOB)

    def _embedding(self, name: str) -> Amount | None:
        dataset = self.project.embeddings[name]
        size, trunk = self.size(dataset.labels), trunk_of(self.project, dataset)
        return Amount(size.rows / dataset.shards * trunk[0], TRUNK) if size and trunk else None

    def gpu(self, rule: str, wildcards: Mapping[str, str]) -> bool:
        """Return whether networks of a job are on a GPU, as its settings say."""
        if rule == "embed_shard":
            return self.project.embeddings[wildcards["embedding"]].trunk.device == "gpu"
        return "task" in wildcards and self.project.task(wildcards["task"]).training.device == "gpu"

    def rates(self, job: Job, unit: str) -> Rates | Estimates | None:
        """Return the estimated multiplications a second of a job; None if its unit is another."""
        estimates = self.project.settings.estimates
        if unit == TRUNK:
            precise = self.project.embeddings[job.wildcards["embedding"]].trunk.precision == "32-true"
            return estimates.trunk if precise else estimates.trunk_bfloat16
        if job.gpus and "task" in job.wildcards and self.project.task(job.wildcards["task"]).heads:
            return estimates.trunk  # heads multiply large matrices, too
        return {TRAINING: estimates, PASSES: estimates.passes}.get(unit)

    @cached_property
    def files(self) -> dict[str, tuple[int | None, str | None]]:
        """Of the files of all sources, by path: bytes, if they are declared, and how large they are in words."""
        return {
            self.project.source_file(source, name): (file.size, file.about)
            for source, content in self.project.sources.items()
            for name, file in content.files.items()
        }

    def writes(self, job: Job) -> float | None:
        """Return the bytes that a job of one of `KINDS` writes; None before anything tells it."""
        of = job.wildcards
        if job.rule == "fetch_source":
            return next((self.files.get(path, (None, None))[0] for path in job.outputs), None)
        if job.rule == "embed_shard":
            dataset = self.project.embeddings[of["embedding"]]
            size, trunk = self.size(dataset.labels), trunk_of(self.project, dataset)
            return FLOAT16 * size.rows / dataset.shards * trunk[1] * trunk[2] if size and trunk else None
        task, size = self.project.task(of["task"]), self.size(of["task"])
        return size and _WRITTEN[job.rule](task, size, of)


def _dataset(task: Task, size: Size, of: Mapping[str, str]) -> float:
    labels = FLOAT32 * size.targets
    if task.dataset.kind == "embeddings":
        return size.rows * labels  # embeddings and labels of bins are other files
    if task.dataset.kind == "matrix":
        return size.rows * (size.length * INDEX + labels * (task.dataset.bins if task.dataset.labels == "bins" else 1))
    # Those that are made have the truth of each base, too.
    return size.rows * (size.length * INDEX * (1 if task.dataset.kind == "hdf5" else 2) + labels)


def _weights(task: Task, size: Size, of: Mapping[str, str]) -> float:
    # The best and the last.
    return 2 * FLOAT32 * task.trials * cost_of(task.runs()[of["run"]], size)[0]


def _predictions(task: Task, size: Size, of: Mapping[str, str]) -> float:
    # Labels stand beside them.
    return 2 * FLOAT32 * size.targets * task.trials * len(task.runs()) * size.of(*task.evaluation.splits)


def _maps(task: Task, size: Size, of: Mapping[str, str]) -> float:
    return task.trials * explained(task, size) * size.length * 4 * FLOAT32


def _tracks(task: Task, size: Size, of: Mapping[str, str]) -> float:
    dataset = task.dataset
    return FLOAT32 * size.rows / dataset.shards * dataset.bins


_WRITTEN: dict[str, Callable[[Task, Size, Mapping[str, str]], float]] = {
    "make_dataset": _dataset,
    "train": _weights,
    "evaluate": _predictions,
    "attribute": _maps,
    "bin_track": _tracks,
}
