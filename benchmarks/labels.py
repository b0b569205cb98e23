"""Peak memory and time of a data set of signal: regions, tracks, matrix, and sequences with labels for bins."""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from binning import MEASURE, SIZE, write_bigwig
from cisflow.sequence import decode

LENGTH, CROP, WIDTH = 131_072, 8192, 128
STEP = """
import sys, time
from pathlib import Path
from cisflow.config.matrix import Matrix
from cisflow.config.places import with_paths
from cisflow.datasets.make import make_dataset
from cisflow.datasets.regions import make_regions
from cisflow.tables import write_table
from cisflow.tracks.genome import Genome, index_genome
from cisflow.tracks.matrix import bin_track, gather

step, folder, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
genome, regions, matrix = (folder / name for name in ("g/g.fa.gz", "regions.tsv", "tracks.h5"))
tracks = {f"track-{n}": {"file": str(folder / "a.bw"), "no_data": "mask"} for n in range(count)}
settings = {"bed": {"file": str(folder / "r.bed")}, "window": "input", "split": {"column": 3}}
spec = with_paths(Matrix(kind="matrix", genome={"file": str(genome)}, regions=settings, length=131072, crop=8192,
    bin=128, labels="bins", tracks=tracks, edges="fail"), lambda place: place.file)
if step == "index":
    index_genome(folder / "g.fa", genome)
elif step == "tracks":
    with Genome(genome) as fasta:
        sizes = dict(fasta.sizes)
        table, account = make_regions(spec, sizes, "g.fa")
    write_table(regions, table)
    account.write(folder / "regions.accounting.tsv")
    shards = {name: [folder / name / f"{shard}.h5" for shard in range(4)] for name in tracks}
    for name, outs in shards.items():
        for shard, out in enumerate(outs):
            bin_track(regions, name, spec["tracks"][name], sizes, "g.fa", 128, shard, 4, out, out.with_suffix(".tsv"))
    gather(regions, shards, {}, matrix)
else:
    inputs = [genome, regions, folder / "regions.accounting.tsv", matrix]
    make_dataset(spec, list(map(str, inputs)), folder / "dataset.h5")
"""


def measured(step: str, folder: Path, tracks: int) -> float:
    command = [sys.executable, "-c", MEASURE, sys.executable, "-c", STEP, step, str(folder), str(tracks)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout) / 1e6


def write_regions(path: Path, count: int) -> None:
    starts = np.random.default_rng(2).choice((SIZE - LENGTH) // 100, count, replace=False) * 100
    splits = np.where(np.arange(count) % 10 == 0, "valid", np.where(np.arange(count) % 10 == 1, "test", "train"))
    path.write_text("".join(f"chr1\t{s}\t{s + LENGTH}\t{split}\n" for s, split in zip(starts, splits, strict=True)))


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--regions", type=int, nargs="+", default=[500, 2000])
    flags.add_argument("--tracks", type=int, default=18)
    args = flags.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_bigwig(folder / "a.bw")
        letters = decode(np.random.default_rng(3).integers(0, 4, SIZE, dtype=np.uint8))
        lines = "\n".join(letters[n : n + 60] for n in range(0, SIZE, 60))
        (folder / "g.fa").write_text(f">chr1\n{lines}\n")
        print(f"index of a genome of {SIZE / 1e6:.0f} Mb: {measured('index', folder, args.tracks):,.0f} MB")
        print("| regions | tracks | binning, gathering | data set | dataset.h5 |\n|---|---|---|---|---|")
        for count in args.regions:
            write_regions(folder / "r.bed", count)
            peaks = [measured(step, folder, args.tracks) for step in ("tracks", "dataset")]
            disk = (folder / "dataset.h5").stat().st_size / 1e6
            print(
                f"| {count:,} | {args.tracks} | {peaks[0]:,.0f} MB | {peaks[1]:,.0f} MB | {disk:,.0f} MB |", flush=True
            )


if __name__ == "__main__":
    main()
