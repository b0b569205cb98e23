"""Basenji2: its trunk and head as one module, built from the settings file that is published beside its weights.

Architecture: Kelley (2020), Cross-species regulatory sequence activity prediction, PLoS Comput Biol 16(7): e1008050;
the code of that time is in github.com/calico/basenji, manuscripts/cross2020.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

# Settings of the published models, human and mouse; `units` of the head are read from the weights.
CROSS2020: dict[str, Any] = {
    "seq_length": 131072,
    "trunk": [
        {"name": "conv_block", "filters": 288, "kernel_size": 15, "pool_size": 2},
        {
            "name": "conv_tower", "filters_init": 339, "filters_mult": 1.1776, "kernel_size": 5, "pool_size": 2,
            "repeat": 6,
        },
        {"name": "dilated_residual", "filters": 384, "rate_mult": 1.5, "repeat": 11, "dropout": 0.3, "round": True},
        {"name": "Cropping1D", "cropping": 64},
        {"name": "conv_block", "filters": 1536, "dropout": 0.05},
    ],
}  # fmt: skip
BASES = 4


class QuickGELU(nn.Module):
    """x * sigmoid(1.702 x), which Basenji2 was published with."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape, elementwise."""
        return x * torch.sigmoid(1.702 * x)


# 'quick': the code of 2020; 'tanh': that since April 2022; 'erf': the exact one, of some ports.
GELUS: dict[str, Callable[[], nn.Module]] = {
    "quick": QuickGELU,
    "tanh": lambda: nn.GELU(approximate="tanh"),
    "erf": nn.GELU,
}


class ConvBlock(nn.Module):
    """GELU, convolution without bias, batch normalisation, dropout, maximum pooling; the length is kept or pooled."""

    def __init__(
        self, channels_in: int, channels_out: int, gelu: str, kernel: int = 1, dilation: int = 1, dropout: float = 0.0,
        pool: int = 1,
    ):  # fmt: skip
        super().__init__()
        self.gelu = GELUS[gelu]()
        padding = dilation * (kernel - 1) // 2
        self.conv = nn.Conv1d(channels_in, channels_out, kernel, padding=padding, dilation=dilation, bias=False)
        # Keras' momentum 0.9 is torch's 0.1.
        self.norm = nn.BatchNorm1d(channels_out, eps=1e-3, momentum=0.1)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.pool = nn.MaxPool1d(pool) if pool > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels_in, length) to (batch, channels_out, length / pool)."""
        return self.pool(self.dropout(self.norm(self.conv(self.gelu(x)))))


class Residual(nn.Module):
    """A dilated convolution and one of width 1, added to what came in."""

    def __init__(self, channels: int, filters: int, gelu: str, kernel: int, dilation: int, dropout: float):
        super().__init__()
        self.inner = ConvBlock(channels, filters, gelu, kernel, dilation)
        self.outer = ConvBlock(filters, channels, gelu, dropout=dropout)
        nn.init.zeros_(self.outer.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, length) to the same."""
        return x + self.outer(self.inner(x))


class Crop(nn.Module):
    """Leave out positions at both ends."""

    def __init__(self, size: int):
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, length) to (batch, channels, length - 2 size)."""
        return x[..., self.size : x.shape[-1] - self.size]


def _conv_block(spec: Mapping[str, Any], channels: int, gelu: str) -> Iterator[nn.Module]:
    yield ConvBlock(
        channels, spec["filters"], gelu, spec.get("kernel_size", 1), spec.get("dilation_rate", 1),
        spec.get("dropout", 0.0), spec.get("pool_size", 1),
    )  # fmt: skip


def _conv_tower(spec: Mapping[str, Any], channels: int, gelu: str) -> Iterator[nn.Module]:
    filters = spec["filters_init"]
    for _ in range(spec["repeat"]):
        yield from _conv_block({**spec, "filters": round(filters)}, channels, gelu)
        channels, filters = round(filters), filters * spec.get("filters_mult", 1)


def _dilated_residual(spec: Mapping[str, Any], channels: int, gelu: str) -> Iterator[nn.Module]:
    rate = 1.0
    for _ in range(spec["repeat"]):
        dilation, kernel = int(np.round(rate)), spec.get("kernel_size", 3)
        yield Residual(channels, spec["filters"], gelu, kernel, dilation, spec.get("dropout", 0.0))
        rate *= spec.get("rate_mult", 2)
        # NumPy rounds halves to even, as the original does.
        rate = float(np.round(rate)) if spec.get("round") else rate


def _cropping(spec: Mapping[str, Any], channels: int, gelu: str) -> Iterator[nn.Module]:
    yield Crop(spec["cropping"])


BLOCKS: dict[str, Callable[[Mapping[str, Any], int, str], Iterator[nn.Module]]] = {
    "conv_block": _conv_block,
    "conv_tower": _conv_tower,
    "dilated_residual": _dilated_residual,
    "Cropping1D": _cropping,
}


def _channels_out(module: nn.Module, channels: int) -> int:
    return module.conv.out_channels if isinstance(module, ConvBlock) else channels


class Basenji(nn.Module):
    """Trunk and head; the trunk's output are the embeddings.

    Parameters
    ----------
    settings
        The part `model` of a settings file: `seq_length` and the blocks of `trunk`.
    targets
        Number of tracks.
    gelu
        A key of `GELUS`.

    Raises
    ------
    ValueError
        A block of the trunk is none of `BLOCKS`.
    """

    def __init__(self, settings: Mapping[str, Any] = CROSS2020, targets: int = 5313, gelu: str = "quick"):
        super().__init__()
        blocks: list[nn.Module] = []
        channels = BASES
        for spec in settings["trunk"]:
            if spec["name"] not in BLOCKS:
                raise ValueError(f"the block '{spec['name']}' is none of {', '.join(BLOCKS)}")
            for module in BLOCKS[spec["name"]](spec, channels, gelu):
                blocks.append(module)
                channels = _channels_out(module, channels)
        self.trunk = nn.Sequential(*blocks, GELUS[gelu]())
        self.head = nn.Linear(channels, targets)
        self.positive = nn.Softplus()
        self.length, self.channels, self.gelu = int(settings["seq_length"]), channels, gelu
        self.bin, self.crop = self._geometry()

    def _geometry(self) -> tuple[int, int]:
        """Return bases of a bin, and bases that are cropped at each end."""
        width, crop = 1, 0
        for module in self.trunk:
            if isinstance(module, ConvBlock) and isinstance(module.pool, nn.MaxPool1d):
                width *= module.pool.kernel_size
            elif isinstance(module, Crop):
                crop += module.size * width
        return width, crop

    @property
    def bins(self) -> int:
        """Bins that a sequence is divided into, after cropping."""
        return (self.length - 2 * self.crop) // self.bin

    def embed(self, x: Tensor) -> Tensor:
        """Return embeddings (batch, bins, channels) of one-hot sequences (batch, 4, length); an unknown base is 0."""
        return self.trunk(x).transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Return the tracks (batch, bins, targets) of one-hot sequences (batch, 4, length)."""
        return self.positive(self.head(self.embed(x)))

    def convolutions(self) -> Iterator[ConvBlock]:
        """Yield all blocks with weights, in the order of the network."""
        for module in self.trunk:
            if isinstance(module, ConvBlock):
                yield module
            elif isinstance(module, Residual):
                yield from (module.inner, module.outer)
