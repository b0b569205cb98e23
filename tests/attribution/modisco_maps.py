"""Made-up maps with motifs planted in them: sequences and what a perfect model would say of each base."""

import dataclasses
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cisflow.attribution.maps import Map
from cisflow.attribution.presets import PRESETS, Settings
from cisflow.attribution.store import Sequences, write_map
from cisflow.io import write_tsv
from cisflow.pwm import Motif
from cisflow.sources.jaspar import release_motifs
from cisflow.tables import ATTRIBUTION_QUALITY

FACTORS = {"SRF": "MA0083.3", "YY1": "MA0095.2"}
RECOMMENDED = PRESETS["recommended"]


def motifs() -> list[Motif]:
    """JASPAR 2016, as the tasks of the paper name it."""
    return release_motifs("JASPAR2016", "CORE", "vertebrates")


def planted(count: int, length: int = 100, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Sequences with one of two motifs each, and hypothetical contributions: log odds of the motif, and noise."""
    known = {motif.id: motif.probabilities for motif in motifs()}
    rng = np.random.default_rng(seed)
    x, scores = rng.integers(0, 4, (count, length), dtype=np.uint8), rng.normal(0, 0.02, (count, length, 4))
    for row in range(count):
        ppm = known[list(FACTORS.values())[row % 2]]
        width = ppm.shape[1]
        start = rng.integers(20, length - 20 - width)
        x[row, start : start + width] = [rng.choice(4, p=column) for column in ppm.T]
        scores[row, start : start + width] += np.log2((ppm.T + 0.01) / 0.26)
    return x, (scores - scores.mean(2, keepdims=True)).astype(np.float32)


def write_run(
    folder: Path,
    x: NDArray,
    trials: dict[int, NDArray],
    method: str = "deep_lift_shap",
    how: Settings = RECOMMENDED,
    error: float = 1e-5,
) -> Path:
    """Write the maps of a run and their quality, as the rule 'attribute' does."""
    sequences = Sequences(x, np.array([f"s-{n}" for n in range(len(x))], np.bytes_), np.arange(len(x)))
    about = {"task": "t", "run": folder.name, "model": "cnn-2", "activation": "relu", "method": method}
    quality = [
        {**about, "trial": trial, "quantity": "convergence_error", "value": error, "n": len(x)} for trial in trials
    ]
    for trial, scores in trials.items():
        path = folder / f"trial-{trial}.{method}.h5"
        write_map(path, Map(scores.astype(np.float32)), sequences, method, "bound", dataclasses.replace(how))
    write_tsv(folder / "quality.tsv", ATTRIBUTION_QUALITY, quality)
    return folder
