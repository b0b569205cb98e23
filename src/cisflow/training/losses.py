"""Losses, by name: each takes outputs, labels and a mask of (R, batch, targets) and gives one number a replicate."""

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional as F  # noqa: N812

Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def binary_cross_entropy(logits: Tensor, y: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return the mean binary cross-entropy in nats, shape (R,), of logits against labels 0 and 1."""
    return _mean(F.binary_cross_entropy_with_logits(logits, y, reduction="none"), mask)


def mean_squared_error(outputs: Tensor, y: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return the mean squared error, shape (R,)."""
    return _mean((outputs - y).square(), mask)


def _mean(loss: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return loss.mean((1, 2))
    return (loss * mask).sum((1, 2)) / mask.sum((1, 2)).clamp(min=1)


LOSSES: dict[str, Loss] = {
    "binary_cross_entropy": binary_cross_entropy,
    "mean_squared_error": mean_squared_error,
}
