"""The attribution contract: one HDF5 file for each trial and method.

`scores` float32 (n, length, 4), `x` uint8 (n, length), `id` bytes (n,), and where the method has them `convergence` and
`spread` float32 (n,) (see `maps.Map`). Attributes: `method`, `target`, and `settings` (JSON).
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cisflow.attribution.maps import Map, reduce
from cisflow.attribution.presets import Settings
from cisflow.io import h5_reader, h5_writer

SCHEMA = "attributions/1"


@dataclass(frozen=True)
class Sequences:
    """What is explained: base indices x (n, length), identities (n,), and the rows of the split that they are.

    `left_out` has the numbers of sequences of the split that cannot be explained, by reason.
    """

    x: NDArray[np.uint8]
    id: NDArray[np.bytes_]
    rows: NDArray[np.int64]
    left_out: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Stored:
    """A map as read: one score a position (n, length), with what it is a map of."""

    method: str
    scores: NDArray[np.float32]
    x: NDArray[np.uint8]
    id: NDArray[np.bytes_]


@dataclass(frozen=True)
class Whole:
    """A map as stored: the scores of all bases (n, length, 4), and how they were computed."""

    method: str
    target: str
    settings: Settings
    scores: NDArray[np.float32]
    x: NDArray[np.uint8]
    id: NDArray[np.bytes_]


def write_map(
    path: str | Path, map_: Map, sequences: Sequences, method: str, target: str, settings: Settings,
    inputs: Mapping[str, str] | None = None,
) -> None:  # fmt: skip
    """Write a map; `inputs` are the SHA-256 of the files it was made from, by file name."""
    with h5_writer(path, SCHEMA, inputs) as h5:
        h5.attrs["method"], h5.attrs["target"] = method, target
        h5.attrs["settings"] = json.dumps(asdict(settings), sort_keys=True)
        h5.create_dataset("scores", data=map_.scores, chunks=True, compression="lzf", shuffle=True)
        h5.create_dataset("x", data=sequences.x)
        h5.create_dataset("id", data=sequences.id)
        for name in ("convergence", "spread"):
            if (values := getattr(map_, name)) is not None:
                h5.create_dataset(name, data=values)


def read_whole(path: str | Path) -> Whole:
    """Read a map with the scores of all four bases."""
    with h5_reader(path, SCHEMA) as h5:
        settings = Settings(**json.loads(h5.attrs["settings"]))
        about = str(h5.attrs["method"]), str(h5.attrs["target"])
        return Whole(*about, settings, h5["scores"][:], h5["x"][:], h5["id"][:])


def read_map(path: str | Path) -> Stored:
    """Read a map, reduced to one score a position as its settings say."""
    whole = read_whole(path)
    return Stored(whole.method, reduce(whole.scores, whole.x, whole.method, whole.settings), whole.x, whole.id)
