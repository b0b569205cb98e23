"""In-silico saturation mutagenesis that computes only what an edit can reach.

A substitution changes a stretch of each convolutional map, and the rest of the map is that of the unedited sequence.
All edits at one position have the same stretch, whatever the sequence, so that the three alleles of many sequences go
through the network together as plain slices. The idea is that of fastISM (Nair et al., Bioinformatics 38, 2397, 2022).
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from cisflow.attribution.explained import Explained
from cisflow.errors import CisflowError
from cisflow.models.convnet import ConvNet, ResidualBlock, one_hot
from cisflow.models.layers import Conv1d, Flatten, MaxPool

# Sequences whose edits go through the network together: below some hundred, the calls cost more than the work.
BLOCK = {"cpu": 256, "cuda": 2048}
ALLELES = 3


@dataclass(frozen=True)
class Stretch:
    """The part of a map that the edits change: values (sequences * 3, channels, 1, width) from position `start` on."""

    values: Tensor
    start: int

    @property
    def end(self) -> int:
        """The position after the last changed one."""
        return self.start + self.values.shape[-1]

    def within(self, base: Tensor, low: int, high: int, fill: float = 0.0) -> Tensor:
        """Return positions [low, high) of the edited map; beyond its ends it is `fill`.

        `base` is the unedited map (sequences, channels, 1, length).
        """
        length, first, last = base.shape[-1], max(low, self.start), min(high, self.end)
        shape = (len(self.values), base.shape[1], 1, high - low)
        edited = torch.empty(shape, dtype=base.dtype, device=base.device, memory_format=torch.channels_last)
        by_sequence = edited.unflatten(0, (-1, ALLELES))
        by_sequence[..., max(-low, 0) : first - low] = base[:, None, :, :, max(low, 0) : first]
        edited[..., first - low : last - low] = self.values[..., first - self.start : last - self.start]
        by_sequence[..., last - low : length - low] = base[:, None, :, :, last : min(high, length)]
        if low < 0:
            edited[..., :-low] = fill
        if high > length:
            edited[..., length - low :] = fill
        return edited


@torch.inference_mode()
def mutagenesis(explained: Explained, x: NDArray, block: int | None = None) -> Tensor:
    """Return the effect of every substitution, float32 (n, length, 4) on the CPU: edited minus unedited output.

    The effect of the base that is there is zero.

    Parameters
    ----------
    explained
        The model and its output.
    x
        Base indices, uint8 (n, length), without unknown bases.
    block
        Sequences computed together.

    Raises
    ------
    CisflowError
        A sequence has an unknown base: there is no unedited output to compare with.
    """
    if (x > 3).any():
        raise CisflowError("mutagenesis needs sequences without unknown bases.")
    rows = torch.from_numpy(x).long()
    size = block or BLOCK[explained.device.type]
    return torch.cat([_effects(explained, part.to(explained.device)).cpu() for part in rows.split(size)])


def _effects(explained: Explained, rows: Tensor) -> Tensor:
    """Return the effects (n, length, 4) of a block of sequences (n, length)."""
    spread, dense, maps = _trace(explained.model, one_hot(rows))
    unedited = explained.link_of(dense(maps[-1]))
    effects = torch.zeros(*rows.shape, 4, device=rows.device)
    for position in range(rows.shape[1]):
        alleles = (rows[:, position, None] + torch.arange(1, 4, device=rows.device)) % 4
        stretch: Stretch | None = Stretch(F.one_hot(alleles.flatten(), 4).float()[:, :, None, None], position)
        for layer, base in zip(spread, maps, strict=False):
            stretch = _reach(layer, stretch, base)
            if stretch is None:
                break
        if stretch is not None:
            outputs = explained.link_of(dense(stretch.within(maps[-1], 0, maps[-1].shape[-1])))
            effects[:, position].scatter_(1, alleles, outputs.view(-1, ALLELES) - unedited)
    return effects


def _trace(model: ConvNet, x: Tensor) -> tuple[list[nn.Module], nn.Sequential, list[Tensor]]:
    """Return the layers over maps, those behind them, and the unedited map before each layer and after the last."""
    layers = list(model.layers)
    flat = next(number for number, layer in enumerate(layers) if isinstance(layer, Flatten))
    maps = [x.unsqueeze(2).contiguous(memory_format=torch.channels_last)]
    for layer in layers[:flat]:
        maps.append(layer(maps[-1]))
    return layers[:flat], nn.Sequential(*layers[flat:]), maps


def _reach(layer: nn.Module, stretch: Stretch, base: Tensor) -> Stretch | None:
    """Return what the edits change behind a layer, or None if nothing; `base` is the unedited map before it."""
    if isinstance(layer, Conv1d):
        return _reach_conv(layer, stretch, base)
    if isinstance(layer, MaxPool):
        return _reach_pool(layer, stretch, base)
    if isinstance(layer, ResidualBlock):
        return _reach_residual(layer, stretch, base)
    return Stretch(layer(stretch.values), stretch.start)


def _reach_conv(layer: Conv1d, stretch: Stretch, base: Tensor) -> Stretch:
    width = layer.weight.shape[-1]
    left = (width - 1) // 2 if layer.padding == "same" else 0
    length = base.shape[-1] - (0 if layer.padding == "same" else width - 1)
    start, end = max(stretch.start + left - width + 1, 0), min(stretch.end + left, length)
    inputs = stretch.within(base, start - left, end - left + width - 1)
    return Stretch(F.conv2d(inputs, layer.weight[0].unsqueeze(2)), start)


def _reach_pool(layer: MaxPool, stretch: Stretch, base: Tensor) -> Stretch | None:
    size, length = layer.size, base.shape[-1]
    left, right = layer.pads(length)
    start, end = (stretch.start + left) // size, min(-(-(stretch.end + left) // size), (left + length + right) // size)
    if start >= end:
        # The edits are in the incomplete window that 'valid' pooling drops.
        return None
    inputs = stretch.within(base, start * size - left, end * size - left, fill=float("-inf"))
    # The windows are whole and do not overlap: on a CPU this takes half the time of max_pool2d.
    return Stretch(functools.reduce(torch.maximum, [inputs[..., place::size] for place in range(size)]), start)


def _reach_residual(block: ResidualBlock, stretch: Stretch, base: Tensor) -> Stretch:
    inside = stretch
    for layer, before in _with_maps(block.branch(), base):
        inside = _reach(layer, inside, before)
    return Stretch(block.out(stretch.within(base, inside.start, inside.end) + inside.values), inside.start)


def _with_maps(layers: list[nn.Module], base: Tensor) -> Iterator[tuple[nn.Module, Tensor]]:
    for layer in layers:
        yield layer, base
        base = layer(base)
