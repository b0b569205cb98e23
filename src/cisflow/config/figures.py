"""Figures of papers: the notebook that draws each, and the tables it reads."""

from pydantic import Field

from cisflow.config.strict import Name, Strict


class Figure(Strict):
    """A figure. Tables are paths below results/tasks, as 'task1/motifs/matches.tsv'."""

    title: str
    paper: str
    tables: dict[Name, str] = Field(min_length=1, description="Tables that are needed, by the name the notebook uses.")
    optional: dict[Name, str] = Field({}, description="Tables whose panel joins when they exist.")
    settings: dict[str, str | int | float | list[str]] = Field({}, description="What the notebook lets one choose.")


class Figures(Strict):
    """The content of config/figures.yaml."""

    figures: dict[Name, Figure]
