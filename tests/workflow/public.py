"""A small genome, and what a portal has of it: peaks, signal and reads, as ENCODE describes them; all made here."""

import gzip
from pathlib import Path

import numpy as np

from tests.portal import Portal, experiment, file
from tests.tracks.signals import write_bam, write_bigwig

SIZES = {"chr1": 40_100, "chr2": 15_000, "chr3": 16_050}
ASSEMBLY = "mini1"
Peaks = list[tuple[str, int, int]]


def write_genome(path: Path) -> dict[str, str]:
    """Write a FASTA file; return its letters. chr1 begins with 900 N."""
    rng = np.random.default_rng(1)
    letters = {name: "".join(rng.choice(list("ACGT"), size)) for name, size in SIZES.items()}
    letters["chr1"] = "N" * 900 + letters["chr1"][900:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f">{name}\n{text}\n" for name, text in letters.items()))
    return letters


def peaks(seed: int, count: int = 40) -> Peaks:
    """Return peaks of 40 to 600 bases anywhere; some overlap, and every tenth is on a contig that the genome lacks."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        chrom = "chrUn_1" if number % 10 == 9 else str(rng.choice(list(SIZES)))
        length = int(rng.integers(40, 600))
        start = int(rng.integers(0, SIZES.get(chrom, 5000) - length))
        found.append((chrom, start, start + length))
    return found


def bed(rows: Peaks) -> bytes:
    """Return peaks as a gzipped narrowPeak file."""
    text = "".join(f"{c}\t{a}\t{b}\tpeak{n}\t1000\t.\t5.0\t3.0\t2.0\t20\n" for n, (c, a, b) in enumerate(rows))
    return gzip.compress(text.encode(), mtime=0)


# Places where rules meet their limits: a sequence of N, half a bin and a base less, a bin that the contig's end cuts.
LIMITS = [("chr1", 380, 820), ("chr2", 5000, 5100), ("chr2", 6000, 6099), ("chr1", 39_900, 40_100), ("chr3", 10, 300)]
AT_ENCODE = {
    "ENCFF001AAA": peaks(1) + LIMITS, "ENCFF002AAA": peaks(2), "ENCFF011AAA": peaks(11),
    "ENCFF012AAA": peaks(12) + peaks(11)[:15], "ENCFF021AAA": peaks(21), "ENCFF031AAA": peaks(31),
}  # fmt: skip
MINE, ELSEWHERE = peaks(51), [*peaks(41), ("chr2", 20, 150)]
BLACKLIST = [("chr1", 9000, 9500), ("chr2", 0, 100)]
SPANS = [
    (chrom, at, at + 70, float(value))
    for chrom, size in SIZES.items()
    for at, value in zip(range(0, size - 500, 90), np.random.default_rng(5).integers(1, 9, 1000), strict=False)
]
READS = [
    {"contig": int(contig), "start": int(start), "cigar": "50M"}
    for contig, start in np.random.default_rng(6).integers((0, 0), (3, 14_000), (900, 2))
]


def fill(portal: Portal, folder: Path) -> None:
    """Give a portal its experiments and their files; `folder` is where binary files are made."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = {f"{accession}.bed.gz": bed(rows) for accession, rows in AT_ENCODE.items()}
    contents["ENCFF004AAA.bigWig"] = write_bigwig(folder / "a.bigWig", SPANS, SIZES).read_bytes()
    contents["ENCFF003AAA.bam"] = write_bam(folder / "a.bam", READS, SIZES, index=False).read_bytes()
    contents["elsewhere.bed.gz"] = bed(ELSEWHERE)
    portal.contents = contents

    def of(accession: str, kind: str = "bed narrowPeak", **changes) -> dict:
        name = f"{accession}.{kind if ' ' not in kind else 'bed.gz'}"
        known = {"assembly": ASSEMBLY, "href": f"/files/{accession}/@@download/{name}", "file_type": kind}
        return file(accession, contents.get(name, b"another"), **known | changes)

    single = {"biological_replicates": [1], "output_type": "pseudoreplicated peaks"}
    portal.experiments = [
        experiment("ENCSR000AAA", [
            of("ENCFF001AAA"), of("ENCFF002AAA", **single), of("ENCFF003AAA", "bam", output_type="alignments"),
            of("ENCFF004AAA", "bigWig", output_type="signal p-value"), of("ENCFF005AAA", assembly="mini0"),
        ]),
        experiment("ENCSR000BBB", [of("ENCFF011AAA"), of("ENCFF012AAA")], biosample="HepG2"),
        experiment("ENCSR000CCC", [of("ENCFF021AAA")], treatments=[{"treatment_term_name": "estradiol"}]),
        experiment("ENCSR000DDD", [of("ENCFF031AAA")], "ATAC-seq", None),
    ]  # fmt: skip
