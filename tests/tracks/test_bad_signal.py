"""Broken files of signal, and what is said about each."""

import struct

import numpy as np
import pyBigWig
import pytest
from pydantic import ValidationError
from tests.tracks.signals import SIZES, opened, settings, write_bam, write_bigwig

from cisflow.config.tracks import Track
from cisflow.errors import CisflowError
from cisflow.tracks.binning import Source

ROWS = [("chr1", n * 2, n * 2 + 1, float(n % 7)) for n in range(500)]


def values_of(path, start=0, length=1000, **keys):
    with Source(settings(path, **{"no_data": "nan", **keys}), SIZES, "toy.fa") as source:
        return source.bins(np.array([0]), np.array([start]), 10, length // 10)


def broken_bigwig(tmp_path, content: bytes):
    (tmp_path / "a.bw").write_bytes(content)
    return tmp_path / "a.bw"


def data_of(tmp_path, rows=ROWS, **keys) -> bytes:
    return write_bigwig(tmp_path / "whole.bw", rows, **keys).read_bytes()


def damaged(data: bytes) -> bytes:
    """Spoil the compressed block that the header points to."""
    (start,) = struct.unpack_from("<Q", data, 16)
    return data[: start + 8] + b"\x55" * 60 + data[start + 68 :]


BIGWIG = {
    "missing": (None, "a.bw: there is no such file"),
    "empty": (lambda data: b"", "a.bw: the file is empty"),
    "html": (lambda data: b"<html>404</html>", r"it is not a BigWig file .* It is an HTML or XML page"),
    "text": (lambda data: b"chr1\t1\t2\t3\n", "it is not a BigWig file"),
    "truncated": (lambda data: data[: len(data) // 2], "the BigWig file is truncated"),
    "end missing": (lambda data: data[:-4], "the BigWig file is truncated"),
    "header only": (lambda data: data[:40] + data[:4], "its header cannot be read"),
    "damaged": (damaged, r"chr1:0-1000 cannot be read .* truncated or damaged"),
}


@pytest.mark.parametrize("case", BIGWIG)
def test_broken_bigwigs(tmp_path, case, capfd):
    spoil, message = BIGWIG[case]
    if spoil:
        broken_bigwig(tmp_path, spoil(data_of(tmp_path)))
    with pytest.raises(CisflowError, match=message):
        values_of(tmp_path / "a.bw")


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(
    "keys", [{"no_data": "nan"}, {"no_data": "zero"}, {"no_data": "nan", "statistic": "max"}], ids=str
)
def test_values_that_are_no_numbers(tmp_path, value, keys):
    path = write_bigwig(tmp_path / "a.bw", [("chr1", 0, 10, 1.0), ("chr1", 10, 20, value)])
    with pytest.raises(CisflowError, match="there are NaN or infinite values in it"):
        values_of(path, **keys)
    # A file whose summary hides it.
    data = bytearray(path.read_bytes())
    (at,) = struct.unpack_from("<Q", data, 44)
    struct.pack_into("<Qdddd", data, at, 20, 0, 1, 1, 1)
    path.write_bytes(data)
    if keys.get("statistic") != "max" or np.isinf(value):
        with pytest.raises(CisflowError, match=r"a NaN or infinite value in chr1:0-1000, at 0"):
            values_of(path, **keys)


def test_bases_of_a_file_that_cannot_be_read(tmp_path):
    path = write_bigwig(tmp_path / "a.bw", [("chr1", 0, 10, 1.0)])
    with opened(path) as signal:
        signal._file.close()
        with pytest.raises(CisflowError, match="chr1:0-20 cannot be read"):
            signal.values("chr1", 0, 20)


def test_a_bigwig_of_another_genome(tmp_path):
    write_bigwig(tmp_path / "a.bw", [("chr1", 0, 10, 1.0)], {"chr1": 1001})
    with pytest.raises(CisflowError, match=r"'chr1' has 1,001 bases in it, and 1,000 in toy.fa"):
        values_of(tmp_path / "a.bw")
    write_bigwig(tmp_path / "a.bw", [("scaffold_1", 0, 10, 1.0)], {"scaffold_1": 1001})
    with pytest.raises(CisflowError, match=r"none of its contigs \(scaffold_1\) is in toy.fa"):
        values_of(tmp_path / "a.bw")
    write_bigwig(tmp_path / "a.bw", [("1", 0, 9, 1.0), ("chr2", 0, 9, 1.0)], {"1": 1000, "chr2": 400})
    with pytest.raises(CisflowError, match="its contigs are named in two ways"):
        values_of(tmp_path / "a.bw")


def test_a_contig_that_is_not_in_the_file(tmp_path):
    write_bigwig(tmp_path / "a.bw", [("chr2", 0, 10, 1.0)])
    with pytest.raises(CisflowError, match="it has no contig 'chr1'.* absent_contigs: no_data"):
        values_of(tmp_path / "a.bw")


TABLES = {
    "unsorted": ("chr1\t50\t60\t1\nchr1\t10\t20\t1\n", "line 2: chr1:10-20: it begins before the row above it"),
    "overlap": ("chr1\t50\t60\t1\nchr1\t55\t70\t1\n", "line 2: chr1:55-70: it overlaps the row above it"),
    "contig again": (
        "chr1\t50\t60\t1\nchr2\t1\t2\t1\nchr1\t70\t80\t1\n", "line 3: chr1:70-80: its contig was left before"
    ),
    "beyond": ("chr1\t990\t1001\t1\n", "line 1: chr1:990-1001 ends beyond the contig"),
    "nan": ("chr1\t1\t2\tnan\n", "line 1: column 4, the value, is 'nan', no finite number"),
    "infinity": ("chr1\t1\t2\tinf\n", "line 1: column 4, the value, is 'inf', no finite number"),
    "text": ("chr1\t1\t2\thigh\n", "line 1: column 4, the value, is 'high', no number"),
    "three columns": ("chr1\t1\t2\n", "line 1: it has 3 columns, and the value is read from column 4"),
    "negative": ("chr1\t-1\t2\t1\n", "line 1: -1 to 2 is no interval"),
    "empty": ("", "the file is empty"),
    "other genome": ("scaffold\t1\t2\t1\n", "none of its contigs"),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLES)
def test_broken_bedgraphs(tmp_path, case):
    text, message = TABLES[case]
    (tmp_path / "a.bedGraph").write_text(text)
    with pytest.raises(CisflowError, match=message):
        values_of(tmp_path / "a.bedGraph")


READS = [{"contig": 0, "start": n, "cigar": "20M"} for n in range(0, 900, 2)]


def test_broken_bams(tmp_path):
    path = write_bam(tmp_path / "a.bam", READS, index=False)
    with pytest.raises(CisflowError, match=r"a.bam: it has no index .* samtools index"):
        values_of(path)
    data = write_bam(path, READS).read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(CisflowError, match="the BAM file is truncated"):
        values_of(path)
    path.write_bytes(b"<html></html>")
    with pytest.raises(CisflowError, match="it is not a BAM file"):
        values_of(path)
    write_bam(path, READS, {"chr1": 999, "chr2": 400})
    with pytest.raises(CisflowError, match="'chr1' has 999 bases in it"):
        values_of(path)


def test_a_bam_with_a_damaged_block(tmp_path):
    rng = np.random.default_rng(0)
    reads = [{**read, "sequence": "".join(rng.choice(list("ACGT"), 20))} for read in READS]
    data = bytearray(write_bam(tmp_path / "a.bam", reads).read_bytes())
    data[len(data) // 2 : len(data) // 2 + 40] = b"\x55" * 40
    (tmp_path / "a.bam").write_bytes(data)
    with pytest.raises(CisflowError, match="chr1:0-1000 cannot be read"):
        values_of(tmp_path / "a.bam")


def test_pybigwig_files_are_whole_too(tmp_path):
    with pyBigWig.open(str(tmp_path / "a.bw"), "w") as file:
        file.addHeader(list(SIZES.items()))
        file.addEntries(["chr1"], [5], ends=[10], values=[2.0])
    values, mask = values_of(tmp_path / "a.bw")
    assert mask.sum() == 1
    assert values[0, 0] == 2


SETTINGS = {
    "no policy": ({"file": "a.bw"}, "no_data: this key is needed"),
    "two files": ({"file": "a.bw", "numerator": "b.bw", "denominator": "c.bw"}, "a track has a file, or a numerator"),
    "half a ratio": ({"numerator": "b.bw"}, "a track has a file, or a numerator"),
    "ratio of means": ({"numerator": "b.bw", "denominator": "c.bw", "statistic": "max"}, "a ratio is one of sums"),
    "format": ({"file": "a.txt", "no_data": "zero"}, "format: the end of the name 'a.txt' does not tell it"),
    "lifted median": ({"file": "a.bw", "no_data": "median", "lift": ["c.chain"]}, "what is of a whole window"),
    "compat": ({"file": "a.bw", "no_data": "zero", "compat": "cs282a"}, "'cs282a' is a way of lifting"),
    "extend": (
        {"file": "a.bam", "no_data": "zero", "reads": {"count": "ends", "extend": 5}},
        "extend: it makes fragments",
    ),
    "statistic": (
        {"file": "a.bw", "no_data": "zero", "statistic": "avg"},
        "statistic\n  Input should be 'mean', 'sum'",
    ),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_settings_that_make_no_sense(case):
    keys, message = SETTINGS[case]
    with pytest.raises(ValidationError, match=message):
        Track.model_validate(keys)
