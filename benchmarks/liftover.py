"""Liftover of random points and intervals against pyliftover, on the same chains in one run."""

import argparse
import gzip
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pyliftover import LiftOver

from cisflow.tracks.chains import read_chains
from cisflow.tracks.liftover import contig_codes, lift_intervals, lift_points

WIDTH = 200


def write_chains(path: Path, contigs: int = 5, blocks: int = 20_000) -> None:
    """Write a chain for each contig, every second one to the minus strand: blocks of 1,500 bases on average."""
    rng = np.random.default_rng(1)
    with gzip.open(path, "wt") as file:
        for contig in range(contigs):
            table = np.c_[rng.integers(1, 3000, blocks), rng.integers(0, 60, (blocks, 2))]
            here, there = table[:, :2].sum() - table[-1, 1], table[:, ::2].sum() - table[-1, 2]
            strand = "+-"[contig % 2]
            file.write(f"chain {9 - contig} chr{contig} {here} + 0 {here} to{contig} {there} {strand} 0 {there} 1\n")
            file.writelines("\t".join(map(str, row)) + "\n" for row in table[:-1].tolist())
            file.write(f"{table[-1, 0]}\n\n")


def timed(work: Callable[[], object], repeats: int) -> tuple[list[float], object]:
    found = []
    for _ in range(repeats):
        started = time.perf_counter()
        result = work()
        found.append(time.perf_counter() - started)
    return found, result


def row(what: str, ours: list[float], peer: list[float], count: int, sample: int) -> str:
    median, other = statistics.median(ours), statistics.median(peer) * count / sample
    spread = f"{median:.2f} s ({min(ours):.2f} to {max(ours):.2f})"
    return f"| {what} | {spread} | {other:.2f} s | {other / median:.0f} |"


def agree(ours, peer: list, chains, names: list[str]) -> None:
    """Stop if a point differs from pyliftover's."""
    targets = list(chains.targets)
    for n in range(len(peer)):
        wanted = peer[n][0][:2] if peer[n] else None
        found = (targets[ours.contig[n]], ours.start[n]) if ours.strand[n] else None
        assert found == wanted, (names[n], found, wanted)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--peer-rows", type=int, help="rows for pyliftover, whose time is scaled up; default: all")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--chain", type=Path, help="a real chain file; default: 100,000 synthetic blocks")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = args.chain or Path(folder) / "a.chain.gz"
        if args.chain is None:
            write_chains(path)
        loading, chains = timed(lambda: read_chains(path), 3)
        peer_loading, peer = timed(lambda: LiftOver(str(path)), 1)
    rng = np.random.default_rng(2)
    sizes = np.array(list(chains.sources.values()), float)
    contig = rng.choice(len(sizes), args.rows, p=sizes / sizes.sum())
    start = (rng.random(args.rows) * (sizes[contig] - WIDTH)).astype(int)
    names = np.array(list(chains.sources))[contig].tolist()
    sample = args.peer_rows or args.rows
    pairs = list(zip(names[:sample], start[:sample].tolist(), strict=True))
    lift_points(chains, contig[:1], start[:1])
    points, found = timed(lambda: lift_points(chains, contig_codes(chains, names), start), args.repeats)
    peer_points, wanted = timed(lambda: [peer.convert_coordinate(*pair) for pair in pairs], 1)
    agree(found, wanted, chains, names)
    intervals, _ = timed(
        lambda: lift_intervals(chains, contig_codes(chains, names), start, start + WIDTH), args.repeats
    )
    peer_ends, _ = timed(
        lambda: [(peer.convert_coordinate(n, x), peer.convert_coordinate(n, x + WIDTH - 1)) for n, x in pairs], 1
    )
    print(f"{args.rows:,} rows, {len(chains.start):,} blocks; pyliftover timed on {sample:,} rows; points agree")
    print("| what | cisflow | pyliftover | times as fast |\n|---|---|---|---|")
    print(row("reading the chains", loading, peer_loading, 1, 1))
    print(row("points", points, peer_points, args.rows, sample))
    print(row(f"intervals of {WIDTH} bp (pyliftover: both ends)", intervals, peer_ends, args.rows, sample))


if __name__ == "__main__":
    main()
