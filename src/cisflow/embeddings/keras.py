"""Basenji2 as an HDF5 file of Keras, which TensorFlow loads too: for models of other widths, and for comparisons."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from torch import Tensor, nn

from cisflow.embeddings.weights import NORM, tensors_of_norm
from cisflow.io import atomic
from cisflow.models.basenji import BASES, Basenji, ConvBlock, Crop, Residual

# What the code of each time wrote for a GELU: a class of its own, or TensorFlow's function and its arguments.
_FUNCTION = {"tanh": {"approximate": True}, "erf": {"approximate": False}}


def write_keras(path: str | Path, model: Basenji) -> None:
    """Write a model in the layout of the published files: its description, and the weights layer by layer."""
    layers = _Layers(model)
    with atomic(path) as partial, h5py.File(partial, "w") as h5:
        h5.attrs["keras_version"], h5.attrs["backend"] = "2.21.0", "tensorflow"
        h5.attrs["model_config"] = json.dumps({"class_name": "Functional", "config": layers.config()})
        group = h5.create_group("model_weights")
        group.attrs["layer_names"] = [layer["name"] for layer in layers.found]
        group.attrs["keras_version"], group.attrs["backend"] = "2.21.0", "tensorflow"
        for layer in layers.found:
            own = group.create_group(layer["name"])
            arrays = layers.weights.get(layer["name"], {})
            own.attrs["weight_names"] = [f"{layer['name']}/{name}:0" for name in arrays]
            for name, array in arrays.items():
                own.create_dataset(f"{layer['name']}/{name}:0", data=array)


class _Layers:
    """The layers of a model in Keras' words, collected along the network."""

    def __init__(self, model: Basenji):
        self.gelu = model.gelu
        self.found: list[dict[str, Any]] = []
        self.weights: dict[str, dict[str, np.ndarray]] = {}
        self.counts: dict[str, int] = {}
        shape = {"batch_input_shape": [None, model.length, BASES], "dtype": "float32", "sparse": False, "ragged": False}
        self._add("InputLayer", "sequence", shape, [])
        for module in model.trunk:
            self._module(module)
        if model.head is not None:
            arrays = {"kernel": _array(model.head.weight).T, "bias": _array(model.head.bias)}
            self._next("Dense", "dense", {"units": model.head.out_features, "activation": "softplus"}, arrays)

    def config(self) -> dict[str, Any]:
        first, last = ([layer["name"], 0, 0] for layer in (self.found[0], self.found[-1]))
        return {
            "name": "model",
            "trainable": True,
            "layers": self.found,
            "input_layers": [first],
            "output_layers": [last],
        }

    def _add(self, kind: str, name: str, config: dict[str, Any], inbound: list, arrays: dict | None = None) -> None:
        number = self.counts[name] = self.counts.get(name, -1) + 1
        name = f"{name}_{number}" if number else name
        # The class of 2020 wrote no settings of its own.
        config = config if kind == "GELU" else {"name": name} | config
        self.found.append({"class_name": kind, "config": config, "name": name, "inbound_nodes": inbound})
        if arrays:
            self.weights[name] = arrays

    def _next(self, kind: str, name: str, config: dict[str, Any], arrays: dict | None = None) -> None:
        self._add(kind, name, config, [[[self.found[-1]["name"], 0, 0, {}]]], arrays)

    def _module(self, module: nn.Module) -> None:
        if isinstance(module, ConvBlock):
            self._block(module)
        elif isinstance(module, Residual):
            came = self.found[-1]["name"]
            self._block(module.inner)
            self._block(module.outer)
            self._add("Add", "add", {}, [[[came, 0, 0, {}], [self.found[-1]["name"], 0, 0, {}]]])
        elif isinstance(module, Crop):
            self._next("Cropping1D", "cropping1d", {"cropping": [module.size, module.size]})
        else:
            self._activation()

    def _activation(self) -> None:
        if self.gelu == "quick":
            self._next("GELU", "gelu", {})
        else:
            inbound = [[self.found[-1]["name"], 0, 0, _FUNCTION[self.gelu]]]
            self._add("TFOpLambda", "tf.nn.gelu", {"function": "nn.gelu"}, inbound)

    def _block(self, block: ConvBlock) -> None:
        self._activation()
        conv, norm = block.conv, block.norm
        settings = {
            "filters": conv.out_channels, "kernel_size": list(conv.kernel_size), "strides": [1], "padding": "same",
            "dilation_rate": list(conv.dilation), "use_bias": False,
        }  # fmt: skip
        self._next("Conv1D", "conv1d", settings, {"kernel": _array(conv.weight).transpose(2, 1, 0)})
        arrays = dict(zip(NORM, map(_array, tensors_of_norm(norm)), strict=True))
        settings = {"axis": [2], "momentum": 1 - norm.momentum, "epsilon": norm.eps}
        self._next("BatchNormalization", "batch_normalization", settings, arrays)
        if isinstance(block.dropout, nn.Dropout):
            self._next("Dropout", "dropout", {"rate": block.dropout.p})
        if isinstance(block.pool, nn.MaxPool1d):
            size = [block.pool.kernel_size]
            self._next("MaxPooling1D", "max_pooling1d", {"pool_size": size, "strides": size, "padding": "same"})


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()
