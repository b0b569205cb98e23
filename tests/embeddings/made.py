"""A small genome, a small Basenji2 with random weights, and windows; for the tests of embeddings."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch
from tests.basenji import SMALL, random_basenji
from tests.datasets.genomes import make_genome

from cisflow.embeddings.embed import How, Kept, about_of, embed_shard, load_model
from cisflow.embeddings.keras import write_keras
from cisflow.embeddings.windows import windows_of_task
from cisflow.models.basenji import Basenji
from cisflow.models.convnet import one_hot
from cisflow.sequence import encode
from cisflow.tables import write_table
from cisflow.tracks.genome import Genome

SIZES = {"chr1": 16_000, "chr2": 9000}
LENGTH, CROP = 4096, 64
BINS, CHANNELS = 248, 24
# The first reaches beyond the beginning of its contig, the last beyond the end.
STARTS = [("chr1", -64), ("chr1", 100), ("chr1", 5000), ("chr2", 0), ("chr2", 3000), ("chr2", 7000)]
SPLITS = ["train", "train", "train", "valid", "valid", "test"]


@dataclass
class Made:
    """Files in a folder, and what a direct call of the model gives for its windows."""

    folder: Path
    letters: dict[str, str]
    model: Basenji

    @property
    def genome(self) -> Path:
        return self.folder / "genome.fa.gz"

    @property
    def sizes(self) -> dict[str, int]:
        with Genome(self.genome) as genome:
            return dict(genome.sizes)

    def x(self, places=None) -> torch.Tensor:
        """One-hot windows; N beyond the contig."""
        rows = []
        for chrom, start in places or STARTS:
            text = "N" * LENGTH + self.letters[chrom] + "N" * LENGTH
            rows.append(encode(text[start + LENGTH : start + 2 * LENGTH]))
        return one_hot(torch.from_numpy(np.stack(rows)))

    def embeddings(self, places=None) -> np.ndarray:
        with torch.no_grad():
            return self.model.embed(self.x(places)).numpy()

    def shards(
        self, count: int, name: str = "e", how: How | None = None, kept: Kept | None = None, **files
    ) -> list[Path]:
        """Write shards as the rule does, and return their paths."""
        how, kept = how or How(batch=2, device="cpu"), kept or Kept()
        weights, params = files.get("weights", self.folder / "small.h5"), self.folder / "small.json"
        model = load_model(weights, params, files.get("gelu", "auto"), how)
        regions = files.get("regions", self.folder / "regions.tsv")
        windows = windows_of_task(regions, model, self.sizes)
        about = about_of(model, how, kept, weights, params, self.genome, regions)
        paths = [self.folder / name / f"{shard}.h5" for shard in range(count)]
        for shard, path in enumerate(paths):
            embed_shard(model, self.genome, windows, about, how, kept, shard, count, path)
        return paths


def make(folder: Path, gelu: str = "tanh") -> Made:
    """Write genome, weights, settings and regions."""
    letters = make_genome(folder, SIZES)
    model = random_basenji(gelu)
    write_keras(folder / "small.h5", model)
    (folder / "small.json").write_text(json.dumps({"model": SMALL}))
    write_regions(folder / "regions.tsv", STARTS, SPLITS)
    return Made(folder, letters, model)


def write_regions(path: Path, places, splits) -> None:
    """Write a table as make_regions does."""
    start = np.array([at for _, at in places])
    table = {"chrom": [chrom for chrom, _ in places], "start": start + CROP, "end": start + LENGTH - CROP}
    table |= {"split": splits, "input_start": start, "input_end": start + LENGTH}
    write_table(path, pl.DataFrame(table))
