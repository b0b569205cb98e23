"""First-layer activations (formulas in `zoo.ACTIVATIONS`), and the one module class that applies them."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from cisflow.models.zoo import ACTIVATION_ALIASES


def _log(x: Tensor) -> Tensor:
    return torch.log(x.abs() + 1e-10)


FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "exponential": torch.exp,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softplus": F.softplus,
    "linear": lambda x: x,
    "elu": F.elu,
    "shift_scale_relu": lambda x: torch.relu((x - 0.2) ** 3),
    "shift_scale_sigmoid": lambda x: 4000 * torch.sigmoid(x - 8),
    "shift_scale_tanh": lambda x: 500 * torch.tanh(x - 6) + 500,
    "exp_relu": lambda x: torch.relu(torch.exp(0.1 * x) - 1),
    "shift_relu": lambda x: torch.relu(x - 0.2),
    "shift_sigmoid": lambda x: torch.sigmoid(x - 8),
    "shift_tanh": lambda x: torch.tanh(x - 6),
    "scale_relu": lambda x: torch.relu(x**3),
    "scale_sigmoid": lambda x: 4000 * torch.sigmoid(x),
    "scale_tanh": lambda x: 500 * torch.tanh(x) + 500,
    "log": _log,
    "log_relu": lambda x: torch.relu(_log(x)),
}


class Pointwise(nn.Module):
    """A pointwise non-linearity by name, f(scale * x).

    Each use in a network is a module of its own, so that attribution methods can hook it and knows it by its type.
    """

    def __init__(self, name: str, scale: float = 1.0):
        super().__init__()
        self.name, self.scale = ACTIVATION_ALIASES.get(name, name), scale
        self.function = FUNCTIONS[self.name]

    def forward(self, x: Tensor) -> Tensor:
        """Return f(scale * x), of the shape of x."""
        # A product with 1 would be another pass over the largest map of a network.
        return self.function(x if self.scale == 1 else self.scale * x)

    def extra_repr(self) -> str:
        """Show the name, and a scale other than 1, in a printed model."""
        return self.name if self.scale == 1 else f"{self.name}, scale={self.scale:g}"
