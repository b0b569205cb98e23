"""What the first layer's activation is given and what it makes of it, of a trained network and before its training."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cisflow.errors import CisflowError
from cisflow.evaluation.evaluate import describe
from cisflow.models.convnet import ConvNet, one_hot
from cisflow.sequence import ALPHABET
from cisflow.training.checkpoint import load_model, untrained_model

BATCH = 500
log = logging.getLogger(__name__)

Row = dict[str, Any]
Values = NDArray[np.float32]


def activation_rows(
    task: str, trial: Path, x: NDArray[np.uint8], bins: int, pairs: int, device: torch.device | str = "cpu"
) -> Iterator[Row]:
    """Yield the rows of the activation table (`tables.ACTIVATIONS`) of one trial, trained and untrained.

    Parameters
    ----------
    task, trial
        Name of the task, and the folder of the trial's checkpoint.
    x
        Base indices (n, length). An unknown base is a column of zeros, as in the training.
    bins
        Bins of a histogram; they have equal width, from the lowest to the highest finite value.
    pairs
        At most this many values before the activation are kept with what it made of them (`ranks`).
    device
        Where the networks run.

    Raises
    ------
    CisflowError
        There are no sequences, the folder is no checkpoint, or the network has no first activation.
    """
    if not len(x):
        raise CisflowError("activations.split: there are no sequences in this split; choose another one.")
    about = {"task": task, **describe(trial)}
    unknown = int((x >= len(ALPHABET)).sum())
    if unknown:
        log.info("%d of %d bases are unknown: the network is given zeros there", unknown, x.size)
    for weights, load in (("untrained", untrained_model), ("trained", load_model)):
        values = before_and_after(load(trial, device=device), x)
        this = {**about, "weights": weights}
        yield from ({**this, **row} for row in _of_sequences(len(x), unknown))
        for variable, found in zip(("before", "after"), values, strict=True):
            finite = found[np.isfinite(found)]
            if len(finite) < len(found):
                log.warning("%s: %d of %d values %s the activation are not finite; they are counted and left out",
                    weights, len(found) - len(finite), len(found), variable)  # fmt: skip
            rows = [*_statistics(found, finite), *_histogram(finite, bins)]
            yield from ({**this, "variable": variable, **row} for row in rows)
        yield from ({**this, **row} for row in _pairs(*values, pairs))


@torch.inference_mode()
def before_and_after(model: ConvNet, x: NDArray[np.uint8]) -> tuple[Values, Values]:
    """Return all values before and after the first activation, each flat, of (sequence, filter, position).

    Before it is its input: the batch-normalised convolution, or the plain one without `first_norm`; a
    `first_activation_scale` belongs to the activation.

    Parameters
    ----------
    model
        A single network (R = 1), in evaluation mode.
    x
        Base indices (n, length).
    """
    names = [name for name, _ in model.layers.named_children()]
    if "activation1" not in names[1:]:
        raise CisflowError(f"the network has no first activation to read; its layers are {', '.join(names)}.")
    layers = (names[names.index("activation1") - 1], "activation1")
    device = next(model.parameters()).device
    parts = [
        [model.activations(encoded, layer).flatten().cpu().numpy() for layer in layers]
        for encoded in (one_hot(torch.from_numpy(part).to(device)) for part in _batches(x))
    ]
    before, after = (np.concatenate(both) for both in zip(*parts, strict=True))
    return before, after


def _batches(x: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    return [x[start : start + BATCH] for start in range(0, len(x), BATCH)]


def _of_sequences(count: int, unknown: int) -> Iterator[Row]:
    for name, value in (("count", count), ("unknown_bases", unknown)):
        yield {"part": "statistic", "variable": "sequences", "name": name, "value": value}


def _statistics(found: Values, finite: Values) -> Iterator[Row]:
    """Yield how many values there are, how many are not finite, and mean, population s.d., minimum and maximum."""
    numbers: dict[str, float | None] = {"count": len(found), "not_finite": len(found) - len(finite)}
    double = finite.astype(np.float64)
    for name, of in (("mean", np.mean), ("sd", np.std), ("min", np.min), ("max", np.max)):
        numbers[name] = float(of(double)) if len(double) else None
    yield from ({"part": "statistic", "name": name, "value": value} for name, value in numbers.items())


def _histogram(finite: Values, bins: int) -> Iterator[Row]:
    if not len(finite):
        return
    counts, edges = np.histogram(finite.astype(np.float64), bins)
    for count, start, end in zip(counts.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        yield {"part": "histogram", "start": start, "end": end, "value": count}


def _pairs(before: Values, after: Values, count: int) -> Iterator[Row]:
    both = np.isfinite(before) & np.isfinite(after)
    before, after = before[both], after[both]
    chosen = np.argsort(before, kind="stable")[ranks(len(before), count)]
    for x, y in zip(before[chosen].tolist(), after[chosen].tolist(), strict=True):
        yield {"part": "pair", "before": x, "after": y}


def ranks(values: int, count: int) -> NDArray[np.int64]:
    """Return at most `count` distinct ranks of sorted values, in order: all of them, or the ends more densely.

    Half of them are at equal steps; the others go from either end inwards in growing (geometric) steps, since a few
    hundred of equal steps would leave the tails empty, which are what an exponential is about.
    """
    if values <= count:
        return np.arange(values)
    even = np.linspace(0, values - 1, max(count // 2, 1))
    inwards = np.geomspace(1, values, max(count // 4, 1)) - 1
    return np.unique(np.concatenate([even, inwards, values - 1 - inwards]).round().astype(np.int64))[:count]
