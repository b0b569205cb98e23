"""The TensorFlow side of embedding.py: the trunk from the HDF5 file, as a compiled function of one window.

Runs in an environment of its own. For each line that comes in, `compute` or `original`, it goes through all windows and
prints a line of JSON: seconds and processor seconds a window, peak memory in GB.
"""

import json
import os
import resource
import sys
import time
from pathlib import Path

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import h5py
import numpy as np
import tensorflow as tf
import tf_keras


class GELU(tf_keras.layers.Layer):
    def call(self, x):
        return tf.keras.activations.sigmoid(1.702 * x) * x


def original(model: tf_keras.Model, x: np.ndarray, path: Path) -> None:
    """Predict a window at a time, and write it as the original notebook does."""
    _, bins, channels = model.output_shape
    with h5py.File(path, "w") as h5:
        settings = {"chunks": (1, bins, channels), "compression": "gzip", "compression_opts": 9}
        out = h5.create_dataset("embeddings", (len(x), bins, channels), np.float16, **settings)
        for row in range(len(x)):
            out[row] = model.predict(x[row : row + 1], verbose=0)[0]


def main() -> None:
    folder, threads = Path(sys.argv[1]), int(sys.argv[2])
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    model = tf_keras.models.load_model(folder / "weights.h5", custom_objects={"GELU": GELU}, compile=False)
    with h5py.File(folder / "windows.h5") as h5:
        x = np.eye(5, 4, dtype=np.float32)[h5["x"][:]]
    compute = tf.function(lambda window: model(window, training=False))
    np.save(folder / "tensorflow.npy", compute(tf.constant(x[:1]))[0].numpy())
    for line in sys.stdin:
        started, used = time.perf_counter(), time.process_time()
        if line.strip() == "original":
            original(model, x, folder / "original.h5")
        else:
            for row in range(len(x)):
                compute(tf.constant(x[row : row + 1])).numpy()
        seconds, processor = time.perf_counter() - started, time.process_time() - used
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(json.dumps({"seconds": seconds / len(x), "processor": processor / len(x), "memory": memory}), flush=True)


main()
