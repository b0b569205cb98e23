"""Claims: published numbers that results are checked against."""

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from cisflow.claims.tables import NUMBERS, TABLES
from cisflow.config.strict import Name, Strict, did_you_mean
from cisflow.config.tasks import BASELINES
from cisflow.models.zoo import ACTIVATIONS, ARCHITECTURES


class Claim(Strict):
    """A group of published numbers of one kind, by model and activation."""

    title: str
    source: str = Field(description="Where the numbers were published, and how they were read.")
    task: Name
    table: Literal[tuple(TABLES)]
    metric: str = Field(
        description="Metric of metrics.tsv (averaged over targets), column of matches.tsv, or of the scores of "
        "attributions as auroc_saliency."
    )
    statistic: Literal["median", "mean", "t_test"] = Field("median", description="Over trials.")
    versus: dict[Name, Name] = Field({}, description="For t_test: the activation that each is compared with.")
    tolerance: PositiveFloat = Field(description="Largest difference that still agrees; for t_test in log10 of p.")
    reason: str = Field(description="Why this tolerance.")
    trials: PositiveInt = Field(10, description="Trials that the published statistic rests on.")
    note: str = Field("", description="What a reader of the comparison should know.")
    expected: dict[Name, dict[Name, float | None]] = Field(
        description="Published value by model and activation; null where none was published, to report ours alone."
    )

    @model_validator(mode="after")
    def _known_names(self):
        for what, names, known in (
            ("metric", [self.metric], NUMBERS[self.table]),
            ("expected", self.expected, (*ARCHITECTURES, *BASELINES)),
            ("expected", [a for values in self.expected.values() for a in values], (*ACTIVATIONS, "baseline")),
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
