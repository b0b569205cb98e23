"""What is measured of a task's models: splits, baselines, and the statistics of heads on windows of a genome."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, field_validator, model_validator

from cisflow.config.places import Place
from cisflow.config.strict import KeyProblem, Name, Strict

BASELINES = ("gc_content",)
Split = Literal["train", "valid", "test"]


class Bootstrap(Strict):
    """Intervals from resamples of blocks: neighbouring windows overlap and are alike, so they are drawn together."""

    resamples: int = Field(1000, ge=20, description="Resamples of the blocks of a split, the same for all runs.")
    block: PositiveInt = Field(2_000_000, description="Length of a block of a contig, in bases.")
    level: float = Field(0.95, gt=0, lt=1, description="Of the percentile intervals.")


class Domains(Strict):
    """Windows in domains, as lamina-associated ones (LAD), told from the signal of a track."""

    bed: Place = Field(description="BED file of the domains.")
    names: list[str] = Field(
        [], description="Patterns (* and ?) of their names (column 4), as T1LAD*. Default: all rows count."
    )
    track: Name = Field(description="Track whose labels and predictions are scored.")
    above: NonNegativeFloat = Field(
        0.0, lt=1, description="Windows are positive if more than this part of the target region is in a domain."
    )

    @model_validator(mode="after")
    def _a_bed_file(self):
        if self.bed.modified or self.bed.accession:
            raise KeyProblem(("bed",), "domains are a BED file in a source, at a path or at an address")
        return self


class Difference(Strict):
    """Windows where the label of a track is above that of another one, told from the difference of predictions."""

    track: Name
    minus: Name = Field(description="Track that is subtracted.")
    threshold: float = Field(0.0, description="Windows are positive if the difference of the labels is above this.")
    zscore: bool = Field(
        False, description="Scale labels by mean and s.d. of the training split's labels, and predictions by those of "
        "the same trial's predictions there, before they are subtracted."
    )  # fmt: skip

    @model_validator(mode="after")
    def _two_tracks(self):
        if self.track == self.minus:
            raise KeyProblem(("minus",), f"'{self.minus}' is the track itself")
        return self


class Unit(Strict):
    """The unit in which labels are drawn."""

    divide_by: PositiveFloat = Field(1.0, description="Labels and predictions are divided by this.")
    unit: str = Field(description="In words, for the axes.")


class Drawn(Strict):
    """What the standard figures of heads show; the first trial of each run."""

    tracks: list[Name] = Field([], description="Tracks of labels against predictions; default all.")
    split: Split = Field("test", description="Split of labels against predictions, and of scores track by track.")
    along: list[Name] = Field([], description="Tracks that are drawn along chromosomes; default the first four.")
    chromosomes: list[str] = Field(
        [], description="Chromosomes that are drawn; default the one with most windows of the test split."
    )


class Evaluation(Strict):
    """What is measured."""

    splits: list[Split] = Field(["test"], min_length=1)
    baselines: list[Literal[BASELINES]] = Field([], description="Simple predictors measured beside the models.")
    bootstrap: Bootstrap = Field(Bootstrap(), description="Intervals of the tables below heads/.")
    domains: dict[Name, Domains | None] = Field(
        {}, description="Domains that are told from signal, by name; null: none of this name after all."
    )
    differences: dict[Name, Difference | None] = Field({}, description="Differences of tracks, by name; or null.")
    units: dict[str, Unit] = Field(
        {}, description="Unit in figures by track, or a pattern (* and ?) of them; the first that fits counts."
    )
    drawn: Drawn = Drawn()

    @field_validator("domains", "differences")
    @classmethod
    def _those_that_are_left(cls, named: dict[str, Strict | None]) -> dict[str, Strict]:
        return {name: value for name, value in named.items() if value is not None}

    @model_validator(mode="after")
    def _scaled_by_the_training_split(self):
        for name, difference in self.differences.items():
            if difference.zscore and "train" not in self.splits:
                text = "predictions are scaled by those of the training split; add train to evaluation.splits"
                raise KeyProblem(("differences", name, "zscore"), text)
        if both := sorted(self.domains.keys() & self.differences.keys()):
            raise KeyProblem(("differences", both[0]), f"'{both[0]}' is the name of domains, too")
        return self

    @model_validator(mode="after")
    def _drawn_splits_are_evaluated(self):
        if self.drawn.split not in self.splits and "split" in self.drawn.model_fields_set:
            raise KeyProblem(("drawn", "split"), f"'{self.drawn.split}' is not among evaluation.splits")
        return self

    def named_tracks(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yield the tracks that are named, with the keys that lead to them."""
        for name, domains in self.domains.items():
            yield ("domains", name, "track"), domains.track
        for name, difference in self.differences.items():
            yield ("differences", name, "track"), difference.track
            yield ("differences", name, "minus"), difference.minus
        for key in ("tracks", "along"):
            for track in getattr(self.drawn, key):
                yield ("drawn", key), track
