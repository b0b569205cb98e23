"""Rows of a data set in batches: on the device if they fit, else read from disk ahead of the training."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cisflow.errors import CisflowError
from cisflow.io import h5_reader
from cisflow.models.convnet import one_hot
from cisflow.training.metrics import check_labels

# Batches read ahead of the training when rows come from disk.
READ_AHEAD = 4


@dataclass(frozen=True)
class Batch:
    """Inputs by name, labels and mask. With the replicate axis: (R, batch, ...); without: (batch, ...)."""

    x: dict[str, Tensor]
    y: Tensor
    mask: Tensor | None

    def inputs(self) -> dict[str, Tensor]:
        """Return what a model takes: sequences one-hot encoded, replicates side by side in the channels."""
        return {name: encode(value) for name, value in self.x.items()}


def encode(x: Tensor) -> Tensor:
    """Return base indices as one-hot sequences, and numbers as they are, with replicates in the channels."""
    if x.dtype == torch.uint8:
        return one_hot(x)
    return x.transpose(0, 1).flatten(1, 2) if x.dim() == 4 else x


class Rows:
    """The rows of one split.

    Parameters
    ----------
    x, y, mask
        Arrays (NumPy, possibly memory-mapped) whose first axis is the row.
    device
        Where batches are needed.
    resident
        True to keep all rows there; False to read each batch when it is near.
    """

    def __init__(
        self,
        x: dict[str, NDArray],
        y: NDArray,
        mask: NDArray | None = None,
        device: torch.device | str = "cpu",
        resident: bool = True,
    ):
        self.device, self.resident, self.count = torch.device(device), resident, len(y)
        self.targets = y.shape[1]
        arrays = {f"x.{name}": array for name, array in x.items()} | {"y": y} | ({} if mask is None else {"mask": mask})
        self._arrays = {key: self._tensor(array) if resident else array for key, array in arrays.items()}

    def batches(self, order: Tensor, size: int, first: int = 0) -> Iterator[Batch]:
        """Yield batches of the rows of `order`, of shape (n,), or (R, n) for a replicate axis, from batch `first` on.

        A last batch of one row, which batch normalisation cannot use, joins the one before.
        """
        parts = [part.contiguous() for part in order.split(size, dim=-1)]
        if len(parts) > 1 and parts[-1].shape[-1] == 1:
            parts[-2:] = [torch.cat(parts[-2:], dim=-1)]
        parts = parts[first:]
        if self.resident:
            yield from (self._gather(part.to(self.device)) for part in parts)
            return
        with ThreadPoolExecutor(1) as reader:
            ahead = [reader.submit(self._read, part) for part in parts[:READ_AHEAD]]
            for number in range(len(parts)):
                batch = ahead.pop(0).result()
                if number + READ_AHEAD < len(parts):
                    ahead.append(reader.submit(self._read, parts[number + READ_AHEAD]))
                yield self._batch({key: value.to(self.device, non_blocking=True) for key, value in batch.items()})

    def labels(self) -> Tensor:
        """Return all labels (n, targets), on the device."""
        return self._tensor(self._arrays["y"]) if not self.resident else self._arrays["y"]

    def mask(self) -> Tensor | None:
        """Return the mask (n, targets) of measured labels, on the device, or None where all are measured."""
        mask = self._arrays.get("mask")
        return mask if mask is None or self.resident else self._tensor(mask)

    def _tensor(self, array: NDArray) -> Tensor:
        return torch.from_numpy(np.array(array)).to(self.device)

    def _gather(self, rows: Tensor) -> Batch:
        return self._batch({key: array[rows] for key, array in self._arrays.items()})

    def _read(self, rows: Tensor) -> dict[str, Tensor]:
        flat = rows.flatten().numpy()
        found = {key: torch.from_numpy(array[flat]).unflatten(0, rows.shape) for key, array in self._arrays.items()}
        pin = self.device.type == "cuda"
        return {key: value.pin_memory() if pin else value for key, value in found.items()}

    @staticmethod
    def _batch(found: dict[str, Tensor]) -> Batch:
        x = {key[2:]: value for key, value in found.items() if key.startswith("x.")}
        return Batch(x, found["y"], found.get("mask"))


def order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """Return the order of rows in an epoch: a function of (seed, epoch) alone, whatever trained before or beside."""
    return np.random.Generator(np.random.Philox([seed, epoch])).permutation(count)


@dataclass(frozen=True)
class DataInfo:
    """What a model has to know of a data set: length in bases, target names, and their kind ('binary' or 'real')."""

    length: int
    targets: list[str]
    kind: str


def load(
    path: str | Path, splits: list[str], device: torch.device | str, resident: bool
) -> tuple[DataInfo, list[Rows]]:
    """Open splits of a data set (contract 'dataset/1').

    Parameters
    ----------
    path
        HDF5 file: `<split>/x` uint8 (n, length) or a group of named inputs, `<split>/y` float32 (n, targets), and
        optionally `<split>/mask` bool (n, targets).
    splits
        Their names, in the order wanted.
    device
        Where the batches are needed.
    resident
        Keep the rows on the device (True), or memory-map the file and read batches ahead (False).

    Raises
    ------
    CisflowError
        A split is missing or empty, has labels for bins, or its labels are all alike.
    """
    with h5_reader(path, "dataset/1") as h5:
        info = DataInfo(int(h5.attrs["length"]), list(h5.attrs["targets"]), str(h5.attrs["kind"]))
        rows = []
        for split in splits:
            if split not in h5 or not len(h5[split]["y"]):
                raise CisflowError(f"{path}: the split '{split}' is missing or empty; training needs it.")
            group, take = h5[split], (np.asarray if resident else _memory_map)
            if group["y"].ndim != 2:
                raise CisflowError(
                    f"{path}: its labels have the shape {group['y'].shape}, (n, bins, targets), and models predict "
                    "(n, targets). Make it with 'labels: window'."
                )
            x = group["x"]
            inputs = {"x": take(x)} if isinstance(x, h5py.Dataset) else {name: take(x[name]) for name in x}
            mask = take(group["mask"]) if "mask" in group else None
            rows.append(Rows(inputs, take(group["y"]), mask, device, resident))
            check_labels(info.kind, rows[-1].labels(), split)
    return info, rows


def _memory_map(array: h5py.Dataset) -> NDArray:
    offset = array.id.get_offset()
    if offset is None:
        raise CisflowError(f"{array.file.filename}:{array.name} is compressed or chunked and cannot be memory-mapped.")
    return np.memmap(array.file.filename, array.dtype, "r", offset, array.shape)
