"""The data-set contract: one HDF5 file with base indices, labels and identities for each split.

`<split>/x` uint8 (n, length), `<split>/y` float32 (n, targets), `<split>/id` bytes (n,); optionally `<split>/mask` bool
(n, targets), False where a label was not measured, and `<split>/truth` float32 (n, length, 4), the base probabilities
from which a synthetic sequence was drawn. x, y and mask are stored contiguous and uncompressed, so that training can
memory-map them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from cisflow.io import h5_writer, write_tsv
from cisflow.sequence import UNKNOWN, gc_content

SPLITS = ("train", "valid", "test")


@dataclass
class Split:
    """The rows of one split, as the contract has them."""

    x: NDArray[np.uint8]
    y: NDArray[np.float32]
    id: NDArray[np.bytes_]
    mask: NDArray[np.bool_] | None = None
    truth: NDArray[np.float32] | None = None


def write_dataset(
    path: str | Path,
    splits: Mapping[str, Split],
    targets: list[str],
    kind: str,
    inputs: Mapping[str, str] | None = None,
) -> None:
    """Write a data set.

    Parameters
    ----------
    path
        The HDF5 file.
    splits
        Rows by split.
    targets
        Names of the columns of `y`.
    kind
        'binary' (labels 0 and 1) or 'real'.
    inputs
        SHA-256 of the files that it was made from, by file name.
    """
    with h5_writer(path, "dataset/1", inputs) as h5:
        h5.attrs["length"] = next(iter(splits.values())).x.shape[1]
        h5.attrs["targets"] = targets
        h5.attrs["kind"] = kind
        for name, split in splits.items():
            _write_split(h5.create_group(name), split)


def _write_split(group: h5py.Group, split: Split) -> None:
    for key in ("x", "y", "id", "mask"):
        if (array := getattr(split, key)) is not None:
            group.create_dataset(key, data=array)
    if split.truth is not None:
        rows = min(256, len(split.truth)) or 1
        group.create_dataset(
            "truth", data=split.truth, chunks=(rows, *split.truth.shape[1:]), compression="lzf", shuffle=True
        )


def write_quality(path: str | Path, splits: Mapping[str, Split], targets: list[str], kind: str) -> None:
    """Write the accounting of a data set: rows, positives or mean of each target, GC, unknown bases, by split."""
    rows = []
    for name, split in splits.items():
        measured = np.ones(split.y.shape, bool) if split.mask is None else split.mask
        found = {
            "sequences": len(split.x),
            "gc_content": float(np.nanmean(gc_content(split.x))) if len(split.x) else float("nan"),
            "unknown_bases": int((split.x == UNKNOWN).sum()),
            "unmeasured_labels": int((~measured).sum()),
        }
        rows += [{"split": name, "target": "all", "quantity": key, "value": value} for key, value in found.items()]
        quantity, reduce = ("positives", np.sum) if kind == "binary" else ("mean", np.mean)
        for column, target in enumerate(targets):
            value = float(reduce(split.y[measured[:, column], column], dtype=np.float64))
            rows.append({"split": name, "target": target, "quantity": quantity, "value": value})
    write_tsv(path, ("split", "target", "quantity", "value"), rows)
