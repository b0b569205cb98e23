"""The statistics that batch normalisation uses when nothing is learned.

In training each batch is normalised by its own mean and variance. For evaluation a network needs those of the training
data, and there are two ways to get them: 'keras', running averages that are updated at every step, which begin at 0 and
1 and lag behind the weights; and 'recomputed', averages over the training rows with the weights as they are.
"""

import torch
from torch import nn

from cisflow.models.layers import BatchNorm
from cisflow.training.data import Rows, order

# Rows that statistics are recomputed from, at most. The standard error of a mean is 1 / sqrt(rows), 0.7 %, of the
# standard deviation where a row has a single value, as in dense layers, and smaller where it has one a position.
MOST_ROWS = 20_000
# Share of the initial statistics in running averages below which they do not matter.
NEGLIGIBLE = 0.01


def norms(model: nn.Module) -> list[BatchNorm]:
    """Return the layers of batch normalisation of a model."""
    return [module for module in model.modules() if isinstance(module, BatchNorm)]


@torch.inference_mode()
def recompute(network: nn.Module, rows: Rows, batch_size: int) -> None:
    """Set the running statistics of all replicates to averages over the batches of some rows.

    Dropout is off, as it is when the network predicts: with it, the statistics would be those of a noisier network.
    The rows and their order are always the same, so that the result is a function of weights and data alone. (Wu &
    Johnson 2021, "Rethinking 'Batch' in BatchNorm", section 3: PreciseBN.)

    Parameters
    ----------
    network
        The module to call, with the device and precision of the training; it is left in evaluation mode.
    rows
        The training split; `MOST_ROWS` of them are used if there are more.
    batch_size
        Rows of a batch of the training.
    """
    layers = norms(network)
    network.eval()
    if not layers:
        return
    before = [layer.update for layer in layers]
    for layer in layers:
        layer.train()
    seen = 0
    for batch in rows.batches(torch.from_numpy(order(0, 0, rows.count)[:MOST_ROWS]), batch_size):
        count = len(batch.y)
        seen += count
        for layer in layers:
            layer.update = count / seen
        network(**batch.inputs())
    for layer, update in zip(layers, before, strict=True):
        layer.update = update
        layer.eval()


def share_of_initial_statistics(model: nn.Module, steps: int) -> float:
    """Return the weight that running averages still give to the initial mean 0 and variance 1 after some steps."""
    return max(((1 - layer.update) ** steps for layer in norms(model)), default=0.0)
