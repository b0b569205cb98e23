"""Keras' weight initialisers, since the papers' results rest on them (`he_normal` is truncated there, for example)."""

import math

import torch
from torch import Tensor

# Scale of the variance and which fan divides it, as in Keras' VarianceScaling.
_SCALE = {"glorot": (1.0, "average"), "he": (2.0, "in"), "lecun": (1.0, "in")}
# The standard deviation of a normal distribution cut at two standard deviations.
_TRUNCATED_SD = 0.87962566103423978


def fill(weight: Tensor, initializer: str | float, generator: torch.Generator) -> None:
    """Fill a weight of shape (out, in) or (out, in, width) in place.

    Parameters
    ----------
    weight
        The tensor; it is filled on the CPU's random stream, whatever its device.
    initializer
        One of `zoo.INITIALIZERS`, or the standard deviation of a plain normal distribution around zero.
    generator
        A CPU generator.
    """
    values = torch.empty(weight.shape)
    if isinstance(initializer, str):
        _draw_as_keras(values, initializer, generator)
    else:
        values.normal_(0.0, initializer, generator=generator)
    with torch.no_grad():
        weight.copy_(values)


def _draw_as_keras(values: Tensor, name: str, generator: torch.Generator) -> None:
    family, distribution = name.split("_")
    receptive = math.prod(values.shape[2:])
    fan_in, fan_out = values.shape[1] * receptive, values.shape[0] * receptive
    scale, fan = _SCALE[family]
    sd = math.sqrt(scale / (fan_in if fan == "in" else (fan_in + fan_out) / 2))
    if distribution == "uniform":
        limit = math.sqrt(3.0) * sd
        values.uniform_(-limit, limit, generator=generator)
    else:
        # The cut is at two standard deviations of the distribution before the cut.
        wide = sd / _TRUNCATED_SD
        torch.nn.init.trunc_normal_(values, 0.0, wide, -2 * wide, 2 * wide, generator=generator)
