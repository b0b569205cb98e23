"""The data set of Task 1, for the benchmarks."""

from pathlib import Path

from cisflow.config.project import load_project
from cisflow.datasets.make import make_dataset
from cisflow.sources.jaspar import export


def task1(folder: Path) -> Path:
    """Make the data set of Task 1 in a folder and return its path."""
    counts = folder / "motifs.jaspar"
    if not counts.exists():
        export("JASPAR2016", "CORE", "vertebrates", counts, folder / "motifs.meme")
    spec = load_project("config/config.yaml").task("task1").dataset.model_dump()
    make_dataset(spec, [str(counts)], folder / "dataset.h5")
    return folder / "dataset.h5"
