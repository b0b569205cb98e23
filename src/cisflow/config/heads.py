"""How heads are trained where a task does not say it: presets, as data."""

from typing import Any

from cisflow.models.zoo import HEADS

SGD_OF_WINDOWS = {"name": "sgd", "lr": 5e-6, "momentum": 0.8}
OF_WINDOWS = {
    "loss": "mean_squared_error", "batch_size": 4, "epochs": 5, "monitor": "loss", "weights": "best",
    "optimizer": SGD_OF_WINDOWS,
}  # fmt: skip
# As the CS282A project trained them: labels in their own units, the probe's without their decimals.
ORIGINAL: dict[str, dict[str, Any]] = {
    "linear-probe": {
        "loss": "poisson", "truncate": True, "batch_size": 4, "epochs": 10, "monitor": "loss", "weights": "last",
        "optimizer": {"name": "sgd", "lr": 0.15, "momentum": 0.99},
    },
    "conv-perceptron": OF_WINDOWS,
    "max-pool-perceptron": OF_WINDOWS,
    "self-attention": {**OF_WINDOWS, "epochs": 10, "optimizer": {"name": "adam", "lr": 1e-3, "eps": 1e-8}},
}  # fmt: skip
AS_IT_WAS: dict[str, Any] = {"scale": "none", "clip_norm": None, "plateau": None, "early_stop": None}

CORRECTED: dict[str, dict[str, Any]] = {
    # The mean of a target's labels is 1, so that each target has the same part in the loss.
    "linear-probe": {"loss": "poisson", "scale": "mean", "optimizer": {"name": "adam", "lr": 1e-3}},
    "conv-perceptron": {"optimizer": {"name": "adam", "lr": 1e-4}},
    "max-pool-perceptron": {"optimizer": {"name": "adam", "lr": 1e-3}},
    "self-attention": {"optimizer": {"name": "adamw", "lr": 1e-4}},
}
FOR_ALL: dict[str, Any] = {
    "loss": "mean_squared_error", "scale": "standard", "truncate": False, "clip_norm": 1.0, "batch_size": 4,
    "epochs": 20, "monitor": "pearson_mean", "weights": "best",
    "plateau": {"factor": 0.3, "patience": 2, "min_lr": 1e-7, "min_delta": 1e-4},
    "early_stop": {"patience": 5, "min_delta": 0.0},
}  # fmt: skip

PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "corrected": {name: FOR_ALL | CORRECTED[name] for name in HEADS},
    "cs282a": {name: AS_IT_WAS | ORIGINAL[name] for name in HEADS},
}
