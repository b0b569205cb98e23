"""Metrics of one epoch, pooled over all targets as the papers' early stopping does; exact, not binned."""

import math

import torch
from torch import Tensor
from torchmetrics.functional.classification import binary_auroc, binary_precision_recall_curve
from torchmetrics.functional.regression import pearson_corrcoef

from cisflow.errors import CisflowError

NAMES = {"binary": ("auroc", "aupr"), "real": ("pearson",)}


def area_under_precision_recall(scores: Tensor, labels: Tensor) -> Tensor:
    """Return the area under the precision-recall curve by the trapezoidal rule (scikit-learn's `auc` of its curve).

    Parameters
    ----------
    scores, labels
        Shape (n,); labels are 0 or 1.
    """
    precision, recall, _ = binary_precision_recall_curve(scores, labels)
    return torch.trapezoid(precision.flip(0), recall.flip(0))


def epoch_metrics(kind: str, outputs: Tensor, y: Tensor, mask: Tensor | None = None) -> dict[str, float]:
    """Return the metrics of one replicate's outputs (n, targets) on a split; NaN where an output is NaN.

    Parameters
    ----------
    kind
        'binary' (auroc, aupr) or 'real' (pearson).
    outputs, y, mask
        Logits or values, labels, and where labels were measured.
    """
    if mask is not None:
        outputs, y = outputs[mask], y[mask]
    outputs, y = outputs.flatten().double(), y.flatten()
    if outputs.isnan().any():
        # torchmetrics would rank such outputs by their place in the file.
        return dict.fromkeys(NAMES[kind], math.nan)
    if kind == "real":
        return {"pearson": pearson_corrcoef(outputs, y.double()).item()}
    labels = y.long()
    return {"auroc": binary_auroc(outputs, labels).item(), "aupr": area_under_precision_recall(outputs, labels).item()}


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
