"""The Keras side of training.py: cnn-deep as the paper's TensorFlow code builds and trains it.

Runs in an environment of its own. Reads an npz file of one-hot sequences and labels; prints a line of JSON for each
epoch: sequences per second, loss, AUROC.
"""

import json
import os
import sys
import time

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf
from tf_keras import Model, layers, optimizers, regularizers

# filters, width, padding, dropout, pool
BLOCKS = [(32, 19, "same", 0.1, 0), (48, 7, "same", 0.2, 4), (96, 7, "valid", 0.3, 4), (128, 3, "valid", 0.4, 3)]


def cnn_deep(activation: str) -> Model:
    inputs = x = layers.Input((200, 4))
    for number, (filters, width, padding, dropout, pool) in enumerate(BLOCKS):
        penalty = regularizers.l2(1e-6)
        x = layers.Conv1D(filters, width, padding=padding, use_bias=False, kernel_regularizer=penalty)(x)
        x = layers.BatchNormalization()(x)
        x = layers.Activation("relu" if number else activation)(x)
        x = layers.Dropout(dropout)(x)
        x = layers.MaxPool1D(pool)(x) if pool else x
    x = layers.Dense(512, use_bias=False, kernel_regularizer=regularizers.l2(1e-6))(layers.Flatten()(x))
    x = layers.Dropout(0.5)(layers.Activation("relu")(layers.BatchNormalization()(x)))
    return Model(inputs, layers.Activation("sigmoid")(layers.Dense(12)(x)))


def auroc(y: np.ndarray, p: np.ndarray) -> float:
    """Return the exact AUROC of all labels pooled, ties included (Mann-Whitney)."""
    _, inverse, counts = np.unique(p.ravel(), return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    y = y.ravel()
    positives = y.sum()
    return float((ranks[y == 1].sum() - positives * (positives + 1) / 2) / (positives * (len(y) - positives)))


def main() -> None:
    path, activation, epochs, threads, seed = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.keras.utils.set_random_seed(seed)
    data = np.load(path)
    model = cnn_deep(activation)
    model.compile(optimizer=optimizers.Adam(1e-3), loss="binary_crossentropy")
    for epoch in range(1, epochs + 1):
        started = time.perf_counter()
        history = model.fit(data["x"], data["y"], batch_size=100, epochs=1, shuffle=True, verbose=0)
        rate = len(data["x"]) / (time.perf_counter() - started)
        p = model.predict(data["x_valid"], batch_size=1000, verbose=0)
        found = {"epoch": epoch, "rate": rate, "loss": history.history["loss"][0], "auroc": auroc(data["y_valid"], p)}
        print(json.dumps(found), flush=True)


main()
