import gzip

import numpy as np
import polars as pl
import pytest

from cisflow.errors import CisflowError
from cisflow.tracks import intervals
from cisflow.tracks.beginnings import wrong_beginning
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
    fast, slow = intervals._fast(path, NARROW_PEAK, 0), intervals._slow(path, NARROW_PEAK, 0, ())
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
    found = on_genome(table(("1", 5, 9), ("chrUn", 1, 2), ("2", 0, 50)), SIZES, "a.bed", "g.fa")
    assert found.table.rows() == [("chr1", 5, 9, 1), ("chr2", 0, 50, 3)]
    assert (found.elsewhere, found.beyond) == (1, 0)


@pytest.mark.parametrize(
    ("sound", "verdict"),
    [
        (1, r"1 of 2 rows are so: is the file of another assembly\? 'rows_beyond_contig: drop' goes on without"),
        (99, "1 of 100 rows are so, and the others fit: it is hardly of another assembly. 'rows_beyond_contig: drop'"),
    ],
)
def test_an_interval_beyond_its_contig_is_refused_with_due_certainty(sound, verdict):
    rows = table(*[("chr1", 5, 9)] * sound, ("chr2", 0, 51))
    where = f"a.bed, line {sound + 1}: chr2:0-51 ends beyond the contig, which has 50 bases in g.fa. "
    with pytest.raises(CisflowError, match=where + verdict):
        on_genome(rows, SIZES, "a.bed", "g.fa")


def test_intervals_beyond_their_contig_are_left_out_or_cut_if_that_is_asked():
    rows = table(("chr1", 5, 9), ("chr2", 40, 51), ("chr2", 50, 60))
    dropped, cut = (on_genome(rows, SIZES, "a.bed", "g.fa", way) for way in ("drop", "cut"))
    assert dropped.table.rows() == [("chr1", 5, 9, 1)]
    assert cut.table.rows() == [("chr1", 5, 9, 1), ("chr2", 40, 50, 2)]
    assert dropped.beyond == cut.beyond == 2


TABLE = "585\tchr1\t0\t10\t1\tN\t10\ttelomere\tno\n9\tchr2\t20\t30\t5\tN\t10\tcontig\tno\n"
HEADER = "#bin\tchrom\tchromStart\tchromEnd\tix\tn\tsize\ttype\tbridge\n"


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        ("gap.txt", TABLE, [1, 2]),
        ("gap.txt.gz", TABLE, [1, 2]),
        ("gap.TXT", TABLE, [1, 2]),
        ("hg38.gaps", TABLE, [1, 2]),
        ("gap.txt", HEADER + TABLE, [2, 3]),
        ("gap.txt", TABLE.replace("\n", "\r\n"), [1, 2]),
        ("gap.txt", TABLE.replace("\n", "\n\n"), [1, 3]),
        ("gap.txt", "chr1\t0\t10\nchr2\t20\t30\n", [1, 2]),
        ("gaps.bed", "chr1\t0\t10\nchr2\t20\t30\n", [1, 2]),
    ],
)
def test_a_table_of_ucsc_is_told_from_a_bed_file_by_its_first_row(tmp_path, name, text, lines):
    found = read_intervals(write(tmp_path, text, name), tables=True)
    assert found.select("chrom", "start", "end").rows() == [("chr1", 0, 10), ("chr2", 20, 30)]
    assert found["line"].to_list() == lines
    assert wrong_beginning(tmp_path / name, "places") is None
