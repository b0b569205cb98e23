"""A genome and data sets of windows that tests make."""

import csv
from pathlib import Path

import numpy as np

from cisflow.config.places import with_paths
from cisflow.config.windows import Peaks, Windows
from cisflow.datasets.make import make_dataset
from cisflow.datasets.store import Split
from cisflow.io import h5_reader
from cisflow.tracks.genome import index_genome

SPLITS = ("train", "valid", "test")
SIZES = {"chr1": 6030, "chr2": 4000, "chr3": 3001, "chr4": 777}
BY_CHROMOSOME = {"valid": ["chr2"], "test": ["chr3"]}


def make_genome(folder: Path, sizes: dict[str, int] = SIZES, seed: int = 0) -> dict[str, str]:
    """Write genome.fa.gz, with indices; return its letters. GC content and soft-masked stretches vary along it."""
    rng = np.random.default_rng(seed)
    contigs = {}
    for name, size in sizes.items():
        gc = np.repeat(rng.uniform(0.2, 0.8, size // 300 + 1), 300)[:size]
        strong, second = rng.random(size) < gc, rng.random(size) < 0.5
        letters = np.where(strong, np.where(second, "G", "C"), np.where(second, "A", "T"))
        masked = np.repeat(rng.random(size // 100 + 1) < 0.4, 100)[:size]
        contigs[name] = "".join(np.where(masked, np.char.lower(letters), letters))
    (folder / "genome.fa").write_text("".join(f">{name}\n{text}\n" for name, text in contigs.items()))
    index_genome(folder / "genome.fa", folder / "genome.fa.gz")
    return contigs


def write_bed(path: Path, rows: list) -> str:
    """Write rows as a BED file, and return its path."""
    path.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))
    return str(path)


def made(folder: Path, settings: dict) -> dict[str, Split]:
    """Make a data set as a task with these settings would, in a folder with a genome, and return what is in it."""
    model = {"windows": Windows, "peaks": Peaks}[settings["kind"]]
    spec = with_paths(model(**settings), lambda place: place.file)
    make_dataset(spec, [], folder / "out" / "dataset.h5")
    with h5_reader(folder / "out" / "dataset.h5", "dataset/1") as h5:
        return {
            name: Split(*(h5[name][key][:] if key in h5[name] else None for key in ("x", "y", "id", "mask")))
            for name in SPLITS
        }


def table(folder: Path, name: str) -> list[dict[str, str]]:
    """Return a table beside the data set."""
    with (folder / "out" / f"dataset.{name}.tsv").open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


def account(folder: Path, unit: str = "windows") -> dict[str, int]:
    """Return the account of a unit: signed rows by step and reason, all inputs together."""
    found: dict[str, int] = {}
    for row in table(folder, "accounting"):
        if row["unit"] == unit:
            key = f"{row['step']}:{row['reason']}".rstrip(":")
            found[key] = found.get(key, 0) + int(row["rows"])
    return found


def quality(folder: Path, target: str) -> dict[tuple[str, str], float]:
    """Return what the table of quality has of a target, by split and quantity."""
    return {(r["split"], r["quantity"]): float(r["value"]) for r in table(folder, "quality") if r["target"] == target}
