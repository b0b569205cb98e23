"""Heads that the CS282A project trained: PyTorch state dicts, read without unpickling anything else."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cisflow.errors import CisflowError
from cisflow.io import sha256
from cisflow.models.heads import Head
from cisflow.training import checkpoint

# For each head, the names that its tensors have there, and what of ours they are.
NAMES: dict[str, dict[str, str]] = {
    "linear-probe": {"conv_layer": "linear"},
    "max-pool-perceptron": {"layers.conv1x1": "conv", "layers.fc1": "logits"},
    "conv-perceptron": {"layers.conv1x1": "conv", "layers.fc1": "logits"},
}
KNOWN = "linear-probe (conv_layer.*), conv-perceptron and max-pool-perceptron (layers.conv1x1.*, layers.fc1.*)"


def load_pth(path: str | Path, bins: int = 896) -> Head:
    """Return a trained head, in evaluation mode, from a state dict that `torch.save` wrote.

    Parameters
    ----------
    path
        The .pth file.
    bins
        Bins of the embeddings; a conv-perceptron has weights for each of them.

    Raises
    ------
    CisflowError
        The file holds something else than tensors, or not those of one of these heads.
    """
    state = _read(Path(path))
    name = _name_of(path, state, bins)
    ours = {f"layers.{new}.{end}": state[f"{old}.{end}"]
            for old, new in NAMES[name].items() for end in ("weight", "bias")}  # fmt: skip
    # A convolution of width 1 is a linear map.
    ours = {key: tensor.squeeze(2) if tensor.dim() == 3 else tensor for key, tensor in ours.items()}
    first, last = ours[f"layers.{_first(name)}.weight"], ours[f"layers.{_last(name)}.weight"]
    if first.dim() != 2:
        raise _refused(path, state, "its first convolution has another width than 1")
    spec = {"name": name} | ({} if name == "linear-probe" else {"units": first.shape[0]})
    head = Head(spec, bins, first.shape[1], last.shape[0])
    wrong = [
        f"{key} is {tuple(ours[key].shape)}, and {tuple(own.shape[1:])} fits"
        for key, own in head.state_dict().items()
        if ours[key].shape != own.shape[1:]
    ]
    if wrong:
        raise _refused(path, state, "; ".join(wrong))
    if bad := [key for key, tensor in ours.items() if not tensor.isfinite().all()]:
        raise CisflowError(f"{path}: {', '.join(bad)} have values that are no numbers. Fetch it again.")
    head.load_state_dict({key: tensor.float().unsqueeze(0) for key, tensor in ours.items()})
    return head.eval()


def write_checkpoint(
    path: str | Path, folder: Path, targets: list[str], bins: int = 896, length: int = 131_072
) -> None:
    """Write a checkpoint (as a training does) of a head that `load_pth` reads.

    Parameters
    ----------
    path, bins
        As `load_pth` takes them.
    folder
        The checkpoint to write: <run>/trial-<number>.
    targets
        Names of the outputs, in order; they are in the labels' units as they are.
    length
        Bases of a window.

    Raises
    ------
    CisflowError
        As `load_pth` raises, or the head has another number of outputs than there are names.
    """
    head = load_pth(path, bins)
    if len(targets) != head.targets:
        raise CisflowError(f"{path}: the head has {head.targets} outputs, and {len(targets)} names are given.")
    if len(set(targets)) < len(targets):
        raise CisflowError("two targets have one name; name each output differently.")
    description = {
        "model": head.spec, "length": length, "targets": targets, "kind": "real", "bins": bins,
        "channels": head.channels, "weights": "last", "source": {"file": Path(path).name, "sha256": sha256(path)},
    }  # fmt: skip
    for weights in ("best", "last"):
        checkpoint.write_weights(folder / f"{weights}.safetensors", checkpoint.replicate_state(head, 0), description)
    checkpoint.write_description(folder, description)


def _read(path: Path) -> Mapping[str, Tensor]:
    try:
        with path.open("rb") as file:
            start = file.read(2)
        # An archive, or, of old versions, pickles.
        if start != b"PK" and start[:1] != b"\x80":
            raise CisflowError(f"{path}: not a file of torch.save (it begins with {start!r}).")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CisflowError(f"{path}: there is no such file.") from None
    except pickle.UnpicklingError as error:
        raise CisflowError(
            f"{path}: it holds other objects than tensors, which are not loaded, since that would run code of the "
            "file. Save the module's state_dict() instead."
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise CisflowError(f"{path}: not a whole file of torch.save ({reason}). Fetch it again.") from error
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise CisflowError(f"{path}: it holds no state dict (names and tensors). Save the module's state_dict().")
    return state


def _name_of(path: str | Path, state: Mapping[str, Tensor], bins: int) -> str:
    found = [
        name for name, names in NAMES.items() if {f"{n}.{e}" for n in names for e in ("weight", "bias")} == {*state}
    ]
    if not found:
        raise _refused(path, state, f"these are not the tensors of one of {KNOWN}")
    if len(found) == 1:
        return found[0]
    # Both perceptrons have the same names; what is flattened has a weight for each unit and bin.
    units, inputs = len(state["layers.conv1x1.bias"]), state["layers.fc1.weight"].shape[-1]
    if inputs == units:
        return "max-pool-perceptron"
    if inputs == units * bins:
        return "conv-perceptron"
    raise _refused(path, state, f"layers.fc1 takes {inputs} values, and not {units} (the units) or {units * bins} "
        f"(units times {bins} bins); say how many bins the embeddings have")  # fmt: skip


def _refused(path: str | Path, state: Mapping[str, Any], why: str) -> CisflowError:
    held = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in list(state.items())[:6]) or "nothing"
    return CisflowError(f"{path}: {why}. It holds {held}{' and more' if len(state) > 6 else ''}.")


def _first(name: str) -> str:
    return next(iter(NAMES[name].values()))


def _last(name: str) -> str:
    return list(NAMES[name].values())[-1]
