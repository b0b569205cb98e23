"""The architectures, as data: no torch here, so that the configuration can check names and shapes at once.

Source: Koo & Ploenzke, Nat. Mach. Intell. 3, 258 (2021), and the code published with it.
"""

from dataclasses import dataclass
from typing import Literal

Padding = Literal["same", "valid"]


@dataclass(frozen=True)
class Conv:
    """Convolution without bias, batch normalisation, activation, dropout, and max-pooling if `pool` is given.

    The stride is 1; the stride of the pooling is its size.
    """

    filters: int
    width: int
    padding: Padding = "same"
    dropout: float = 0.0
    pool: int | None = None
    pool_padding: Padding = "valid"


@dataclass(frozen=True)
class Residual:
    """Two convolutions of the input's own number of channels, added to the input, ReLU, and max-pooling."""

    width: int
    pool: int


@dataclass(frozen=True)
class Dense:
    """Linear map without bias, batch normalisation, ReLU, dropout."""

    units: int
    dropout: float = 0.5


Block = Conv | Residual | Dense

# The first block is a convolution with the activation under test; every other block has ReLU.
ARCHITECTURES: dict[str, tuple[Block, ...]] = {
    "cnn-2": (
        Conv(32, 19, dropout=0.1, pool=2, pool_padding="same"),
        Conv(124, 5, dropout=0.1, pool=50, pool_padding="same"),
        Dense(512),
    ),
    "cnn-50": (
        Conv(32, 19, dropout=0.1, pool=50, pool_padding="same"),
        Conv(124, 5, dropout=0.1, pool=2, pool_padding="same"),
        Dense(512),
    ),
    "cnn-deep": (
        Conv(32, 19, dropout=0.1),
        Conv(48, 7, dropout=0.2, pool=4),
        Conv(96, 7, "valid", dropout=0.3, pool=4),
        Conv(128, 3, "valid", dropout=0.4, pool=3),
        Dense(512),
    ),
    "cnn-local": (
        Conv(24, 19, dropout=0.1, pool=50),
        Conv(48, 3, dropout=0.2, pool=2),
        Dense(96),
    ),
    "cnn-dist": (
        Conv(24, 19, dropout=0.1),
        Conv(32, 7, dropout=0.2, pool=4),
        Conv(48, 7, "valid", dropout=0.3, pool=4),
        Conv(64, 3, "valid", dropout=0.4, pool=3, pool_padding="same"),
        Dense(96),
    ),
    "residualbind": (
        Conv(24, 19, dropout=0.1),
        Residual(5, pool=10),
        Conv(48, 7, dropout=0.3, pool=5),
        Conv(64, 3, "valid", dropout=0.4, pool=4),
        Dense(96),
    ),
    "basset": (
        Conv(300, 19, dropout=0.2, pool=3),
        Conv(200, 11, "valid", dropout=0.2, pool=4),
        Conv(200, 7, "valid", dropout=0.2, pool=4),
        Dense(1000),
        Dense(1000),
    ),
}


def sizes(name: str) -> list[int]:
    """Return the numbers of filters and units of an architecture's blocks, before `width` multiplies them."""
    blocks = ARCHITECTURES[name]
    return [b.filters if isinstance(b, Conv) else b.units for b in blocks if not isinstance(b, Residual)]


def layers_over_bases(name: str) -> list[str]:
    """Return the layers of an architecture that have one value a base: those before any pooling."""
    layers = ["first"]
    for number, block in enumerate(ARCHITECTURES[name], start=1):
        if not isinstance(block, Conv) or block.padding != "same":
            break
        layers += [f"{part}{number}" for part in ("conv", "norm", "activation", "dropout")]
        if block.pool:
            break
    return layers


@dataclass(frozen=True)
class HeadKind:
    """A head on embeddings: which labels it predicts, one a window or one a bin, and which settings it has."""

    labels: Literal["window", "bins"]
    keys: tuple[str, ...] = ()


# Networks on the embeddings of a pretrained trunk. Source: github.com/OberonDixon/basenji2_cs282a_cpg-lmnb1.
HEADS: dict[str, HeadKind] = {
    "linear-probe": HeadKind("bins"),
    "conv-perceptron": HeadKind("window", ("units",)),
    "max-pool-perceptron": HeadKind("window", ("units",)),
    "self-attention": HeadKind("window", ("attention_axis", "attention_heads", "dropout")),
}
# Along what a window's bins attend: each other, or, as the original did by mistake, the same bin of the batch's others.
ATTENTION_AXES = ("position", "batch")

# First-layer activations f(x) of the batch-normalised pre-activation x. `cisflow.models.activations` computes them.
ACTIVATIONS: dict[str, str] = {
    "relu": "max(0, x)",
    "exponential": "exp(x)",
    "sigmoid": "sigmoid(x)",
    "tanh": "tanh(x)",
    "softplus": "ln(1 + exp(x))",
    "linear": "x",
    "elu": "x for x > 0, else exp(x) - 1",
    "shift_scale_relu": "max(0, (x - 0.2)^3)",
    "shift_scale_sigmoid": "4000 sigmoid(x - 8)",
    "shift_scale_tanh": "500 tanh(x - 6) + 500",
    "exp_relu": "max(0, exp(0.1 x) - 1)",
    "shift_relu": "max(0, x - 0.2)",
    "shift_sigmoid": "sigmoid(x - 8)",
    "shift_tanh": "tanh(x - 6)",
    "scale_relu": "max(0, x^3)",
    "scale_sigmoid": "4000 sigmoid(x)",
    "scale_tanh": "500 tanh(x) + 500",
    "log": "ln(|x| + 1e-10)",
    "log_relu": "max(0, ln(|x| + 1e-10))",
}
ACTIVATION_ALIASES = {"exp": "exponential"}

INITIALIZERS = ("glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_uniform", "lecun_normal")
