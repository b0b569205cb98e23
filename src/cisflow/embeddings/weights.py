"""Weights of Basenji2: Keras' HDF5 files, of 2020 and of today, and the PyTorch state published on Zenodo.

Files are read with h5py or as plain tensors: nothing that is in them is executed.
"""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from numpy.typing import NDArray

from cisflow.errors import CisflowError
from cisflow.io import h5_reader
from cisflow.models.basenji import CROSS2020, GELUS, Basenji

NORM = ("gamma", "beta", "moving_mean", "moving_variance")
# Layers without weights that a trunk may have; a Lambda is code, and is never run.
KNOWN = {
    "InputLayer", "StochasticShift", "StochasticReverseComplement", "SwitchReverse", "GELU", "TFOpLambda", "Conv1D",
    "BatchNormalization", "Dropout", "MaxPooling1D", "Add", "Cropping1D", "Dense", "Activation",
}  # fmt: skip


@dataclass(frozen=True)
class Weights:
    """What a file holds: kernels (out, in, width), norms (4, channels) in the order of `NORM`, the head, and the GELU.

    `gelu` is the name that the file's own description tells, or None where it tells nothing.
    """

    path: Path
    kernels: list[NDArray[np.float32]]
    norms: list[NDArray[np.float32]]
    head: tuple[NDArray[np.float32], NDArray[np.float32]]
    gelu: str | None


def load_basenji(path: str | Path, params: Mapping[str, Any] | None = None, gelu: str = "auto") -> Basenji:
    """Return Basenji2 with the weights of a file, ready for inference.

    Parameters
    ----------
    path
        HDF5 file of Keras (.h5), or a PyTorch state (.pth).
    params
        The content of a settings file; by default that of the published models.
    gelu
        A key of `GELUS`, or 'auto' for what the file's description says.

    Raises
    ------
    CisflowError
        The file is not whole, is of another kind or of another model, or does not tell its GELU.
    """
    weights = read_weights(path)
    settings = (params or {"model": CROSS2020})["model"]
    gelu = _gelu(weights, gelu)
    model = Basenji(settings, len(weights.head[1]), gelu)
    _fill(model, weights)
    return model.eval()


def _gelu(weights: Weights, wanted: str) -> str:
    if wanted != "auto":
        return wanted
    if weights.gelu is None:
        raise CisflowError(f"{weights.path}: it does not tell which GELU it was trained with; say one of {_names()}.")
    return weights.gelu


def _names() -> str:
    return ", ".join(GELUS)


def _fill(model: Basenji, weights: Weights) -> None:
    blocks = list(model.convolutions())
    found, wanted = len(weights.kernels), len(blocks)
    if found != wanted or len(weights.norms) != wanted:
        raise CisflowError(
            f"{weights.path}: it has {found} convolutions and {len(weights.norms)} normalisations, and the settings "
            f"{wanted} of each. Name the settings file of these weights (--params)."
        )
    for number, (block, kernel, norm) in enumerate(zip(blocks, weights.kernels, weights.norms, strict=True)):
        _put(block.conv.weight, kernel, f"{weights.path}: convolution {number}")
        for name, tensor in zip(NORM, _tensors(block.norm), strict=True):
            _put(tensor, norm[NORM.index(name)], f"{weights.path}: {name} of normalisation {number}")
    _put(model.head.weight, weights.head[0], f"{weights.path}: the head's kernel")
    _put(model.head.bias, weights.head[1], f"{weights.path}: the head's bias")


def _tensors(norm: torch.nn.BatchNorm1d) -> tuple[torch.Tensor, ...]:
    return norm.weight, norm.bias, norm.running_mean, norm.running_var


def _put(tensor: torch.Tensor, values: NDArray, what: str) -> None:
    if tuple(tensor.shape) != values.shape:
        raise CisflowError(f"{what} has the shape {values.shape}, and the settings ask for {tuple(tensor.shape)}.")
    if not np.isfinite(values).all():
        raise CisflowError(f"{what} has values that are no finite numbers.")
    with torch.no_grad():
        tensor.copy_(torch.from_numpy(np.ascontiguousarray(values)))


def read_weights(path: str | Path) -> Weights:
    """Read the weights of a file; raises as `load_basenji`."""
    path = Path(path)
    if not path.is_file():
        raise CisflowError(f"{path}: there is no such file.")
    if path.suffix in (".pth", ".pt"):
        return _from_torch(path)
    if path.suffix == ".keras" or (zipfile.is_zipfile(path) and not h5py.is_hdf5(path)):
        raise CisflowError(f"{path}: it is a Keras 3 archive; save the model as HDF5 (model.save('model.h5')).")
    return _from_keras(path)


def _from_keras(path: Path) -> Weights:
    with h5_reader(path) as h5:
        if "model_weights" not in h5 or "model_config" not in h5.attrs:
            raise CisflowError(f"{path}: it has weights alone, and not how they belong together; save the whole model.")
        layers = json.loads(h5.attrs["model_config"])["config"]["layers"]
        _refuse_code(path, layers)
        group = h5["model_weights"]
        arrays = [_arrays(group[name]) for name in map(_text, group.attrs["layer_names"])]
    kernels = [own["kernel"] for own in arrays if own.keys() == {"kernel"}]
    norms = [np.stack([own[name] for name in NORM]) for own in arrays if own.keys() == set(NORM)]
    heads = [own for own in arrays if own.keys() == {"kernel", "bias"}]
    others = [own for own in arrays if own and own.keys() not in ({"kernel"}, set(NORM), {"kernel", "bias"})]
    if len(heads) != 1 or others:
        what = "no head: it is a trunk alone" if not heads else "layers that Basenji2 has not"
        raise CisflowError(
            f"{path}: {sum(map(bool, arrays))} of its layers have weights, and there is {what}. Give the whole model, "
            "as published: 30 convolutions, 30 normalisations and a dense layer."
        )
    kernels = [kernel.transpose(2, 1, 0) for kernel in kernels]
    return Weights(path, kernels, norms, (heads[0]["kernel"].T, heads[0]["bias"]), _gelu_of(layers))


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _arrays(layer: h5py.Group) -> dict[str, NDArray[np.float32]]:
    """Return a layer's weights by their short name, as kernel."""
    names = map(_text, layer.attrs["weight_names"])
    return {name.rpartition("/")[2].partition(":")[0]: np.asarray(layer[name], np.float32) for name in names}


def _refuse_code(path: Path, layers: list[Mapping[str, Any]]) -> None:
    for layer in layers:
        if layer["class_name"] == "Lambda":
            raise CisflowError(f"{path}: the layer '{layer['name']}' is a Lambda, which is code; it is not run.")
        if layer["class_name"] not in KNOWN:
            raise CisflowError(f"{path}: Basenji2 has no layer of the kind '{layer['class_name']}'.")


def _gelu_of(layers: list[Mapping[str, Any]]) -> str | None:
    """Return the GELU that a model's description tells: a layer of its own in 2020, a function of TensorFlow now."""
    for layer in layers:
        if layer["class_name"] == "GELU":
            return "quick"
        if layer["class_name"] == "TFOpLambda" and "gelu" in str(layer["config"].get("function")):
            return "tanh" if '"approximate": true' in json.dumps(layer["inbound_nodes"]) else "erf"
    return None


# Where the blocks of the published PyTorch state are, in order; `{}` counts within a tower or the residual blocks.
_STATE = (
    "trunk.0.block", *(f"trunk.1.tower.{n}.block" for n in range(6)),
    *(f"trunk.2.block.{n}.module.{m}.block" for n in range(11) for m in (0, 1)), "trunk.4.block",
)  # fmt: skip
_STATE_NORM = ("weight", "bias", "running_mean", "running_var")


def _from_torch(path: Path) -> Weights:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise CisflowError(
            f"{path}: it is not a PyTorch state of plain tensors ({str(error).splitlines()[0]})."
        ) from None
    state = state.get("state_dict", state) if isinstance(state, dict) else {}
    state = {
        key.removeprefix("model."): value.float().numpy() for key, value in state.items() if torch.is_tensor(value)
    }
    wanted = [f"{block}.1.weight" for block in _STATE] + ["head.final.block.1.weight", "head.final.block.1.bias"]
    wanted += [f"{block}.2.{name}" for block in _STATE for name in _STATE_NORM]
    if missing := [key for key in wanted if key not in state]:
        raise CisflowError(f"{path}: {len(missing)} tensors of Basenji2 are not in it, the first is '{missing[0]}'.")
    norms = [np.stack([state[f"{block}.2.{name}"] for name in _STATE_NORM]) for block in _STATE]
    head = (state["head.final.block.1.weight"], state["head.final.block.1.bias"])
    return Weights(path, [state[f"{block}.1.weight"] for block in _STATE], norms, head, None)
