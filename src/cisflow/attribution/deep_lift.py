"""DeepLIFT's rules for the layers of cisflow, as tangermeme takes them.

A rule is called in the backward pass with a module whose `input` and `output` are those of the sequences, followed by
those of their references; it returns the multipliers of the input (Shrikumar et al., ICML 2017).
"""

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from cisflow.models.activations import Pointwise
from cisflow.models.layers import MaxPool

# Below this difference of the inputs the gradient stands for the ratio of the differences.
SMALL = 1e-6

Gradients = tuple[Tensor | None, ...]


def rescale(module: Pointwise, grad_input: Gradients, grad_output: Gradients) -> Gradients:
    """Return multipliers through a pointwise function: difference of outputs over difference of inputs."""
    inputs, outputs = (torch.sub(*values.chunk(2)) for values in (module.input, module.output))
    small = inputs.abs() < SMALL
    ratio = outputs / inputs.masked_fill_(small, 1)
    # Sequences and references side by side: they have one ratio, which is not copied for it.
    plain, after = (gradient.unflatten(0, (2, -1)) for gradient in (grad_input[0], grad_output[0]))
    return (torch.where(small, plain, after * ratio).flatten(0, 1),)


def rescale_pool(module: MaxPool, grad_input: Gradients, grad_output: Gradients) -> Gradients:
    """Return multipliers through max-pooling.

    What the sequence's maximum is above the reference's goes to the position of the sequence's maximum, and what it is
    below to the position of the reference's; each divided by the difference of the inputs there.
    """
    x, start = module.input.chunk(2)
    upper, lower = module.output.chunk(2)
    gradient = grad_output[0].chunk(2)[0]
    above = (torch.maximum(upper, lower) - lower) * gradient
    below = (upper - torch.maximum(upper, lower)) * gradient
    routed = _to_maximum(above, x, module) + _to_maximum(below, start, module)
    difference = x - start
    equal = difference == 0
    multiplier = torch.where(equal, grad_input[0].chunk(2)[0], routed / difference.masked_fill(equal, 1))
    return (multiplier.repeat(2, 1, 1, 1),)


def _to_maximum(values: Tensor, x: Tensor, module: MaxPool) -> Tensor:
    """Return values (n, channels, 1, windows) at the places of the maxima of x, (n, channels, 1, length)."""
    left, right = module.pads(x.shape[-1])
    padded = F.pad(x, (left, right), value=float("-inf"))
    _, places = F.max_pool2d(padded, (1, module.size), return_indices=True)
    routed = torch.zeros_like(padded).scatter(-1, places, values)
    return routed[..., left : left + x.shape[-1]]


RULES = {Pointwise: rescale, MaxPool: rescale_pool}
