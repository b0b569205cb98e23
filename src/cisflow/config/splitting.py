"""Which rows train, validate and test."""

from typing import Annotated

from pydantic import Field, NonNegativeInt, model_validator

from cisflow.config.strict import Grid, Strict

Fractions = Annotated[
    tuple[float, float, float], Field(description="Fractions of train, valid and test; they sum to 1.")
]


class Splitting(Strict):
    """Splits by chromosomes, by a column of the file, or at random; one of the three."""

    valid: Grid[str] = Field([], description="Chromosomes of the validation split; with `test`.")
    test: Grid[str] = Field([], description="Chromosomes of the test split.")
    train: Grid[str] | None = Field(None, description="Chromosomes of the training split. Default: all others.")
    leave_out: Grid[str] = Field([], description="Chromosomes in no split.")
    column: NonNegativeInt | None = Field(
        None, description="Column of the BED file, from 0, that says train, valid or test."
    )
    fractions: Fractions | None = Field(None, description="Rows at random: fractions of train, valid, test.")
    seed: int = Field(0, ge=0, description="Of the random split.")

    @model_validator(mode="after")
    def _one_way(self):
        by_name = bool(self.valid or self.test or self.train is not None)
        ways = [by_name, self.column is not None, self.fractions is not None]
        if sum(ways) != 1:
            raise ValueError("rows are split by chromosomes (valid and test), by a column, or by fractions: give one")
        if by_name and not (self.valid and self.test):
            raise ValueError("valid and test both need chromosomes")
        if self.fractions and (abs(sum(self.fractions) - 1) > 1e-9 or min(self.fractions) < 0):
            raise ValueError(f"fractions: they must not be negative, and sum to 1; they sum to {sum(self.fractions):g}")
        return self

    @model_validator(mode="after")
    def _apart(self):
        lists = {key: getattr(self, key) or [] for key in ("train", "valid", "test", "leave_out")}
        seen: dict[str, str] = {}
        for key, names in lists.items():
            for name in names:
                if name in seen:
                    raise ValueError(f"'{name}' is in {seen[name]} and in {key}")
                seen[name] = key
        return self
