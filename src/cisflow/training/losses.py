"""Losses, by name: each takes outputs, labels and a mask, and gives one number a replicate.

All three are (R, batch, targets), or (R, batch, bins, targets); the number is the mean over all measured labels.
"""

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


def poisson(rates: Tensor, y: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return the mean Poisson negative log-likelihood in nats, shape (R,), without the term of the labels alone.

    Rates are positive, and labels not negative; both are numbers of events, or any multiple of them.
    """
    return _mean(F.poisson_nll_loss(rates, y, log_input=False, reduction="none"), mask)


def _mean(loss: Tensor, mask: Tensor | None) -> Tensor:
    axes = tuple(range(1, loss.dim()))
    if mask is None:
        return loss.mean(axes)
    return (loss * mask).sum(axes) / mask.sum(axes).clamp(min=1)


LOSSES: dict[str, Loss] = {
    "binary_cross_entropy": binary_cross_entropy,
    "mean_squared_error": mean_squared_error,
    "poisson": poisson,
}
