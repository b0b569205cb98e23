"""Labels of windows from peaks against tabix queries, window by window, as Selene does; sequences from a genome;
negatives on a genome of many contigs."""

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pysam

from cisflow.config.places import with_paths
from cisflow.config.windows import Peaks, Windows
from cisflow.datasets.make import make_dataset
from cisflow.io import h5_reader
from cisflow.sequence import encode, one_hot
from cisflow.tracks.genome import Genome, index_genome

CONTIG, SIZE, SITES = "chr{}", 20_000_000, 28_000
LENGTH, LABEL = 1000, 200
# Bases of each contig of a genome of many.
CONTIG_SIZE = 1000


def write_genome(folder: Path) -> Path:
    """Write three contigs of random bases, indexed."""
    rng = np.random.default_rng(1)
    with (folder / "genome.fa").open("w") as file:
        for number in (1, 2, 3):
            letters = np.frombuffer(b"ACGTacgt", np.uint8)[rng.integers(0, 8, SIZE)]
            text = letters.tobytes().decode()
            file.write(f">{CONTIG.format(number)}\n")
            file.writelines(text[at : at + 60] + "\n" for at in range(0, SIZE, 60))
    index_genome(folder / "genome.fa", folder / "genome.fa.gz")
    return folder / "genome.fa.gz"


def write_peaks(folder: Path, endpoints: int, peaks: int) -> list[Path]:
    """Write files of peaks of 150 to 600 bp near shared sites, as marks of regulatory regions are."""
    rng = np.random.default_rng(2)
    contig, site = rng.integers(1, 4, SITES), rng.integers(5000, SIZE - 5000, SITES)
    paths = []
    for number in range(endpoints):
        chosen = np.sort(rng.choice(SITES, peaks, replace=False))
        start = site[chosen] + rng.integers(-150, 150, peaks)
        end = start + rng.integers(150, 600, peaks)
        rows = sorted(zip(contig[chosen].tolist(), start.tolist(), end.tolist(), strict=True))
        paths.append(folder / f"{number}.bed")
        paths[-1].write_text("".join(f"chr{c}\t{a}\t{b}\n" for c, a, b in rows))
    return paths


def merged_file(folder: Path, paths: list[Path]) -> Path:
    """Write all peaks with the number of their endpoint as one file with a tabix index, Selene's form."""
    rows = [(*line.split("\t"), n) for n, path in enumerate(paths) for line in path.read_text().splitlines()]
    rows.sort(key=lambda row: (row[0], int(row[1])))
    plain = folder / "all.bed"
    plain.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))
    pysam.tabix_compress(str(plain), str(plain) + ".gz")
    pysam.tabix_index(str(plain) + ".gz", preset="bed")
    return Path(f"{plain}.gz")


def tabix_labels(path: Path, places: list[tuple[str, int]], endpoints: int) -> np.ndarray:
    """Return labels by one query a window, marking the bases of each endpoint."""
    found = np.zeros((len(places), endpoints), np.float32)
    with pysam.TabixFile(str(path)) as file:
        for row, (chrom, start) in enumerate(places):
            marks = np.zeros((endpoints, LABEL), bool)
            for line in file.fetch(chrom, start, start + LABEL):
                _, a, b, number = line.split("\t")
                marks[int(number), max(int(a) - start, 0) : int(b) - start] = True
            found[row] = marks.sum(axis=1) >= LABEL / 2
    return found


def timed(work: Callable[[], object], repeats: int) -> tuple[list[float], object]:
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - started)
    return times, result


def said(times: list[float], digits: int = 1) -> str:
    low, middle, high = min(times), statistics.median(times), max(times)
    return f"{middle:.{digits}f} s ({low:.{digits}f} to {high:.{digits}f})"


def labels(folder: Path, genome: Path, args: argparse.Namespace) -> None:
    paths = write_peaks(folder, args.endpoints, args.peaks)
    endpoints = [{"file": str(path), "factor": "CTCF", "biosample": f"b{n}"} for n, path in enumerate(paths)]
    model = Peaks(kind="peaks", genome=str(genome), endpoints=endpoints, split={"valid": ["chr2"], "test": ["chr3"]})
    spec = with_paths(model, lambda place: place.file)
    out = folder / "dataset.h5"
    ours, rows = timed(lambda: make_dataset(spec, [], out), args.repeats)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    tabix = merged_file(folder, paths)
    with h5_reader(out, "dataset/1") as h5:
        chosen = np.sort(np.random.default_rng(3).choice(len(h5["train/id"]), args.peer_rows, replace=False))
        ids, y = h5["train/id"][:].astype(str)[chosen], h5["train/y"][:][chosen]
    middle = (LENGTH - LABEL) // 2
    places = [(name.split(":")[0], int(name.split(":")[1].split("-")[0]) + middle) for name in ids.tolist()]
    peer, found = timed(lambda: tabix_labels(tabix, places, args.endpoints), 1)
    assert np.array_equal(found, y), "labels differ"
    count = sum(rows.values())
    whole = peer[0] * count / args.peer_rows
    ratio = whole / statistics.median(ours)
    print(f"{args.endpoints:,} endpoints of {args.peaks:,} peaks, {count:,} windows; peak memory {memory:.2f} GB")
    print(f"{args.peer_rows:,} rows agree")
    print(f"| cisflow: files to data set, sequences too | {said(ours)} | {ratio:.0f} |")
    print(f"| tabix: labels alone, files already sorted and indexed | {whole:.1f} s | 1 |")


def sequences(genome: Path, what: str, start: np.ndarray, repeats: int) -> None:
    chrom = np.full(len(start), "chr1")
    blocks = [slice(at, at + 4096) for at in range(0, len(start), 4096)]
    with Genome(genome) as file:
        ours, _ = timed(lambda: [file.encode(chrom[b], start[b], LENGTH) for b in blocks], repeats)
        hot, _ = timed(lambda: [one_hot(file.encode(chrom[b], start[b], LENGTH), np.uint8) for b in blocks], repeats)
    with pysam.FastaFile(str(genome)) as file:
        peer, _ = timed(lambda: [encode(file.fetch("chr1", a, a + LENGTH)) for a in start.tolist()], repeats)
    speeds = [len(start) * LENGTH * 60 / statistics.median(times) / 1e9 for times in (ours, hot, peer)]
    print(f"| {what} | {speeds[0]:.1f} | {speeds[1]:.1f} | {speeds[2]:.1f} | {speeds[0] / speeds[2]:.1f} |")


def contigs(folder: Path, count: int, args: argparse.Namespace) -> float:
    """Print how long a set with negatives takes on a genome of so many contigs, every second with a positive."""
    genome, bed = folder / f"{count}.fa", folder / f"{count}.bed"
    rng = np.random.default_rng(4)
    with genome.open("w") as file:
        for number in range(count):
            letters = np.frombuffer(b"ACGT", np.uint8)[rng.integers(0, 4, CONTIG_SIZE)]
            file.write(f">c{number}\n{letters.tobytes().decode()}\n")
    bed.write_text("".join(f"c{number}\t0\t{LABEL}\n" for number in range(0, count, 2)))
    index_genome(genome, folder / f"{count}.fa.gz")
    model = Windows(
        kind="windows", genome=str(folder / f"{count}.fa.gz"), length=LABEL, sets=[{"bed": str(bed), "target": 1}],
        split={"valid": [f"c{n}" for n in range(0, count, 20)], "test": [f"c{n}" for n in range(10, count, 20)]},
        negatives={"ratio": 1, "match": ["gc"], "distance": 0},
    )  # fmt: skip
    spec = with_paths(model, lambda place: place.file)
    times, rows = timed(lambda: make_dataset(spec, [], folder / "contigs.h5"), args.repeats)
    print(f"| {count:,} | {sum(rows.values()):,} | {said(times)} |")
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoints", type=int, default=1000)
    parser.add_argument("--peaks", type=int, default=3000)
    parser.add_argument("--peer-rows", type=int, default=2000, help="windows for tabix, whose time is scaled up")
    parser.add_argument("--contigs", type=int, nargs="+", default=[20_000, 200_000])
    parser.add_argument("--only", choices=("contigs",), help="leave out the rest")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if args.only is None:
            genome = write_genome(folder)
            print(f"| {LENGTH:,} bp | base indices, GB a minute | one-hot too | fetch and encode | ratio |")
            print("|---|---|---|---|---|")
            sequences(genome, "every 450 bp", np.arange(40_000) * 450, args.repeats)
            sequences(genome, "at random", np.random.default_rng(4).integers(0, SIZE - LENGTH, 10_000), args.repeats)
            labels(folder, genome, args)
        print("| contigs | rows | time |\n|---|---|---|")
        times = [contigs(folder, count, args) for count in args.contigs]
        ratio = (times[-1] / args.contigs[-1]) / (times[0] / args.contigs[0])
        print(f"time a contig, of the most against the fewest: {ratio:.2f} (1 is linear)")


if __name__ == "__main__":
    main()
