"""Convolutional networks from the tables of the zoo."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from cisflow.models.activations import Pointwise
from cisflow.models.layers import MOMENTUM, BatchNorm, Conv1d, Dropout, Flatten, Linear, MaxPool, Noise
from cisflow.models.zoo import ARCHITECTURES, Conv, Dense, Residual


class ResidualBlock(nn.Module):
    """x + f(x), then ReLU, where f is (conv, ReLU, norm, ReLU, conv, ReLU, norm).

    The ReLU inside f, before each normalisation, is the original's; and its kernels are always He-normal.
    """

    def __init__(self, replicates: int, channels: int, width: int, momentum: float):
        super().__init__()
        self.conv1 = Conv1d(replicates, channels, channels, width, "same")
        self.inner1, self.outer1 = Pointwise("relu"), Pointwise("relu")
        self.norm1 = BatchNorm(replicates, channels, momentum)
        self.conv2 = Conv1d(replicates, channels, channels, width, "same")
        self.inner2, self.out = Pointwise("relu"), Pointwise("relu")
        self.norm2 = BatchNorm(replicates, channels, momentum)

    def branch(self) -> list[nn.Module]:
        """Return the layers of f, in order."""
        return [self.conv1, self.inner1, self.norm1, self.outer1, self.conv2, self.inner2, self.norm2]

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of the shape of x."""
        y = x
        for layer in self.branch():
            y = layer(y)
        return self.out(x + y)

    def reset(self, replicate: int, initializer: str, generator: torch.Generator) -> None:
        """Draw the initial weights of one replicate."""
        for conv in (self.conv1, self.conv2):
            conv.reset(replicate, "he_normal", generator)


class ConvNet(nn.Module):
    """A convolutional network over one sequence, R replicates of it.

    Parameters
    ----------
    spec
        `name` (one of `zoo.ARCHITECTURES`), `activation` (of the first layer), and optionally `width` (multiplies
        the numbers of filters and units; default 1), `initializer` (default 'glorot_uniform'), `l2` (default 0;
        see `penalties`) and `norm_momentum` (of all batch normalisation; default 0.99). The first layer's own:
        `first_norm` (False: without batch normalisation), `first_activation_scale` (s of f(s * x); default 1),
        `first_initializer` or `first_sd` (standard deviation of a plain normal distribution) instead of `initializer`,
        and `first_l2` instead of `l2`.
    length
        Length of the sequences, in bases.
    targets
        Number of outputs.
    replicates
        Number of independent networks.

    Raises
    ------
    ValueError
        The sequences are too short for the architecture.
    """

    def __init__(self, spec: dict[str, Any], length: int, targets: int, replicates: int = 1):
        super().__init__()
        self.spec, self.length, self.targets, self.replicates = dict(spec), length, targets, replicates
        self.noise = Noise()
        self.layers = nn.Sequential()
        self._features, self._map_length = 4, length
        self._momentum = spec.get("norm_momentum", MOMENTUM)
        first, *others = ARCHITECTURES[spec["name"]]
        activation = Pointwise(spec["activation"], spec.get("first_activation_scale", 1.0))
        self._add_conv(first, 1, activation, norm=spec.get("first_norm", True))
        for number, block in enumerate(others, start=2):
            self._add(block, number)
        self.layers.add_module("logits", Linear(replicates, self._features, targets, bias=True))

    def _add(self, block: Conv | Residual | Dense, number: int) -> None:
        if isinstance(block, Conv):
            self._add_conv(block, number, Pointwise("relu"))
        elif isinstance(block, Residual):
            self._append(number, block=ResidualBlock(self.replicates, self._features, block.width, self._momentum))
            self._pool(number, block.pool, "valid")
        else:
            self._add_dense(block, number)

    def _add_conv(self, block: Conv, number: int, activation: Pointwise, norm: bool = True) -> None:
        filters = round(block.filters * self.spec.get("width", 1))
        self._append(number, conv=Conv1d(self.replicates, self._features, filters, block.width, block.padding))
        if norm:
            self._append(number, norm=BatchNorm(self.replicates, filters, self._momentum))
        self._append(number, activation=activation, dropout=Dropout(block.dropout, self.noise))
        self._features = filters
        self._shorten(self._map_length - (block.width - 1) * (block.padding == "valid"))
        if block.pool:
            self._pool(number, block.pool, block.pool_padding)

    def _add_dense(self, block: Dense, number: int) -> None:
        if self._map_length:
            self._append(number, flatten=Flatten(self.replicates))
            self._features, self._map_length = self._features * self._map_length, 0
        units = round(block.units * self.spec.get("width", 1))
        self._append(
            number,
            dense=Linear(self.replicates, self._features, units),
            norm=BatchNorm(self.replicates, units, self._momentum),
            activation=Pointwise("relu"),
            dropout=Dropout(block.dropout, self.noise),
        )
        self._features = units

    def _pool(self, number: int, size: int, padding: str) -> None:
        self._append(number, pool=MaxPool(size, padding))
        self._shorten(-(-self._map_length // size) if padding == "same" else self._map_length // size)

    def _append(self, number: int, **modules: nn.Module) -> None:
        for name, module in modules.items():
            self.layers.add_module(f"{name}{number}", module)

    def _shorten(self, length: int) -> None:
        if length < 1:
            raise ValueError(f"sequences of {self.length} bases are too short for {self.spec['name']}")
        self._map_length = length

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (batch, R * targets) of one-hot sequences (batch, 4 or R * 4, length)."""
        return self.layers(_as_map(x))

    def activations(self, x: Tensor, layer: str = "first") -> Tensor:
        """Return the output of a layer, (batch, R * channels, length) or (batch, R * features).

        Parameters
        ----------
        x
            One-hot sequences (batch, 4, length).
        layer
            A name in `self.layers`, or 'first': the first activation, before dropout.
        """
        layer = "activation1" if layer == "first" else layer
        x = _as_map(x)
        for name, module in self.layers.named_children():
            x = module(x)
            if name == layer:
                return x.squeeze(2) if x.dim() == 4 else x
        raise ValueError(f"no layer is called '{layer}'; there are: {', '.join(dict(self.layers.named_children()))}")

    def reset(self, seeds: Sequence[int]) -> None:
        """Draw the initial weights of each replicate from its own seed, whatever the other replicates are."""
        every = self.spec.get("initializer", "glorot_uniform")
        first = self.spec.get("first_sd") or self.spec.get("first_initializer") or every
        for replicate, seed in enumerate(seeds):
            generator = torch.Generator().manual_seed(seed)
            for module in self.layers:
                if hasattr(module, "reset"):
                    module.reset(replicate, first if module is self.layers.conv1 else every, generator)

    def kernels(self) -> list[nn.Parameter]:
        """Return the parameters under an L2 penalty: all kernels but the output's."""
        return [p for name, p in self.named_parameters() if p.dim() >= 3 and not name.startswith("layers.logits")]

    def penalties(self) -> dict[float, list[nn.Parameter]]:
        """Return the kernels by the weight l2 of their penalty l2 * sum(w^2); those without a penalty are left out."""
        every = self.spec.get("l2", 0.0)
        first = self.spec.get("first_l2")
        groups: dict[float, list[nn.Parameter]] = {}
        for kernel in self.kernels():
            own = every if first is None or kernel is not self.layers.conv1.weight else first
            if own:
                groups.setdefault(own, []).append(kernel)
        return groups


def _as_map(x: Tensor) -> Tensor:
    return x.unsqueeze(2).contiguous(memory_format=torch.channels_last)


def split_replicates(y: Tensor, replicates: int) -> Tensor:
    """Return (R, batch, targets) of a model's output (batch, R * targets)."""
    return y.unflatten(1, (replicates, -1)).transpose(0, 1)


def one_hot(indices: Tensor) -> Tensor:
    """Return float32 (batch, 4, length) of indices (batch, length), or (batch, R * 4, length) of (R, batch, length).

    An unknown base is a column of zeros.
    """
    table = torch.eye(5, 4, device=indices.device)
    encoded = table[indices.long()]
    if indices.dim() == 2:
        return encoded.transpose(1, 2)
    return encoded.permute(1, 0, 3, 2).flatten(1, 2)
