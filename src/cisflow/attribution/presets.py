"""How attributions are computed: named presets, so that a paper's variant and the recommended one are both a word.

No torch here: the configuration checks names against these tables.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

METHODS = ("saliency", "mutagenesis", "integrated_gradients", "deep_lift_shap")
# Those that start from references.
REFERENCED = ("integrated_gradients", "deep_lift_shap")


@dataclass(frozen=True)
class Settings:
    """How every method is computed, and how its map (4, length) becomes one score a position.

    Attributes
    ----------
    output
        What is explained: 'probability', whose gradient dies where the model is certain, or 'logit'. For real-valued
        targets both are the value itself.
    reference
        What integrated gradients and DeepLIFT/SHAP start from: 'permuted' sequences, or 'dinucleotide' shuffles, which
        keep the counts of neighbouring bases (Altschul & Erickson 1985).
    references
        How many of them for each sequence; the map is their mean.
    steps
        Points on the path of integrated gradients.
    quadrature
        Where they lie: 'riemann_left' leaves the end of the path out; 'gausslegendre'.
    centred
        Subtract from each position its mean over the four bases: the part of a gradient that leaves the simplex of
        one-hot sequences (Majdandzic et al., Genome Biol. 24, 109, 2023).
    contribution
        What integrated gradients and DeepLIFT/SHAP store for a base: 'multiplier' (gradient or multiplier alone),
        'difference' (times input minus reference), or 'hypothetical' (what the base would contribute if it stood
        there).
    mutagenesis
        One score a position of mutagenesis: 'length' of the vector of effects, without a sign, or 'loss', the mean
        loss when the base is replaced.
    """

    output: Literal["probability", "logit"]
    reference: Literal["permuted", "dinucleotide"]
    references: int
    steps: int
    quadrature: Literal["riemann_left", "gausslegendre"]
    centred: bool
    contribution: dict[str, Literal["multiplier", "difference", "hypothetical"]]
    mutagenesis: Literal["length", "loss"]


PRESETS = {
    # Koo & Ploenzke (2021), as their code does it.
    "paper-2021": Settings(
        output="probability",
        reference="permuted",
        references=10,
        steps=20,
        quadrature="riemann_left",
        centred=False,
        contribution={"integrated_gradients": "multiplier", "deep_lift_shap": "difference"},
        mutagenesis="length",
    ),
    "recommended": Settings(
        output="logit",
        reference="dinucleotide",
        references=20,
        steps=50,
        quadrature="gausslegendre",
        centred=True,
        contribution={"integrated_gradients": "hypothetical", "deep_lift_shap": "hypothetical"},
        mutagenesis="loss",
    ),
}


def resolve(preset: str, changes: dict[str, Any]) -> Settings:
    """Return a preset with some of its settings changed; None changes nothing."""
    return replace(PRESETS[preset], **{key: value for key, value in changes.items() if value is not None})
