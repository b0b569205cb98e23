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
    "target_length": 1024,
    "activation": "gelu",
    "norm_type": "batch",
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


# What settings files may say of a model, and of its blocks; some of it matters to training alone.
MODEL_KEYS = {
    "seq_length", "seq_depth", "target_length", "activation", "norm_type", "batch_norm", "bn_momentum", "verbose",
    "augment_rc", "augment_shift", "trunk",
}  # fmt: skip
CONV_KEYS = {"name", "filters", "kernel_size", "pool_size", "dilation_rate", "dropout"}


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


# Of each block: what makes its modules, the keys that it must have, and those that it may have.
BLOCKS: dict[str, tuple[Callable[[Mapping[str, Any], int, str], Iterator[nn.Module]], set[str], set[str]]] = {
    "conv_block": (_conv_block, {"filters"}, CONV_KEYS),
    "conv_tower": (_conv_tower, {"filters_init", "repeat"}, CONV_KEYS - {"filters"} | {"filters_mult"}),
    "dilated_residual": (
        _dilated_residual, {"filters", "repeat"}, {"name", "kernel_size", "rate_mult", "dropout", "round"},
    ),
    "Cropping1D": (_cropping, {"cropping"}, {"name"}),
}  # fmt: skip


def _check(settings: Mapping[str, Any]) -> None:
    """Refuse settings that this module would not do as they say."""
    if missing := [key for key in ("seq_length", "trunk") if key not in settings]:
        raise ValueError(f"the model's settings lack '{missing[0]}'")
    if unknown := [key for key in settings if key not in MODEL_KEYS and not key.startswith("head")]:
        raise ValueError(f"the model's settings have '{unknown[0]}', which Basenji2 has not")
    # `batch_norm: true` is the older spelling of `norm_type: batch`.
    for key, wanted in (("activation", "gelu"), ("norm_type", "batch"), ("batch_norm", True)):
        if (found := settings.get(key, wanted)) != wanted:
            raise ValueError(f"the model's '{key}' is {found!r}, and Basenji2's is {wanted!r}")
    for number, spec in enumerate(settings["trunk"]):
        what = f"block {number} of the trunk"
        if spec.get("name") not in BLOCKS:
            raise ValueError(f"{what} is '{spec.get('name')}', and none of {', '.join(BLOCKS)}")
        _, needed, allowed = BLOCKS[spec["name"]]
        if missing := sorted(needed - set(spec)):
            raise ValueError(f"{what} ({spec['name']}) lacks '{missing[0]}'")
        if unknown := sorted(set(spec) - needed - allowed):
            raise ValueError(f"{what} ({spec['name']}) has '{unknown[0]}', which Basenji2 has not")
        if spec.get("kernel_size", 1) % 2 == 0:
            raise ValueError(f"{what} ({spec['name']}) has a kernel of even width {spec['kernel_size']}")


def _channels_out(module: nn.Module, channels: int) -> int:
    return module.conv.out_channels if isinstance(module, ConvBlock) else channels


class Basenji(nn.Module):
    """Trunk and head; the trunk's output are the embeddings.

    Parameters
    ----------
    settings
        The part `model` of a settings file: `seq_length` and the blocks of `trunk`.
    targets
        Number of tracks; None for a trunk alone, which gives embeddings and no tracks.
    gelu
        A key of `GELUS`.

    Raises
    ------
    ValueError
        The settings are not those of such a model: another block, key, activation, normalisation or length.
    """

    def __init__(self, settings: Mapping[str, Any] = CROSS2020, targets: int | None = 5313, gelu: str = "quick"):
        super().__init__()
        _check(settings)
        if gelu not in GELUS:
            raise ValueError(f"'{gelu}' is none of {', '.join(GELUS)}")
        blocks: list[nn.Module] = []
        channels = BASES
        for spec in settings["trunk"]:
            make, _, _ = BLOCKS[spec["name"]]
            for module in make(spec, channels, gelu):
                blocks.append(module)
                channels = _channels_out(module, channels)
        self.trunk = nn.Sequential(*blocks, GELUS[gelu]())
        self.head = None if targets is None else nn.Linear(channels, targets)
        self.positive = nn.Softplus()
        self.length, self.channels, self.gelu = int(settings["seq_length"]), channels, gelu
        self.bin, self.crop = self._geometry()
        if self.length % self.bin or self.bins < 1:
            raise ValueError(f"{self.length} bases are no whole bins of {self.bin} that are left after cropping")
        if settings.get("target_length", self.length // self.bin) * self.bin != self.length:
            raise ValueError(f"{self.length} bases in bins of {self.bin} are not {settings['target_length']} bins")

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
        """Return the tracks (batch, bins, targets) of one-hot sequences (batch, 4, length).

        Raises
        ------
        ValueError
            The model is a trunk alone.
        """
        if self.head is None:
            raise ValueError("the model is a trunk alone: it gives embeddings and no tracks")
        return self.positive(self.head(self.embed(x)))

    def convolutions(self) -> Iterator[ConvBlock]:
        """Yield all blocks with weights, in the order of the network."""
        for module in self.trunk:
            if isinstance(module, ConvBlock):
                yield module
            elif isinstance(module, Residual):
                yield from (module.inner, module.outer)
