"""Claims: published numbers that results are checked against."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from cisflow.config.evaluation import BASELINES
from cisflow.config.strict import Grid, Name, Strict, did_you_mean
from cisflow.config.text import Title
from cisflow.models.zoo import ACTIVATIONS, ARCHITECTURES
from cisflow.trials import NUMBERS, TABLES


class Claim(Strict):
    """A group of published numbers of one kind, in rows and columns."""

    title: Title
    source: str = Field(description="Where the numbers were published, and how they were read.")
    task: Grid[Name] = Field(min_length=1, description="Task, or tasks whose tables are put together.")
    table: Literal[tuple(TABLES)]
    metric: str = Field(
        description="Metric of metrics.tsv (averaged over targets), column of matches.tsv, or area under a curve with "
        "what it is of, as auroc_saliency, auroc_pwm_published."
    )
    by: str = Field(
        "activation",
        description="What rows and columns are. 'activation': model and activation. 'run': the name of a run, with * "
        "where the column stands. Any other word: a run, and values of this column of the table.",
    )
    statistic: Literal["median", "mean", "t_test"] = Field("median", description="Over trials.")
    versus: dict[Name, Name] = Field({}, description="For t_test: the activation that each is compared with.")
    tolerance: PositiveFloat = Field(description="Largest difference that still agrees; for t_test in log10 of p.")
    reason: str = Field(description="Why this tolerance.")
    trials: PositiveInt = Field(10, description="Trials that the published statistic rests on.")
    note: str = Field("", description="What a reader of the comparison should know.")
    expected: dict[str, dict[str, float | None]] = Field(
        description="Published value by row and column; null where none was published, to report ours alone."
    )

    def runs(self) -> Iterator[str]:
        """Yield the runs that a claim by runs is about."""
        for row, columns in self.expected.items():
            yield from {row.replace("*", column): None for column in columns}

    @model_validator(mode="after")
    def _known_names(self):
        rows, columns = list(self.expected), [name for values in self.expected.values() for name in values]
        networks = (
            ("expected", rows, (*ARCHITECTURES, *BASELINES)),
            ("expected", columns, (*ACTIVATIONS, "baseline")),
        )
        for what, names, known in (
            ("metric", [self.metric], NUMBERS[self.table]),
            *(networks if self.by == "activation" else ()),
            ("versus", [*self.versus, *self.versus.values()], ACTIVATIONS),
        ):
            for name in names:
                if name not in known:
                    raise ValueError(f"{what}: '{name}' is not known.{did_you_mean(name, known)}")
        return self

    @model_validator(mode="after")
    def _versus_for_tests(self):
        activations = {activation for values in self.expected.values() for activation in values}
        if self.statistic == "t_test" and activations - set(self.versus):
            missing = ", ".join(sorted(activations - set(self.versus)))
            raise ValueError(f"versus: a t-test needs the activation to compare with, also for {missing}")
        return self


class Claims(Strict):
    """The content of config/claims.yaml."""

    claims: dict[Name, Claim]
