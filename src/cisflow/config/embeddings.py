"""Data sets of embeddings: what a pretrained trunk makes of windows that other tasks have labels for."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, field_validator, model_validator

from cisflow.config.places import Place
from cisflow.config.strict import Name, Strict
from cisflow.config.yaml import Section, place

if TYPE_CHECKING:
    from cisflow.config.tasks import Task

# Settings that say how embeddings are computed, not what they are.
HOW = ("batch", "device")
# What tasks have in common whose windows are the same.
SAME = ("genome", "regions", "length", "crop", "edges")
# Of the published models: bases of a sequence, of a bin, and of what is cropped at each end.
PUBLISHED = (131_072, 128, 8192)

Bins = Annotated[list[NonNegativeInt], Field(min_length=1)]


class Trunk(Strict):
    """A pretrained Basenji2, and what of its embeddings is stored, in which numbers."""

    weights: Place = Field(description="Weights: Keras' HDF5 file, or a PyTorch state (.pth).")
    params: Place | None = Field(None, description="Settings file (JSON) of a model of other widths.")
    gelu: Literal["auto", "quick", "tanh", "erf"] = Field(
        "auto",
        description="'quick': as Basenji2 was published; 'tanh': its code since 2022; 'erf': some ports; 'auto': what "
        "the file of weights says.",
    )
    keep: Literal["all", "mean", "max"] | Bins = Field(
        "all", description="All bins of a window, their mean or maximum, or the bins of these numbers, from 0."
    )
    dtype: Literal["float16", "bfloat16"] = Field(
        "float16", description="Numbers that are stored. What is too large for float16 is an error."
    )
    precision: Literal["32-true", "bf16-mixed", "bf16-true"] = Field("32-true", description="Of the computation.")
    batch: PositiveInt = Field(4, description="Windows that are computed together.")
    compression: Literal["none", "bitshuffle"] = Field(
        "none", description="Of the shards. 'bitshuffle': of hdf5plugin, with LZ4; readers need that package."
    )
    device: Literal["gpu", "cpu", "any"] = Field("gpu", description="'gpu': fail at once where there is none.")

    @field_validator("keep")
    @classmethod
    def _once(cls, keep: str | list[int]) -> str | list[int]:
        if isinstance(keep, list) and keep != sorted(set(keep)):
            raise ValueError("keep: numbers of bins rise, and each is there once")
        return keep


class Embeddings(Strict):
    """Embeddings of windows, with the labels that other tasks have for them."""

    kind: Literal["embeddings"]
    labels: Name = Field(
        description="Task of kind matrix with labels: window. Genome, windows, splits, labels and masks are its own."
    )
    bins: Name | None = Field(
        None, description="Task of kind matrix with labels: bins, over the same windows; needs keep: all."
    )
    trunk: Trunk
    shards: PositiveInt = Field(64, description="Parts of the windows that are embedded by jobs of their own.")
    target: Literal["real"] = "real"

    @model_validator(mode="after")
    def _all_bins(self):
        if self.bins and self.trunk.keep != "all":
            raise ValueError(f"bins: labels of bins need all bins, and trunk.keep is {self.trunk.keep}")
        return self

    def tasks(self) -> dict[str, str]:
        """Return the tasks that labels come from, by their key."""
        return {key: name for key, name in (("labels", self.labels), ("bins", self.bins)) if name}


def problems_of_labels(tasks: "Mapping[Name, Task]", document: Section) -> Iterator[str]:
    """Yield a problem, with file and line, for each task that another one's embeddings cannot have labels from."""
    for name, task in tasks.items():
        if not isinstance(task.dataset, Embeddings):
            continue
        known = {key: tasks[other] for key, other in task.dataset.tasks().items() if other in tasks}
        for key, text in _problems(task.dataset, known):
            path = ("tasks", name, "dataset", *key.split("."))
            yield f"{place(document, path)}: {'.'.join(path)}: {text}"


def _problems(dataset: Embeddings, tasks: "Mapping[str, Task]") -> Iterator[tuple[str, str]]:
    wrong = {key: problem for key, task in tasks.items() if (problem := _no_labels(dataset.tasks()[key], key, task))}
    yield from wrong.items()
    if wrong or "labels" not in tasks:
        return
    first = tasks["labels"].dataset
    if "bins" in tasks and (differ := _differ(first, tasks["bins"].dataset)):
        yield "bins", f"'{dataset.bins}' has other {', '.join(differ)} than '{dataset.labels}'; give both the same"
    if dataset.trunk.params is None:
        yield from ((key, text) for key, text in misfits(dataset, tasks, PUBLISHED))


def _no_labels(name: str, key: str, task: "Task") -> str | None:
    wanted = {"labels": "window", "bins": "bins"}[key]
    if task.dataset.kind != "matrix":
        return f"'{name}' has a data set of the kind {task.dataset.kind}; labels come from one of the kind matrix"
    if task.dataset.labels != wanted:
        return f"'{name}' has labels: {task.dataset.labels}; name a task with labels: {wanted}"
    if task.dataset.reverse_complement:
        return f"'{name}' has the other strand of {', '.join(task.dataset.reverse_complement)}, and embeddings have not"
    return None


def _differ(first: Any, second: Any) -> list[str]:
    # Windows over contigs depend on the bins that mappability is told for.
    keys = (*SAME, "bin") if first.regions.contigs else SAME
    return [key for key in keys if getattr(first, key) != getattr(second, key)]


def misfits(
    dataset: Embeddings, tasks: "Mapping[str, Task]", geometry: tuple[int, int, int]
) -> Iterator[tuple[str, str]]:
    """Yield the keys of a data set, and problems, where windows and bins are not those of the model.

    Parameters
    ----------
    dataset
        Its settings.
    tasks
        Those that its labels come from, by their key.
    geometry
        Of the model (see `geometry_of`).
    """
    length, width, crop = geometry
    labels = tasks["labels"].dataset
    if (labels.length, labels.crop) != (length, crop):
        yield (
            "labels",
            f"the windows of '{dataset.labels}' have length {labels.length} and crop {labels.crop}, and the model "
            f"takes length {length} and crop {crop}",
        )
    elif "bins" in tasks and tasks["bins"].dataset.bin != width:
        yield "bins", f"the bins of '{dataset.bins}' have {tasks['bins'].dataset.bin} bases, and the model's {width}"
    count = (length - 2 * crop) // width
    if isinstance(dataset.trunk.keep, list) and dataset.trunk.keep[-1] >= count:
        yield "trunk.keep", f"there is no bin {dataset.trunk.keep[-1]}; they are 0 to {count - 1}"


def geometry_of(params: Mapping[str, Any]) -> tuple[int, int, int]:
    """Return bases of a sequence, of a bin, and of what is cropped at each end, of the content of a settings file.

    Raises
    ------
    KeyError, TypeError
        It is no settings file of Basenji2.
    """
    width, crop = 1, 0
    for block in params["model"]["trunk"]:
        if block["name"] == "Cropping1D":
            crop += block["cropping"] * width
        width *= block.get("pool_size", 1) ** block.get("repeat", 1)
    return params["model"]["seq_length"], width, crop
