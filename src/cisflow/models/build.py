"""Models from their descriptions: networks on sequences, and heads on embeddings."""

from collections.abc import Mapping
from typing import Any

from cisflow.models.convnet import ConvNet
from cisflow.models.heads import Head
from cisflow.models.zoo import HEADS

Network = ConvNet | Head


def build(description: Mapping[str, Any], replicates: int = 1) -> Network:
    """Return an untrained model.

    Parameters
    ----------
    description
        `model` (as `ConvNet` or `Head` take it), `targets` (names), and `length` in bases, or `bins` and `channels`.
    replicates
        Number of independent networks.

    Raises
    ------
    ValueError
        There is no such model for these sizes.
    """
    spec, targets = dict(description["model"]), len(description["targets"])
    if spec["name"] in HEADS:
        return Head(spec, description["bins"], description["channels"], targets, replicates)
    return ConvNet(spec, description["length"], targets, replicates)
