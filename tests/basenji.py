"""Small Basenji2 models of random weights, whose values stay of the order of one through all layers."""

from typing import Any

import torch

from cisflow.models.basenji import Basenji

# 4,096 bases, bins of 16, 4 bins cropped at each end.
SMALL: dict[str, Any] = {
    "seq_length": 4096,
    "trunk": [
        {"name": "conv_block", "filters": 12, "kernel_size": 15, "pool_size": 2},
        {"name": "conv_tower", "filters_init": 14, "filters_mult": 1.3, "kernel_size": 5, "pool_size": 2, "repeat": 3},
        {"name": "dilated_residual", "filters": 8, "rate_mult": 1.5, "repeat": 5, "dropout": 0.3, "round": True},
        {"name": "Cropping1D", "cropping": 4},
        {"name": "conv_block", "filters": 24, "dropout": 0.05},
    ],
}
TARGETS = 7


def random_basenji(
    gelu: str = "quick", settings: dict = SMALL, targets: int | None = TARGETS, seed: int = 0
) -> Basenji:
    """Return a model in evaluation mode, with normalisations that do something."""
    torch.manual_seed(seed)
    model = Basenji(settings, targets, gelu).eval()
    for block in model.convolutions():
        torch.nn.init.uniform_(block.norm.weight, 0.5, 1.5)
        torch.nn.init.normal_(block.norm.bias, 0, 0.2)
        block.norm.running_mean.normal_(0, 0.2)
        block.norm.running_var.uniform_(0.3, 1)
    return model


def random_sequences(count: int, length: int = 4096, seed: int = 0) -> torch.Tensor:
    """Return one-hot sequences (count, 4, length), of which every 97th base is unknown."""
    bases = torch.randint(0, 4, (count, length), generator=torch.Generator().manual_seed(seed))
    x = torch.eye(4)[bases].transpose(1, 2).contiguous()
    x[:, :, ::97] = 0
    return x
