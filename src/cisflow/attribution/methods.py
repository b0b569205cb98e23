"""The attribution methods behind one call: maps (n, length, 4), and how far they can be trusted."""

from collections.abc import Callable

import numpy as np
import torch
from captum.attr import IntegratedGradients, Saliency
from numpy.typing import NDArray
from tangermeme.deep_lift_shap import deep_lift_shap
from torch import Tensor

from cisflow.attribution.deep_lift import RULES
from cisflow.attribution.explained import Explained
from cisflow.attribution.maps import Map
from cisflow.attribution.mutagenesis import mutagenesis
from cisflow.attribution.presets import Settings
from cisflow.attribution.references import references
from cisflow.evaluation.predict import BATCH
from cisflow.models.convnet import one_hot


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
    return _METHODS[method](explained, x, settings, seed)


def _saliency(explained: Explained, x: NDArray[np.uint8], settings: Settings, seed: int) -> Map:
    gradient = Saliency(explained)
    parts = [gradient.attribute(batch.to(explained.device).requires_grad_(), abs=False).cpu() for batch in _batches(x)]
    return Map(_finished(torch.cat(parts), settings))


def _mutagenesis(explained: Explained, x: NDArray[np.uint8], settings: Settings, seed: int) -> Map:
    return Map(mutagenesis(explained, x).numpy())


def _integrated_gradients(explained: Explained, x: NDArray[np.uint8], settings: Settings, seed: int) -> Map:
    path = IntegratedGradients(explained, multiply_by_inputs=False)

    def multipliers(batch: Tensor, starts: Tensor) -> Tensor:
        return path.attribute(
            batch, baselines=starts, n_steps=settings.steps, method=settings.quadrature, internal_batch_size=BATCH
        )

    return _along_references(explained, x, "integrated_gradients", settings, seed, multipliers)


def _deep_lift_shap(explained: Explained, x: NDArray[np.uint8], settings: Settings, seed: int) -> Map:
    def multipliers(batch: Tensor, starts: Tensor) -> Tensor:
        # Convergence is checked by the quality gate, for all sequences and in one table.
        return deep_lift_shap(
            explained, batch, references=starts.unsqueeze(1), raw_outputs=True, additional_nonlinear_ops=RULES,
            batch_size=BATCH, device=explained.device, warning_threshold=float("inf"),
        )[:, 0]  # fmt: skip

    return _along_references(explained, x, "deep_lift_shap", settings, seed, multipliers)


def _along_references(
    explained: Explained,
    x: NDArray[np.uint8],
    method: str,
    settings: Settings,
    seed: int,
    multipliers: Callable[[Tensor, Tensor], Tensor],
) -> Map:
    """Average over references; `multipliers` takes pairs of sequence and reference, both (pairs, 4, length)."""
    starts = references(x, settings.reference, settings.references, seed)
    scores, convergence, spread = [], [], []
    for batch, start in zip(_batches(x, settings.references), starts.split(_rows(settings.references)), strict=True):
        ends = batch.unsqueeze(1).expand_as(start)
        pairs = [pair.flatten(0, 1).float().to(explained.device) for pair in (ends, start)]
        slopes = multipliers(*pairs).detach().cpu().float().view_as(start)
        contribution = _contribution(slopes, ends, start, settings.contribution[method])
        scores.append(contribution.mean(1))
        spread.append(_relative_spread((contribution * ends).sum(2)))
        convergence.append(_convergence(explained, slopes, ends, start))
    return Map(_finished(torch.cat(scores), settings), torch.cat(convergence).numpy(), torch.cat(spread).numpy())


def _contribution(slopes: Tensor, ends: Tensor, starts: Tensor, kind: str) -> Tensor:
    if kind == "multiplier":
        return slopes
    if kind == "difference":
        return slopes * (ends - starts)
    return slopes - (slopes * starts).sum(2, keepdim=True)


def _relative_spread(scores: Tensor) -> Tensor:
    """Return (n,) of the scores (n, references, length)."""
    if scores.shape[1] == 1:
        return torch.full((len(scores),), float("nan"))
    return scores.std(1).mean(1) / scores.mean(1).abs().mean(1).clamp_min(1e-12)


@torch.inference_mode()
def _convergence(explained: Explained, slopes: Tensor, ends: Tensor, starts: Tensor) -> Tensor:
    """Return (n,): the sums over references of the errors and of the differences, divided."""
    ours = explained(ends[:, 0].to(explained.device)).cpu()
    theirs = explained(starts.flatten(0, 1).float().to(explained.device)).cpu()
    difference = ours - theirs.view(slopes.shape[:2])
    error = (slopes * (ends - starts)).sum((2, 3)) - difference
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


_METHODS = {
    "saliency": _saliency,
    "mutagenesis": _mutagenesis,
    "integrated_gradients": _integrated_gradients,
    "deep_lift_shap": _deep_lift_shap,
}
