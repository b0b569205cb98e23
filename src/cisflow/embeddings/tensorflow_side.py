"""The peer of our Basenji2: TensorFlow with Keras, on the same weights file and the same windows.

Runs in an environment of its own (workflow/envs/basenji2-tensorflow.yaml), and only there; nothing else imports it.
"""

import os
from pathlib import Path

# Both are read when TensorFlow is imported: the Keras that the files are of, and no lines of its start.
os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
import tf_keras

from cisflow.io import h5_reader, h5_writer, sha256

UNKNOWN = 4


class GELU(tf_keras.layers.Layer):
    """The layer of 2020."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Any shape, elementwise."""
        return tf.keras.activations.sigmoid(1.702 * x) * x


class _Idle(tf_keras.layers.Layer):
    """A layer that does something in training alone; its settings may be any."""

    def __init__(self, **settings: object):
        super().__init__(name=settings.get("name"))


class StochasticShift(_Idle):
    """Passes on what comes."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Any shape."""
        return x


class StochasticReverseComplement(_Idle):
    """Passes on what comes, and that it is not turned."""

    def call(self, x: tf.Tensor) -> list[tf.Tensor]:
        """Any shape."""
        return [x, tf.constant(False)]


class SwitchReverse(_Idle):
    """Passes on what comes: nothing has been turned."""

    def call(self, x: list[tf.Tensor]) -> tf.Tensor:
        """Any shape, and whether it was turned."""
        return x[0]


LAYERS = {layer.__name__: layer for layer in (GELU, StochasticShift, StochasticReverseComplement, SwitchReverse)}


def load(path: str | Path) -> tuple[tf_keras.Model, bool]:
    """Return a model of what goes into the dense layer, and of the tracks; and whether there are tracks."""
    model = tf_keras.models.load_model(path, custom_objects=LAYERS, compile=False)
    dense = [layer for layer in model.layers if isinstance(layer, tf_keras.layers.Dense)]
    outputs = [dense[-1].input, model.output] if dense else [model.output]
    return tf_keras.Model(model.input, outputs), bool(dense)


def one_hot(x: np.ndarray) -> np.ndarray:
    """Return base indices (n, length) as float32 (n, length, 4); an unknown base is 0."""
    return np.eye(UNKNOWN + 1, UNKNOWN, dtype=np.float32)[x]


def compute_reference(weights: str | Path, windows: str | Path, out: str | Path) -> None:
    """Write what TensorFlow makes of windows (`cisflow.embeddings.parity.take_windows`), one after another.

    `embeddings` float32 (n, bins, channels), and `tracks` float32 (n, bins, targets) where the file has a head.
    """
    model, head = load(weights)
    with h5_reader(windows, "windows/1") as h5:
        x = h5["x"][:]
    inputs = {Path(path).name: sha256(path) for path in (weights, windows)}
    with h5_writer(out, "basenji2-reference/1", inputs) as h5:
        h5.attrs["weights"], h5.attrs["windows"] = sha256(weights), sha256(windows)
        h5.attrs["tensorflow"], h5.attrs["keras"] = tf.__version__, tf_keras.__version__
        for row in range(len(x)):
            found = model(one_hot(x[row : row + 1]), training=False)
            names = ("embeddings", "tracks") if head else ("embeddings",)
            for name, array in zip(names, found if head else [found], strict=True):
                _put(h5, name, len(x), row, np.asarray(array)[0])


def _put(h5, name: str, rows: int, row: int, array: np.ndarray) -> None:
    if name not in h5:
        h5.create_dataset(name, (rows, *array.shape), np.float32)
    h5[name][row] = array
