"""Where a task's sequences and labels come from. Each kind is a model; the key `kind` chooses among them."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from cisflow.config.strict import Name, Strict

Split = Literal["train", "valid", "test"]
Fractions = Annotated[
    tuple[float, float, float], Field(description="Fractions of train, valid and test; they sum to 1.")
]


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


class Hdf5Keys(Strict):
    """Names of the arrays in an HDF5 file; `{split}` stands for train, valid or test."""

    x: str = "X_{split}"
    y: str = "Y_{split}"

    @model_validator(mode="after")
    def _have_split(self):
        for name in ("x", "y"):
            if "{split}" not in getattr(self, name):
                raise ValueError(f"keys.{name}: '{getattr(self, name)}' must contain {{split}}")
        return self


class Hdf5(Strict):
    """Sequences and labels from an HDF5 file: the papers' sets, or a user's own."""

    kind: Literal["hdf5"]
    source: Name | None = Field(None, description="Source that holds the file (config/sources.yaml); with `file`.")
    file: str = Field(description="Path of the file, or its name in `source`.")
    keys: Hdf5Keys = Hdf5Keys()
    channels: str = Field("ACGT", pattern="^[ACGT]{4}$", description="Order of the four channels of one-hot sequences.")
    target: Literal["binary", "real"] = Field("binary", description="Labels 0 and 1, or numbers.")
    targets: list[Name] = Field([], description="Names of the label columns; by default target-0, target-1, ...")
    reverse_complement: list[Split] = Field([], description="Splits to which the other strand of each row is appended.")

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


Dataset = Annotated[SyntheticMotifs | SyntheticGrammar | Hdf5, Field(discriminator="kind")]
