"""The gradient of the first layer's kernel, measured beside a training without touching it."""

import torch
from torch import Tensor

from cisflow.models.convnet import ConvNet, split_replicates
from cisflow.training.data import Rows
from cisflow.training.losses import Loss


def first_kernel_gradient(model: ConvNet, rows: Rows, loss: Loss, batch_size: int) -> Tensor:
    """Return the gradient of the total loss with respect to the first kernel, float64 (R, out, in, width).

    The total loss is the mean over all measured labels of the rows, plus the L2 penalty: as if all rows were one batch.
    It is computed in the precision of the weights, whatever the precision of the training, and fills no `.grad`.

    Parameters
    ----------
    model
        In evaluation mode: without dropout, and normalising by the running statistics. So the gradient is that of
        the very network that is validated and kept, and does not depend on the batches or on random numbers.
    rows
        The whole split.
    loss
        One of `LOSSES`.
    batch_size
        Rows at a time; it changes the memory that is needed, and nothing else but rounding.
    """
    kernel, whole = model.layers.conv1.weight, (model.replicates, -1, -1)
    gradient, measured = torch.zeros_like(kernel, dtype=torch.float64), 0
    for batch in rows.batches(torch.arange(rows.count), batch_size):
        inputs = {name: x.to(kernel.dtype) for name, x in batch.inputs().items()}
        outputs, mask = split_replicates(model(**inputs), model.replicates), batch.mask
        y = batch.y.to(outputs.dtype)
        losses = loss(outputs, y.expand(whole), mask if mask is None else mask.expand(whole))
        count = y.numel() if mask is None else mask.sum()
        gradient += count * torch.autograd.grad(losses.sum(), kernel)[0]
        measured += count
    return gradient / max(int(measured), 1) + _of_penalty(model)


def _of_penalty(model: ConvNet) -> Tensor:
    kernel = model.layers.conv1.weight
    own = [l2 for l2, kernels in model.penalties().items() if any(other is kernel for other in kernels)]
    return 2 * sum(own) * kernel.detach().double()


def moments(gradient: Tensor) -> list[dict[str, float]]:
    """Return `gradient_mean` and `gradient_sd` (population) over the elements of each replicate's gradient."""
    elements = gradient.flatten(1)
    both = zip(elements.mean(1).tolist(), elements.std(1, correction=0).tolist(), strict=True)
    return [{"gradient_mean": mean, "gradient_sd": sd} for mean, sd in both]
