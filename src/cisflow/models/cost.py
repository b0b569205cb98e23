"""What a model costs: parameters, and multiplications of one forward pass."""

from typing import Any

import torch

from cisflow.models.build import build
from cisflow.models.heads import SelfAttention
from cisflow.models.layers import Conv1d, Linear


def cost(spec: dict[str, Any], length: int, targets: int, embedding: tuple[int, int] | None = None) -> tuple[int, int]:
    """Return the parameters of a model, and the multiply-accumulate operations of one row's forward pass.

    Parameters
    ----------
    spec, length, targets
        As `ConvNet` and `Head` take them; of a head, the length is not used.
    embedding
        Bins and channels of a window's embedding, for a head. Self-attention is counted along the positions.
    """
    bins, channels = embedding or (None, None)
    names = [str(number) for number in range(targets)]
    model = build({"model": spec, "length": length, "targets": names, "bins": bins, "channels": channels}).eval()
    macs = 0

    def count(layer: torch.nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        nonlocal macs
        if isinstance(layer, SelfAttention):
            macs += 2 * inputs[0].shape[1] * inputs[0].numel()
            return
        weight = layer.weight  # (1, out, in, width) or (1, out, in)
        macs += weight.numel() * (output.shape[-1] if isinstance(layer, Conv1d) else output[..., 0].numel())

    for layer in model.modules():
        if isinstance(layer, Conv1d | Linear | SelfAttention):
            layer.register_forward_hook(count)
    with torch.inference_mode():
        model(torch.zeros((1, *embedding) if embedding else (1, 4, length)))
    return sum(p.numel() for p in model.parameters()), macs
