"""The attribution methods behind one call: maps (n, length, 4), and how far they can be trusted."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from captum.attr import IntegratedGradients, Saliency
from numpy.typing import NDArray
from tangermeme.deep_lift_shap import deep_lift_shap
from torch import Tensor, nn

from cisflow.attribution.deep_lift import RULES
from cisflow.attribution.explained import Explained
from cisflow.attribution.maps import Map
from cisflow.attribution.mutagenesis import mutagenesis
from cisflow.attribution.presets import REFERENCED, Settings
from cisflow.attribution.references import references
from cisflow.models.convnet import one_hot

Slopes = tuple[Tensor, Tensor]

# Pairs of sequence and reference in one pass of DeepLIFT, which keeps every map: on a CPU they stay in the cache.
PAIRS = {"cpu": 200, "cuda": 1000}
# Sequences, or points on their paths, in one pass of the other methods.
BATCH = 1000


def attribute(explained: Explained, x: NDArray[np.uint8], method: str, settings: Settings, seed: int = 0) -> Map:
    """Return the map of a method.

    Parameters
    ----------
    explained
        The model and which of its outputs is explained.
    x
        Base indices (n, length), without unknown bases.
    method
        One of `presets.METHODS`.
    settings
        How; a preset.
    seed
        Of the references.
    """
    if method in REFERENCED:
        return _along_references(explained, x, method, settings, seed)
    return _METHODS[method](explained, x, settings)


def _saliency(explained: Explained, x: NDArray[np.uint8], settings: Settings) -> Map:
    gradient = Saliency(explained)
    parts = [gradient.attribute(batch.to(explained.device).requires_grad_(), abs=False).cpu() for batch in _batches(x)]
    return Map(_finished(torch.cat(parts), settings))


def _mutagenesis(explained: Explained, x: NDArray[np.uint8], settings: Settings) -> Map:
    return Map(mutagenesis(explained, x).numpy())


class _Recorder(nn.Module):
    """An explained model that keeps its outputs, so that nobody has to compute them again."""

    def __init__(self, explained: Explained):
        super().__init__()
        self.explained, self.outputs = explained, []
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        y = self.explained(x)
        self.outputs.append(y.detach())
        return y


def _integrated_gradients(explained: Explained, ends: Tensor, starts: Tensor, settings: Settings) -> Slopes:
    path = IntegratedGradients(explained, multiply_by_inputs=False)
    pairs = ends.unsqueeze(1).expand_as(starts).flatten(0, 1), starts.flatten(0, 1)
    slopes = path.attribute(
        pairs[0], baselines=pairs[1], n_steps=settings.steps, method=settings.quadrature, internal_batch_size=BATCH
    )
    with torch.inference_mode():
        difference = explained(ends) - explained(pairs[1]).view(starts.shape[:2])
    return slopes.view_as(starts), difference


def _deep_lift_shap(explained: Explained, ends: Tensor, starts: Tensor, settings: Settings) -> Slopes:
    recorder = _Recorder(explained)
    # Convergence is checked by the quality gate, for all sequences and in one table.
    slopes = deep_lift_shap(
        recorder, ends, references=starts, raw_outputs=True, additional_nonlinear_ops=RULES,
        batch_size=PAIRS[explained.device.type], device=explained.device, warning_threshold=float("inf"),
    )  # fmt: skip
    # Each pass is of so many sequences, followed by their references.
    passes = [torch.sub(*outputs[:, 0].chunk(2)) for outputs in recorder.outputs]
    return slopes, torch.cat(passes).view(starts.shape[:2])


# Methods that start from references: (explained, sequences (n, 4, length), references (n, references, 4, length),
# settings) to multipliers of every reference and the differences of the outputs (n, references).
_PATHS = {"integrated_gradients": _integrated_gradients, "deep_lift_shap": _deep_lift_shap}


def _by_reference(
    explained: Explained, x: NDArray[np.uint8], method: str, settings: Settings, seed: int
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield some sequences after the other: contributions (n, references, 4, length), sequences, and errors (n,)."""
    starts = references(x, settings.reference, settings.references, seed)
    for ends, start in zip(_batches(x, settings.references), starts.split(_rows(settings.references)), strict=True):
        start = start.float()
        found = _PATHS[method](explained, ends.to(explained.device), start.to(explained.device), settings)
        slopes, difference = (part.detach().cpu().float() for part in found)
        steps = ends.unsqueeze(1) - start
        contribution = _contribution(slopes, steps, start, settings.contribution[method])
        # Nothing is known of a sequence that has only itself to start from.
        contribution[(steps == 0).flatten(1).all(1)] = torch.nan
        yield contribution, ends, _error(slopes, steps, difference)


def _along_references(explained: Explained, x: NDArray[np.uint8], method: str, settings: Settings, seed: int) -> Map:
    scores, convergence, spread = [], [], []
    for contribution, ends, error in _by_reference(explained, x, method, settings, seed):
        scores.append(contribution.mean(1))
        spread.append(_relative_spread((contribution * ends.unsqueeze(1)).sum(2)))
        convergence.append(error)
    return Map(_finished(torch.cat(scores), settings), torch.cat(convergence).numpy(), torch.cat(spread).numpy())


def nested_maps(
    explained: Explained, x: NDArray[np.uint8], method: str, settings: Settings, counts: Sequence[int], seed: int = 0
) -> dict[int, Map]:
    """Return the map of a method for each number of references, at the cost of the largest.

    A map is a mean over references, and those of a smaller number are the first of a larger one. Each has the
    convergence of the largest.

    Parameters
    ----------
    explained, x, settings, seed
        As of `attribute`; `settings.references` has no part in it.
    method
        One of `presets.REFERENCED`.
    counts
        Numbers of references.
    """
    settings = replace(settings, references=max(counts))
    parts: dict[int, list[Tensor]] = {count: [] for count in counts}
    errors = []
    for contribution, _, error in _by_reference(explained, x, method, settings, seed):
        errors.append(error)
        for count, part in parts.items():
            part.append(contribution[:, :count].mean(1))
    convergence = torch.cat(errors).numpy()
    return {count: Map(_finished(torch.cat(part), settings), convergence) for count, part in parts.items()}


def _contribution(slopes: Tensor, steps: Tensor, starts: Tensor, kind: str) -> Tensor:
    if kind == "multiplier":
        return slopes
    if kind == "difference":
        return slopes * steps
    return slopes - (slopes * starts).sum(2, keepdim=True)


def _relative_spread(scores: Tensor) -> Tensor:
    """Return (n,) of the scores (n, references, length)."""
    if scores.shape[1] == 1:
        return torch.full((len(scores),), float("nan"))
    return scores.std(1).mean(1) / scores.mean(1).abs().mean(1).clamp_min(1e-12)


def _error(slopes: Tensor, steps: Tensor, difference: Tensor) -> Tensor:
    """Return (n,): the sums over references of the errors and of the differences of the outputs, divided."""
    error = (slopes * steps).sum((2, 3)) - difference
    return error.abs().sum(1) / difference.abs().sum(1).clamp_min(1e-12)


def _finished(scores: Tensor, settings: Settings) -> NDArray[np.float32]:
    """Return (n, length, 4) of a map (n, 4, length)."""
    scores = scores - scores.mean(1, keepdim=True) if settings.centred else scores
    return scores.detach().transpose(1, 2).float().contiguous().numpy()


def _rows(references: int) -> int:
    return max(BATCH // references, 1)


def _batches(x: NDArray[np.uint8], references: int = 1) -> list[Tensor]:
    """Return one-hot sequences (rows, 4, length), as many as give a batch with their references."""
    return [one_hot(part) for part in torch.from_numpy(x).split(_rows(references))]


_METHODS = {"saliency": _saliency, "mutagenesis": _mutagenesis}
