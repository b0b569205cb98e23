"""Figures of papers: what draws each (`kind`), the tables it reads, and what one can choose about it."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union

from pydantic import Field, NonNegativeInt, PositiveInt, create_model, model_validator

from cisflow.attribution.presets import REFERENCED
from cisflow.config.strict import KeyProblem, Name, Strict, did_you_mean
from cisflow.config.tasks import Activation
from cisflow.config.text import Prose, Title
from cisflow.models.zoo import ARCHITECTURES
from cisflow.trials import NUMBERS, TABLES, kind_of

Architecture = Literal[tuple(ARCHITECTURES)]
Activations = Annotated[list[Activation], Field(min_length=1)]
Architectures = Annotated[list[Architecture], Field(min_length=1)]


class Fig1(Strict):
    """Figure 1 of the exponential-activations paper."""

    activations: Activations = Field(description="Drawn in a, c and d, in this order.")
    logos_model: Architecture
    logos_activations: Activations
    logos_trial: NonNegativeInt = 0


class Fig2(Strict):
    """Figure 2 of the exponential-activations paper."""

    activations: Activations = Field(description="Drawn in a to c, in this order.")
    method: Name = Field(description="Of attribution, in b to d.")
    logos_model: Architecture
    logos_activations: Activations


class Ed2(Strict):
    """Extended Data Figure 2 of the exponential-activations paper."""

    activations: Activations
    logos_model: Architecture


class Curves(Strict):
    """Activation functions."""

    activations: Activations
    x: tuple[float, float] = (-5, 5)
    y: tuple[float, float] = (-5, 5)


class Filters(Strict):
    """Logos of all first-layer filters of a model, under the names of their best hits."""

    model: Architecture
    activations: Activations
    trial: NonNegativeInt = 0


class History(Strict):
    """Columns of training histories against the epoch; a row an activation, a line a trial."""

    activations: Activations
    models: Architectures
    columns: list[Literal["train_loss", "valid_loss", "valid_auroc", "valid_aupr", "valid_pearson"]] = Field(
        min_length=1, max_length=4, description="Of the histories; each is a panel."
    )


class Gradients(Strict):
    """Gradients of the first kernel, losses and metrics of each trial against the epoch."""

    model: Architecture
    activations: Activations


class PrePost(Strict):
    """Values before and after the first activation, untrained and trained."""

    activations: Activations = Field(description="A row each; there is one table of each.")


class Gallery(Strict):
    """Attributions of a gallery's sequences: letters of the busiest stretch of each, and a profile of all positions."""

    positions: PositiveInt = Field(100, description="Letters of a sequence.")
    runs: PositiveInt = Field(4, description="At most so many, those that come first.")
    sequences: PositiveInt = Field(12, description="At most so many, those that come first.")


class Fig3(Strict):
    """Figure 3 of the exponential-activations paper."""

    activations: Annotated[list[Activation], Field(min_length=2, max_length=2)] = Field(
        description="The upper one of a and the left one of b and c, and the other."
    )
    locus: str = Field(description="Title of a.")
    line: PositiveInt = Field(140, description="Positions in a line of a.")
    positions: PositiveInt = Field(70, description="Letters of a sequence in b and c.")
    sequences: PositiveInt = Field(5, description="Of b and c each, those that come first in their galleries.")


class _Block(Strict):
    """What blocks of panels have in common."""

    beside: bool = Field(False, description="Stands to the right of the block before, not below it.")


class Comparison(_Block):
    """Values of trials side by side: a row of panels for each value and model, a column for each group."""

    kind: Literal["comparison"]
    tables: list[Name] = Field(min_length=1, description="Which of the figure's tables, put together.")
    values: list[str] = Field(min_length=1, description="Numbers of these tables, as match_fraction, auroc_saliency.")
    models: Architectures
    groups: dict[str, list[Activation] | dict[str, str]] = Field(
        min_length=1,
        description="Activations of each panel, by its title; or runs by the labels under which they stand.",
    )
    test: bool = Field(False, description="Print the p-value of a t-test between the first and the last of each panel.")


class Series(Strict):
    """The runs of a sweep, in one table."""

    table: Name = Field(description="Which of the figure's tables.")
    runs: str = Field(description="Their names; * stands for the value of the swept key.")


class Sweep(_Block):
    """Values of trials against the values of a swept key: a row of panels for each series."""

    kind: Literal["sweep"]
    values: list[str] = Field(min_length=1, description="Numbers of these tables, as match_fraction.")
    axis: str = Field(description="What is swept, in words, for the axis.")
    series: dict[str, Series] = Field(min_length=1, description="Runs of each panel, by its title.")
    by: Name | None = Field(None, description="Column of the table that is swept, where it is not in the run's name.")

    @property
    def tables(self) -> list[str]:
        """The tables of the series."""
        return [series.table for series in self.series.values()]


Block = Annotated[Comparison | Sweep, Field(discriminator="kind")]


class KnownMotif(Strict):
    """Performance of a model, how its filters match the known motifs of a factor, and the best filter of each trial."""

    model: Architecture
    activations: Activations
    motifs: list[str] = Field(min_length=1, description="Ids of the factor's known motifs.")


class Boxes(Strict):
    """Panels of values of trials, from top to bottom, with letters where there are several."""

    panels: list[Block] = Field(min_length=1)


class Scan(Strict):
    """How well scans by known motifs and by filters find motifs. Tables named `...examples` hold example sequences."""

    model: Architecture
    activations: Activations
    buffer: PositiveInt = Field(10, description="One of the task's scan.buffers.")
    ends: list[Literal["corrected", "published"]] = Field(
        ["corrected", "published"], min_length=1, max_length=2, description="A pair of panels for each; docs/motifs.md."
    )
    examples: list[NonNegativeInt] = Field([0, 1], max_length=3, description="Numbers of the examples that are drawn.")


class References(Strict):
    """Scores of attributions by the number of references."""

    model: Architecture
    activations: Activations
    methods: list[Literal[REFERENCED]] = Field(list(REFERENCED), min_length=1)


class Ed1(Strict):
    """Extended Data Figure 1 of the exponential-activations paper: boxes, examples of scans, boxes."""

    boxes: list[Block] = Field(min_length=1, description="Above the examples.")
    scan: Scan
    last: Block = Field(description="Below the examples.")


class _OfHeads(Strict):
    """What figures of the heads of a task have in common."""

    runs: list[str] = Field([], description="Heads, and their order; default all.")


class PredictionScatter(_OfHeads):
    """Labels against predictions: a panel for each track and head of a task."""

    split: Literal["train", "valid", "test"] = "test"
    tracks: list[Name] = Field([], description="Tracks, and their order; default all.")


class GenomeTracks(_OfHeads):
    """Labels over predictions along chromosomes, shaded by split."""

    tracks: list[Name] = Field([], description="Tracks, and their order; default all that the table has.")
    chromosomes: list[str] = Field([], description="Chromosomes, and their order; default all that the table has.")


class Roc(_OfHeads):
    """ROC curves of domains and differences that are told from labels and predictions."""

    names: list[Name] = Field([], description="Domains and differences, and their order; default all.")


class HeadsTable(_OfHeads):
    """The heads of a task side by side: sizes and scores with intervals, scores by track, differences of pairs."""

    split: Literal["train", "valid", "test"] = Field("test", description="Of scores by track and of differences.")
    tracks: list[Name] = Field([], description="Tracks, and their order; default all.")


# Kinds: the settings of each, and the tables that it needs and that join when they exist (None: any, as it says).
KINDS: dict[str, tuple[type[Strict], tuple[str, ...] | None, tuple[str, ...]]] = {
    "fig1": (Fig1, ("matches", "labels", "motifs", "metrics"), ("task2_matches",)),
    "fig2": (Fig2, ("metrics", "scores", "examples"), ()),
    "ed1": (Ed1, None, ()),
    "ed2": (Ed2, ("scores", "examples"), ()),
    "curves": (Curves, (), ()),
    "filters": (Filters, ("labels", "motifs"), ()),
    "history": (History, None, ()),
    "gradients": (Gradients, ("history",), ()),
    "pre_post": (PrePost, None, ()),
    "boxes": (Boxes, None, ()),
    "fig3": (Fig3, ("zbed2", "irf1"), ("locus",)),
    "gallery": (Gallery, ("gallery",), ()),
    "scan": (Scan, None, ()),
    "known_motif": (KnownMotif, ("metrics", "matches", "tomtom", "motifs", "database"), ()),
    "references": (References, None, ()),
    "prediction_scatter": (PredictionScatter, ("density", "scores", "heads"), ()),
    "genome_tracks": (GenomeTracks, ("profiles", "composition", "heads"), ()),
    "roc": (Roc, ("domains", "roc", "heads"), ()),
    "heads_table": (HeadsTable, ("scores", "comparison", "heads"), ()),
}


class Figure(Strict):
    """A figure. Tables are paths below results/tasks, as 'task1/motifs/matches.tsv'."""

    title: Title
    caption: Prose = Field(description="What each panel shows; it stands below the figure in the report.")
    paper: Title
    kind: str
    tables: dict[Name, str] = Field({}, description="Tables that are needed, by the name that the drawing uses.")
    optional: dict[Name, str] = Field({}, description="Tables whose panel joins when they exist.")
    database: Name | None = Field(
        None, description="Source of known motifs (config/sources.yaml) that are drawn; it is read as table 'database'."
    )
    settings: Any

    def tasks(self) -> list[str]:
        """Return the tasks whose tables it needs."""
        return list(dict.fromkeys(path.split("/")[0] for path in self.tables.values()))

    @model_validator(mode="after")
    def _tables_that_are_read(self):
        _, needed, joining = KINDS[self.kind]
        given = {**self.tables, **({"database": self.database} if self.database else {})}
        if self.database and "database" not in (needed or ()):
            raise KeyProblem(("database",), f"a figure of the kind {self.kind} has no use for it")
        if needed is not None:
            _only(given, needed, "tables")
            _only(self.optional, joining, "optional")
            if missing := [name for name in needed if name not in given]:
                raise KeyProblem(("tables",), f"{', '.join(missing)}: needed and not given")
        elif not self.tables:
            raise KeyProblem(("tables",), "at least one is needed")
        return self

    @model_validator(mode="after")
    def _numbers_that_the_tables_have(self):
        for path, block in _blocks(self.settings, ("settings",)):
            given = self.tables | self.optional
            _only(block.tables, given, *path, "tables")
            kinds = {kind_of(given[name]) for name in block.tables}
            if len(kinds) > 1 or None in kinds:
                raise KeyProblem((*path, "tables"), f"they must be of one kind: {', '.join(TABLES.values())}")
            _only(block.values, NUMBERS[kinds.pop()], *path, "values")
        return self


def _blocks(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the blocks of panels in settings, with their paths."""
    if isinstance(value, _Block):
        yield path, value
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _blocks(item, (*path, str(number)))
    elif isinstance(value, Strict):
        for key, item in value:
            yield from _blocks(item, (*path, key))


def _only(names: Any, known: Any, *path: str) -> None:
    for name in names:
        if name not in known:
            raise KeyProblem(path, f"'{name}' is not known.{did_you_mean(name, known)}")


def _of_kind(kind: str) -> type[Figure]:
    settings, *_ = KINDS[kind]
    fields: dict[str, Any] = {"kind": (Literal[kind], ...), "settings": (settings, Field())}
    return create_model(f"Figure_{kind}", __base__=Figure, __doc__=settings.__doc__, **fields)


AnyFigure = Annotated[Union[tuple(map(_of_kind, KINDS))], Field(discriminator="kind")]  # noqa: UP007


class Figures(Strict):
    """The content of config/figures.yaml."""

    figures: dict[Name, AnyFigure]
