"""One output of a model, as the attribution libraries want it."""

import torch
from torch import Tensor, nn

from cisflow.attribution.presets import Settings
from cisflow.models.convnet import ConvNet


class Explained(nn.Module):
    """A model with one output: the logit of a target, its probability, or its value.

    Parameters
    ----------
    model
        A single network (R = 1), in evaluation mode.
    target
        Which of its outputs.
    probability
        True for the probability of a binary target.
    """

    def __init__(self, model: ConvNet, target: int = 0, probability: bool = False):
        super().__init__()
        self.model, self.target = model, target
        # A module, not a function: DeepLIFT has a rule for modules.
        self.link = nn.Sigmoid() if probability else nn.Identity()
        # A library that finds a module in training mode puts it back into that mode, and the model with it.
        self.eval()

    @classmethod
    def by(cls, settings: Settings, model: ConvNet, target: int, kind: str) -> "Explained":
        """Return what a preset's settings explain of a target of this kind, 'binary' or 'real'."""
        return cls(model, target, kind == "binary" and settings.output == "probability")

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, 1) of one-hot sequences (batch, 4, length)."""
        return self.link_of(self.model(x))

    def link_of(self, logits: Tensor) -> Tensor:
        """Return the explained output (batch, 1) of the model's outputs (batch, targets)."""
        return self.link(logits[:, self.target, None].float())
