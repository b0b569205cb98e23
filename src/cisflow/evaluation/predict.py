"""Predictions of a trained model."""

import numpy as np
import torch
from numpy.typing import NDArray

from cisflow.errors import CisflowError
from cisflow.models.convnet import ConvNet, one_hot

BATCH = 1000


@torch.inference_mode()
def predict(model: ConvNet, x: NDArray[np.uint8], kind: str) -> NDArray[np.float32]:
    """Return predictions (n, targets): probabilities for binary labels, values for real ones.

    Parameters
    ----------
    model
        A single network (R = 1), in evaluation mode.
    x
        Base indices (n, length).
    kind
        'binary' or 'real'.

    Raises
    ------
    CisflowError
        The sequences have another length than the model was trained on.
    """
    if x.shape[1] != model.length:
        raise CisflowError(f"the model takes sequences of {model.length} bases, and these have {x.shape[1]}.")
    device = next(model.parameters()).device
    parts = [
        model(one_hot(torch.from_numpy(x[start : start + BATCH]).to(device))).float().cpu()
        for start in range(0, len(x), BATCH)
    ]
    outputs = torch.cat(parts)
    return (torch.sigmoid(outputs) if kind == "binary" else outputs).numpy()
