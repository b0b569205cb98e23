"""Predictions of a trained model."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import special

from cisflow.errors import CisflowError
from cisflow.models.build import Network
from cisflow.models.heads import Head
from cisflow.training.data import Rows
from cisflow.training.disk import OnDisk
from cisflow.training.scale import Scale


def predict(model: Network, x: NDArray | OnDisk, kind: str, scale: Scale | None = None) -> NDArray[np.float32]:
    """Return predictions (n, targets): probabilities for binary labels, values for real ones.

    A head that has an output for each bin predicts their mean.

    Parameters
    ----------
    model
        A single network (R = 1), in evaluation mode.
    x
        Base indices uint8 (n, length), or embeddings (n, bins, channels), of which one batch is in memory at a time.
    kind
        'binary' or 'real'.
    scale
        Of a head that learned labels on a scale (`checkpoint.scale_of`).

    Raises
    ------
    CisflowError
        The model was trained on sequences of another length, or embeddings of another shape.
    """
    return as_predictions(predict_outputs(model, x, scale), kind)


def predict_outputs(model: Network, x: NDArray | OnDisk, scale: Scale | None = None) -> NDArray[np.float32]:
    """Return outputs (n, targets): logits for binary labels, values for real ones; the rest is as of `predict`."""
    return np.concatenate([part.mean(1) if part.ndim == 3 else part for part in output_batches(model, x, scale)])


def as_predictions(outputs: NDArray[np.float32], kind: str) -> NDArray[np.float32]:
    """Return what outputs predict: of logits their probabilities, in which large logits become equal, namely 1."""
    return special.expit(outputs) if kind == "binary" else outputs


def output_batches(model: Network, x: NDArray | OnDisk, scale: Scale | None = None) -> Iterator[NDArray[np.float32]]:
    """Yield the outputs of one batch of rows after the other: (rows, targets), or (rows, bins, targets).

    Parameters and errors are those of `predict`.
    """
    check_input(model, x)
    device = next(model.parameters()).device
    rows = Rows({"x": x}, np.empty((len(x), 0), np.float32), device=device, resident=False)
    # What depends on the other windows of a batch is predicted without any.
    size = 1 if getattr(model, "needs_batch_mates", False) else rows.evaluation_batch
    for batch in rows.batches(torch.arange(len(x)), size):
        with torch.inference_mode():
            outputs = model(**batch.inputs()).float()
            yield (outputs if scale is None else scale.in_units(outputs)).cpu().numpy()


def check_input(model: Network, x: NDArray | OnDisk) -> None:
    """Refuse rows that a model does not take.

    Raises
    ------
    CisflowError
        As `predict` raises it.
    """
    if isinstance(model, Head):
        needed, name = (model.bins, model.channels), model.spec["name"]
        if x.ndim != 3:
            raise CisflowError(f"{name} takes embeddings of {needed[0]} bins and {needed[1]} channels, not sequences.")
        if x.shape[1:] != needed:
            raise CisflowError(
                f"{name} was trained on embeddings of {needed[0]} bins and {needed[1]} channels, and these have "
                f"{x.shape[1]} and {x.shape[2]}."
            )
    elif x.ndim != 2:
        raise CisflowError(f"{model.spec['name']} takes sequences, not embeddings.")
    elif x.shape[1] != model.length:
        raise CisflowError(f"the model takes sequences of {model.length} bases, and these have {x.shape[1]}.")
