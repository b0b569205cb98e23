"""Tasks: what a user writes to get data, a trained grid, metrics, motifs, figures and a report."""

import copy
import difflib
import itertools
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)

from cisflow.attribution.contributions import choose_method, shortest
from cisflow.attribution.presets import METHODS, PRESETS, resolve
from cisflow.config.datasets import Dataset
from cisflow.config.evaluation import Evaluation
from cisflow.config.heads import PRESETS as HEAD_PRESETS
from cisflow.config.strict import Grid, KeyProblem, Name, Strict, did_you_mean, message, partial
from cisflow.config.sweep import lay, run_name, sweep_of
from cisflow.config.text import Title
from cisflow.models.zoo import (
    ACTIVATION_ALIASES,
    ACTIVATIONS,
    ARCHITECTURES,
    ATTENTION_AXES,
    HEADS,
    INITIALIZERS,
    layers_over_bases,
    sizes,
)
from cisflow.motifs.database import PROMISCUOUS

Activation = Annotated[
    Literal[(*ACTIVATIONS, *ACTIVATION_ALIASES)], AfterValidator(lambda name: ACTIVATION_ALIASES.get(name, name))
]


class Model(Strict):
    """An architecture of the zoo; a list instead of a value makes a grid, whose points are the task's runs."""

    name: Grid[Literal[tuple(ARCHITECTURES)]] = Field(min_length=1, description="Architecture.")
    activation: Grid[Activation] = Field(["relu"], min_length=1, description="First-layer activation.")
    width: Grid[PositiveFloat] = Field([1.0], min_length=1, description="Multiplies the numbers of filters and units.")
    initializer: Grid[Literal[INITIALIZERS]] = Field(["glorot_uniform"], min_length=1, description="As in Keras.")
    l2: Grid[NonNegativeFloat] = Field([1e-6], min_length=1, description="Penalty l2 * sum(w^2) on all kernels.")
    norm_momentum: Grid[Annotated[float, Field(ge=0, lt=1)]] = Field(
        [0.99], min_length=1, description="Of the running statistics of batch normalisation; see "
        "training.norm_statistics.",
    )  # fmt: skip
    first_norm: Grid[bool] = Field([True], min_length=1, description="Batch normalisation in the first layer.")
    first_activation_scale: Grid[PositiveFloat] = Field(
        [1.0], min_length=1, description="s of the first activation f(s * x)."
    )
    first_initializer: Grid[Literal[INITIALIZERS] | None] = Field(
        [None], min_length=1, description="Of the first kernel; null: as `initializer`."
    )
    first_sd: Grid[PositiveFloat | None] = Field(
        [None], min_length=1, description="The first kernel begins as a normal distribution of this standard deviation."
    )
    first_l2: Grid[NonNegativeFloat | None] = Field(
        [None], min_length=1, description="Penalty on the first kernel; null: as `l2`."
    )

    @model_validator(mode="after")
    def _wide_enough(self):
        for name, width in itertools.product(self.name, self.width):
            if round(min(sizes(name)) * width) < 1:
                raise ValueError(f"width: {width:g} leaves a layer of {name} without filters")
        return self


VARIANTS = [key for key in Model.model_fields if key.startswith("first_") or key == "norm_momentum"]


class Heads(Strict):
    """Heads on embeddings; a list instead of a value makes a grid, in which a head has its own keys alone."""

    name: Grid[Literal[tuple(HEADS)]] = Field(min_length=1, description="Head.")
    units: Grid[PositiveInt] = Field([500], min_length=1, description="Of the perceptrons: units of a bin.")
    attention_axis: Grid[Literal[ATTENTION_AXES]] = Field(
        ["position"], min_length=1, description="Of self-attention: 'position', along the window; 'batch', over the "
        "other windows of the batch, as the original did by mistake.",
    )  # fmt: skip
    attention_heads: Grid[PositiveInt] = Field(
        [6], min_length=1, description="Of self-attention; they divide the channels of the embeddings."
    )
    dropout: Grid[Annotated[float, Field(ge=0, lt=1)]] = Field([0.2], min_length=1, description="Of self-attention.")


def _kind_of_model(model: Any) -> str:
    """Return which of `Model` and `Heads` is meant: the one of whose names one is given, or nearly."""
    if isinstance(model, Strict):
        return type(model).__name__
    names = model.get("name") if isinstance(model, dict) else None
    names = [name for name in (names if isinstance(names, list) else [names]) if isinstance(name, str)]
    if ARCHITECTURES.keys() >= set(names):
        return "Model"
    closest = {name for given in names for name in difflib.get_close_matches(given, [*ARCHITECTURES, *HEADS], n=1)}
    return "Heads" if closest & HEADS.keys() else "Model"


AnyModel = Annotated[Annotated[Model, Tag("Model")] | Annotated[Heads, Tag("Heads")], Discriminator(_kind_of_model)]


class Optimizer(Strict):
    """Optimiser (of torch.optim) and its learning rate."""

    name: Literal["adam", "adamw", "sgd"] = "adam"
    lr: PositiveFloat = 1e-3
    betas: tuple[float, float] | None = Field(None, description="adam, adamw; default (0.9, 0.999).")
    eps: PositiveFloat | None = Field(None, description="adam, adamw; default 1e-7, as in Keras.")
    momentum: NonNegativeFloat | None = Field(None, description="sgd; default 0.")
    nesterov: bool | None = Field(None, description="sgd; default false.")
    weight_decay: NonNegativeFloat | None = Field(None, description="Besides the model's l2; default 0 (adamw 0.01).")

    @model_validator(mode="after")
    def _own_arguments(self):
        others = ("momentum", "nesterov") if self.name.startswith("adam") else ("betas", "eps")
        given = [key for key in others if getattr(self, key) is not None]
        if given:
            raise ValueError(f"{', '.join(given)}: not an argument of {self.name}")
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov: needs a momentum above 0")
        return self

    def arguments(self) -> dict[str, Any]:
        """Return name, learning rate and the arguments that are set."""
        keras = {"eps": 1e-7} if self.name.startswith("adam") else {}
        return {**keras, **self.model_dump(exclude_none=True)}


class Plateau(Strict):
    """Cut the learning rate when the monitored metric stops improving (Keras' ReduceLROnPlateau)."""

    factor: float = Field(0.2, gt=0, lt=1)
    patience: PositiveInt = Field(5, description="Epochs without improvement before a cut.")
    min_lr: NonNegativeFloat = 1e-7
    min_delta: NonNegativeFloat = Field(1e-4, description="An improvement is more than this.")


class EarlyStop(Strict):
    """Stop when the monitored metric has not improved (Keras' EarlyStopping)."""

    patience: PositiveInt = 20
    min_delta: NonNegativeFloat = 0.0


class Training(Strict):
    """How every run of the task is trained."""

    loss: Literal["binary_cross_entropy", "mean_squared_error", "poisson"] | None = Field(
        None, description="Default: binary_cross_entropy for binary labels, mean_squared_error for real ones. "
        "'poisson': of linear-probe.",
    )  # fmt: skip
    scale: Literal["none", "mean", "sd", "standard"] | None = Field(
        None, description="Of heads: each target's labels are learned in units of their mean or standard deviation in "
        "train; 'standard': from their mean. Predictions are in the labels' units.",
    )  # fmt: skip
    truncate: bool = Field(False, description="Of heads: labels lose their decimals, as the original's did.")
    clip_norm: PositiveFloat | None = Field(None, description="Largest norm of a step's gradient.")
    optimizer: Optimizer = Optimizer()
    batch_size: int = Field(100, ge=2, description="Batch normalisation needs two sequences.")
    epochs: PositiveInt = Field(100, description="At most.")
    monitor: Literal["loss", "auroc", "aupr", "pearson", "pearson_mean"] | None = Field(
        None, description="Validation metric of plateau, early stop and best weights; all targets pooled, but in "
        "pearson_mean, the mean of their own. Default: auroc for binary labels, pearson for real ones."
    )  # fmt: skip
    plateau: Plateau | None = Plateau()
    early_stop: EarlyStop | None = EarlyStop()
    norm_statistics: Literal["recomputed", "keras"] | None = Field(
        None, description="What batch normalisation uses when nothing is learned: averages over the training rows, "
        "recomputed after each epoch, or running averages as Keras has them, which are wrong after few steps. Default: "
        "recomputed; heads have none.",
    )  # fmt: skip
    weights: Literal["best", "last"] = Field("best", description="Weights used after training.")
    diverged: Literal["fail", "keep"] = Field(
        "fail", description="When a trial's loss is no number: fail, or end the trial and keep its weights as they are."
    )
    device: Literal["gpu", "cpu", "any"] = Field(
        "gpu", description="'gpu' fails where none is visible; 'any' allows the CPU."
    )
    precision: Literal["32-true", "bf16-mixed", "auto"] = Field(
        "32-true", description="'auto': bf16-mixed where the device computes it natively."
    )
    data: Literal["memory", "stream"] | None = Field(
        None, description="Keep the rows on the device, or read each batch from disk ahead of time. Default: memory, "
        "of embeddings stream.",
    )  # fmt: skip
    replicates: PositiveInt | None = Field(
        None, description="Trials trained together as one module. Default: all on a GPU, one on a CPU."
    )
    save_minutes: PositiveFloat = Field(5.0, description="Time between two savings of an unfinished training.")
    loggers: list[Literal["tensorboard", "wandb"]] = Field(
        [], description="Besides history.tsv; wandb is kept offline."
    )
    gradients: Literal["first"] | None = Field(
        None, description="'first': history.tsv has mean and s.d. of the gradient of the first kernel after each epoch."
    )


# How the trainings of a task are carried out and watched, not what they learn: one value serves all its runs.
CARRIED_OUT = ("device", "precision", "data", "replicates", "loggers", "gradients")
# Of the settings of a run what its weights do not depend on: a change trains nothing.
NOT_LEARNING = ("weights", "save_minutes")
# What `defaults` give heads of it; how they learn is that of their preset.
OF_ANY_MODEL = ("device", "precision", "loggers", "save_minutes")
# What only heads have.
OF_HEADS = ("preset", "scale", "truncate")
# What heads cannot have, and why.
NOT_OF_HEADS = {
    "gradients": "heads have no first kernel",
    "replicates": "heads are trained one by one",
    "norm_statistics": "heads have no batch normalisation",
}
# Left out of a run's settings where they are off: a training that has ended is not made again for a new key.
OFF = ("scale", "truncate", "clip_norm")

LEARNING = [key for key in Training.model_fields if key not in (*CARRIED_OUT, "save_minutes")]
TrainingOfModel = partial(Training, LEARNING, "TrainingOfModel", "What of `training` is other for one head.")


class TrainingOfTask(Training):
    """How the runs of a task are trained."""

    preset: Literal[tuple(HEAD_PRESETS)] = Field(
        "corrected",
        description="Of heads: the keys that are not given; 'cs282a': as the original trained them.",
    )
    by_model: dict[Literal[tuple(HEADS)], TrainingOfModel] = Field(
        {}, description="Of heads: keys of `training` that are other for some of them, by name."
    )


FIXED = [f"training.{key}" for key in (*CARRIED_OUT, "preset")]
Sweep = sweep_of({"model": Model, "training": Training}, without=FIXED)


class Filters(Strict):
    """How first-layer filters become position weight matrices."""

    layer: Name = Field("first", description="Layer whose units are read; 'first' is the first activation.")
    split: Literal["train", "valid", "test"] = Field("test", description="Sequences that are searched.")
    threshold: float = Field(0.5, gt=0, lt=1, description="Sites are above this fraction of a filter's maximum.")
    thresholds: list[Annotated[float, Field(gt=0, lt=1)]] = Field(
        [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9],
        min_length=1,
        description="Thresholds that motifs/thresholds.tsv compares, for the same trained runs.",
    )
    window: PositiveInt = Field(20, description="Bases taken around a site.")
    clip_information: NonNegativeFloat = Field(
        0.5, description="Bits; the matrix is cut where it has less at its ends."
    )
    clip_pad: NonNegativeInt = Field(3, description="Positions kept beyond the cut.")
    min_information: NonNegativeFloat = Field(
        3.0, description="Bits in all; a matrix of less is 'uninformative', and not compared with known motifs."
    )


class Activations(Strict):
    """What is kept of the first layer's values before and after its activation."""

    split: Literal["train", "valid", "test"] = "test"
    sequences: PositiveInt = Field(100, description="The first ones of the split.")
    bins: PositiveInt = Field(60, description="Bins of a histogram, of equal width.")
    pairs: PositiveInt = Field(1000, description="At most this many values are kept, by rank.")


class Scan(Strict):
    """How well known motifs and first-layer filters find the motifs of sequences, where these are known."""

    layer: Name = Field("first", description="Layer whose units scan; 'first' is the first activation.")
    split: Literal["train", "valid", "test"] = Field("test", description="Sequences that are scanned.")
    buffers: list[PositiveInt] = Field(
        [5, 10, 15, 20], min_length=1, description="Lengths of the box by which motifs are widened, in bases."
    )
    examples: PositiveInt = Field(
        2, description="Sequences whose scores are kept: the first with at least 3 stretches of motifs."
    )


class Tomtom(Strict):
    """How the matrices are compared with known motifs."""

    database: Name = Field("jaspar2016", description="Source of the known motifs (config/sources.yaml).")
    exclude: list[str] = Field(
        [PROMISCUOUS],
        description="Motif ids left out of the database; 'promiscuous' stands for matrices of JASPAR that match "
        "filters without a motif.",
    )
    engine: Literal["memelite", "meme", "auto"] = Field(
        "memelite",
        description="'meme': the MEME Suite's tomtom (licence: non-commercial use only); 'auto': it, if found.",
    )
    e_value: PositiveFloat = Field(0.1, description="Matches have at most this E-value.")
    shuffles: NonNegativeInt = Field(
        10,
        description="Shuffled copies of each filter; what one of them matches as well is no label of the filter.",
    )


class Region(Strict):
    """A stretch of a chromosome, 0-based and half-open, in a genome file of a source."""

    source: Name = Field(description="Source that holds the file (config/sources.yaml).")
    file: str = Field(description="FASTA file of the source, gzipped if its name ends in .gz.")
    chrom: str = Field(min_length=1, description="Name of the sequence in the file.")
    start: NonNegativeInt
    end: PositiveInt

    @model_validator(mode="after")
    def _forwards(self):
        if self.end <= self.start:
            raise ValueError(f"end: {self.end} is not after start, {self.start}")
        return self


class Gallery(Strict):
    """Sequences whose attributions are kept to be drawn. One of `best`, `rows` and `region` says which."""

    best: PositiveInt | None = Field(
        None, description="So many of the split: those of the highest output, in the mean over the runs."
    )
    rows: list[NonNegativeInt] | None = Field(None, min_length=1, description="These ones, counted from 0.")
    region: Region | None = Field(None, description="A stretch of a genome, as long as the model's sequences.")
    among: Literal["all", "positives"] = Field(
        "all", description="What `rows` counts, and `best` is chosen from: rows of the split, or its positive rows."
    )
    split: Literal["train", "valid", "test"] | None = Field(None, description="Default: that of `attribution`.")
    target: NonNegativeInt | Name | None = Field(
        None, description="Name or number, from 0, of the target that is explained. Default: that of `attribution`."
    )
    method: Literal[METHODS] = "saliency"
    output: Literal["probability", "logit"] | None = Field(
        None, description="What is explained. Default: that of `attribution`; the logit in the gallery of every report."
    )
    window: tuple[NonNegativeInt, PositiveInt] | None = Field(
        None, description="Positions that are kept: the first, and the one after the last. Default: all."
    )
    runs: list[str] = Field([], description="Names of runs; default all.")
    trial: NonNegativeInt = 0

    @model_validator(mode="after")
    def _one_choice(self):
        given = [key for key in ("best", "rows", "region") if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError(f"one of best, rows and region is needed; given: {', '.join(given) or 'none'}")
        if self.region and (self.among == "positives" or self.split):
            raise ValueError("a region is of no split; leave out among and split")
        if self.rows and len(set(self.rows)) < len(self.rows):
            raise ValueError("rows: a row stands in the list twice")
        if self.window and self.window[1] <= self.window[0]:
            raise ValueError(f"window: it ends at {self.window[1]}, which is not after its start, {self.window[0]}")
        return self


class Attribution(Strict):
    """What the models read in single sequences. The preset says how; the keys after it change parts of it."""

    methods: list[Literal[METHODS]] = Field(list(METHODS), min_length=1)
    split: Literal["train", "valid", "test"] = "test"
    sequences: PositiveInt = Field(500, description="The first ones; for binary labels the first positive ones.")
    examples: PositiveInt = Field(4, description="Sequences kept as examples, where there is a ground truth.")
    target: Name | None = Field(None, description="Which target is explained; default: the first.")
    preset: Literal[tuple(PRESETS)] = Field("recommended", description="'paper-2021' does as Koo & Ploenzke did.")
    output: Literal["probability", "logit"] | None = Field(None, description="What is explained.")
    reference: Literal["permuted", "dinucleotide"] | None = Field(None, description="What paths start from.")
    references: PositiveInt | None = Field(None, description="References for each sequence.")
    reference_counts: list[PositiveInt] = Field(
        [*range(1, 26, 2)], min_length=1, description="Numbers of references that attribution/references compares."
    )
    steps: PositiveInt | None = Field(None, description="Points on the path of integrated gradients.")
    limits: dict[Literal["integrated_gradients", "deep_lift_shap"], PositiveFloat] = Field(
        {"deep_lift_shap": 0.01}, description="Largest median convergence error with which results are used."
    )
    galleries: dict[Name, Gallery | None] = Field(
        {}, description="Sequences that are drawn, by name; `best` is in every task's report, unless it is null."
    )

    @field_validator("galleries")
    @classmethod
    def _best(cls, galleries: dict[str, Gallery | None]) -> dict[str, Gallery | None]:
        # The gradient of a probability dies where the model is certain, which is where these are.
        return {"best": Gallery(best=4, output="logit")} | galleries

    def gallery(self, name: str) -> Gallery | None:
        """Return a gallery with its split, target and output resolved; None if there is none of this name."""
        found = self.galleries.get(name)
        general = {key: getattr(self, key) for key in ("split", "target", "output")}
        own = {key: value for key in general if (value := getattr(found, key, None)) is not None}
        return found and found.model_copy(update=general | own)

    def changes(self) -> dict[str, Any]:
        """Return the settings that are laid over the preset's."""
        return self.model_dump(include={"output", "reference", "references", "steps"})


class Modisco(Strict):
    """How TF-MoDISco finds patterns in the attributions of a run; sizes have the names of its own options."""

    method: Literal[METHODS] | None = Field(
        None, description="Whose maps are read. Default: the first of deep_lift_shap, integrated_gradients, "
        "mutagenesis, saliency that the task computes and that tells what other bases would contribute."
    )  # fmt: skip
    trial: NonNegativeInt | None = Field(None, description="Whose map; default: the mean over all trials of the run.")
    window: PositiveInt | None = Field(None, description="Bases around the middle; default: the whole length.")
    max_seqlets: PositiveInt = Field(20000, description="Of each sign; the first ones are taken.")
    min_seqlets: PositiveInt = Field(100, description="Signs with no more seqlets than this have no patterns.")
    min_pattern_seqlets: PositiveInt = Field(20, description="A pattern has at least so many.")
    n_leiden: PositiveInt = Field(2, description="Clusterings with different seeds, of which the best is taken.")
    size: int = Field(20, ge=6, description="Core of a seqlet, in bases.")
    seqlet_flank_size: PositiveInt = Field(5, description="Bases on either side of the core.")
    trim_size: int = Field(30, ge=6, description="Core of a pattern, in bases.")
    initial_flank_to_add: NonNegativeInt = Field(10, description="Bases on either side of a pattern's core.")

    def sizes(self) -> dict[str, int]:
        """Return the settings that say how long seqlets and patterns are."""
        return self.model_dump(include={"size", "seqlet_flank_size", "trim_size", "initial_flank_to_add"})


class Task(Strict):
    """A data set, the models that are trained on it, and what is read from them."""

    title: Title = ""
    dataset: Dataset
    model: AnyModel | None = Field(description="null: nothing is trained; the task is a data set.")
    sweep: Sweep = Field(
        Sweep(), description="Lists of values of keys below model or training, as training.optimizer.lr: [1e-3, 1e-4]."
    )
    trials: PositiveInt = Field(3, description="Independent trainings of each run, each with its own seed.")
    training: TrainingOfTask = TrainingOfTask()
    evaluation: Evaluation = Evaluation()
    filters: Filters | None = Filters()
    activations: Activations = Activations()
    tomtom: Tomtom = Tomtom()
    scan: Scan = Scan()
    attribution: Attribution = Attribution()
    modisco: Modisco = Modisco()
    ground_truth: dict[Name, list[str]] = Field({}, description="Motif ids that are right for each factor, if known.")

    @property
    def target_kind(self) -> str:
        """'binary' or 'real'."""
        return getattr(self.dataset, "target", "binary")

    @property
    def heads(self) -> bool:
        """Whether its models are heads on embeddings; nothing is read from them as from networks on sequences."""
        return isinstance(self.model, Heads)

    @property
    def data(self) -> str:
        """Where training has its rows, 'memory' or 'stream'."""
        return self.training.data or ("stream" if self.heads else "memory")

    @field_validator("sweep", mode="before")
    @classmethod
    def _nothing_that_all_runs_share(cls, sweep: Any) -> Any:
        roots = cls.model_fields.keys() - {"model", "training"}
        keys = sweep if isinstance(sweep, dict) else ()
        if shared := [key for key in keys if key in FIXED or key.partition(".")[0] in roots]:
            raise ValueError(f"{', '.join(shared)}: all runs of a task share it; write a task for each value")
        return sweep

    @model_validator(mode="after")
    def _models_take_the_data(self):
        if self.model is None:
            return self
        if self.heads != (self.dataset.kind == "embeddings"):
            takes, others = ("embeddings", ARCHITECTURES) if self.heads else ("sequences", HEADS)
            raise KeyProblem(
                ("model", "name"),
                f"{', '.join(self.model.name)} takes {takes}, and the data set is of kind {self.dataset.kind}; take "
                f"one of {', '.join(others)}",
            )
        of_bins = [name for name in self.model.name if self.heads and HEADS[name].labels == "bins"]
        if of_bins and getattr(self.dataset, "bins", None) is None:
            raise KeyProblem(("model", "name"), f"{of_bins[0]} learns labels of bins; name their task: dataset.bins")
        return self

    @model_validator(mode="after")
    def _only_heads_have_it(self):
        training, swept = self.training, self.sweep.given()
        if self.heads:
            if strange := [key for key in swept if key.startswith("model.")]:
                raise KeyProblem(("sweep", strange[0]), "of heads, give a list under 'model' instead")
            for key, why in NOT_OF_HEADS.items():
                if getattr(training, key) not in (None, 1):
                    raise KeyProblem(("training", key), why)
            if other := [name for name in training.by_model if name not in self.model.name]:
                raise KeyProblem(("training", "by_model", other[0]), "it is not among model.name")
            # Nothing of what is read from networks on sequences is asked of heads.
            object.__setattr__(self, "filters", None)
            return self
        plain = type(training)()
        own = [("training", key) for key in (*OF_HEADS, "by_model") if getattr(training, key) != getattr(plain, key)]
        own += [("sweep", key) for key in swept if key.partition(".")[2] in OF_HEADS]
        own += [("training", "loss")] if training.loss == "poisson" else []
        if own:
            raise KeyProblem(own[0], f"only heads ({', '.join(HEADS)}) have it")
        return self

    @model_validator(mode="after")
    def _layers_can_be_read(self):
        sections = {"filters": self.filters, "scan": self.scan}
        names = self.model.name if self.model and not self.heads else ()
        for (key, section), name in itertools.product(sections.items(), names):
            layers = layers_over_bases(name)
            if section is not None and section.layer not in layers:
                hint = did_you_mean(section.layer, layers)
                raise KeyProblem((key, "layer"), f"'{section.layer}' has not one value a base in {name}.{hint}")
        return self

    @model_validator(mode="after")
    def _has_room(self):
        for keys, text in self.misfits(getattr(self.dataset, "length", None)):
            raise KeyProblem(keys, text)
        return self

    def misfits(self, length: int | None) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yield the keys of a task with a model that do not fit into sequences of a length, in bases, and why."""
        if not self.model:
            return
        window = self.filters.window if self.filters else 0
        if length and self.filters and window + 2 > length:
            yield ("filters", "window"), f"{window} bases need sequences of {window + 2} or more, not {length}"
        for name, gallery in self.attribution.galleries.items():
            for key, text in _gallery_misfits(gallery, length) if gallery and length else ():
                yield ("attribution", "galleries", name, key), text
        window, sizes = self.modisco.window, self.modisco.sizes()
        if length and window and window > length:
            yield ("modisco", "window"), f"{window} bases do not fit into sequences of {length}"
        room, needed = window or length, shortest(**sizes)
        # The defaults of a task that nobody runs TF-MoDISco on are not refused here, but by the rule.
        if room and room < needed and self.modisco.model_fields_set & {"window", *sizes}:
            text = f"seqlets and patterns need {needed} bases, and there are {room} ({_listed(sizes)})"
            yield ("modisco",), text

    @model_validator(mode="after")
    def _galleries_can_be_made(self):
        runs = self.runs()
        for name, gallery in self.attribution.galleries.items():
            for key, text in _problems(gallery, runs, self.trials) if gallery else ():
                raise KeyProblem(("attribution", "galleries", name, key), text)
            if gallery and gallery.among == "positives" and self.target_kind == "real":
                raise KeyProblem(("attribution", "galleries", name, "among"), "positives needs binary labels")
        return self

    @model_validator(mode="after")
    def _baselines_fit_the_labels(self):
        if self.target_kind == "real" and self.evaluation.baselines:
            text = f"{', '.join(self.evaluation.baselines)} needs binary labels"
            raise KeyProblem(("evaluation", "baselines"), text)
        return self

    @model_validator(mode="after")
    def _signal_is_real(self):
        for key in ("domains", "differences"):
            if self.target_kind != "real" and getattr(self.evaluation, key):
                raise KeyProblem(("evaluation", key), "they are told from signal, and the labels are binary")
        return self

    @model_validator(mode="after")
    def _modisco_has_maps(self):
        trial = self.modisco.trial
        if trial is not None and trial >= self.trials:
            raise KeyProblem(("modisco", "trial"), f"there is no trial {trial}; they are 0 to {self.trials - 1}")
        # The default of a task that nobody runs TF-MoDISco on is not refused here, but by the rule.
        if self.modisco.method is not None:
            try:
                self.modisco_method()
            except ValueError as error:
                raise KeyProblem(("modisco", "method"), str(error)) from None
        return self

    @model_validator(mode="after")
    def _each_list_once(self):
        for key in self.sweep.given():
            if len(self._model_lists().get(key, ())) > 1:
                raise KeyProblem(("sweep", key), "it is a list under 'model' too; give its values in one place")
        return self

    @model_validator(mode="after")
    def _every_run_can_be_trained(self):
        if not self.heads:
            _fits_the_labels(self.training, self.target_kind)
        for run, point in self.points.items():
            if point.get("model.first_sd") is not None and point["model.first_initializer"] is not None:
                raise KeyProblem(("model",), f"{run} has both first_sd and first_initializer; make one of them null")
            swept = ("sweep",) if self.sweep.given() else None
            try:
                training = self._training(point)
                _fits_the_labels(training, self.target_kind)
                _fits_the_head(training, point["model.name"])
            except ValidationError as error:
                raise KeyProblem(swept or ("training",), f"{run}: {message(error.errors()[0])}") from None
            except KeyProblem as problem:
                raise KeyProblem(swept or problem.path, f"{run}: {problem}") from None
        return self

    def modisco_method(self) -> str:
        """Return the method whose maps TF-MoDISco reads.

        Raises
        ------
        ValueError
            None of the task's maps serves, or not the one that is asked for; with the reason.
        """
        how = resolve(self.attribution.preset, self.attribution.changes())
        return choose_method(self.modisco.method, self.attribution.methods, how)

    def _model_lists(self) -> dict[str, list[Any]]:
        return {f"model.{key}": values for key, values in self.model or ()}

    # Computed once: every job of a run asks for it.
    @cached_property
    def points(self) -> dict[str, dict[str, Any]]:
        """The points of the grid by the run's name: the values of the model's and the sweep's dotted keys."""
        if self.model is None:
            return {}
        grid = self._model_lists() | self.sweep.given()
        points = (dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values()))
        if self.heads:
            # Points that differ in keys of other heads alone have one name, and are one run.
            points = map(_of_its_own, points)
        return {run_name(point, grid): point for point in points}

    def runs(self) -> dict[str, dict[str, Any]]:
        """Return the points of the grid: the model settings of each run, by the run's name.

        The name has the architecture, the activation, and the value of every other key that has a list.
        """
        return self.models

    @cached_property
    def models(self) -> dict[str, dict[str, Any]]:
        """What `runs` returns."""
        return {run: self._model_settings(point) for run, point in self.points.items()}

    def _model_settings(self, point: dict[str, Any]) -> dict[str, Any]:
        if self.heads:
            keys = ("name", *HEADS[point["model.name"]].keys)
            return {key: point[f"model.{key}"] for key in keys}
        # A variant that is not chosen is left out: a new kind of variant retrains no finished run.
        plain = {key: Model.model_fields[key].default for key in VARIANTS}
        settings = {key: point[f"model.{key}"] for key in Model.model_fields}
        return {key: value for key, value in settings.items() if plain.get(key) != [value]}

    def _training(self, point: dict[str, Any]) -> Training:
        if self.heads:
            settings = self._training_of_head(point["model.name"])
        else:
            settings = self.training.model_dump(exclude={"by_model", "preset"})
        for key, value in point.items():
            if key.startswith("training."):
                lay(settings, key.removeprefix("training."), value)
        return Training.model_validate(settings)

    def _training_of_head(self, name: str) -> dict[str, Any]:
        """Return the preset's settings, with those of the task and of this head laid over them."""
        settings = copy.deepcopy(HEAD_PRESETS[self.training.preset][name])
        own = self.training.by_model.get(name)
        for_all = self.training.model_dump(exclude_unset=True, exclude={"by_model", "preset"})
        for given in (for_all, own.model_dump(exclude_unset=True) if own else {}):
            for key, value in given.items():
                before = settings.get(key)
                both = isinstance(value, dict) and isinstance(before, dict)
                # Another optimiser has other arguments.
                joined = both and value.get("name", before.get("name")) == before.get("name")
                settings[key] = before | value if joined else value
        return settings

    def training_settings(self, run: str | None = None) -> dict[str, Any]:
        """Return the settings of `cisflow.training.engine.fit`, with all defaults resolved.

        Parameters
        ----------
        run
            Name of a run, whose own values of the sweep are in the settings; None: those before the sweep.
        """
        training = self.training if run is None else self._training(self.points[run])
        binary = self.target_kind == "binary"
        settings = training.model_dump(
            exclude={"optimizer", "by_model", "preset", "norm_statistics", *CARRIED_OUT, *OFF}
        )
        settings |= {key: value for key in OFF if (value := getattr(training, key)) not in (None, False)}
        if not self.heads and training.norm_statistics != "keras":
            settings["norm_statistics"] = "recomputed"
        settings["optimizer"] = training.optimizer.arguments()
        settings["loss"] = training.loss or ("binary_cross_entropy" if binary else "mean_squared_error")
        settings["monitor"] = training.monitor or ("auroc" if binary else "pearson")
        settings["mode"] = "min" if settings["monitor"] == "loss" else "max"
        # Left out where nothing is measured: a training that has ended is not made again for it.
        return settings | ({"gradients": training.gradients} if training.gradients else {})

    def learning_settings(self, run: str) -> dict[str, Any]:
        """Return what of a run's training settings its weights and history depend on."""
        settings = self.training_settings(run)
        return {key: value for key, value in settings.items() if key not in NOT_LEARNING}


def _listed(settings: dict[str, Any]) -> str:
    return ", ".join(f"{key}: {value}" for key, value in settings.items())


def _of_its_own(point: dict[str, Any]) -> dict[str, Any]:
    """Return a point of a grid without the keys that its head has not."""
    others = {f"model.{key}" for kind in HEADS.values() for key in kind.keys}
    others -= {f"model.{key}" for key in HEADS[point["model.name"]].keys}
    return {key: value for key, value in point.items() if key not in others}


def _fits_the_head(training: Training, name: str) -> None:
    if training.loss == "poisson" and name != "linear-probe":
        raise KeyProblem(("training", "loss"), f"poisson needs outputs above 0, and those of {name} are any numbers")
    if training.loss == "poisson" and training.scale == "standard":
        raise KeyProblem(("training", "scale"), "with loss: poisson, labels stay positive; take mean, sd or none")


def _fits_the_labels(training: Training, target_kind: str) -> None:
    allowed = {"binary": ("loss", "auroc", "aupr"), "real": ("loss", "pearson", "pearson_mean")}[target_kind]
    if training.monitor not in (None, *allowed):
        text = f"'{training.monitor}' needs other labels; for {target_kind} ones take {', '.join(allowed)}"
        raise KeyProblem(("training", "monitor"), text)
    if target_kind == "real" and training.loss == "binary_cross_entropy":
        raise KeyProblem(("training", "loss"), "binary_cross_entropy needs binary labels; take mean_squared_error")


def _problems(gallery: Gallery, runs: Iterable[str], trials: int) -> Iterator[tuple[str, str]]:
    """Yield what of a gallery a task does not have: the key, and the problem."""
    for run in gallery.runs:
        if run not in runs:
            yield "runs", f"there is no run '{run}'.{did_you_mean(run, runs)}"
    if gallery.trial >= trials:
        yield "trial", f"there is no trial {gallery.trial}; trials are 0 to {trials - 1}"


def _gallery_misfits(gallery: Gallery, length: int) -> Iterator[tuple[str, str]]:
    """Yield the keys of a gallery that do not fit into sequences of a length, in bases, and why."""
    if gallery.window and gallery.window[1] > length:
        yield "window", f"it ends at {gallery.window[1]}, and the sequences have {length} bases"
    if gallery.region and gallery.region.end - gallery.region.start != length:
        yield "region", f"it has {gallery.region.end - gallery.region.start} bases, and the model's sequences {length}"


class Tasks(Strict):
    """The content of config/tasks.yaml. `defaults` is laid below every task."""

    tasks: dict[Name, Task]
