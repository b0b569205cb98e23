"""Metrics of one epoch, pooled over all targets as the papers' early stopping does; exact, not binned.

Of numbers there is also the mean over the targets of each one's own correlation: pooled, targets of different scales
correlate by their scales alone.
"""

import math

import torch
from torch import Tensor
from torchmetrics.functional.classification import binary_auroc, binary_precision_recall_curve

from cisflow.errors import CisflowError

NAMES = {"binary": ("auroc", "aupr"), "real": ("pearson", "pearson_mean")}


def area_under_precision_recall(scores: Tensor, labels: Tensor) -> Tensor:
    """Return the area under the precision-recall curve by the trapezoidal rule (scikit-learn's `auc` of its curve).

    Parameters
    ----------
    scores, labels
        Shape (n,); scores in [0, 1], since torchmetrics takes the sigmoid of others, and labels 0 or 1.
    """
    precision, recall, _ = binary_precision_recall_curve(scores, labels)
    return torch.trapezoid(precision.flip(0), recall.flip(0))


def epoch_metrics(kind: str, outputs: Tensor, y: Tensor, mask: Tensor | None = None) -> dict[str, float]:
    """Return the metrics of one replicate's outputs (n, targets) on a split; NaN where an output is NaN.

    Parameters
    ----------
    kind
        'binary' (auroc, aupr) or 'real' (pearson, pearson_mean).
    outputs, y, mask
        Logits or values, labels, and where labels were measured.
    """
    meter = METERS[kind]()
    meter.add(outputs[None], y, mask)
    return meter.metrics()[0]


class Ranking:
    """Metrics of binary labels; outputs and labels are kept, since ranks need all of them."""

    def __init__(self) -> None:
        self.outputs: list[Tensor] = []
        self.y: list[Tensor] = []

    def add(self, outputs: Tensor, y: Tensor, mask: Tensor | None) -> None:
        """Take a batch: outputs (R, batch, targets); labels and mask (batch, targets)."""
        measured = torch.ones_like(y, dtype=torch.bool) if mask is None else mask
        self.outputs.append(outputs[:, measured])
        self.y.append(y[measured])

    def metrics(self) -> list[dict[str, float]]:
        """Return the metrics of each replicate."""
        labels = torch.cat(self.y).long()
        return [self._of(outputs.double(), labels) for outputs in torch.cat(self.outputs, 1)]

    @staticmethod
    def _of(outputs: Tensor, labels: Tensor) -> dict[str, float]:
        if outputs.isnan().any():
            # torchmetrics would rank such outputs by their place in the file.
            return dict.fromkeys(NAMES["binary"], math.nan)
        # Ranks in [0, 1]: of other numbers torchmetrics takes the sigmoid, which makes logits above 36 equal.
        distinct, ranks = outputs.unique(return_inverse=True)
        scores = ranks.double() / max(len(distinct) - 1, 1)
        return {
            "auroc": binary_auroc(scores, labels).item(),
            "aupr": area_under_precision_recall(scores, labels).item(),
        }


class Correlation:
    """Pearson correlations of numbers from sums of squares, which are kept instead of outputs and labels.

    Sums are taken around means, and joined as those of two sets are (Chan, Golub & LeVeque 1983): in float64 the result
    is that of all numbers at once.
    """

    def __init__(self) -> None:
        self.count = self.means = self.squares = None

    def add(self, outputs: Tensor, y: Tensor, mask: Tensor | None) -> None:
        """Take a batch: outputs (R, batch, ..., targets); labels and mask (batch, ..., targets)."""
        p = outputs.flatten(1, -2).double()
        y = y.flatten(0, -2).double().expand_as(p)
        measured = torch.ones_like(p) if mask is None else mask.flatten(0, -2).double().expand_as(p)
        count = measured.sum(1)  # (R, targets), as all sums
        both = torch.stack([torch.where(measured > 0, values, 0) for values in (y, p)])
        means = both.sum(2) / count.clamp(min=1)
        apart = (both - means.unsqueeze(2)) * measured
        squares = torch.stack([apart[0] * apart[0], apart[1] * apart[1], apart[0] * apart[1]]).sum(2)
        found = count, means, squares
        self.count, self.means, self.squares = (
            found if self.count is None else _joined((self.count, self.means, self.squares), found)
        )

    def metrics(self) -> list[dict[str, float]]:
        """Return, for each replicate, the correlation of all targets together, and the mean of those of each target.

        A target without two different labels has none and is left out of the mean; constant outputs have 0 there.
        """
        of_targets = _pearson(self.count, self.means, self.squares)
        pooled = self.count[:, :1], self.means[..., :1], self.squares[..., :1]
        for target in range(1, self.count.shape[1]):
            one = slice(target, target + 1)
            pooled = _joined(pooled, (self.count[:, one], self.means[..., one], self.squares[..., one]))
        of_all = _pearson(*pooled)[:, 0]
        defined = (self.count > 1) & (self.squares[0] > 0)
        mean = torch.where(defined, of_targets, 0).sum(1) / defined.sum(1)
        return [{"pearson": one.item(), "pearson_mean": other.item()} for one, other in zip(of_all, mean, strict=True)]


Sums = tuple[Tensor, Tensor, Tensor]


def _joined(first: Sums, second: Sums) -> Sums:
    """Return count (R, t), means (y, p) and sums of squares (yy, pp, yp) around them, of two sets together."""
    count = first[0] + second[0]
    apart = second[1] - first[1]
    share = second[0] / count.clamp(min=1)
    weight = first[0] * share
    between = torch.stack([apart[0] * apart[0], apart[1] * apart[1], apart[0] * apart[1]]) * weight
    return count, first[1] + apart * share, first[2] + second[2] + between


def _pearson(count: Tensor, means: Tensor, squares: Tensor) -> Tensor:
    # Equal outputs have a sum of squares that is rounding alone.
    constant = squares[1] <= count * (1e-9 * means[1]) ** 2
    return torch.where(constant, 0, squares[2] / (squares[0] * squares[1]).sqrt())


METERS = {"binary": Ranking, "real": Correlation}


def check_labels(kind: str, y: Tensor, split: str) -> None:
    """Refuse labels on which the metrics of a kind are undefined.

    Raises
    ------
    CisflowError
        A binary split has one class only, or a real-valued one no variance.
    """
    if kind == "binary" and y.amin() == y.amax():
        raise CisflowError(
            f"the split '{split}' has only labels {y.amin().item():g}: AUROC and AUPR are undefined on it."
        )
    if kind == "real" and y.var() == 0:
        raise CisflowError(f"the labels of the split '{split}' are all equal: a correlation is undefined on it.")
