"""Broken inputs, and what is said about each: the table that docs/bad-input.md shows."""

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import md5
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyBigWig
import pysam
from tests.corpus import entries
from tests.datasets.genomes import SIZES as GENOME_SIZES
from tests.tracks.signals import SIZES, random_rows, settings, write_bam, write_bigwig
from tests.tracks.test_liftover import chain_text

Content = str | bytes | Callable[[Path], bytes | None]


@dataclass(frozen=True)
class Case:
    """A broken input.

    Attributes
    ----------
    what
        What is wrong, in words.
    entry
        What takes it (`entries`), with `settings`.
    files
        Name to content; the first one is what is read.
    error, counted, accepted
        One of them: a part of the message; a part of the account; the content of the sound file that is read alike.
    leaves
        Files that are left below `out` after an error.
    """

    what: str
    entry: Callable[..., entries.Came]
    files: dict[str, Content]
    error: str | None = None
    counted: str | None = None
    accepted: Content | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    leaves: tuple[str, ...] = ()


def gz(text: str | bytes, cut: int = 0) -> bytes:
    """Return gzipped text, without its last bytes."""
    data = gzip.compress(text.encode() if isinstance(text, str) else text, mtime=0)
    return data[: len(data) - cut]


GOOD = "chr1\t200\t300\nchr2\t200\t300\nchr3\t200\t300\n"
PAGE = "<!DOCTYPE html>\n<html><body>Sign in</body></html>\n"
PEAK = "\t200\t300\tp\t0\t+\t2.5\t1\t1\t{}\n"
SUMMITS = "".join(f"chr{n}" + PEAK.format(50) for n in (1, 2, 3))


def bed(what: str, rows: str | bytes, name: str = "a.bed", **more: Any) -> Case:
    """Return a case of a BED file that windows are made of; rows come after three good ones, but bytes alone."""
    return Case(what, entries.windows, {name: GOOD + rows if isinstance(rows, str) else rows}, **more)


INTERVALS = [
    bed("rows that are not sorted", "chr1\t900\t990\nchr1\t500\t600\n",
        accepted=GOOD + "chr1\t500\t600\nchr1\t900\t990\n"),
    bed("a row that is there twice", "chr2\t200\t300\n", counted="same -1"),
    bed("a negative start", "chr1\t-3\t9\n", error="a.bed, line 4: -3 to 9 is no interval"),
    bed("a start after its end", "chr1\t90\t30\n", error="a.bed, line 4: 90 to 30 is no interval"),
    bed("a row of no length", "chr1\t30\t30\n", error="a.bed, line 4: 30 to 30 is no interval"),
    bed("an end off the end of the contig", "chr4\t700\t778\n",
        error="a.bed, line 4: chr4:700-778 ends beyond the contig, which has 777 bases"),
    bed("an end off the end of the contig, where `rows_beyond_contig` is `drop`", "chr4\t700\t778\n",
        counted="row_beyond_contig -1", settings={"rows_beyond_contig": "drop"}),
    bed("a window off the end of the contig", "chr1\t0\t10\n", counted="beyond_contig -1"),
    bed("a position that is too large", "chr1\t1\t99999999999\n",
        error="a.bed, line 4: 1 to 99999999999 is no interval"),
    bed("an empty file", b"", error="a.bed: there is no row in it"),
    bed("only track lines", b"track name=x\n# nothing\n", error="a.bed: there is no row in it"),
    bed("two columns", "chr1\t5\n", error="a.bed, line 4: a row is contig, start and end, separated by tabs"),
    bed("text in a number column", "chr1\tx\t9\n", error="a.bed, line 4: a row is contig, start and end"),
    bed("a decimal point in a position", "chr1\t1.5\t9\n", error="a.bed, line 4: a row is contig, start and end"),
    bed("thousands separated by underscores", "chr1\t1_000\t2_000\n", error="a.bed, line 4: a row is contig"),
    bed("commas between columns", "chr1,5,90\n", error="a.bed, line 4: a row is contig, start and end"),
    bed("tabs and spaces mixed within a row", "chr1 5\t90\n", error="a.bed, line 4: a row is contig, start and end"),
    bed("tabs and spaces mixed from row to row", "chr1 500 600\n", accepted=GOOD + "chr1\t500\t600\n"),
    bed("blanks beside tabs", "chr1 \t500 \t600\n", accepted=GOOD + "chr1\t500\t600\n"),
    bed("lines that end as on Windows (CRLF)", GOOD.replace("\n", "\r\n").encode(), accepted=GOOD),
    bed("a byte order mark (UTF-8)", b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode(), accepted=GOOD),
    bed("text in UTF-16", GOOD.encode("utf-16"), error="a.bed, line 1: a row is contig, start and end"),
    bed("track, browser, comment and empty lines", f"browser position chr1\ntrack name=x\n#c\n\n{GOOD}".encode(),
        accepted=GOOD),
    bed("a header line", b"chrom\tstart\tend\n" + GOOD.encode(), error="a.bed, line 1: a row is contig, start and end"),
    bed("gzip truncated", gz(GOOD * 999, 9), "a.bed.gz", error="the gzip data are truncated or damaged"),
    bed("gzipped, and the name does not say so", gz(GOOD), accepted=GOOD),
    bed("not gzipped, and the name says so", GOOD.encode(), "a.bed.gz", accepted=GOOD),
    bed("bytes after the gzip data", gz(GOOD) + b"more", "a.bed.gz", error="the gzip data are truncated or damaged"),
    bed("an HTML page", PAGE.encode(), error="and this one is '<!DOCTYPE html>'. It is an HTML or XML page"),
    bed("no such file", lambda folder: None, error="a.bed: it cannot be read (No such file or directory)"),
    bed("contigs named 1, 2, 3", GOOD.replace("chr", "").encode(), accepted=GOOD),
    bed("contigs named in two ways", "1\t5\t90\n", error="a.bed: its contigs are named in two ways: 'chr1' as in"),
    bed("some contigs that the genome lacks", "chrUn\t5\t90\n", counted="not_in_genome -1"),
    bed("only contigs that the genome lacks", b"scaffold_7\t5\t90\n",
        error="a.bed: none of its contigs (scaffold_7) is in genome.fa.gz"),
    bed("no column of summits", "", error="a.bed, line 1: it has 3 columns, and the summit is read from column 10",
        settings={"centre": "summit"}),
    bed("a summit that is not in its peak", (SUMMITS + "chr1" + PEAK.format(100)).encode(), "a.narrowPeak",
        error="a.narrowPeak, line 4: the summit 100 is not in the interval, which has 100 bases",
        settings={"centre": "summit"}),
    bed("a summit that was not called (-1)", (SUMMITS + "chr1" + PEAK.format(-1)).encode(), "a.narrowPeak",
        error="-1 says that none was called). Say 'centre: middle'.", settings={"centre": "summit"}),
    bed("text in the column of summits", (SUMMITS + "chr1" + PEAK.format("x")).encode(), "a.narrowPeak",
        error="a.narrowPeak, line 4: column 10, the summit, is 'x', no number", settings={"centre": "summit"}),
    bed("a label that is text", b"chr1\t200\t300\tyes\n", error="a.bed, line 1: the label is 'yes' and must be 0 or 1",
        settings={"label": {"column": 3}}),
    bed("a label that is infinite", b"chr1\t200\t300\tinf\n", settings={"label": {"column": 3}, "target": "real"},
        error="a.bed, line 1: the label is 'inf' and must be a finite number"),
    bed("a label that is NaN", b"chr1\t200\t300\tnan\n", settings={"label": {"column": 3}, "target": "real"},
        error="a.bed, line 1: the label is 'nan' and must be a finite number"),
    bed("a label that was not measured (.)", "".join(f"chr{n}\t200\t300\t{n % 2}\n" for n in (1, 2, 3)).encode()
        + b"chr1\t900\t950\t.\n", counted="not_measured -1", settings={"label": {"column": 3}}),
    bed("no column of labels", b"chr1\t200\t300\n", settings={"label": {"column": 3}},
        error="a.bed, line 1: it has 3 columns, and the y0 is read from column 4"),
    bed("one window with two labels", b"chr1\t200\t300\t1\nchr1\t200\t300\t0\n", settings={"label": {"column": 3}},
        error="is there twice with unequal labels: a.bed, line 1, a.bed, line 2"),
    bed("a split without a row", b"chr1\t200\t300\n", error="no row is in valid, test"),
    Case("labels of one name", entries.peaks, {"a.bed": GOOD}, settings={"names": ("H3 K4", "h3_k4")},
        error="dataset.endpoints: two labels have the name 'k562_h3_k4'"),
    Case("no peak that covers enough of a bin", entries.peaks, {"a.bed": "chr1\t5\t6\n"},
        error="dataset.regions: no bin of the genome has a label"),
]  # fmt: skip


def rows_of(text: str) -> str:
    """Return text with one letter for a tab."""
    return text.replace(" ", "\t")


def bedgraph(what: str, text: str | bytes, **more: Any) -> Case:
    return Case(what, entries.track, {"a.bedGraph": text if isinstance(text, bytes) else rows_of(text)}, **more)


BEDGRAPH = [
    bedgraph("rows that are not sorted", "chr1 50 60 1\nchr1 10 20 1\n",
        error="a.bedGraph, line 2: chr1:10-20: it begins before the row above it; the file is not sorted"),
    bedgraph("a contig that comes again", "chr1 50 60 1\nchr2 1 2 1\nchr1 70 80 1\n",
        error="a.bedGraph, line 3: chr1:70-80: its contig was left before; the file is not sorted"),
    bedgraph("rows that overlap", "chr1 50 60 1\nchr1 55 70 1\n",
        error="a.bedGraph, line 2: chr1:55-70: it overlaps the row above it: which value is it?"),
    bedgraph("off the end of the contig", "chr1 990 1001 1\n",
        error="a.bedGraph, line 1: chr1:990-1001 ends beyond the contig, which has 1,000 bases in toy.fa"),
    bedgraph("off the end of the contig, where `rows_beyond_contig` is `drop`", "chr1 1 2 1\nchr1 990 1001 1\n",
        counted="1 rows left out, they end beyond them", settings={"rows_beyond_contig": "drop"}),
    bedgraph("a negative start", "chr1 -1 2 1\n", error="a.bedGraph, line 1: -1 to 2 is no interval"),
    bedgraph("NaN", "chr1 1 2 nan\n", error="a.bedGraph, line 1: column 4, the value, is 'nan', no finite number"),
    bedgraph("infinity", "chr1 1 2 inf\n", error="a.bedGraph, line 1: column 4, the value, is 'inf', no finite number"),
    bedgraph("text for a value", "chr1 1 2 high\n",
        error="a.bedGraph, line 1: column 4, the value, is 'high', no number"),
    bedgraph("a decimal comma", "chr1 1 2 1,5\n", error="a.bedGraph, line 1: column 4, the value, is '1,5', no number"),
    bedgraph("three columns", "chr1 1 2\n", error="a.bedGraph, line 1: it has 3 columns, and the value is read from"),
    bedgraph("an empty file", b"", error="a.bedGraph: the file is empty"),
    bedgraph("another genome", "scaffold 1 2 1\n", error="a.bedGraph: none of its contigs (scaffold) is in toy.fa"),
    bedgraph("some contigs that the genome lacks", "chr1 1 2 1\nchrUn 1 2 1\n",
        counted="1 rows left out, their contigs are not in toy.fa"),
    bedgraph("an HTML page", PAGE.encode(), error="a.bedGraph, line 1: a row is contig, start and end"),
    bedgraph("a value too large for 32 bits", "chr1 1 20 1e300\n",
        error="a.bedGraph: 2 values are too large for 32-bit"),
    Case("NaN in the column of values", entries.track, {"a.narrowPeak": "chr1" + PEAK.format(5).replace("2.5", "nan")},
        settings={"column": 7}, error="a.narrowPeak, line 1: column 7, the value, is 'nan', no finite number"),
    Case("intervals that overlap", entries.track, {"a.bed": rows_of("chr1 0 20\nchr1 10 30\n")},
        accepted=lambda folder: rows_of("chr1 0 10\nchr1 10 20\nchr1 10 20\nchr1 20 30\n").encode()),
]  # fmt: skip

ROWS = [(chrom, a, a + 1, float(a % 7)) for chrom, size in (("chr1", 1000), ("chr2", 400)) for a in range(0, size, 2)]


def bigwig(rows: Any = ROWS, sizes: Any = None, change: Callable[[bytes], bytes] = lambda data: data) -> Content:
    """Return what makes a BigWig file and spoils it."""
    return lambda folder: change(write_bigwig(folder / "whole.bw", rows, sizes).read_bytes())


def no_value(folder: Path) -> bytes:
    with pyBigWig.open(str(folder / "none.bw"), "w") as file:
        file.addHeader(list(SIZES.items()))
    return (folder / "none.bw").read_bytes()


def mixed_forms(folder: Path) -> bytes:
    """Return a file of two forms of entries, which pyBigWig writes with an empty block between them; turned round."""
    with pyBigWig.open(str(folder / "mixed.bw"), "w") as file:
        file.addHeader(list(SIZES.items()))
        file.addEntries(["chr1"], [0], ends=[9], values=[1.0])
        file.addEntries("chr1", [20], values=[1.0], span=9)
        file.addEntries("chr2", [20], values=[1.0], span=9)
    data = (folder / "mixed.bw").read_bytes()
    at = int.from_bytes(data[24:32], "little") + 52
    end = at + 32 * int.from_bytes(data[at - 2 : at], "little")
    rows = [data[start : start + 32] for start in range(at, end, 32)]
    return data[:at] + b"".join(reversed(rows)) + data[end:]


def summary_of_nan(data: bytes) -> bytes:
    """Put NaN in the place of the sum of all values."""
    at = int.from_bytes(data[44:52], "little") + 24
    return data[:at] + np.float64(np.nan).tobytes() + data[at + 8 :]


def spoiled(data: bytes) -> bytes:
    """Spoil the first compressed block of data."""
    start = int.from_bytes(data[16:24], "little")
    return data[: start + 8] + b"\x55" * 60 + data[start + 68 :]


def broken_tree(data: bytes) -> bytes:
    """Turn a bit of the index of the data: its last row begins somewhere else."""
    at = int.from_bytes(data[24:32], "little") + 48 + 4 + 32
    return data[:at] + bytes([data[at] ^ 64]) + data[at + 1 :]


BIGWIG = [Case(what, entries.track, {"a.bw": content}, **more) for what, content, more in [
    ("no such file", lambda folder: None, {"error": "a.bw: there is no such file"}),
    ("an empty file", b"", {"error": "a.bw: the file is empty"}),
    ("an HTML page", PAGE, {"error": "It is an HTML or XML page, perhaps a server's error page"}),
    ("text", "chr1\t1\t2\t3\n", {"error": "a.bw: it is not a BigWig file (its first bytes are b'chr1"}),
    ("truncated", bigwig(change=lambda data: data[: len(data) // 2]),
        {"error": "a.bw: the BigWig file is truncated (its last bytes are missing). Fetch it again"}),
    ("the header alone", bigwig(change=lambda data: data[:40] + data[:4]),
        {"error": "a.bw: its header cannot be read"}),
    ("no value", no_value, {"error": "a.bw: there is no value in it"}),
    ("a damaged block", bigwig(change=spoiled),
        {"error": "a.bw: chr1:0-400 cannot be read (BadData). The file is truncated or damaged"}),
    ("a damaged index", bigwig(change=broken_tree),
        {"error": "a.bw: its header cannot be read: its tables of contigs and places are damaged or cut off"}),
    ("another assembly", bigwig(sizes={"chr1": 1001, "chr2": 401}),
        {"error": "a.bw: 'chr1' has 1,001 bases in it, and 1,000 in toy.fa. It is of another assembly"}),
    ("a contig of another size", bigwig(sizes={"chr1": 1001, "chr2": 400}),
        {"error": "a.bw: 'chr1' has 1,001 bases in it, and 1,000 in toy.fa. 1 of 2 contigs have the same size"}),
    ("a contig of another size, on which no region is", bigwig([*ROWS, ("chr3", 0, 9, 1.0)], {**SIZES, "chr3": 9}),
        {"counted": "1 contigs have another size than in toy.fa and are not used: chr3",
         "settings": {"sizes": {**SIZES, "chr3": 8}}}),
    ("blocks in any order, of which two have one place", mixed_forms,
        {"accepted": bigwig([("chr1", 0, 9, 1.0), ("chr1", 20, 29, 1.0), ("chr2", 20, 29, 1.0)])}),
    ("NaN in its summary alone", bigwig(change=summary_of_nan), {"accepted": bigwig()}),
    ("another genome", bigwig([("scaffold_1", 0, 9, 1.0)], {"scaffold_1": 9}),
        {"error": "a.bw: none of its contigs (scaffold_1) is in toy.fa"}),
    ("contigs named in two ways", bigwig([("1", 0, 9, 1.0), ("chr2", 0, 9, 1.0)], {"1": 1000, "chr2": 400}),
        {"error": "a.bw: its contigs are named in two ways"}),
    ("a contig missing", bigwig(ROWS[:9], {"chr1": 1000}),
        {"error": "a.bw: it has no contig 'chr2', which toy.fa has and a region is on"}),
    ("a contig missing, which was not measured", bigwig(ROWS[:9], {"chr1": 1000}),
        {"counted": "no_data\t\t118", "settings": {"absent_contigs": "no_data"}}),
    ("NaN", bigwig([("chr1", 0, 9, np.nan)]), {"error": "a.bw: there is a NaN or infinite value in chr1:0-400"}),
    ("infinity", bigwig([("chr1", 0, 9, np.inf)]), {"error": "a.bw: there is a NaN or infinite value in chr1:0-400"}),
]]  # fmt: skip

READS = [{"contig": 0, "start": n, "cigar": "20M"} for n in range(0, 900, 2)]


def bam(
    change: Callable[[bytes], bytes] = lambda data: data, index: bool = True, reads: Any = READS, **more: Any
) -> Content:
    """Return what makes a BAM file, with an index or without, and spoils it."""

    def content(folder: Path) -> bytes:
        data = write_bam(folder / "a.bam", reads, index=index, **more).read_bytes()
        return change(data)

    return content


def index_of_earlier(folder: Path) -> bytes:
    """Return the index of a file that had reads on its first contig alone."""
    write_bam(folder / "b.bam", READS)
    return (folder / "b.bam.bai").read_bytes()


def index_of_larger(folder: Path) -> bytes:
    bases, rng = list("ACGT"), np.random.default_rng(0)
    write_bam(folder / "b.bam", [{**read, "sequence": "".join(rng.choice(bases, 20))} for read in READS])
    return (folder / "b.bam.bai").read_bytes()


BAM = [Case(what, entries.track, files, error=error) for what, files, error in [
    ("no index", {"a.bam": bam(index=False)}, "a.bam: it has no index (a.bam.bai beside it). Make it: samtools index"),
    ("an index cut off", {"a.bam": bam(), "a.bam.bai": lambda folder: (folder / "a.bam.bai").read_bytes()[:60]},
        "a.bam.bai: the index is damaged or of another file. Make it again: samtools index"),
    ("the index of a larger file", {"a.bam": bam(), "a.bam.bai": index_of_larger},
        "a.bam.bai: the index is damaged or of another file. Make it again: samtools index"),
    ("the index of an earlier version of the file",
        {"a.bam": bam(reads=[*READS, {"contig": 1, "start": 9, "cigar": "20M"}]), "a.bam.bai": index_of_earlier},
        "a.bam.bai: the index is of another file, or of an earlier version of a.bam"),
    ("truncated", {"a.bam": bam(lambda data: data[: len(data) // 2])}, "a.bam: the BAM file is truncated"),
    ("a damaged block", {"a.bam": bam(lambda data: data[:300] + b"\x55" * 40 + data[340:])},
        "a.bam: chr1:0-400 cannot be read"),
    ("gzip without blocks", {"a.bam": bam(lambda data: data.replace(b"BC\2\0", b"XX\2\0", 1))},
        "a.bam: it is not a BAM file (seek not implemented in files compressed by method 1)"),
    ("an HTML page", {"a.bam": PAGE}, "a.bam: it is not a BAM file"),
    ("another assembly", {"a.bam": bam(sizes={"chr1": 999, "chr2": 399})}, "a.bam: 'chr1' has 999 bases in it"),
]]  # fmt: skip

FORTH = chain_text(9, "chr1", "chrA", [(1000, 0, 0)], there=500) + chain_text(8, "chr2", "chrA", [(900, 0, 0)], "-")
HEAD = "chain 5 chr1 100 + 0 20 chrA 100 + 0 20 1\n"
PLACE = "chr1\t5\t10\n"


def chain(what: str, content: Content, error: str | None = None, **more: Any) -> Case:
    return Case(what, entries.lifted, {"a.bed": PLACE, "a.chain": content}, error=error, **more)


def lift(what: str, content: Content, error: str | None = None, **more: Any) -> Case:
    return Case(what, entries.lifted, {"a.bed": content, "a.chain": FORTH}, error=error, **more)


CHAINS = [
    chain("an HTML page", PAGE, "a.chain, line 1: it is an HTML or XML page"),
    chain("a BED file", PLACE, "a.chain, line 1: 'chain score source size"),
    chain("no such file", lambda folder: None, "a.chain: it cannot be read"),
    chain("an empty file", "# nothing\n", "a.chain: there is no chain in it"),
    chain("gzip truncated", gz(FORTH * 99, 9), "the gzip data are truncated or damaged"),
    chain("a header that is too short", HEAD[:-6] + "\n20\n", "a.chain, line 1: a header has 13 fields"),
    chain("a block of two fields", HEAD + "10 0\n10\n", "a.chain, line 2: a block has 3 fields"),
    chain("a chain within a chain", HEAD + "10 0 0\n" + HEAD, "the chain of line 1 is not complete"),
    chain("blocks that do not add up", HEAD + "10 0 0\n11\n",
        "a.chain, line 1: the blocks of this chain end at 21 and 21, its header says 20 and 20"),
    chain("truncated", HEAD + "10 0 0\n", "a.chain, line 1: the file ends within this chain. It is truncated"),
    chain("text for a size", HEAD + "ten\n", "a.chain, line 2: sizes must be whole numbers"),
    chain("a negative size", HEAD + "-5\n", "a.chain, line 2: a size is negative"),
    chain("a strand that is none", HEAD.replace("+ 0 20 chrA", "- 0 20 chrA") + "20\n",
        "a.chain, line 1: the strands are"),
    chain("off the end of the contig", HEAD.replace("chr1 100", "chr1 10") + "20\n",
        "a.chain, line 1: 0 to 20 is no stretch of chr1, which has 10 bases"),
    chain("text for the size of a contig", HEAD.replace("chr1 100", "chr1 many") + "20\n",
        "a.chain, line 1: score, sizes, starts and ends of a header must be numbers"),
    chain("a score that is NaN", HEAD.replace("chain 5", "chain nan") + "20\n",
        "a.chain, line 1: score, sizes, starts"),
    chain("a contig of two sizes", HEAD + "20\n\n" + HEAD.replace("chr1 100", "chr1 99") + "20\n",
        "a.chain, line 4: chr1 has 99 bases, and 100 in an earlier header"),
    chain("lines that end as on Windows (CRLF)", FORTH.replace("\n", "\r\n").encode(), accepted=FORTH.encode()),
]  # fmt: skip

LIFTED = [
    lift("a BED row of two columns", "chr1\t1\n", "a.bed, line 1: a row is contig, start and end"),
    lift("contigs that the chains call otherwise", "1\t1\t5\n", "They call it 'chr1': rename the contigs of one file"),
    lift("contigs that no chain knows", "scaffold\t1\t5\n", "a.bed: no contig of it (the first is 'scaffold') is one"),
    lift("intervals off the end of the contig", "chr1\t1\t5\nchr1\t4990\t5001\n",
        "a.bed, line 2: the interval ends at 5,001, and chr1 has 5,000 bases in the assembly that a.chain starts from"),
    Case("a chain of the wrong direction", entries.lifted,
        {"a.bed": "chr1\t5500\t5600\n", "a.chain": chain_text(9, "chr1", "chr1", [(1000, 0, 0)])},
        error="The target's chr1 has 6,000: is the chain of the other direction?"),
    Case("a chain of the wrong direction, of a track", entries.track, {"a.bw": bigwig(),
        "a.chain": chain_text(9, "chr1", "chrA", [(100, 0, 0)])}, settings={"lift": ["a.chain"]},
        error="a.chain: 'chr1' has 5,000 bases in it, and 1,000 in toy.fa. It is a chain of other assemblies"),
    lift("intervals that are not lifted", PLACE + "chr1\t2000\t2010\nchrUn\t5\t9\n",
        counted="1 no_chain: their contig"),
    lift("track and comment lines", "track name=x\n# c\n" + PLACE,
        counted="2 track, browser or comment lines left out"),
    lift("an output that is the input", PLACE, "would overwrite what is read; give another name",
        settings={"out": "a.bed"}),
]  # fmt: skip

GENOME = [Case(what, entries.genome, {name: content}, **more) for what, name, content, more in [
    ("an empty file", "g.fa", "", {"error": "g.fa: there is no sequence in it (a header line '>name' is expected)"}),
    ("no header", "g.fa", "ACGT\n", {"error": "g.fa: line 1: a header line '>name' is expected, and 'ACGT' is found"}),
    ("a '>' inside a line, as of two files that were joined", "g.fa", ">a\nACGT\nAC>b\nACGT\n",
        {"error": "g.fa, line 3: there is a '>' inside a line ('AC>b')"}),
    ("an HTML page", "g.fa", PAGE,
        {"error": "header line '>name' is expected, and '<!DOCTYPE html>' is found. It is an HTML or XML page"}),
    ("a contig that is there twice", "g.fa", ">a\nACGT\n>a\nACGT\n", {"error": "g.fa: the contig 'a' is there twice"}),
    ("a header without a name", "g.fa", ">\nACGT\n", {"error": "g.fa: a header has no name"}),
    ("a name that is not ASCII", "g.fa", b">chr\xe9\nACGT\n",
        {"error": "g.fa: the name of the contig b'chr\\xe9' has letters that are not ASCII"}),
    ("a protein", "g.fa", ">a\nMKLVPQ\n", {"error": "g.fa: the letter 'L' is none of DNA's"}),
    ("lines of unequal length", "g.fa", ">a\nACGT\nAC\nACGT\n",
        {"error": "g.fa: it cannot be indexed. All lines of a contig but its last must have one length"}),
    ("gzip truncated", "g.fa.gz", gz(">a\n" + "ACGTTG\n" * 999, 9),
        {"error": "g.fa.gz: the gzip data are truncated or damaged"}),
    ("no such file", "g.fa", lambda folder: None, {"error": "g.fa: there is no such file"}),
    ("letters for several bases", "g.fa", ">a\nACGTRYacgtm\n", {"counted": "{'R': 1, 'Y': 1, 'm': 1}"}),
    ("lines that end as on Windows (CRLF)", "g.fa", b">a\r\nACGT\r\n", {"accepted": ">a\nACGT\n"}),
    ("lines that end as on old Macintoshes (CR)", "g.fa", b">a\rACGT\rAC\r", {"accepted": ">a\nACGT\nAC\n"}),
    ("a byte order mark (UTF-8)", "g.fa", b"\xef\xbb\xbf>a\nACGT\n", {"accepted": ">a\nACGT\n"}),
]]  # fmt: skip


def bgzipped(text: str, ending: str = "") -> Content:
    """Return what makes a genome that is compressed in blocks, or one of its indices."""

    def content(folder: Path) -> bytes:
        path = folder / "made.fa.gz"
        with pysam.BGZFile(str(path), "wb") as file:
            file.write(text.encode())
        pysam.faidx(str(path))
        data = Path(f"{path}{ending}").read_bytes()
        for made in ("", ".fai", ".gzi"):
            Path(f"{path}{made}").unlink()
        return data

    return content


CONTIGS = "".join(f">{name}\n" + f"{'ACGTTGCAAC' * 6}\n" * 2000 for name in "ab")


def indexed(what: str, error: str, genome: str = CONTIGS, fai: str = "", gzi: str = "") -> Case:
    """Return a case of a genome with indices, which are its own or those of other texts."""
    texts = {"": genome, ".fai": fai or genome, ".gzi": gzi or genome}
    files = {f"g.fa.gz{ending}": bgzipped(text, ending) for ending, text in texts.items()}
    return Case(what, entries.indexed_genome, files, error=error)


INDEXED = [
    indexed("a .fai index of an earlier version, where a contig was longer",
        "g.fa.gz.fai: the index is of another file, or of an earlier version of g.fa.gz ('b' begins elsewhere)",
        fai=CONTIGS.replace(">b", f"{'ACGTTGCAAC' * 6}\n>b")),
    indexed("a .fai index of an earlier version, without the last contig",
        "g.fa.gz.fai: the index is of another file, or of an earlier version of g.fa.gz (its last contig ends",
        fai=CONTIGS.partition(">b")[0]),
    indexed("a .gzi index of an earlier version", "g.fa.gz.gzi: the index is of another file, or of an earlier version",
        gzi=CONTIGS.replace("TTG", "TGG").replace("ACG", "CCG", 999)),
    indexed("a '>' inside a line, as of two files that were joined",
        "g.fa.gz: the letter '>' at a:5 is none of DNA's. Is the file whole, and does each header begin a line?",
        genome=">a\nACGT>b\nACGTAC\n"),
]  # fmt: skip

A = "ACGTTGCAAC" * 5
SEQUENCES = [Case(what, entries.windows, {name: content}, error=error) for what, name, content, error in [
    ("sequences of unequal length", "a.fa", f">a\n{A}\n>b\n{A[1:]}\n", "a.fa: 1 of 2 sequences have not 50 bases"),
    ("a letter that is no base", "a.fa", f">a\n{A[1:]}X\n", "a.fa, sequence 'a'"),
    ("no sequence", "a.fa", "", "a.fa: there is no sequence in it"),
    ("gzip truncated", "a.fa.gz", gz(f">a\n{A}\n" * 99, 9), "a.fa.gz: the gzip data are truncated or damaged"),
    ("a '>' inside a line", "a.fa", f">a\n{A}>b\n{A}\n", "a.fa, line 2: there is a '>' inside a line"),
    ("no header of the first sequence", "a.fa", f"{A}\n>b\n{A}\n",
        "a.fa: line 1: a header line '>name' is expected, and 'ACGT"),
    ("no place in the headers", "a.fa", f">a\n{A}\n",
        "the header of the sequence 'a' does not tell where it is (as chr1:100-300, with its length)"),
]]  # fmt: skip
PLACED = "".join(f">chr{number}:0-50\n{A}\n" for number in (1, 2, 3))
SEQUENCES += [Case(what, entries.windows, {"a.fa": content}, accepted=PLACED) for what, content in [
    ("a byte order mark (UTF-8)", "\ufeff" + PLACED),
    ("lines that end as on old Macintoshes (CR)", PLACED.replace("\n", "\r")),
    ("empty lines", PLACED.replace("\n", "\n\n")),
]]  # fmt: skip


def interrupted(folder: Path) -> bytes:
    """Return a file whose writer came to half of its sequences."""
    with h5py.File(folder / "half.h5", "w") as h5:
        for split in ("train", "valid", "test"):
            h5.create_dataset(f"X_{split}", (20, 50), np.uint8, chunks=(5, 50))[:10] = 1
            h5[f"Y_{split}"] = np.arange(20) % 2
    return (folder / "half.h5").read_bytes()


def virtual(folder: Path) -> bytes:
    """Return a file whose sequences are in another one, which is not there."""
    with h5py.File(folder / "whole.h5", "w") as h5:
        for split in ("train", "valid", "test"):
            layout = h5py.VirtualLayout((20, 50), np.uint8)
            layout[:] = h5py.VirtualSource("elsewhere.h5", split, (20, 50))
            h5.create_virtual_dataset(f"X_{split}", layout)
            h5[f"Y_{split}"] = np.arange(20) % 2
    return (folder / "whole.h5").read_bytes()


ARRAYS = [Case(what, entries.arrays, {"a.h5": content}, error=error) for what, content, error in [
    ("an HTML page", PAGE, "a.h5: it is an HTML or XML page, not an HDF5 file"),
    ("text", "X" * 500, "a.h5: it is not an HDF5 file (its first bytes are b'XXXXXXXX')"),
    ("an empty file", b"", "a.h5: it is not an HDF5 file"),
    ("no such file", lambda folder: None, "a.h5: there is no such file"),
    ("rows that were never written", interrupted,
        "a.h5: '/X_train' has 2 of 4 chunks, and the others were never written. Was the program"),
    ("a file missing that a virtual array is made of", virtual,
        "a.h5: '/X_train' is made of files of which one is missing: elsewhere.h5"),
]]  # fmt: skip

DATA = np.random.default_rng(0).bytes(300_000)
SUM = md5(DATA).hexdigest()


def served(
    what: str, name: str = "data.bin", data: Content = DATA, known: Any = None, rejected: bool = True, **more: Any
) -> Case:
    """Return a case of a server: what it serves, `faults`, `lie` (bytes added to the size that it tells)."""
    leaves = (f"{name}.rejected",) if rejected and "error" in more else more.pop("leaves", ())
    keys = {key: more.pop(key) for key in ("error", "counted", "accepted") if key in more}
    return Case(what, entries.fetched, {"served": data}, leaves=leaves, **keys,
        settings={"name": name, **(known or {}), "server": more})  # fmt: skip


FETCHED = [
    served("another checksum", known={"md5": "0" * 32}, error=f"its md5 is {SUM} and should be {'0' * 32}"),
    served("another checksum (SHA-256)", known={"sha256": "0" * 64}, error=f"and should be {'0' * 64}"),
    served("a file that is too large", known={"size": 5}, rejected=False,
        error="the server's file has 300,000 bytes and should have 5. Is it another version"),
    served("a file that is too small", data="text", known={"size": 5},
        error="it has 4 bytes and should have 5. It is kept as out/data.bin.rejected"),
    served("an HTML page", "a.bed", PAGE, error="it is an HTML page (probably a server's error or login page)"),
    served("an empty file", "a.bed", "", error="what was fetched is not the wanted file: it is empty"),
    served("gzip truncated", "a.bed.gz", gz(GOOD * 99, 9), error="it is not a whole gzip file"),
    served("text called .gz", "a.bed.gz", GOOD, error="it is not a whole gzip file"),
    served("HDF5 truncated", "a.h5", lambda folder: hdf5(folder)[:-5000],
        error="it is not a whole HDF5 file (truncated)"),
    served("no HDF5", "a.h5", "text", error="it is not a whole HDF5 file (not HDF5)"),
    served("no zip", "a.zip", "PK not really", error="it is not a zip file"),
    served("no tar", "a.tar.gz", gz("no tar at all"), error="it is not a whole tar archive"),
    served("no MEME", "a.meme", ">MA1\nA [ 1 ]", error="it is not in MEME format (there is no line 'MEME version')"),
    served("no BigWig", "a.bw", "x" * 100, error="it is not a BigWig file"),
    served("a few bytes for a BigWig", "a.bw", "x", error="it is not a BigWig file"),
    served("BigWig truncated", "a.bw", bigwig(change=lambda data: data[:-9]), error="it is a truncated BigWig file"),
    served("404", faults=[404], rejected=False, error="data.bin: the server answered 404 Not Found"),
    served("403", faults=[403], rejected=False, error="data.bin: the server answered 403 Forbidden"),
    served("503, then success", faults=[503, 503], known={"md5": SUM}, counted="3 requests; waited [2.0, 4.0]"),
    served("429, then success", faults=[429], known={"md5": SUM}, counted="2 requests; waited [2.0]"),
    served("500, then success", faults=[500], known={"md5": SUM}, counted="2 requests; waited [2.0]"),
    served("503 for ever", faults=[503] * 9, rejected=False,
        error="given up after 5 tries without progress: the server answered 503 Service Unavailable"),
    served("a connection cut at half", faults=[("cut", len(DATA) // 2)], known={"md5": SUM}, counted="2 requests"),
    served("a compressed file that is labelled as encoded", "a.bed.gz", gz(GOOD), accepted=gz(GOOD),
        headers={"Content-Encoding": "gzip"}),
    served("an encoded file", "a.bed", gz(GOOD), rejected=False, headers={"Content-Encoding": "gzip"},
        error="the server sends the file encoded (Content-Encoding: gzip), although it was asked not to"),
    served("a part that was not asked for", faults=[("changed", 206, {"Content-Range": "bytes 9-99/100"}, None)],
        rejected=False, error="the server sent a part of the file (Content-Range: bytes 9-99/100), and the whole"),
    served("another part than was asked for", counted="3 requests",
        faults=[("cut", 99), ("changed", None, {"Content-Range": "bytes 9-299999/300000"}, None)]),
    served("a size told that is too large", lie=999, known={"md5": SUM}, counted="2 requests"),
    served("a size told that is too small", lie=-999, known={"md5": SUM}, error=f"and should be {SUM}"),
]  # fmt: skip


def hdf5(folder: Path) -> bytes:
    with h5py.File(folder / "whole.h5", "w") as h5:
        h5["x"] = list(range(10_000))
    return (folder / "whole.h5").read_bytes()


MANY = "".join(f"chr1\t{n % 900}\t{n % 900 + 9}\n" for n in range(2000))
WINDOWS = {"kind": "windows", "genome": "@genome.fa.gz", "length": 50, "sets": [{"bed": "@a.bed", "target": 1}],
    "split": entries.BY_CHROMOSOME}  # fmt: skip


def full(what: str, files: dict[str, Content], error: str, size: int, words: list[str], **more: Any) -> Case:
    """Return a case of a program that may not write more than so many bytes; @ is the folder."""
    return Case(
        f"a full disk, while {what}",
        entries.limited,
        files,
        error=error,
        settings={"size": size, "words": words},
        **more,
    )


FULL = [
    full("a track is binned", {"a.bw": bigwig(random_rows(1, GENOME_SIZES), GENOME_SIZES)},
        "out/0.h5: no space left to write it", 2000,
        ["tracks/bin_track.py", "--name=a", "--track", json.dumps(settings("@a.bw", no_data="nan")),
         "--regions=@regions.tsv", "--genome=@genome.fa.gz", "--bin=1", "--shard=0", "--shards=1",
         "--out=@out/0.h5", "--counts=@out/0.tsv"]),
    full("a data set is made", {"a.bed": GOOD}, "out/d.h5: no space left to write it", 2000,
        ["datasets/make.py", "--dataset", json.dumps(entries.windows_of(WINDOWS)), "--inputs=@a.bed", "--out=@out/d.h5",
         "--provenance=@out/d.json"]),
    full("labels of peaks are made", {"a.bed": GOOD}, "no space left on the disk", 100,
        ["datasets/make.py", "--dataset", json.dumps(entries.peaks_of("@genome.fa.gz", "@a.bed")), "--inputs=@a.bed",
         "--out=@out/d.h5", "--provenance=@out/d.json"]),
    full("a genome is indexed", {"a.bed": GOOD},
        "out/g.fa.gz: no space left to write it", 2000,
        ["tracks/index_genome.py", "--fasta=@genome.fa", "--out=@out/g.fa.gz"]),
    full("a BAM file is indexed", {"a.bam": bam(index=False)}, "out/a.bam.bai: no space left to write it", 60,
        ["tracks/index_bam.py", "--bam=@a.bam", "--out=@out/a.bam.bai"]),
    full("intervals are lifted", {"a.bed": MANY, "a.chain": FORTH}, "out/b.bed: no space left to write it", 9000,
        ["liftover", "--chain=@a.chain", "--in=@a.bed", "--out=@out/b.bed"]),
    full("a file is fetched", {"served": DATA}, "no space left on the disk", 100_000,
        ["sources/fetch.py", "--name=data.bin", "--file", json.dumps({"url": "URL"}), "--out=@out/data.bin"],
        leaves=("data.bin.part", "data.bin.part.validator")),
]  # fmt: skip


def named(what: str, files: dict[str, Content], dataset: str, error: str) -> Case:
    """Return a case of a file that a task names, which is looked at before the first job."""
    return Case(what, entries.configured, files, error=error, settings={"dataset": dataset})


BED = (
    "{kind: windows, genome: @g.fa, sets: [{bed: @a.bed, target: 1}], length: 50, split: {valid: [chr2], test: [chr3]}}"
)
SIGNAL = ("{kind: matrix, genome: @g.fa, length: 400, crop: 0, bin: 10, tracks: {t: {file: @%s, no_data: nan}}, "
    "regions: {bed: @a.bed, split: {valid: [chr2], test: [chr3]}}}")  # fmt: skip
FASTA = {"g.fa": ">chr1\nACGT\n", "a.bed": GOOD}
NAMED = [
    named("an empty BED file", {**FASTA, "a.bed": ""}, BED, "tasks.mine.dataset.sets.0.bed: a.bed: the file is empty"),
    named("an HTML page for a genome", {**FASTA, "g.fa": PAGE}, BED,
        "tasks.mine.dataset.genome: g.fa: it is an HTML page"),
    named("a genome for a BED file", {**FASTA, "a.bed": ">chr1\nACGT\n"}, BED,
        "a.bed: line 1: a row of contig, start and end is expected, and '>chr1' is found"),
    named("a gzipped BED file with text for a start", {**FASTA, "a.bed": gz("chr1\tstart\t9\nchr1\t5\t9\n")}, BED,
        "a.bed: line 1: a row of contig, start and end is expected, and 'chr1\\tstart\\t9' is found"),
    named("a BED file for a genome", {**FASTA, "g.fa": GOOD}, BED, "g.fa: line 1: a header line '>name' is expected"),
    named("text for a BigWig file", {**FASTA, "t.bw": GOOD}, SIGNAL % "t.bw",
        "tasks.mine.dataset.tracks.t.file: t.bw: it is not a BigWig file, it begins with b'chr1"),
    named("a BigWig file that is truncated", {**FASTA, "t.bw": bigwig(change=lambda data: data[:300])}, SIGNAL % "t.bw",
        "tasks.mine.dataset.tracks.t.file: t.bw: its tables of contigs and places are damaged or cut off"),
    named("a bedGraph file of three columns", {**FASTA, "t.bedGraph": GOOD}, SIGNAL % "t.bedGraph",
        "t.bedGraph: line 1: a row of contig, start, end and value is expected"),
    named("a BAM file without index", {**FASTA, "a.bam": bam(index=False)}, SIGNAL % "a.bam",
        "tasks.mine.dataset.tracks.t.file: a.bam: it has no index (a.bam.bai beside it). Make it: samtools index"),
    named("a BAM file with the index of an earlier version",
        {**FASTA, "a.bam": bam(reads=[*READS, {"contig": 1, "start": 9, "cigar": "20M"}]),
         "a.bam.bai": index_of_earlier},
        SIGNAL % "a.bam", "a.bam: the index is of another file, or of an earlier version of a.bam"),
    named("gaps that are no table of UCSC and no BED file", {**FASTA, "gap.txt": "585\tchr1\tx\t9\n"},
        "{kind: matrix, genome: @g.fa, length: 400, crop: 0, bin: 10, tracks: {t: {file: @a.bed, no_data: zero}}, "
        "regions: {contigs: {gaps: @gap.txt}, split: {valid: [chr2], test: [chr3]}}}",
        "tasks.mine.dataset.regions.contigs.gaps: gap.txt: line 1: a row of contig, start and end is expected"),
    named("an HDF5 file whose rows were never written", {"a.h5": interrupted}, "{kind: hdf5, file: @a.h5}",
        "tasks.mine.dataset: a.h5: '/X_train' has 2 of 4 chunks, and the others were never written"),
    named("gzipped text for a BAM file", {**FASTA, "a.bam": gz(GOOD)}, SIGNAL % "a.bam", "a.bam: it is not a BAM file"),
]  # fmt: skip

# Heading of a table, what its cases are given to, and they.
TABLES = {
    "BED and narrowPeak files": ("a data set of windows, or of peaks", INTERVALS),
    "bedGraph files, and BED files as signal": ("a track", BEDGRAPH),
    "BigWig files": ("a track", BIGWIG),
    "BAM files": ("a track", BAM),
    "Chain files": ("`cisflow liftover`", CHAINS),
    "Intervals that are lifted": ("`cisflow liftover`, and tracks with `lift`", LIFTED),
    "Genomes": ("the rule `index_genome`", GENOME),
    "Genomes with indices": ("`cisflow embed`, and all that reads an indexed genome", INDEXED),
    "Sequences": ("a data set of FASTA files", SEQUENCES),
    "Arrays": ("a data set of HDF5 files", ARRAYS),
    "Downloads": ("the rule `fetch_source`", FETCHED),
    "Disks": ("rules and commands", FULL),
    "Before the first job": ("what a task names, by its first bytes", NAMED),
}
CASES = {f"{table}: {case.what}": case for table, (_, cases) in TABLES.items() for case in cases}
