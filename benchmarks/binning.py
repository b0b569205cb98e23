"""Binning of windows of a BigWig file against pyBigWig and a bare pybigtools loop, and the memory of a matrix."""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pybigtools
import pyBigWig

from cisflow.config.tracks import Track
from cisflow.tracks.binning import Source

LENGTH, WIDTH = 131_072, 128
BINS = LENGTH // WIDTH
SIZE = 50_000_000
# Counts the memory of its one child.
MEASURE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
"""
BUILD = """
import sys
from pathlib import Path
from cisflow.config.tracks import Track
from cisflow.tracks.matrix import bin_track, gather
bigwig, folder, (size, tracks) = sys.argv[1], Path(sys.argv[2]), map(int, sys.argv[3:5])
regions = folder / "regions.tsv"
track = Track(file=bigwig, no_data="nan").model_dump() | {"file": bigwig}
shards = {}
for name in (f"track-{n}" for n in range(tracks)):
    shards[name] = [folder / name / f"{shard}.h5" for shard in range(4)]
    for shard, out in enumerate(shards[name]):
        bin_track(regions, name, track, {"chr1": size}, "toy", 128, shard, 4, out, out.with_suffix(".tsv"))
gather(regions, shards, {}, folder / "tracks.h5")
"""


def write_bigwig(path: Path) -> None:
    """1.25 million intervals of 40 bases with random values, a tenth of them left out."""
    rng = np.random.default_rng(0)
    start = np.arange(0, SIZE, 40)[rng.random(SIZE // 40) > 0.1]
    value = rng.gamma(1, 2, len(start)).astype(np.float32)
    with pyBigWig.open(str(path), "w") as file:
        file.addHeader([("chr1", SIZE)])
        file.addEntries(["chr1"] * len(start), start, ends=start + 40, values=value)


def timed(work: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    # Of the processor, so that other programs on the machine count less.
    started = time.process_time()
    found = work()
    return time.process_time() - started, found


def speed(path: Path, windows: int, sample: int, repeats: int) -> None:
    starts = np.random.default_rng(1).integers(0, SIZE - LENGTH, windows)
    track = Track(file=str(path), no_data="nan").model_dump() | {"file": str(path)}
    bare_file, peer = pybigtools.open(str(path)), pyBigWig.open(str(path))

    def ours() -> np.ndarray:
        with Source(track, {"chr1": SIZE}, "toy") as source:
            contig = np.zeros(windows, np.int64)
            parts = [source.bins(contig[n : n + 256], starts[n : n + 256], BINS, WIDTH) for n in range(0, windows, 256)]
        return np.concatenate([values for values, _ in parts])

    def bare() -> np.ndarray:
        return np.stack([
            bare_file.values("chr1", start, start + LENGTH, bins=BINS, summary="mean", exact=True, fillna=None)
            for start in starts.tolist()
        ]).astype(np.float32)  # fmt: skip

    def exact() -> np.ndarray:
        return np.array([
            peer.stats("chr1", start, start + LENGTH, nBins=BINS, exact=True) for start in starts[:sample].tolist()
        ], np.float32)  # fmt: skip

    rounds = [(timed(ours), timed(bare)) for _ in range(repeats)]
    took, wanted = timed(exact)
    np.testing.assert_allclose(rounds[0][0][1][:sample], wanted, rtol=1e-5)
    np.testing.assert_array_equal(rounds[0][0][1], rounds[0][1][1])
    own, other = ([pair[side][0] for pair in rounds] for side in (0, 1))
    ratio = statistics.median(a / b for a, b in zip(own, other, strict=True))
    print(f"{windows:,} windows of {LENGTH:,} bp in bins of {WIDTH}; pyBigWig on {sample} of them, scaled by windows")
    print("| side | seconds of the processor | times as long as cisflow |\n|---|---|---|")
    for side, times, than in (("cisflow", own, 1), ("pybigtools, bare", other, 1 / ratio)):
        print(f"| {side} | {statistics.median(times):.2f} ({min(times):.2f} to {max(times):.2f}) | {than:.2f} |")
    scaled = took * windows / sample
    print(f"| pyBigWig, `stats(exact=True)` | {scaled:.0f} | {scaled / statistics.median(own):.0f} |", flush=True)


def memory(path: Path, regions: int, tracks: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        starts = np.random.default_rng(2).integers(0, SIZE - 896 * WIDTH, regions)
        rows = (f"chr1\t{start}\t{start + 896 * WIDTH}\ttrain\n" for start in starts.tolist())
        (folder / "regions.tsv").write_text("chrom\tstart\tend\tsplit\n" + "".join(rows))
        started = time.perf_counter()
        command = [sys.executable, "-c", BUILD, path, folder, SIZE, tracks]
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, *map(str, command)], check=True, capture_output=True, text=True
        )
        took, disk = time.perf_counter() - started, sum(file.stat().st_size for file in folder.rglob("*.h5"))
    print(
        f"| {regions:,} | {tracks} | {float(done.stdout) / 1e6:,.0f} MB | {took:.0f} | {disk / 1e6:,.0f} MB |",
        flush=True,
    )


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--windows", type=int, default=2000)
    flags.add_argument("--sample", type=int, default=20, help="windows for pyBigWig")
    flags.add_argument("--repeats", type=int, default=5)
    flags.add_argument("--regions", type=int, nargs="*", default=[500, 2000, 8000], help="of the matrices")
    flags.add_argument("--tracks", type=int, default=2)
    args = flags.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.bw"
        write_bigwig(path)
        speed(path, args.windows, args.sample, args.repeats)
        print("| regions | tracks | peak memory | seconds | on disk |\n|---|---|---|---|---|")
        for regions in args.regions:
            memory(path, regions, args.tracks)


if __name__ == "__main__":
    main()
