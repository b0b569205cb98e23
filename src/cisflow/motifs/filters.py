"""First-layer filters as position matrices, from the subsequences that activate them.

Source: Koo & Ploenzke, Nat. Mach. Intell. 3, 258 (2021). A filter's sites are the positions whose activation is above a
fraction of its maximum over all sequences; the matrix is the mean of the one-hot windows around them.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cisflow.errors import CisflowError
from cisflow.models.convnet import ConvNet, one_hot
from cisflow.motifs.consensus import consensus
from cisflow.pwm import Motif, information
from cisflow.tables import UNINFORMATIVE

BATCH = 500


@dataclass(frozen=True)
class FilterSettings:
    """How sites become a matrix.

    Attributes
    ----------
    layer
        Whose output is searched; it must have one value a base. 'first' is the first activation.
    threshold
        Sites have an activation above this fraction of the filter's maximum.
    window
        Bases taken around a site: from window / 2 before it to window / 2 after it.
    clip_information, clip_pad
        The matrix is cut to its first and last position of more than this information (bits), and this many more
        positions on either side.
    min_information
        A matrix of less information (bits, summed over its positions) is 'uninformative'.
    """

    layer: str = "first"
    threshold: float = 0.5
    window: int = 20
    clip_information: float = 0.5
    clip_pad: int = 3
    min_information: float = 0.0


@dataclass(frozen=True)
class Filter:
    """A filter and its matrix.

    Attributes
    ----------
    number
        Index of the filter in its layer.
    ppm
        Base probabilities (4, width), clipped; None if the filter has fewer than two sites.
    sites
        Number of windows averaged.
    max_activation
        The maximum over all sequences and positions.
    start, end
        The part of the window that the clipping kept.
    status
        'ok', 'uninformative' (it has a matrix), 'never active' (the maximum is not above zero), 'too few sites', or
        'not finite' (the maximum).
    """

    number: int
    ppm: NDArray[np.float64] | None
    sites: int
    max_activation: float
    start: int
    end: int
    status: str

    @property
    def name(self) -> str:
        """Name in MEME files and tables."""
        return f"filter{self.number}"

    @property
    def bits(self) -> float:
        """Information of the matrix, in bits, summed over its positions; 0 without a matrix."""
        return 0.0 if self.ppm is None else float(information(self.ppm).sum())

    @property
    def consensus(self) -> str:
        """The most probable base at each position, or 'n' where none has more than half."""
        return "" if self.ppm is None else consensus(self.ppm)

    def motif(self) -> Motif:
        """Return the matrix as a motif, for a MEME file."""
        assert self.ppm is not None
        return Motif(self.name, self.name, self.ppm, self.sites)


def clip(ppm: NDArray[np.float64], threshold: float, pad: int) -> tuple[int, int]:
    """Return the half-open range of positions that the clipping keeps; all of them if none is informative."""
    informative = np.flatnonzero(information(ppm) > threshold)
    if not informative.size:
        return 0, ppm.shape[1]
    return max(informative[0] - pad, 0), min(informative[-1] + pad + 1, ppm.shape[1])


@torch.inference_mode()
def filter_matrices(model: ConvNet, x: NDArray[np.uint8], settings: FilterSettings) -> list[Filter]:
    """Return the filters of a model.

    Parameters
    ----------
    model
        A single network (R = 1), in evaluation mode.
    x
        Base indices (n, length) of the sequences to search.
    settings
        See `FilterSettings`.

    Raises
    ------
    CisflowError
        The layer does not exist, or has not one value a base; or no window fits into the sequences.
    """
    if settings.window + 2 > x.shape[1]:
        raise CisflowError(
            f"filters.window: {settings.window} bases need sequences of {settings.window + 2} or more, not "
            f"{x.shape[1]}. Take a smaller window."
        )
    maxima = _maxima(model, x, settings.layer)
    counts, sites = _count_windows(model, x, maxima, settings)
    return [
        _filter(number, counts[number], int(sites[number]), float(maxima[number]), settings)
        for number in range(len(maxima))
    ]


def layer_outputs(
    model: ConvNet, x: NDArray[np.uint8], layer: str, key: str = "filters.layer"
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one-hot sequences (batch, 4, length) and a layer's output (batch, filters, length), batch after batch.

    Raises
    ------
    CisflowError
        The layer does not exist, or has not one value a base; `key` is the setting that names it.
    """
    device = next(model.parameters()).device
    for start in range(0, len(x), BATCH):
        encoded = one_hot(torch.from_numpy(x[start : start + BATCH]).to(device))
        try:
            found = model.activations(encoded, layer)
        except ValueError as error:
            raise CisflowError(f"{key}: {error}.") from error
        if found.dim() != 3 or found.shape[2] != x.shape[1]:
            raise CisflowError(f"{key}: '{layer}' has not one value a base; take one before any pooling.")
        yield encoded, found


def _maxima(model: ConvNet, x: NDArray[np.uint8], layer: str) -> Tensor:
    parts = [found.amax((0, 2)) for _, found in layer_outputs(model, x, layer)]
    return torch.stack(parts).amax(0)


def _count_windows(
    model: ConvNet, x: NDArray[np.uint8], maxima: Tensor, settings: FilterSettings
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return base counts (filters, 4, window) and numbers of sites (filters,)."""
    half, window, length = settings.window // 2, settings.window, x.shape[1]
    # The original keeps windows that start after the first base and end before the last; so the first is lost.
    first, last = half + 1, length - (window - half)
    counts = torch.zeros(len(maxima), 4 * window, dtype=torch.float64)
    sites = torch.zeros(len(maxima), dtype=torch.float64)
    cutoff = (settings.threshold * maxima)[:, None]
    for encoded, found in layer_outputs(model, x, settings.layer):
        chosen = (found[:, :, first:last] > cutoff).float()
        # All windows, (batch, 4 * window, positions); an unknown base counts as a quarter of each.
        known = encoded + 0.25 * (1 - encoded.sum(1, keepdim=True))
        windows = known.unfold(2, window, 1)[:, :, first - half : last - half].transpose(2, 3).flatten(1, 2)
        counts += torch.einsum("bfp,bkp->fk", chosen, windows).double().cpu()
        sites += chosen.sum((0, 2)).double().cpu()
    return counts.unflatten(1, (4, window)).numpy(), sites.numpy()


def _filter(number: int, counts: NDArray, sites: int, maximum: float, settings: FilterSettings) -> Filter:
    status = _status(maximum, sites)
    if status != "ok":
        return Filter(number, None, sites, maximum, 0, 0, status)
    ppm = counts / sites
    start, end = clip(ppm, settings.clip_information, settings.clip_pad)
    found = Filter(number, ppm[:, start:end], sites, maximum, start, end, "ok")
    return replace(found, status=UNINFORMATIVE) if found.bits < settings.min_information else found


def _status(maximum: float, sites: int) -> str:
    if not math.isfinite(maximum):
        return "not finite"
    if maximum <= 0:
        return "never active"
    return "ok" if sites >= 2 else "too few sites"
