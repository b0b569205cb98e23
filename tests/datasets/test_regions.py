"""Regions of data sets of signal: of BED files and over a genome, with their account, and what is refused."""

import gzip
from collections import Counter

import polars as pl
import pytest

from cisflow.config.matrix import Regions
from cisflow.datasets.account import Account
from cisflow.datasets.regions import make_regions, read_account
from cisflow.errors import CisflowError

SIZES = {"chr1": 1000, "chr2": 500, "chr3": 400}
BY_CHROM = {"valid": ["chr2"], "test": ["chr3"]}
ROWS = ["chr1 0 100 train", "chr1 200 300 train", "chr2 100 200 valid", "chr3 50 150 test", "chrUn 0 100 train"]


def bed(tmp_path, rows=ROWS, name="r.bed"):
    path = tmp_path / name
    path.write_text("".join("\t".join(row.split()) + "\n" for row in rows))
    return str(path)


def spec(regions, length=100, crop=20, edges="pad", bin=10):
    return {"regions": Regions.model_validate(regions).model_dump() | paths(regions), "length": length, "crop": crop,
        "edges": edges, "bin": bin}  # fmt: skip


def paths(regions):
    """The paths that the configuration puts in the places of files."""
    found = {"bed": regions["bed"]} if "bed" in regions else {"bed": None}
    if "contigs" in regions:
        model = Regions.model_validate(regions).contigs.model_dump()
        found["contigs"] = model | {key: regions["contigs"].get(key) for key in ("gaps", "unmappable")}
    return found


def moved(account, unit="windows"):
    return {(row["step"], row["reason"]): row["rows"] for row in account.rows if row["unit"] == unit}


def test_rows_of_a_bed_file_are_input_windows(tmp_path):
    table, account = make_regions(spec({"bed": bed(tmp_path), "split": {"column": 3}}), SIZES, "g")
    assert table.columns == ["chrom", "start", "end", "split", "input_start", "input_end"]
    assert table.rows() == [
        ("chr1", 20, 80, "train", 0, 100), ("chr1", 220, 280, "train", 200, 300), ("chr2", 120, 180, "valid", 100, 200),
        ("chr3", 70, 130, "test", 50, 150),
    ]  # fmt: skip
    assert moved(account) == {("read", ""): 5, ("genome", "no_such_contig"): -1, ("kept", "train"): 2,
        ("kept", "valid"): 1, ("kept", "test"): 1}  # fmt: skip


def test_rows_of_a_bed_file_are_target_windows(tmp_path):
    rows = [*ROWS, "chr1 0 100 train"]
    chosen = {"bed": bed(tmp_path, rows), "window": "target", "split": {**BY_CHROM, "train": ["chr1"]}}
    table, account = make_regions(spec(chosen, length=140), SIZES, "g")
    assert table.rows()[:2] == [("chr1", 0, 100, "train", -20, 120), ("chr1", 200, 300, "train", 180, 320)]
    assert moved(account)["read", "duplicate"] == -1


def test_windows_beyond_a_contig_are_dropped_if_that_is_asked(tmp_path):
    chosen = {"bed": bed(tmp_path), "window": "target", "split": {"column": 3}}
    table, account = make_regions(spec(chosen, length=140, edges="drop"), SIZES, "g")
    assert table.rows()[0] == ("chr1", 200, 300, "train", 180, 320)
    assert moved(account)["edges", "beyond_contig_train"] == -1
    with pytest.raises(CisflowError, match=r"chr1:-20-120 reaches beyond its contig \(1 such windows\)"):
        make_regions(spec(chosen, length=140, edges="fail"), SIZES, "g")


def test_windows_over_contigs_and_their_account(tmp_path):
    gaps = tmp_path / "gap.txt.gz"
    with gzip.open(gaps, "wt") as file:
        file.write("585\tchr1\t0\t100\t1\tN\t100\ttelomere\tno\n9\tchr1\t400\t410\t2\tN\t10\tscaffold\tno\n")
        file.write("9\tchrUn\t1\t2\t2\tN\t1\tscaffold\tno\n")
    contigs = {"gaps": str(gaps), "stride_train": 0.5, "unmappable": bed(tmp_path, ["chr2 0 130", "chr2 200 230"])}
    made = {"contigs": contigs, "split": {**BY_CHROM, "leave_out": []}}
    table, account = make_regions(spec(made), SIZES | {"chrM": 90}, "g")
    # Contigs of chr1: 100-400 and 410-1000; target windows of 60, by 50 in train and by 100 else. Of chr2, that at 0
    # is unmappable, and those at 100 and 200 are with 3 of 6 bins.
    found = {key: own.sort("start")["start"].to_list() for key, own in table.group_by("split", "chrom")}
    assert found == {
        ("train", "chr1"): [*range(100, 341, 50), *range(410, 941, 50)], ("train", "chrM"): [0],
        ("valid", "chr2"): [300, 400], ("test", "chr3"): [0, 100, 200, 300],
    }  # fmt: skip
    assert moved(account)["unmappable", "valid"] == -3
    assert moved(account, "bases")["genome", ""] == 1990
    assert moved(account, "gaps") == {("read", ""): 3, ("genome", "no_such_contig"): -1, ("kept", ""): 2}
    account.write(tmp_path / "a.tsv")
    whole = Account("windows")
    read_account(tmp_path / "a.tsv", whole)
    for split, rows in Counter(table["split"]).items():
        whole.keep(rows, split)
    assert Counter(map(str, whole.rows)) == Counter(map(str, account.rows))
    whole.close()


def test_chromosomes_that_are_left_out_are_counted(tmp_path):
    contigs = {"contigs": {}, "split": {**BY_CHROM, "leave_out": ["4"]}}
    table, account = make_regions(spec(contigs), SIZES | {"chr4": 77}, "g")
    assert "chr4" not in table["chrom"]
    assert moved(account, "bases")["split", "left_out"] == -77
    only = {"contigs": {}, "split": {**BY_CHROM, "train": ["chr1"]}}
    again, account = make_regions(spec(only), SIZES | {"chr4": 77}, "g")
    assert again.equals(table)
    assert moved(account, "bases")["split", "left_out"] == -77


@pytest.mark.parametrize(
    ("rows", "regions", "message"),
    [
        (["chr1 0 99 train"], {"split": {"column": 3}}, "line 1: the region has 99 bases, and the input windows"),
        ([*ROWS, "chr1 0 100 test"], {"split": {"column": 3}}, "line 1: the region is there again, in another split"),
        (["chr1 0 100 dev"], {"split": {"column": 3}}, "the split 'dev' is not one of train, valid, test"),
        (["chr1 0 100"], {"split": {"column": 3}}, "it has 3 columns, and the split is read from column 4"),
        (["chr1 0 100 train"], {"split": {"column": 3}}, "no row is in valid, test"),
        (["chr1 950 1050 train"], {"split": {"column": 3}}, "ends beyond the contig, which has 1,000 bases"),
        (["X 0 100 train"], {"split": {"column": 3}}, r"none of its contigs \(X\) is in g"),
        ([*ROWS, "1 300 400 train"], {"split": {"column": 3}}, "its contigs are named in two ways"),
        (ROWS, {"split": {"valid": ["chr2"], "test": ["chr9"]}}, "'split' names chr9"),
    ],
)  # fmt: skip
def test_bed_files_that_are_refused(tmp_path, rows, regions, message):
    with pytest.raises(CisflowError, match=message):
        make_regions(spec({"bed": bed(tmp_path, rows), **regions}), SIZES, "g")


def test_rows_beyond_their_contig_are_left_out_and_gaps_are_cut_if_that_is_asked(tmp_path):
    rows = {"bed": bed(tmp_path, [*ROWS, "chr1 950 1050 train"]), "split": {"column": 3}}
    contigs = {"contigs": {"gaps": bed(tmp_path, ["chr2 450 501", "chr3 400 410"], "g.bed")}, "split": BY_CHROM}
    for regions in (rows, contigs):
        with pytest.raises(CisflowError, match="ends beyond the contig, which has"):
            make_regions(spec(regions), SIZES, "g")
    drop = {"rows_beyond_contig": "drop"}
    table, account = make_regions(spec(rows | drop), SIZES, "g")
    assert table.equals(make_regions(spec(rows | {"bed": bed(tmp_path)}), SIZES, "g")[0])
    assert moved(account)["genome", "row_beyond_contig"] == -1
    table, account = make_regions(spec(contigs | drop), SIZES, "g")
    assert table.filter(pl.col("chrom") == "chr2")["end"].max() <= 450
    assert moved(account, "gaps") == {("read", ""): 2, ("genome", "row_beyond_contig"): -1, ("kept", ""): 1}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"585\tchr1\tx\t5\n", "line 1: a row is contig, start and end"),
        (b"chr1\t5\n", "line 1: a row is contig, start and end"),
        (b"585\tchr1\t9\t5\n", "line 1: 9 to 5 is no interval"),
        (b"585\tchr1\t1\t5\n585\tchr1\t9\tx\n", "line 2: a row is contig, start and end"),
        (gzip.compress(b"585\tchr1\t1\t5\n" * 99, mtime=0)[:-12], "truncated or damaged"),
        (b"585\tchrX\t0\t5\n", "none of its contigs"),
    ],
)
def test_tables_of_gaps_that_are_refused(tmp_path, content, message):
    path = tmp_path / ("gap.txt.gz" if content[:2] == b"\x1f\x8b" else "gap.txt")
    path.write_bytes(content)
    with pytest.raises(CisflowError, match=message):
        make_regions(spec({"contigs": {"gaps": str(path)}, "split": BY_CHROM}), SIZES, "g")


@pytest.mark.parametrize(
    ("names", "message"), [(["chr7"], r"none of its contigs \(chr7\) is in g"), (["3", "7"], "g has no contig 7")]
)
def test_chromosomes_of_no_contig_are_refused(names, message):
    with pytest.raises(CisflowError, match=message):
        make_regions(spec({"contigs": {}, "split": {"valid": ["2"], "test": names}}), SIZES, "g")


@pytest.mark.real_data
def test_the_windows_of_cs282a(real_data):
    path = real_data / "cs282a" / "sequences.bed"
    rows = pl.read_csv(path, separator="\t", has_header=False, new_columns=["chrom", "start", "end", "split"])
    sizes = dict(rows.group_by("chrom").agg(pl.col("end").max()).rows())
    chosen = spec({"bed": str(path), "split": {"column": 3}}, 131_072, 8192)
    table, account = make_regions(chosen, sizes, "hg38")
    assert [moved(account)["kept", split] for split in ("train", "valid", "test")] == [34021, 2213, 1937]
    assert table["input_start"].equals(rows["start"].rename("input_start"))
    assert (table["end"] - table["start"]).unique().to_list() == [114_688]
    # Of the project's windows, target windows of one split never overlap in valid and test, and none in two splits do.
    ordered = table.sort("chrom", "start")
    nearer = ordered.select(
        overlap=(pl.col("start") < pl.col("end").shift()) & (pl.col("chrom") == pl.col("chrom").shift()),
        apart=pl.col("split") != pl.col("split").shift(), split="split",
    ).filter("overlap")  # fmt: skip
    assert not nearer["apart"].any()
    assert nearer["split"].unique().to_list() == ["train"]
