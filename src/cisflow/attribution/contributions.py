"""Hypothetical contributions: what each base would contribute to the output if it stood at a position.

TF-MoDISco compares seqlets by them (Shrikumar et al., arXiv:1811.00416). Which map can give them:

- integrated gradients and DeepLIFT/SHAP of kind 'hypothetical' are such contributions, against their references.
- A gradient (saliency; 'multiplier') tells them to first order: against the mean of the four bases, a base contributes
  its gradient less the mean of the four (Majdandzic et al., Genome Biol. 24, 109, 2023).
- Mutagenesis tells them against the same mean without that approximation: the effect of a base, zero for the one that
  is there, less the mean of the four effects (so does tangermeme's saturation mutagenesis, `hypothetical=True`).
- 'difference' is zero wherever neither sequence nor reference has the base: it does not say what it would do there.

For a model that adds up its positions all of them are the same, once the mean of the four bases is taken off. No torch
here: the configuration checks against these tables.
"""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from cisflow.attribution.presets import Settings

# The first of these that a task computes in a usable kind is taken, unless it names one.
PREFERRED = ("deep_lift_shap", "integrated_gradients", "mutagenesis", "saliency")


def why_not(method: str, methods: Collection[str], settings: Settings) -> str | None:
    """Return why a method gives no hypothetical contributions to a task; None if it does.

    Parameters
    ----------
    method
        One of `presets.METHODS`.
    methods, settings
        The methods that the task computes, and how.
    """
    if method not in methods:
        return f"the task does not compute {method} (attribution.methods: {', '.join(methods)})"
    if settings.contribution.get(method) == "difference":
        return (
            f"the task stores {method} times the difference from the references, which says nothing of the bases that "
            "are not there; take another method, or attribution.preset: recommended"
        )
    return None


def choose_method(asked: str | None, methods: Collection[str], settings: Settings) -> str:
    """Return the method whose map is read: the one that is asked for, or the first of `PREFERRED` that can be.

    Raises
    ------
    ValueError
        It gives no hypothetical contributions, or none does; with the reason.
    """
    reasons = {method: why_not(method, methods, settings) for method in ([asked] if asked else PREFERRED)}
    usable = [method for method, reason in reasons.items() if reason is None]
    if not usable:
        # Of the methods that are not asked for, only those that are computed have a reason worth telling.
        told = [reason for method, reason in reasons.items() if reason and (asked or method in methods)]
        raise ValueError("; ".join(told))
    return usable[0]


def hypothetical(scores: NDArray[np.float32], method: str, settings: Settings) -> NDArray[np.float32]:
    """Return the hypothetical contributions (n, length, 4) of a map as it is stored.

    Raises
    ------
    ValueError
        The map is of kind 'difference'.
    """
    kind = settings.contribution.get(method)
    if kind == "difference":
        raise ValueError(why_not(method, [method], settings))
    return scores if kind == "hypothetical" else scores - scores.mean(-1, keepdims=True)


def shortest(size: int, seqlet_flank_size: int, trim_size: int, initial_flank_to_add: int) -> int:
    """Return how many bases TF-MoDISco needs for a seqlet with its flanks, and for a pattern with its own."""
    return max(size + 2 * seqlet_flank_size, trim_size + 2 * initial_flank_to_add)
