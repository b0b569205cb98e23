"""What a model costs: parameters, and multiplications of one forward pass."""

from typing import Any

import torch

from cisflow.models.convnet import ConvNet
from cisflow.models.layers import Conv1d, Linear


def cost(spec: dict[str, Any], length: int, targets: int) -> tuple[int, int]:
    """Return the parameters of a model, and the multiply-accumulate operations of one sequence's forward pass.

    Parameters
    ----------
    spec, length, targets
        As `ConvNet` takes them.
    """
    model = ConvNet(spec, length, targets).eval()
    macs = 0

    def count(layer: torch.nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        nonlocal macs
        weight = layer.weight  # (1, out, in, width) or (1, out, in)
        macs += weight.numel() * (output.shape[-1] if isinstance(layer, Conv1d) else 1)

    for layer in model.modules():
        if isinstance(layer, Conv1d | Linear):
            layer.register_forward_hook(count)
    with torch.inference_mode():
        model(torch.zeros(1, 4, length))
    return sum(p.numel() for p in model.parameters()), macs
