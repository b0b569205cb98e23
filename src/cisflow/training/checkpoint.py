"""Weights on disk: the checkpoint of a finished trial, and the state from which an interrupted training goes on.

A checkpoint is a folder: `model.json` (all that is needed to build the model again), `best.safetensors` and
`last.safetensors` (weights without the replicate axis), `history.tsv`, and `SHA256SUMS`, which is written last and has
the checksums of the others, as the program sha256sum writes them. Nothing is ever unpickled.
"""

import hashlib
import json
import logging
import math
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from cisflow import __version__
from cisflow.errors import CisflowError
from cisflow.io import atomic, sha256, write_json, write_tsv
from cisflow.models.build import Network, build
from cisflow.training.scale import Scale

SCHEMA = "checkpoint/1"
CHECKSUMS = "SHA256SUMS"
FILES = ("best.safetensors", "last.safetensors", "history.tsv", "model.json")
log = logging.getLogger(__name__)


def model_key(description: Mapping[str, Any]) -> str:
    """Return a hash of what weights belong to: model, length, targets and their kind; of a head, bins and channels."""
    keys = ("model", "length", "targets", "kind", "bins", "channels")
    parts = {key: description[key] for key in keys if key in description}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def write_weights(path: Path, tensors: dict[str, Tensor], description: Mapping[str, Any]) -> None:
    """Write the weights of the model that a description is of; `load_model` checks that they belong together."""
    write_tensors(path, tensors, {"model": model_key(description)})


def replicate_state(module: nn.Module, replicate: int) -> dict[str, Tensor]:
    """Return a copy of one replicate's weights and statistics, without the replicate axis, on the CPU."""
    return {name: tensor[replicate].detach().cpu().clone() for name, tensor in module.state_dict().items()}


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write tensors as safetensors, atomically."""
    with atomic(path) as partial:
        partial.write_bytes(save({name: tensor.contiguous() for name, tensor in tensors.items()}, metadata))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and metadata of a safetensors file.

    Raises
    ------
    CisflowError
        The file is missing, truncated or of another kind.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except FileNotFoundError:
        raise CisflowError(f"{path}: there is no such file; the rule 'train' makes it.") from None
    except SafetensorError as error:
        raise CisflowError(f"{path}: not a whole safetensors file ({error}). Train again.") from error


def write_history(folder: Path, history: list[dict[str, float]]) -> None:
    """Write `history.tsv`, a row an epoch; what is no number is an empty field."""
    rows = ({name: None if math.isnan(value) else value for name, value in row.items()} for row in history)
    write_tsv(folder / "history.tsv", history[0], rows)


def write_description(folder: Path, description: Mapping[str, Any]) -> None:
    """Write `model.json`."""
    write_json(folder / "model.json", {"schema": SCHEMA, "created_by": f"cisflow {__version__}", **description})


def write_checksums(folder: Path) -> None:
    """Write the checksums of a checkpoint's files, which says that it is complete."""
    with atomic(folder / CHECKSUMS) as partial:
        partial.write_text("".join(f"{sha256(folder / name)}  {name}\n" for name in FILES), encoding="utf-8")


def damage(folder: Path) -> str | None:
    """Return what is wrong with the files of a checkpoint, or None if all are as they were written."""
    try:
        lines = (folder / CHECKSUMS).read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return f"it has no {CHECKSUMS}"
    except UnicodeDecodeError:
        return f"{CHECKSUMS} is no text"
    expected = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    for name in FILES:
        if name not in expected:
            return f"{CHECKSUMS} lacks {name}"
        if not (folder / name).is_file():
            return f"{name} is missing"
        if sha256(folder / name) != expected[name]:
            return f"{name} is not as it was written"
    return None


def set_aside(path: Path) -> Path:
    """Rename a damaged file or folder, so that its place is free; return where it is now."""
    aside = path.with_name(f"{path.name}.damaged")
    if aside.is_dir():
        shutil.rmtree(aside)
    path.replace(aside)
    return aside


def read_description(folder: str | Path) -> dict[str, Any]:
    """Return the content of a checkpoint's `model.json`.

    Raises
    ------
    CisflowError
        The folder is no checkpoint.
    """
    path = Path(folder) / "model.json"
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise CisflowError(f"{folder}: not a checkpoint folder (it has no model.json).") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CisflowError(f"{path}: not valid JSON ({error}). Train again.") from error
    if not isinstance(description, dict) or description.get("schema") != SCHEMA:
        raise CisflowError(f"{path}: its schema is not {SCHEMA!r}; another program or version wrote it.")
    missing = [key for key in ("model", "length", "targets", "kind", "weights") if key not in description]
    if missing:
        raise CisflowError(f"{path}: it lacks {', '.join(missing)}. Train again.")
    return description


def checkpoint_files(runs: Iterable[str | Path]) -> list[Path]:
    """Return the weights that readers take by default, of all trials of these runs."""
    folders = [folder for run in runs for folder in sorted(Path(run).glob("trial-*"))]
    return [folder / f"{read_description(folder)['weights']}.safetensors" for folder in folders]


def load_model(folder: str | Path, weights: str | None = None, device: torch.device | str = "cpu") -> Network:
    """Return a trained model, in evaluation mode.

    Parameters
    ----------
    folder
        A checkpoint folder.
    weights
        'best' or 'last'; by default the one that the task's configuration names.
    device
        Where to put it.

    Raises
    ------
    CisflowError
        The folder is no checkpoint, or its weights are not of the model that `model.json` describes.
    """
    description = read_description(folder)
    path = Path(folder) / f"{weights or description['weights']}.safetensors"
    tensors, metadata = read_tensors(path)
    try:
        model, key = build(description), model_key(description)
    except (KeyError, ValueError) as error:
        raise CisflowError(f"{folder}/model.json: it describes no model that can be built ({error}).") from error
    _check_same_model(path, model, tensors)
    if metadata.get("model") != key:
        about = ", ".join(str(model.spec[key]) for key in ("name", "activation") if key in model.spec)
        raise CisflowError(
            f"{path}: the weights are of another model than {folder}/model.json describes "
            f"({about}), though of the same shape. Do not mix checkpoints."
        )
    model.load_state_dict({name: tensor.unsqueeze(0) for name, tensor in tensors.items()})
    return model.eval().to(device)


def scale_of(folder: str | Path, device: torch.device | str = "cpu") -> Scale | None:
    """Return the scale that brings a trained model's outputs into the labels' units; None where they are in them.

    Raises
    ------
    CisflowError
        The folder is no checkpoint.
    """
    return Scale.described(read_description(folder).get("scale"), device)


def untrained_model(folder: str | Path, device: torch.device | str = "cpu") -> Network:
    """Return the network of a checkpoint as it was when its training began, in evaluation mode.

    It is built anew and its weights are drawn from the trial's own seed, as `engine.fit` does; batch normalisation has
    mean 0 and variance 1 as its running statistics.

    Raises
    ------
    CisflowError
        The folder is no checkpoint, or does not tell the seed.
    """
    description = read_description(folder)
    if "seed" not in description:
        raise CisflowError(f"{folder}/model.json: it does not say the seed of the initial weights. Train again.")
    try:
        model = build(description)
    except (KeyError, ValueError) as error:
        raise CisflowError(f"{folder}/model.json: it describes no model that can be built ({error}).") from error
    model.reset([description["seed"]])
    return model.eval().to(device)


def _check_same_model(path: Path, model: Network, found: Mapping[str, Tensor]) -> None:
    expected = {name: tuple(tensor.shape[1:]) for name, tensor in model.state_dict().items()}
    shapes = {name: tuple(tensor.shape) for name, tensor in found.items()}
    wrong = [
        f"  {name}: expected {expected.get(name, 'nothing')}, found {shapes.get(name, 'nothing')}"
        for name in sorted({*expected, *shapes})
        if expected.get(name) != shapes.get(name)
    ]
    if wrong:
        more = [f"  and {len(wrong) - 5} more"] if len(wrong) > 5 else []
        text = "\n".join(wrong[:5] + more)
        raise CisflowError(f"{path}: not the weights of the {model.spec['name']} that model.json describes:\n{text}")


def save_state(path: Path, key: str, tensors: dict[str, Tensor], values: Mapping[str, Any]) -> None:
    """Write the state of a training in progress; `key` says of which configuration, data and code it is."""
    text = json.dumps(values)
    write_tensors(path, tensors, {"key": key, "values": text, "sha256": _digest_of_state(key, tensors, text)})


def load_state(path: Path, key: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Return what `save_state` wrote, or None if there is nothing, it has another key, or it is damaged.

    A damaged file is set aside with a warning: the training begins again.
    """
    if not path.is_file():
        return None
    try:
        tensors, metadata = read_tensors(path)
        sound = metadata["sha256"] == _digest_of_state(metadata["key"], tensors, metadata["values"])
    except (CisflowError, KeyError):
        sound = False
    if not sound:
        log.warning("%s is damaged, and is kept as %s; what it is the state of begins again", path, set_aside(path))
        return None
    return (tensors, json.loads(metadata["values"])) if metadata["key"] == key else None


def group_of_state(path: Path, key: str) -> list[str]:
    """Return the names of the trials that began together in the training of a state; none if it has another key."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        return list(json.loads(metadata["values"])["group"]) if metadata["key"] == key else []
    except (OSError, SafetensorError, KeyError, ValueError):
        return []  # `load_state` says what is wrong with it


def _digest_of_state(key: str, tensors: Mapping[str, Tensor], values: str) -> str:
    digest = hashlib.sha256(f"{key}\n{values}\n".encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
