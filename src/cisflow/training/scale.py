"""The scale that labels are learned on: one offset and one factor a target, from the training split alone."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from cisflow.errors import CisflowError
from cisflow.training.data import DataInfo, Rows

How = Literal["none", "mean", "sd", "standard"]


@dataclass(frozen=True)
class Scale:
    """What labels are made of: offset + factor * (what a model learns); both (targets,)."""

    offset: Tensor
    factor: Tensor

    @classmethod
    def of(cls, rows: Rows, info: DataInfo, how: How) -> "Scale | None":
        """Return the scale of the measured labels of a split; None where labels are learned as they are.

        Parameters
        ----------
        rows, info
            The training split.
        how
            'none'; 'mean': labels in units of their target's mean; 'sd': of its standard deviation; 'standard': of its
            standard deviation, from its mean.

        Raises
        ------
        CisflowError
            A target has no measured labels, or its mean or standard deviation is no unit.
        """
        if how == "none":
            return None
        mean, sd = _moments(rows)
        factor = mean if how == "mean" else sd
        wrong = [name for name, value in zip(info.targets, factor.tolist(), strict=True) if not value > 0]
        if wrong:
            what = "mean" if how == "mean" else "standard deviation"
            raise CisflowError(
                f"the target {wrong[0]} has no measured label in the split 'train', or their {what} is not above 0 "
                f"(so have {len(wrong)} of {len(info.targets)}). Leave it out of the data set, or say "
                "'training: {scale: none}'."
            )
        offset = mean if how == "standard" else torch.zeros_like(mean)
        return cls(offset.float(), factor.float())

    @classmethod
    def described(cls, description: dict[str, Any] | None, device: torch.device | str) -> "Scale | None":
        """Return what `description` gave."""
        if description is None:
            return None
        return cls(*(torch.tensor(description[key], device=device) for key in ("offset", "factor")))

    def description(self) -> dict[str, list[float]]:
        """Return plain numbers for a checkpoint."""
        return {"offset": self.offset.tolist(), "factor": self.factor.tolist()}

    def learned(self, y: Tensor) -> Tensor:
        """Return labels (..., targets) as a model learns them."""
        return (y - self.offset) / self.factor

    def in_units(self, outputs: Tensor) -> Tensor:
        """Return a model's outputs (..., targets) in the labels' units."""
        return outputs * self.factor + self.offset


def _moments(rows: Rows) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation (population) of each target's measured labels, float64; NaN of none."""
    count = total = squares = torch.zeros((), dtype=torch.float64, device=rows.device)
    # Squares around the first block's mean, so that a large mean does not drown them.
    around = None
    for y, mask in rows.labels():
        y = y.flatten(0, -2).double()
        measured = torch.ones_like(y) if mask is None else mask.flatten(0, -2).double()
        y = torch.where(measured > 0, y, 0)
        if around is None:
            around = y.sum(0) / measured.sum(0).clamp(min=1)
        apart = (y - around) * measured
        count, total, squares = count + measured.sum(0), total + apart.sum(0), squares + apart.square().sum(0)
    shift = total / count
    mean, sd = around + shift, (squares / count - shift.square()).clamp(min=0).sqrt()
    # Equal labels have a standard deviation that is rounding alone.
    return mean, torch.where(sd > 1e-7 * mean.abs(), sd, 0)
