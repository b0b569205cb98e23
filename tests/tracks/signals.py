"""The same signal in every format, and small genomes and BAM files, for the tests of tracks."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pybigtools
import pysam

from cisflow.config.places import with_paths
from cisflow.config.tracks import Track
from cisflow.tracks.formats import open_signal
from cisflow.tracks.signal import Assembly, Signal

SIZES = {"chr1": 1000, "chr2": 400}
GENOME = Assembly("toy.fa", SIZES)


def write_bigwig(path: Path, rows, sizes=None) -> Path:
    pybigtools.open(str(path), "w").write(dict(sizes or SIZES), rows)
    return path


def write_bedgraph(path: Path, rows) -> Path:
    path.write_text("".join(f"{c}\t{a}\t{b}\t{v:g}\n" for c, a, b, v in rows))
    return path


def write_bed(path: Path, rows) -> Path:
    """Each row as often as its value says, which must be a whole number."""
    path.write_text("".join(f"{c}\t{a}\t{b}\n" * int(v) for c, a, b, v in rows))
    return path


def segment(header, name, contig, start, cigar, flag=0, quality=60, sequence=None, tags=(), mate=None, length=0):
    read = pysam.AlignedSegment(header)
    read.query_name, read.flag, read.reference_id, read.reference_start = name, flag, contig, start
    read.mapping_quality, read.cigarstring = quality, cigar
    count = sum(n for op, n in read.cigartuples or [(0, 10)] if op in (0, 1, 4))
    read.query_sequence = sequence or "A" * count
    if mate is not None:
        read.next_reference_id, read.next_reference_start, read.template_length = contig, mate, length
    read.set_tags(list(tags))
    return read


def write_bam(path: Path, reads, sizes=None, index=True) -> Path:
    """Write reads: dictionaries of what `segment` takes; contig is a number."""
    sizes = sizes or SIZES
    header = pysam.AlignmentHeader.from_dict(
        {"HD": {"VN": "1.6", "SO": "coordinate"}, "SQ": [{"SN": n, "LN": size} for n, size in sizes.items()]}
    )
    with pysam.AlignmentFile(str(path), "wb", header=header) as file:
        for number, read in enumerate(sorted(reads, key=lambda r: (r["contig"], r["start"]))):
            file.write(segment(header, f"r{number}", **read))
    if index:
        pysam.index(str(path))
    return path


def reads_of(rows, sizes=None):
    """Each row as reads, as many as its value says."""
    names = list(sizes or SIZES)
    return [{"contig": names.index(c), "start": a, "cigar": f"{b - a}M"} for c, a, b, v in rows for _ in range(int(v))]


def random_rows(seed=0, sizes=None, gap=0.4):
    """Spans of whole values with gaps, of all contigs."""
    rng, rows = np.random.default_rng(seed), []
    for chrom, size in (sizes or SIZES).items():
        bounds = np.unique(np.r_[0, rng.integers(1, size, 60), size]).tolist()
        rows += [(chrom, a, b, float(rng.integers(1, 6))) for a, b in pairwise(bounds) if rng.random() > gap]
    return rows


def bases(rows, sizes=None) -> dict[str, np.ndarray]:
    """The value of each base, NaN where there is none."""
    found = {chrom: np.full(size, np.nan) for chrom, size in (sizes or SIZES).items()}
    for chrom, a, b, v in rows:
        found[chrom][a:b] = v
    return found


def settings(file=None, **keys) -> dict:
    """A track as rules hand it on."""
    if file is not None:
        keys["file"] = str(file)
    return with_paths(Track.model_validate(keys), lambda place: place.file)


def opened(path, assembly=GENOME, **keys) -> Signal:
    return open_signal(path, assembly, settings(path, no_data="nan", **keys))


WRITERS = {
    "a.bw": write_bigwig,
    "a.bedGraph": write_bedgraph,
    "a.bed": write_bed,
    "a.bam": lambda path, rows: write_bam(path, reads_of(rows)),
}
