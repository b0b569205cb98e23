import gzip

import numpy as np
import polars as pl
import pytest

from cisflow.errors import CisflowError
from cisflow.tracks import intervals
from cisflow.tracks.contigs import on_genome, reconcile
from cisflow.tracks.intervals import NARROW_PEAK, read_intervals


def write(folder, text, name="a.bed"):
    path = folder / name
    data = text.encode("latin-1")
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


@pytest.mark.parametrize("name", ["a.bed", "a.bed.gz"])
def test_the_fast_way_reads_what_the_slow_way_reads(tmp_path, name):
    rng = np.random.default_rng(0)
    start = rng.integers(0, 10**6, 2000)
    rows = (f"chr{n % 5}\t{a}\t{a + 7}\tp{n}\t0\t-\t{a / 7}\t1\t1\t{a % 7}\n" for n, a in enumerate(start.tolist()))
    path = write(tmp_path, "".join(rows), name)
    fast, slow = intervals._fast(path, NARROW_PEAK), intervals._slow(path, NARROW_PEAK)
    assert fast is not None
    assert fast.equals(slow.select(fast.columns))
    assert fast.schema == slow.select(fast.columns).schema
    assert read_intervals(path)["start"].to_list() == start.tolist()


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("chr1\t1\t2\r\nchr1\t5\t6\r\n", [1, 2]),
        ("track name=x\nbrowser position\n#c\nchr1\t1\t2\nchr1\t5\t6\n", [4, 5]),
        ("chr1 1 2\nchr1\t5\t6\n", [1, 2]),
        ("chr1\t1\t2\n\nchr1\t5\t6", [1, 3]),
        ("chr1\t1\t2\ntrack name=x\nchr1\t5\t6\n", [1, 3]),
        ("chr1\t1\t2\t\xe9\nchr1\t5\t6\tx\n", [1, 2]),
    ],
    ids=["CRLF", "headers", "spaces and tabs", "empty line", "a track line between", "Latin-1"],
)
def test_irregular_files_are_read_alike(tmp_path, text, lines):
    found = read_intervals(write(tmp_path, text))
    assert found.select("chrom", "start", "end").rows() == [("chr1", 1, 2), ("chr1", 5, 6)]
    assert found["line"].to_list() == lines


SIZES = {"chr1": 100, "chr2": 50, "chrM": 10}


def test_names_of_contigs_are_brought_together():
    assert reconcile(["chr2", "chr1", "chr9"], SIZES, "a.bed", "g.fa") == {"chr2": "chr2", "chr1": "chr1"}
    assert reconcile(["1", "2", "MT"], SIZES, "a.bed", "g.fa") == {"1": "chr1", "2": "chr2", "MT": "chrM"}
    assert reconcile(["chr1"], {"1": 5}, "a.bed", "g.fa") == {"chr1": "1"}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["chr1", "2"], "named in two ways: 'chr1' as in g.fa, and '2', which is 'chr2' there"),
        (["scaffold_1"], r"none of its contigs \(scaffold_1\) is in g.fa"),
    ],
)
def test_names_that_cannot_be_reconciled_are_refused(names, message):
    with pytest.raises(CisflowError, match=message):
        reconcile(names, SIZES, "a.bed", "g.fa")


def table(*rows) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema=["chrom", "start", "end"], orient="row")
    return frame.with_columns(line=pl.int_range(1, pl.len() + 1))


def test_intervals_on_other_contigs_are_left_out_and_counted():
    found, dropped = on_genome(table(("1", 5, 9), ("chrUn", 1, 2), ("2", 0, 50)), SIZES, "a.bed", "g.fa")
    assert found.rows() == [("chr1", 5, 9, 1), ("chr2", 0, 50, 3)]
    assert dropped == 1


def test_an_interval_beyond_its_contig_is_of_another_assembly():
    with pytest.raises(CisflowError, match=r"a.bed, line 2: chr2:0-51 ends beyond the contig, which has 50 bases"):
        on_genome(table(("chr1", 5, 9), ("chr2", 0, 51)), SIZES, "a.bed", "g.fa")
