"""Rows of a data set in batches: on the device if they fit, else read from disk ahead of the training."""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cisflow.errors import CisflowError
from cisflow.io import h5_reader
from cisflow.models.convnet import one_hot
from cisflow.training.disk import OnDisk
from cisflow.training.metrics import check_labels

LOG = logging.getLogger("cisflow")

# Batches read ahead of the training when rows come from disk, and the threads that read them.
READ_AHEAD, READERS = 4, 4
# Rows a batch when nothing is learned, and as bytes of float32 where a row is large.
EVALUATION_BATCH, EVALUATION_BYTES = 1000, 32 << 20
# Rows whose labels are read together, where labels stay on disk.
LABEL_ROWS = 64


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
    """Return base indices as one-hot sequences, and numbers as they are, with replicates in the channels.

    Numbers of 16 bits become float32.
    """
    if x.dtype == torch.uint8:
        return one_hot(x)
    x = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    return x.transpose(0, 1).flatten(1, 2) if x.dim() == 4 else x


def to_tensor(array: NDArray) -> Tensor:
    """Return an array as a tensor; uint16 are the bits of bfloat16, which NumPy does not have."""
    if array.dtype == np.uint16:
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def rows_at_once(x: NDArray | OnDisk | Tensor) -> int:
    """Return how many rows of an input are a batch when nothing is learned: few, where rows are large."""
    row = 4 * x[0].numel() if isinstance(x, Tensor) else 4 * int(np.prod(x.shape[1:]))
    return max(1, min(EVALUATION_BATCH, EVALUATION_BYTES // row))


class Rows:
    """The rows of one split.

    Parameters
    ----------
    x, y, mask
        Arrays (NumPy, possibly memory-mapped, or `OnDisk`) whose first axis is the row.
    device
        Where batches are needed.
    resident
        True to keep all rows there; False to read each batch when it is near, but for arrays that are in memory.
    ahead
        Batches read ahead.
    """

    def __init__(
        self,
        x: dict[str, NDArray | OnDisk],
        y: NDArray | OnDisk,
        mask: NDArray | OnDisk | None = None,
        device: torch.device | str = "cpu",
        resident: bool = True,
        ahead: int = READ_AHEAD,
    ):
        self.device, self.count, self.targets, self.ahead = torch.device(device), len(y), y.shape[-1], ahead
        self.evaluation_batch = min(map(rows_at_once, x.values()))
        arrays = {f"x.{name}": array for name, array in x.items()} | {"y": y} | ({} if mask is None else {"mask": mask})
        stays = {key for key, array in arrays.items() if resident or not isinstance(array, OnDisk | np.memmap)}
        self._here = {key: self._tensor(arrays[key]) for key in arrays if key in stays}
        self._far = {key: arrays[key] for key in arrays if key not in stays}

    def batches(self, order: Tensor, size: int, first: int = 0) -> Iterator[Batch]:
        """Yield batches of the rows of `order`, of shape (n,), or (R, n) for a replicate axis, from batch `first` on.

        A last batch of one row, which batch normalisation cannot use, joins the one before.
        """
        parts = [part.contiguous() for part in order.split(size, dim=-1)]
        if len(parts) > self.batch_count(size, order.shape[-1]):
            parts[-2:] = [torch.cat(parts[-2:], dim=-1)]
        parts = parts[first:]
        if not self._far:
            yield from (self._gather(part.to(self.device)) for part in parts)
            return
        with ThreadPoolExecutor(READERS) as readers:
            queue = [readers.submit(self._read, part) for part in parts[: self.ahead]]
            for number, part in enumerate(parts):
                batch = queue.pop(0).result() if queue else self._read(part)
                if self.ahead and number + self.ahead < len(parts):
                    queue.append(readers.submit(self._read, parts[number + self.ahead]))
                there = {key: value.to(self.device, non_blocking=True) for key, value in batch.items()}
                yield self._gather(part.to(self.device), there)

    def batch_count(self, size: int, rows: int | None = None) -> int:
        """Return the number of batches of so many rows; by default of all."""
        rows = self.count if rows is None else rows
        alone = size > 1 and rows > size and rows % size == 1
        return -(-rows // size) - alone

    def labels(self) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Yield all labels (n, ..., targets) and their mask, block by block in order, on the device."""
        if not {"y", "mask"} & self._far.keys():
            yield self._here["y"], self._here.get("mask")
            return
        for start in range(0, self.count, LABEL_ROWS):
            block = slice(start, start + LABEL_ROWS)
            found = {key: self._tensor(array[block]) for key, array in self._far.items() if key in ("y", "mask")}
            found |= {key: self._here[key][block] for key in ("y", "mask") if key in self._here}
            yield found["y"], found.get("mask")

    def _tensor(self, array: NDArray | OnDisk) -> Tensor:
        return to_tensor(np.array(array[:])).to(self.device)

    def _gather(self, rows: Tensor, there: dict[str, Tensor] | None = None) -> Batch:
        return self._batch({key: array[rows] for key, array in self._here.items()} | (there or {}))

    def _read(self, rows: Tensor) -> dict[str, Tensor]:
        flat = rows.flatten().numpy()
        found = {key: to_tensor(array[flat]).unflatten(0, rows.shape) for key, array in self._far.items()}
        pin = self.device.type == "cuda"
        return {key: value.pin_memory() if pin else value for key, value in found.items()}

    @staticmethod
    def _batch(found: dict[str, Tensor]) -> Batch:
        x = {key[2:]: value for key, value in found.items() if key.startswith("x.")}
        y, mask = found["y"], found.get("mask")
        # What was not measured may be no number, and no number times nothing is no number.
        return Batch(x, y if mask is None else y.masked_fill(~mask, 0), mask)


def order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """Return the order of rows in an epoch: a function of (seed, epoch) alone, whatever trained before or beside."""
    return np.random.Generator(np.random.Philox([seed, epoch])).permutation(count)


@dataclass(frozen=True)
class DataInfo:
    """What a model has to know of a data set.

    Attributes
    ----------
    length
        Bases of a window.
    targets, kind
        Names of the targets, and their kind, 'binary' or 'real'.
    bins, channels
        Shape of a window's embedding; None for sequences.
    """

    length: int
    targets: list[str]
    kind: str
    bins: int | None = None
    channels: int | None = None

    def description(self) -> dict[str, Any]:
        """Return what of it a checkpoint keeps."""
        about = {"length": self.length, "targets": self.targets, "kind": self.kind}
        return about | ({} if self.bins is None else {"bins": self.bins, "channels": self.channels})


def load(
    path: str | Path, splits: list[str], device: torch.device | str, resident: bool, labels: str = "window"
) -> tuple[DataInfo, list[Rows]]:
    """Open splits of a data set (contract 'dataset/1').

    Parameters
    ----------
    path
        HDF5 file: `<split>/x` uint8 (n, length) or a group of named inputs, `<split>/y` float32 (n, targets), and
        optionally `<split>/mask` bool (n, targets). With embeddings, `<split>/x` is (n, bins, channels), float16, or
        uint16 that are the bits of bfloat16, and there may be `<split>/bins/{y,mask}` (n, bins, targets); the bases of
        a window are the file's attribute `window`.
    splits
        Their names, in the order wanted.
    device
        Where the batches are needed.
    resident
        Keep the rows on the device (True), or leave them on disk and read batches ahead (False).
    labels
        'window', or 'bins' for those of each bin of an embedding.

    Raises
    ------
    CisflowError
        A split is missing or empty, has no labels of this kind, or labels of another split than train are all alike.
    """
    with h5_reader(path, "dataset/1") as h5:
        info = DataInfo(int(h5.attrs["length"]), list(h5.attrs["targets"]), str(h5.attrs["kind"]))
        of_embeddings = h5.attrs.get("input") == "embeddings"
        for split in splits:
            if split not in h5 or not len(h5[split]["y"]):
                raise CisflowError(f"{path}: the split '{split}' is missing or empty; training needs it.")
        if of_embeddings:
            _check_embeddings(path, h5, splits, labels)
            bins, channels = h5[splits[0]]["x"].shape[1:]
            length = int(h5.attrs.get("window", info.length))
            info = replace(info, length=length, bins=int(bins), channels=int(channels))
            take = _embeddings_to_memory if resident else _embeddings
        else:
            take = _in_memory if resident else _mapped
        rows = [Rows(*take(path, h5[split], labels), device, resident) for split in splits]
    for split, own in zip(splits, rows, strict=True):
        ends = _ends(own, split, path)
        if split != "train":
            check_labels(info.kind, ends, split)
        elif ends.amin() == ends.amax():
            # No metric is computed on this split, and so none is undefined.
            LOG.warning("%s: the labels of the split 'train' are all %g; no model can learn more", path, ends[0].item())
    return info, rows


Arrays = tuple[dict[str, NDArray | OnDisk], NDArray | OnDisk, NDArray | OnDisk | None]


def _in_memory(path: str | Path, group: h5py.Group, labels: str, take: Callable = np.asarray) -> Arrays:
    if group["y"].ndim != 2:
        raise CisflowError(
            f"{path}: its labels have the shape {group['y'].shape}, (n, bins, targets), and models predict "
            "(n, targets). Make it with 'labels: window'."
        )
    x = group["x"]
    inputs = {"x": take(x)} if isinstance(x, h5py.Dataset) else {name: take(x[name]) for name in x}
    return inputs, take(group["y"]), take(group["mask"]) if "mask" in group else None


def _mapped(path: str | Path, group: h5py.Group, labels: str) -> Arrays:
    return _in_memory(path, group, labels, _memory_map)


def _memory_map(array: h5py.Dataset) -> NDArray:
    offset = array.id.get_offset()
    if offset is None:
        raise CisflowError(f"{array.file.filename}:{array.name} is compressed or chunked and cannot be memory-mapped.")
    return np.memmap(array.file.filename, array.dtype, "r", offset, array.shape)


def _embeddings(path: str | Path, group: h5py.Group, labels: str) -> Arrays:
    """Return embeddings on disk; labels of windows in memory, and those of bins, which are many, on disk."""
    of_bins = labels == "bins"
    take = OnDisk if of_bins else (lambda path, name: OnDisk(path, name)[:])
    group_of_labels = group["bins"] if of_bins else group
    y, mask = (f"{group_of_labels.name}/{key}" for key in ("y", "mask"))
    return (
        {"x": OnDisk(path, f"{group.name}/x")},
        take(path, y),
        take(path, mask) if "mask" in group_of_labels else None,
    )


def _embeddings_to_memory(path: str | Path, group: h5py.Group, labels: str) -> Arrays:
    x, y, mask = _embeddings(path, group, labels)
    return {"x": x["x"][:]}, y[:], mask if mask is None else mask[:]


def _check_embeddings(path: str | Path, h5: h5py.File, splits: list[str], labels: str) -> None:
    for split in splits:
        group = h5[split]
        if labels == "window":
            continue
        if "bins" not in group:
            raise CisflowError(
                f"{path}: the split '{split}' has no labels for bins, which linear-probe learns. Name a task that has "
                "them: 'dataset: {bins: ...}'."
            )
        found, needed = group["x"].shape[1], group["bins/y"].shape[1]
        if found != needed:
            raise CisflowError(
                f"{path}: the embeddings have {found} bins, and there are labels for {needed}; a label for each bin "
                "needs all of them: 'dataset: {trunk: {keep: all}}'."
            )


def _ends(rows: Rows, split: str, path: str | Path) -> Tensor:
    """Return the lowest and the highest measured label of a split."""
    ends = []
    for y, mask in rows.labels():
        measured = y.flatten() if mask is None else y[mask]
        if not measured.isfinite().all():
            raise CisflowError(f"{path}: the split '{split}' has labels that are no numbers, and no mask says so.")
        if len(measured):
            ends += [measured.amin(), measured.amax()]
    if not ends:
        raise CisflowError(f"{path}: no label of the split '{split}' was measured.")
    return torch.stack(ends)
