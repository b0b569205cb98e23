"""Heads: small networks that predict labels from the embeddings of a pretrained trunk.

Source: the CS282A project (github.com/OberonDixon/basenji2_cs282a_cpg-lmnb1), on embeddings of Basenji2.
Parameters have a leading axis of one replicate, as `cisflow.models.layers` has it, and there is never more than one:
each trial has its own order of rows, so that trials trained together would read each row once a trial all the same.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from cisflow.models.initializers import fill
from cisflow.models.layers import Dropout, LayerNorm, Linear, Noise
from cisflow.models.zoo import HEADS

UNITS, ATTENTION_HEADS, DROPOUT = 500, 6, 0.2
# Units of the feed-forward part of self-attention, for each channel.
EXPANSION = 2


class BinsToRows(nn.Module):
    """(batch, bins, units) to (batch, units * bins), unit by unit."""

    def forward(self, x: Tensor) -> Tensor:
        """Flatten each window's map."""
        return x.transpose(1, 2).flatten(1)


class MaxOverBins(nn.Module):
    """(batch, bins, units) to (batch, units): the highest value of each unit in the window."""

    def forward(self, x: Tensor) -> Tensor:
        """Take the maximum along the window."""
        return x.max(1).values


class MeanOverBins(nn.Module):
    """(batch, bins, targets) to (batch, targets)."""

    def forward(self, x: Tensor) -> Tensor:
        """Take the mean along the window."""
        return x.mean(1)


class SelfAttention(nn.Module):
    """Multi-head self-attention, with dropout on its weights.

    Parameters
    ----------
    axis
        'position': the bins of a window attend each other. 'batch': each bin attends the same bin of the other windows
        of its batch, so that a prediction depends on what else is in the batch; it is the original's defect (torch's
        MultiheadAttention without `batch_first`), kept to repeat its results.
    """

    def __init__(self, channels: int, heads: int, dropout: float, axis: str, noise: Noise):
        super().__init__()
        self.heads, self.axis = heads, axis
        self.project = Linear(1, channels, 3 * channels, bias=True)
        self.softmax = nn.Softmax(-1)
        self.dropout = Dropout(dropout, noise)
        self.out = Linear(1, channels, channels, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, bins, channels) to the same shape."""
        x = x if self.axis == "position" else x.transpose(0, 1)
        # Each of the three: (heads of all sets, members of a set, channels of a head).
        query, key, value = self.project(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).flatten(1, 2)
        weights = self.softmax(query @ key.transpose(1, 2) / math.sqrt(query.shape[-1]))
        found = (self.dropout(weights) @ value).unflatten(0, (-1, self.heads)).transpose(1, 2).flatten(2)
        found = self.out(found)
        return found if self.axis == "position" else found.transpose(0, 1)

    def reset(self, generator: torch.Generator) -> None:
        """Draw the initial weights as torch's MultiheadAttention does."""
        fill(self.project.weight[0], "glorot_uniform", generator)
        _fill_as_torch(self.out, generator)
        for layer in (self.project, self.out):
            nn.init.zeros_(layer.bias)


class AttentionBlock(nn.Module):
    """Self-attention and a feed-forward network, each added to what came in, then normalised, with dropout."""

    def __init__(self, channels: int, heads: int, dropout: float, axis: str, noise: Noise):
        super().__init__()
        self.attention = SelfAttention(channels, heads, dropout, axis, noise)
        self.norm1, self.dropout1 = LayerNorm(channels), Dropout(dropout, noise)
        self.expand = Linear(1, channels, EXPANSION * channels, bias=True)
        self.activation, self.dropout2 = nn.ReLU(), Dropout(dropout, noise)
        self.contract = Linear(1, EXPANSION * channels, channels, bias=True)
        self.norm2, self.dropout3 = LayerNorm(channels), Dropout(dropout, noise)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, bins, channels) to the same shape."""
        x = self.dropout1(self.norm1(self.attention(x) + x))
        return self.dropout3(self.norm2(self.contract(self.dropout2(self.activation(self.expand(x)))) + x))


class Head(nn.Module):
    """A head on embeddings.

    Parameters
    ----------
    spec
        `name` (one of `zoo.HEADS`) and its settings: `units` of the perceptrons (default 500); `attention_axis`
        ('position' or 'batch'), `attention_heads` (6) and `dropout` (0.2) of self-attention.
    bins, channels
        Shape of a window's embedding.
    targets
        Number of outputs.
    replicates
        1; see above.

    Raises
    ------
    ValueError
        More than one replicate, or channels that the heads of attention do not divide.
    """

    def __init__(self, spec: Mapping[str, Any], bins: int, channels: int, targets: int, replicates: int = 1):
        super().__init__()
        if replicates != 1:
            raise ValueError(f"{spec['name']} is trained one trial at a time, not {replicates} together")
        self.spec, self.bins, self.channels, self.targets = dict(spec), bins, channels, targets
        self.replicates, self.noise = replicates, Noise()
        self.layers = nn.Sequential()
        for name, layer in _LAYERS[spec["name"]](self.spec, bins, channels, targets, self.noise).items():
            self.layers.add_module(name, layer)

    @property
    def of_bins(self) -> bool:
        """Whether it has an output for each bin: (batch, bins, targets), not (batch, targets)."""
        return HEADS[self.spec["name"]].labels == "bins"

    @property
    def needs_batch_mates(self) -> bool:
        """Whether the output of a window depends on the others of its batch."""
        return self.spec.get("attention_axis") == "batch"

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, targets), or (batch, bins, targets), of embeddings (batch, bins, channels)."""
        return self.layers(x)

    def reset(self, seeds: Sequence[int]) -> None:
        """Draw the initial weights from the only replicate's seed, distributed as the original's are."""
        (seed,) = seeds
        generator = torch.Generator().manual_seed(seed)
        if self.spec["name"] == "linear-probe":
            fill(self.layers.linear.weight[0], math.sqrt(2 / self.channels), generator)
            nn.init.zeros_(self.layers.linear.bias)
            return
        for module in self.modules():
            if isinstance(module, Linear):
                _fill_as_torch(module, generator)
        for module in self.modules():
            if isinstance(module, SelfAttention):
                module.reset(generator)

    def kernels(self) -> list[nn.Parameter]:
        """Return the parameters under an L2 penalty: none; an optimiser has its weight decay."""
        return []

    def penalties(self) -> dict[float, list[nn.Parameter]]:
        """Return the kernels by the weight of their penalty: none."""
        return {}


def _fill_as_torch(layer: Linear, generator: torch.Generator) -> None:
    """Draw weight and bias uniformly within 1 / sqrt(inputs), as torch's own linear layer."""
    limit = 1 / math.sqrt(layer.weight.shape[2])
    for parameter in (layer.weight, layer.bias):
        drawn = torch.empty(parameter.shape).uniform_(-limit, limit, generator=generator)
        with torch.no_grad():
            parameter.copy_(drawn)


Layers = dict[str, nn.Module]


def _linear_probe(spec: Mapping[str, Any], bins: int, channels: int, targets: int, noise: Noise) -> Layers:
    return {"linear": Linear(1, channels, targets, bias=True), "softplus": nn.Softplus()}


def _conv_perceptron(spec: Mapping[str, Any], bins: int, channels: int, targets: int, noise: Noise) -> Layers:
    units = spec.get("units", UNITS)
    return {
        "conv": Linear(1, channels, units, bias=True),
        "gelu": nn.GELU(),
        "flatten": BinsToRows(),
        "logits": Linear(1, units * bins, targets, bias=True),
    }


def _max_pool_perceptron(spec: Mapping[str, Any], bins: int, channels: int, targets: int, noise: Noise) -> Layers:
    units = spec.get("units", UNITS)
    return {
        "conv": Linear(1, channels, units, bias=True),
        "gelu": nn.GELU(),
        "pool": MaxOverBins(),
        "logits": Linear(1, units, targets, bias=True),
    }


def _self_attention(spec: Mapping[str, Any], bins: int, channels: int, targets: int, noise: Noise) -> Layers:
    heads = spec.get("attention_heads", ATTENTION_HEADS)
    if channels % heads:
        fitting = ", ".join(str(number) for number in range(1, 17) if channels % number == 0)
        raise ValueError(
            f"attention_heads: {heads} heads do not divide the {channels} channels of the embeddings; these do: "
            f"{fitting}"
        )
    axis = spec.get("attention_axis", "position")
    return {
        "block": AttentionBlock(channels, heads, spec.get("dropout", DROPOUT), axis, noise),
        "logits": Linear(1, channels, targets, bias=True),
        "mean": MeanOverBins(),
    }


_LAYERS: dict[str, Callable[..., Layers]] = {
    "linear-probe": _linear_probe,
    "conv-perceptron": _conv_perceptron,
    "max-pool-perceptron": _max_pool_perceptron,
    "self-attention": _self_attention,
}
