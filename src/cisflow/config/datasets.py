"""Where a task's sequences and labels come from. Each kind is a model; the key `kind` chooses among them."""

from typing import Annotated, Literal, get_args

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from cisflow.config.embeddings import Embeddings
from cisflow.config.matrix import Matrix, TfRecord
from cisflow.config.splitting import Fractions
from cisflow.config.strict import Name, Strict
from cisflow.config.text import local_path
from cisflow.config.windows import Peaks, Windows

Split = Literal["train", "valid", "test"]
# What stands for the name of a split in the names of files and arrays.
SPLIT = "{split}"


class Planted(Strict):
    """What the synthetic kinds have in common."""

    motifs: Name = Field("jaspar2016", description="Source of the matrices (config/sources.yaml), with counts.")
    sequences: PositiveInt = Field(description="Number of sequences, all splits together.")
    length: PositiveInt = Field(200, description="Length of a sequence, in bases.")
    counts: dict[PositiveInt, float] = Field(description="Probability of each number of motifs in a sequence.")
    seed: int = Field(ge=0, lt=2**32, description="Seed of NumPy's legacy generator.")
    split: Fractions = (0.7, 0.1, 0.2)

    @model_validator(mode="after")
    def _probabilities(self):
        numbers = list(self.counts)
        if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
            raise ValueError(f"counts: the numbers of motifs {numbers} are not consecutive and rising")
        for name, values in (("counts", self.counts.values()), ("split", self.split)):
            if abs(sum(values) - 1) > 1e-9 or min(values) < 0:
                raise ValueError(f"{name}: the values must not be negative, and sum to 1; they sum to {sum(values):g}")
        return self


class SyntheticMotifs(Planted):
    """Sequences with planted motifs; the labels say which (Task 1)."""

    kind: Literal["synthetic_motifs"]
    classes: dict[Name, str] = Field(min_length=1, description="Motif id of each class, in the order of the labels.")


class SyntheticGrammar(Planted):
    """Sequences with core motifs alone (1) or mixed with background motifs (0) (Task 3)."""

    kind: Literal["synthetic_grammar"]
    core: dict[Name, str] = Field(min_length=1, description="Motif ids of the positives.")
    background: list[str] = Field(min_length=1, description="Motif ids that negatives have besides the core.")
    spacer: PositiveFloat = Field(2.0, description="Upper end of the uniform draws of the spacers.")


def of_each_split(name: str) -> list[str]:
    """Return a name with its '{split}' replaced by train, valid and test; a name without it alone."""
    return list(dict.fromkeys(name.replace(SPLIT, split) for split in get_args(Split)))


class Hdf5Keys(Strict):
    """Names of the arrays in an HDF5 file; `{split}` stands for train, valid or test."""

    x: str = "X_{split}"
    y: str = "Y_{split}"


class Hdf5(Strict):
    """Sequences and labels from HDF5 or MATLAB files: the papers' sets, or a user's own."""

    kind: Literal["hdf5"]
    source: Name | None = Field(None, description="Source that holds the file (config/sources.yaml); with `file`.")
    file: str = Field(
        description="Path of the file, or its name in `source`; with `{split}`, a file for each of train, valid, test. "
        "A name that ends in .mat is a MATLAB file."
    )
    keys: Hdf5Keys = Hdf5Keys()
    channels: str = Field("ACGT", pattern="^[ACGT]{4}$", description="Order of the four channels of one-hot sequences.")
    target: Literal["binary", "real"] = Field("binary", description="Labels 0 and 1, or numbers.")
    columns: list[NonNegativeInt] = Field([], description="Columns of the labels, from 0, in this order; default all.")
    keep: Literal["all", "any_positive"] = Field(
        "all", description="'any_positive': only rows with a positive label among the columns taken."
    )
    targets: list[Name] = Field([], description="Names of the label columns; by default target-0, target-1, ...")
    reverse_complement: list[Split] = Field([], description="Splits to which the other strand of each row is appended.")

    @model_validator(mode="after")
    def _a_path(self):
        if self.source is None:
            object.__setattr__(self, "file", local_path(self.file, SPLIT))
        return self

    @model_validator(mode="after")
    def _channels_once(self):
        if set(self.channels) != set("ACGT"):
            raise ValueError(f"channels: '{self.channels}' has not each of A, C, G, T once")
        return self

    @model_validator(mode="after")
    def _targets_once(self):
        if len(set(self.targets)) < len(self.targets) or "mean" in self.targets:
            raise ValueError("targets: each name must be there once, and 'mean' is the name of their average")
        return self

    @model_validator(mode="after")
    def _splits_apart(self):
        for name, key in self.keys:
            if SPLIT not in self.file + key:
                raise ValueError(f"keys.{name}: '{key}' must contain {{split}}, unless the name of the file does")
        return self

    @model_validator(mode="after")
    def _labels(self):
        if len(set(self.columns)) < len(self.columns):
            raise ValueError("columns: a column stands in the list twice")
        if self.columns and self.targets and len(self.columns) != len(self.targets):
            raise ValueError(f"targets: {len(self.targets)} names are given for {len(self.columns)} columns")
        if self.keep == "any_positive" and self.target != "binary":
            raise ValueError("keep: any_positive needs binary labels")
        return self

    def files(self) -> list[str]:
        """Return the name of the file, or of the files of train, valid and test."""
        return of_each_split(self.file)


Dataset = Annotated[
    SyntheticMotifs | SyntheticGrammar | Hdf5 | Windows | Peaks | Matrix | TfRecord | Embeddings,
    Field(discriminator="kind"),
]
