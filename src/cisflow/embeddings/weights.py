"""Weights of Basenji2: Keras' HDF5 files, of 2020 and of today, and the PyTorch state published on Zenodo.

Files are read with h5py or as plain tensors: nothing that is in them is executed.
"""

import json
import logging
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from numpy.typing import NDArray

from cisflow.errors import CisflowError
from cisflow.io import check_written, h5_reader
from cisflow.models.basenji import CROSS2020, GELUS, Basenji, ConvBlock, Crop, Residual

LOG = logging.getLogger("cisflow")
NORM = ("gamma", "beta", "moving_mean", "moving_variance")
# Layers that a Basenji2 may have; a Lambda is code, and is never run.
KNOWN = {
    "InputLayer", "StochasticShift", "StochasticReverseComplement", "SwitchReverse", "GELU", "TFOpLambda", "Conv1D",
    "BatchNormalization", "Dropout", "MaxPooling1D", "Add", "Cropping1D", "Dense", "Activation",
}  # fmt: skip
OTHER_SETTINGS = "Name the settings file of these weights (--params)."


@dataclass(frozen=True)
class Weights:
    """What a file holds: kernels (out, in, width), norms (4, channels) in the order of `NORM`, and the head.

    `head` is None for a trunk alone; `gelu` is the name that the file's own description tells, or None where it tells
    nothing; `layers` are its description in order, one text each, or empty where there is none.
    """

    path: Path
    kernels: list[NDArray[np.float32]]
    norms: list[NDArray[np.float32]]
    head: tuple[NDArray[np.float32], NDArray[np.float32]] | None
    gelu: str | None
    layers: list[str] = field(default_factory=list)


def read_params(path: str | Path) -> dict[str, Any]:
    """Read a settings file of Basenji (JSON).

    Raises
    ------
    CisflowError
        The file is missing, is not JSON, or has no part `model`.
    """
    path = Path(path)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CisflowError(f"{path}: there is no such file.") from None
    except ValueError as error:
        raise CisflowError(f"{path}: it is not JSON ({error}).") from None
    if not isinstance(found, dict) or not isinstance(found.get("model"), dict):
        raise CisflowError(f"{path}: it has no part 'model', as settings files of Basenji have.")
    return found


def load_basenji(
    path: str | Path, params: Mapping[str, Any] | None = None, gelu: str = "auto", head: bool = True
) -> Basenji:
    """Return Basenji2 with the weights of a file, ready for inference.

    Parameters
    ----------
    path
        HDF5 file of Keras (.h5), or a PyTorch state (.pth).
    params
        The content of a settings file; by default that of the published models.
    gelu
        A key of `GELUS`, or 'auto' for what the file's description says.
    head
        Whether tracks are wanted too; without, the file may be a trunk alone.

    Raises
    ------
    CisflowError
        The file is not whole, is of another kind or of another model, or does not tell its GELU.
    """
    if gelu not in {*GELUS, "auto"}:
        raise CisflowError(f"gelu: '{gelu}' is none of auto, {_names()}.")
    weights = read_weights(path)
    settings = (params or {"model": CROSS2020})["model"]
    if head:
        _check_head(weights, settings)
    chosen = _gelu(weights, gelu)
    try:
        model = Basenji(settings, len(weights.head[1]) if head else None, chosen)
    except (ValueError, TypeError) as error:
        raise CisflowError(f"the settings of {weights.path} (--params): {error}.") from None
    _fill(model, weights)
    return model.eval()


def _check_head(weights: Weights, settings: Mapping[str, Any]) -> None:
    if weights.head is None:
        raise CisflowError(
            f"{weights.path}: it has no head: it is a trunk alone, which gives embeddings and no tracks. Give the "
            "whole model, as published: 30 convolutions, 30 normalisations and a dense layer."
        )
    heads = [value for key, value in settings.items() if key.startswith("head") and isinstance(value, Mapping)]
    wanted = [head["units"] for head in heads if "units" in head]
    if wanted and len(weights.head[1]) not in wanted:
        raise CisflowError(
            f"{weights.path}: its head has {len(weights.head[1])} tracks, and the settings "
            f"{' or '.join(map(str, wanted))}. {OTHER_SETTINGS}"
        )


def _gelu(weights: Weights, wanted: str) -> str:
    if wanted == "auto":
        if weights.gelu is None:
            raise CisflowError(
                f"{weights.path}: it does not tell which GELU it was trained with; say one of {_names()} (gelu). "
                "The models published in 2020 have 'quick'."
            )
        LOG.info("%s: GELU '%s', as the file says", weights.path, weights.gelu)
        return weights.gelu
    if weights.gelu in (None, wanted):
        LOG.info("%s: GELU '%s', as asked for", weights.path, wanted)
    else:
        LOG.warning("%s: GELU '%s', as asked for; the file says '%s'", weights.path, wanted, weights.gelu)
    return wanted


def _names() -> str:
    return ", ".join(GELUS)


def _fill(model: Basenji, weights: Weights) -> None:
    blocks = list(model.convolutions())
    found, wanted = len(weights.kernels), len(blocks)
    if found != wanted or len(weights.norms) != wanted:
        raise CisflowError(
            f"{weights.path}: it has {found} convolutions and {len(weights.norms)} normalisations, and the settings "
            f"{wanted} of each. {OTHER_SETTINGS}"
        )
    for number, (block, kernel, norm) in enumerate(zip(blocks, weights.kernels, weights.norms, strict=True)):
        _put(block.conv.weight, kernel, f"{weights.path}: convolution {number}")
        for name, tensor, values in zip(NORM, tensors_of_norm(block.norm), norm, strict=True):
            _put(tensor, values, f"{weights.path}: {name} of normalisation {number}")
    if model.head is not None:
        _put(model.head.weight, weights.head[0], f"{weights.path}: the head's kernel")
        _put(model.head.bias, weights.head[1], f"{weights.path}: the head's bias")
    _compare_layers(weights, list(_described(model)))


def tensors_of_norm(norm: torch.nn.BatchNorm1d) -> tuple[torch.Tensor, ...]:
    """Return what a normalisation holds, in the order of `NORM`."""
    return norm.weight, norm.bias, norm.running_mean, norm.running_var


def _put(tensor: torch.Tensor, values: NDArray, what: str) -> None:
    if tuple(tensor.shape) != values.shape:
        raise CisflowError(
            f"{what} has the shape {values.shape}, and the settings ask for {tuple(tensor.shape)}. {OTHER_SETTINGS}"
        )
    if not np.isfinite(values).all():
        raise CisflowError(f"{what} has values that are no finite numbers; the training that made it had failed.")
    with torch.no_grad():
        tensor.copy_(torch.from_numpy(np.ascontiguousarray(values)))


def _compare_layers(weights: Weights, wanted: list[str]) -> None:
    """Refuse settings that fit in all shapes, and still are not the file's: another dilation, another cropping."""
    for found, ours in zip(weights.layers, wanted, strict=False):
        if found != ours:
            raise CisflowError(f"{weights.path}: it has {found} where the settings have {ours}. {OTHER_SETTINGS}")
    if weights.layers and len(weights.layers) != len(wanted):
        raise CisflowError(
            f"{weights.path}: it has {len(weights.layers)} layers that shape it, and the settings {len(wanted)}. "
            f"{OTHER_SETTINGS}"
        )


# A layer is described in the same words from a model's settings and from Keras' description.
def _convolution(width: int, dilation: int) -> str:
    return f"a convolution of width {width} and dilation {dilation}"


def _normalisation(epsilon: float) -> str:
    return f"a batch normalisation with epsilon {epsilon:g}"


def _pooling(size: int) -> str:
    return f"a pooling of {size}"


def _cropping(size: int) -> str:
    return f"a cropping of {size}"


def _described(model: Basenji) -> Iterator[str]:
    for module in model.trunk:
        if isinstance(module, Crop):
            yield _cropping(module.size)
        blocks = (module.inner, module.outer) if isinstance(module, Residual) else (module,)
        for block in blocks:
            if isinstance(block, ConvBlock):
                yield _convolution(block.conv.kernel_size[0], block.conv.dilation[0])
                yield _normalisation(block.norm.eps)
                if isinstance(block.pool, torch.nn.MaxPool1d):
                    yield _pooling(block.pool.kernel_size)


def read_weights(path: str | Path) -> Weights:
    """Read the weights of a file; raises as `load_basenji`."""
    path = Path(path)
    if not path.is_file():
        raise CisflowError(f"{path}: there is no such file.")
    if path.suffix in (".pth", ".pt"):
        return _from_torch(path)
    if path.suffix == ".keras" or (zipfile.is_zipfile(path) and not h5py.is_hdf5(path)):
        raise CisflowError(
            f"{path}: it is a Keras 3 archive and not HDF5; save the model as such where it was made "
            "(model.save('model.h5'))."
        )
    return _from_keras(path)


def _from_keras(path: Path) -> Weights:
    with h5_reader(path) as h5:
        if "model_weights" not in h5 or "model_config" not in h5.attrs:
            raise CisflowError(
                f"{path}: it has not both weights and what they belong to (model_weights, model_config); save the "
                "whole model (model.save('model.h5')), not its weights alone."
            )
        try:
            layers = json.loads(h5.attrs["model_config"])["config"]["layers"]
            _refuse_others(path, layers)
            layers = [layer | {"name": _name(layer)} for layer in layers]
            group = h5["model_weights"]
            arrays = [_arrays(group[name]) for name in map(_text, group.attrs["layer_names"])]
            told, described = _gelu_of(path, layers), list(_shaping(layers))
        except (KeyError, TypeError, ValueError, OSError) as error:
            raise CisflowError(f"{path}: it cannot be read as a model of Keras ({error}).") from None
    return Weights(path, *_sorted(path, arrays), told, described)


def _sorted(path: Path, arrays: list[dict[str, NDArray]]) -> tuple[list[NDArray], list[NDArray], Any]:
    """Return kernels, norms and head of all layers, in torch's order of axes."""
    kernels = [own["kernel"].transpose(2, 1, 0) for own in arrays if own.keys() == {"kernel"}]
    norms = [np.stack([own[name] for name in NORM]) for own in arrays if own.keys() == set(NORM)]
    heads = [own for own in arrays if own.keys() == {"kernel", "bias"}]
    with_weights = sum(map(bool, arrays))
    if len(heads) > 1 or len(kernels) + len(norms) + len(heads) != with_weights:
        raise CisflowError(
            f"{path}: of its {with_weights} layers with weights {len(kernels)} are convolutions, {len(norms)} "
            f"normalisations and {len(heads)} dense; Basenji2 has one dense layer, and no others. It is another model."
        )
    return kernels, norms, (heads[0]["kernel"].T, heads[0]["bias"]) if heads else None


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _name(layer: Mapping[str, Any]) -> str:
    return layer.get("name") or layer["config"]["name"]


def _arrays(layer: h5py.Group) -> dict[str, NDArray[np.float32]]:
    """Return a layer's weights by their short name, as kernel."""
    names = [_text(name) for name in layer.attrs["weight_names"]]
    for name in names:
        check_written(layer[name])
    return {name.rpartition("/")[2].partition(":")[0]: np.asarray(layer[name], np.float32) for name in names}


def _refuse_others(path: Path, layers: list[Mapping[str, Any]]) -> None:
    for layer in layers:
        if layer["class_name"] == "Lambda":
            raise CisflowError(
                f"{path}: the layer '{_name(layer)}' is a Lambda, which is code inside the file; it is not run. Save "
                "the model without it."
            )
        if layer["class_name"] not in KNOWN:
            raise CisflowError(
                f"{path}: its layer '{_name(layer)}' is of the kind '{layer['class_name']}', which Basenji2 has not."
            )


def _shaping(layers: list[Mapping[str, Any]]) -> Iterator[str]:
    """Yield what the layers do to the shape of what passes, in the order of the network."""
    for layer in layers:
        own = layer["config"]
        if layer["class_name"] == "Conv1D":
            yield _convolution(own["kernel_size"][0], own["dilation_rate"][0])
        elif layer["class_name"] == "BatchNormalization":
            yield _normalisation(own["epsilon"])
        elif layer["class_name"] == "MaxPooling1D":
            size = own["pool_size"]
            yield _pooling(size[0] if isinstance(size, list) else size)
        elif layer["class_name"] == "Cropping1D":
            yield _cropping(own["cropping"][0])


def _gelu_of(path: Path, layers: list[Mapping[str, Any]]) -> str | None:
    """Return the GELU that a model's description tells: a layer of its own in 2020, a function of TensorFlow now."""
    found = {name for name in map(_gelu_name, layers) if name}
    if len(found) > 1:
        raise CisflowError(f"{path}: its layers have several GELUs: {', '.join(sorted(found))}. It is another model.")
    return found.pop() if found else None


def _gelu_name(layer: Mapping[str, Any]) -> str | None:
    if layer["class_name"] == "GELU":
        return "quick"
    if layer["class_name"] == "TFOpLambda" and "gelu" in str(layer["config"].get("function")):
        # The arguments of the call are among the layer's inputs; without any, TensorFlow's is the exact one.
        return "tanh" if '"approximate": true' in json.dumps(layer["inbound_nodes"]) else "erf"
    if layer["class_name"] == "Activation" and layer["config"].get("activation") == "gelu":
        return "erf"
    return None


# Where the blocks of the published PyTorch state are, in order.
STATE = (
    "trunk.0.block", *(f"trunk.1.tower.{n}.block" for n in range(6)),
    *(f"trunk.2.block.{n}.module.{m}.block" for n in range(11) for m in (0, 1)), "trunk.4.block",
)  # fmt: skip
STATE_NORM = ("weight", "bias", "running_mean", "running_var")
STATE_HEAD = "head.final.block.1"


def _from_torch(path: Path) -> Weights:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise CisflowError(
            f"{path}: it is not a PyTorch state of plain tensors, or is truncated; pickled code is not run "
            f"({str(error).splitlines()[0]})."
        ) from None
    state = state.get("state_dict", state) if isinstance(state, dict) else {}
    state = {
        key.removeprefix("model."): value.float().numpy() for key, value in state.items() if torch.is_tensor(value)
    }
    wanted = [f"{block}.1.weight" for block in STATE]
    wanted += [f"{block}.2.{name}" for block in STATE for name in STATE_NORM]
    if missing := [key for key in wanted if key not in state]:
        raise CisflowError(
            f"{path}: {len(missing)} of {len(wanted)} tensors of Basenji2's trunk are not in it, the first is "
            f"'{missing[0]}'. The file of basenji2-pytorch has them all."
        )
    norms = [np.stack([state[f"{block}.2.{name}"] for name in STATE_NORM]) for block in STATE]
    head = [state[key] for name in ("weight", "bias") if (key := f"{STATE_HEAD}.{name}") in state]
    kernels = [state[f"{block}.1.weight"] for block in STATE]
    return Weights(path, kernels, norms, (head[0], head[1]) if len(head) == 2 else None, None)
