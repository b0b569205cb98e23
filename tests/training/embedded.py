"""A small data set of embeddings in shards, with labels that are a known function of them."""

import h5py
import numpy as np

from cisflow.io import h5_writer

ROWS = {"train": 64, "valid": 24, "test": 20}
BINS, CHANNELS, TARGETS = 8, 6, ("a", "b", "c")
# Targets differ a lot in their scales, as those of different assays do.
FACTOR, OFFSET = np.array([1.0, 200.0, 0.01]), np.array([7.0, 900.0, 5.0])
WEIGHTS = np.random.default_rng(99).normal(size=(CHANNELS, len(TARGETS)))


def as_bfloat16(x):
    """Return the bits of bfloat16 numbers, cut off float32."""
    return (x.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)


def arrays(rows, seed):
    """Return embeddings, labels of windows and labels of bins; a window's bins are alike but for some noise."""
    rng = np.random.default_rng(seed)
    window = rng.normal(size=(rows, 1, CHANNELS))
    x = (window + 0.1 * rng.normal(size=(rows, BINS, CHANNELS))).astype(np.float16)
    y = window[:, 0] @ WEIGHTS * FACTOR + OFFSET
    of_bins = np.log1p(np.exp(x.astype(np.float64) @ WEIGHTS)) * FACTOR
    return x, y.astype(np.float32), of_bins.astype(np.float32)


def write_embedded(folder, dtype="float16", masked=None, wrong=0.0, bins=True, shards=3, change=lambda split, y: y):
    """Write a data set, its labels of bins in a file of their own, and its embeddings in shards.

    Parameters
    ----------
    masked
        Part of the labels that were not measured; None for no mask.
    wrong
        The value of those.
    change
        Makes other labels of those of a split.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = {split: arrays(count, seed) for seed, (split, count) in enumerate(ROWS.items())}
    x = np.concatenate([x for x, _, _ in made.values()])
    x = x if dtype == "float16" else as_bfloat16(x)
    for number, part in enumerate(np.array_split(x, shards)):
        with h5_writer(folder / f"{number}.h5", "embeddings/1") as h5:
            h5["embeddings"] = part
    sizes = [len(part) for part in np.array_split(x, shards)]
    rng, start = np.random.default_rng(5), 0
    with h5_writer(folder / "labels.h5", "dataset/1") as labels, h5_writer(folder / "dataset.h5", "dataset/1") as h5:
        h5.attrs.update(
            {"length": BINS, "window": 1000, "targets": list(TARGETS), "kind": "real", "input": "embeddings"}
        )
        for split, (_, y, of_bins) in made.items():
            count, group = len(y), h5.create_group(split)
            group.create_virtual_dataset("x", _layout(x, start, count, sizes)).attrs["dtype"] = dtype
            group["bases"] = np.zeros((count, 1000), np.uint8)
            group["id"] = np.array([f"chr1:{row}-{row + 1}".encode() for row in range(count)])
            for key, values in (("", change(split, y)), ("bins/", of_bins)):
                if key and not bins:
                    continue
                mask = None if masked is None else rng.random(values.shape) >= masked
                stored = {"y": values if mask is None else np.where(mask, values, np.float32(wrong))}
                stored |= {} if mask is None else {"mask": mask}
                for name, array in stored.items():
                    if not key:
                        group[name] = array
                        continue
                    labels[f"{split}/{name}"] = array
                    layout = h5py.VirtualLayout(array.shape, array.dtype)
                    layout[...] = h5py.VirtualSource("labels.h5", f"{split}/{name}", array.shape)
                    group.create_virtual_dataset(f"bins/{name}", layout)
            start += count
    return folder / "dataset.h5"


def _layout(x, start, count, sizes):
    layout = h5py.VirtualLayout((count, *x.shape[1:]), x.dtype)
    first = 0
    for number, size in enumerate(sizes):
        begin, end = max(start, first), min(start + count, first + size)
        if begin < end:
            source = h5py.VirtualSource(f"{number}.h5", "embeddings", (size, *x.shape[1:]))
            layout[begin - start : end - start] = source[begin - first : end - first]
        first += size
    return layout
