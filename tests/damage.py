"""Files damaged at random, each read by the reader that rules use, in a process of its own: see test_damage.py.

    python -m tests.damage FOLDER SEED COUNT [CASE ...]

It prints a line before each read, so that its end tells which file ended the process, and a line after it.
"""

import gzip
import random
import resource
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cisflow.datasets.fasta import read_letters
from cisflow.datasets.tfrecord import read_records, window_of
from cisflow.errors import CisflowError
from cisflow.tracks.binning import Source
from cisflow.tracks.chains import read_chains
from cisflow.tracks.genome import Genome, index_genome
from cisflow.tracks.intervals import NARROW_PEAK, read_intervals
from tests.datasets.test_tfrecord import LAYOUTS, SHAPE
from tests.datasets.test_tfrecord import rows as tfrecord_rows
from tests.datasets.test_tfrecord import write as write_tfrecords
from tests.limits import LIMIT
from tests.tracks.signals import SIZES, random_rows, reads_of, settings, write_bam, write_bedgraph, write_bigwig
from tests.tracks.test_liftover import random_chains

# No reader of these small files needs as much; one that asks for it would end many machines.
MEMORY = 4 << 30


@dataclass(frozen=True)
class Case:
    """A file that is damaged: its name and bytes; files beside it; the reader; whether damage is always to be seen."""

    name: str
    data: bytes
    read: Callable[[Path], object]
    beside: dict[str, bytes]
    sealed: bool
    damaged: str = ""


def signal_of(path: Path) -> list:
    """Return the bins of all contigs, what is not measured as text."""
    with Source(settings(path, no_data="nan"), SIZES, "toy.fa") as source:
        return [source.bins(np.array([n]), np.array([0]), size // 10, 10)[0].tolist().__repr__()
                for n, size in enumerate(SIZES.values())]  # fmt: skip


def genome_of(path: Path) -> list:
    """Return the letters of all contigs."""
    index_genome(path, path.parent / "out" / "g.fa.gz")
    with Genome(path.parent / "out" / "g.fa.gz") as genome:
        return [genome.letters(np.array([name]), np.array([0]), n).tobytes() for name, n in genome.sizes.items()]


def windows_of(path: Path) -> list:
    """Return the labels of all records."""
    return [window_of(record, SHAPE, str(path)).y.tolist() for record in read_records(path)]


def cases(folder: Path, rng: random.Random) -> dict[str, Case]:
    """Make the sound files."""
    rows = random_rows(3)
    bigwig, bedgraph = write_bigwig(folder / "a.bw", rows).read_bytes(), write_bedgraph(folder / "b", rows).read_bytes()
    write_bam(folder / "a.bam", reads_of(rows))
    bam, bai = (folder / "a.bam").read_bytes(), (folder / "a.bam.bai").read_bytes()
    bed = "".join(f"chr{n % 2 + 1}\t{a}\t{a + 9}\tp{n}\t0\t+\t{a / 7}\t1\t1\t{n % 9}\n"
        for n, a in enumerate(rng.choices(range(300), k=300))).encode()  # fmt: skip
    genome = "".join(f">{name}\n" + "".join("".join(rng.choices("ACGTacgtN", k=50)) + "\n" for _ in range(size // 50))
        for name, size in SIZES.items()).encode()  # fmt: skip
    records = b"".join(b">s%d\n%s\n" % (n, bytes(rng.choices(b"ACGT", k=50))) for n in range(40))
    chain = "".join(random_chains(np.random.default_rng(1))).encode()
    plain = {
        "bedGraph": ("a.bedGraph", bedgraph, signal_of),
        "narrowPeak": ("a.narrowPeak", bed, lambda path: read_intervals(path, NARROW_PEAK).rows()),
        "genome": ("g.fa", genome, genome_of),
        "FASTA": ("r.fa", records, lambda path: read_letters(path)[1].tobytes()),
        "chain": (
            "a.chain",
            chain,
            lambda path: [c.tolist() for c in (read_chains(path).start, read_chains(path).anchor)],
        ),
    }
    records = [LAYOUTS["newer"](*row) for row in zip(*tfrecord_rows(1), strict=True)]
    record = write_tfrecords(folder / "b.tfr", records).read_bytes()
    zipped = {f"{key}.gz": Case(f"{name}.gz", gzip.compress(data, mtime=0), read, {}, True)
        for key, (name, data, read) in plain.items()}  # fmt: skip
    return {
        "BigWig": Case("a.bw", bigwig, signal_of, {}, False),
        "BAM": Case("a.bam", bam, signal_of, {"a.bam.bai": bai}, True),
        "TFRecord": Case("a.tfr", record, windows_of, {}, True),
        "BAM index": Case("a.bam", bam, signal_of, {"a.bam.bai": bai}, False, "a.bam.bai"),
        **{key: Case(name, data, read, {}, False) for key, (name, data, read) in plain.items()},
        **zipped,
    }


def damage(data: bytes, rng: random.Random) -> tuple[str, bytes]:
    """Return how and what: cut short, bits turned, bytes overwritten, or bytes taken out."""
    how, at = rng.choice(["cut", "flip", "noise", "gap"]), rng.randrange(len(data))
    found = bytearray(data)
    if how == "cut":
        del found[at:]
    elif how == "flip":
        for _ in range(rng.randrange(1, 4)):
            found[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif how == "noise":
        end = min(at + rng.randrange(1, 60), len(data))
        found[at:end] = rng.randbytes(end - at)
    else:
        del found[at : at + rng.randrange(1, 30)]
    return f"{how} at {at}", bytes(found)


def outcome(case: Case, folder: Path, data: bytes, whole: object) -> str:
    """Read a damaged file; return 'refused', 'as whole', 'other' or, of a defect, 'WRONG' and why."""
    for name, content in {case.name: case.data, **case.beside, case.damaged or case.name: data}.items():
        (folder / name).write_bytes(content)
    signal.alarm(LIMIT)
    try:
        found = case.read(folder / case.name)
    except CisflowError as error:
        named = any(str(folder / name) in str(error) for name in (case.name, *case.beside))
        return "refused" if named else f"WRONG: no file is named: {error}"
    except BaseException as error:
        return f"WRONG: {type(error).__name__}: {error}"
    finally:
        signal.alarm(0)
    if found == whole:
        return "as whole"
    return "WRONG: other values" if case.sealed else "other"


def main(folder: Path, seed: int, count: int, only: list[str]) -> None:
    """Read so many damaged files of each case."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    rng = random.Random(seed)
    for key, case in cases(folder, rng).items():
        if only and key not in only:
            continue
        for name, content in {case.name: case.data, **case.beside}.items():
            (folder / name).write_bytes(content)
        whole = case.read(folder / case.name)
        sound = case.beside.get(case.damaged, case.data)
        for _ in range(count):
            how, data = damage(sound, rng)
            if data == sound:
                continue
            shutil.rmtree(folder / "out", ignore_errors=True)
            (folder / "last").write_bytes(data)
            print(f"{key}: {how}:", end=" ", flush=True)
            found = outcome(case, folder, data, whole)
            print(found.splitlines()[0], flush=True)
            if found.startswith(("WRONG", "other")):
                (folder / f"kept-{key.replace(' ', '_')}-{how.replace(' ', '_')}").write_bytes(data)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
