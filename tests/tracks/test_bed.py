"""BED files through `cisflow liftover`: columns, dropped rows, and what is refused."""

import gzip

import pytest
from tests.tracks.test_liftover import chain_text
from typer.testing import CliRunner

from cisflow import cli
from cisflow.errors import CisflowError
from cisflow.tables import DROPPED, read_tsv
from cisflow.tracks.bed import lift_bed, read_bed
from cisflow.tracks.liftover import Rules


@pytest.fixture
def chain(tmp_path):
    path = tmp_path / "a.chain"
    forward = chain_text(9, "chr1", "chrA", [(1000, 0, 0)], at=0, there=500)
    path.write_text(forward + chain_text(8, "chr2", "chrA", [(1000, 0, 0)], "-", at=0, there=0))
    return path


def lift(tmp_path, chain, text, output="b.bed", **rules):
    (tmp_path / "a.bed").write_bytes(text.encode())
    return lift_bed(chain, tmp_path / "a.bed", tmp_path / output, Rules(**rules))


def test_the_command_keeps_columns_and_accounts_for_every_row(tmp_path, chain):
    rows = ["track name=x", "# comment", "chr1\t10\t20\tpeak 1\t0.5\t+\t7", "chr2\t0\t10\tb\t1\t+\t8", "",
        "chr1\t2000\t2010\t12\t0\t-\t1", "chrUn\t5\t9\tu\t0\t.\t1"]  # fmt: skip
    (tmp_path / "a.bed").write_bytes("\r\n".join(rows).encode())
    arguments = ["--chain", chain, "--in", tmp_path / "a.bed", "--out", tmp_path / "b.bed"]
    result = CliRunner().invoke(cli.app, ["liftover", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0
    lifted = (tmp_path / "b.bed").read_text().splitlines()
    assert lifted == ["chrA\t510\t520\tpeak 1\t0.5\t+\t7", "chrA\t5990\t6000\tb\t1\t-\t8"]
    table = read_tsv(tmp_path / "b.dropped.tsv", DROPPED)
    assert table.rows() == [("chr1", 2000, 2010, "12", "deleted"), ("chrUn", 5, 9, "u", "no_chain")]
    for told in ("2 of 4 intervals lifted", "2 dropped", "1 deleted", "1 no_chain", "2 track", "after the sixth"):
        assert told in result.output


def test_three_columns_and_gzip(tmp_path, chain):
    notes = lift(tmp_path, chain, "chr1 1 2\nchr1 5 9\n", "b.bed.gz")
    assert gzip.decompress((tmp_path / "b.bed.gz").read_bytes()) == b"chrA\t501\t502\nchrA\t505\t509\n"
    assert (tmp_path / "b.dropped.tsv").read_text() == "\t".join(DROPPED) + "\n"
    assert len(notes) == 1
    assert len(read_bed(tmp_path / "b.bed.gz").fields) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chr1\t1\n", "line 1: a row is contig, start and end"),
        ("chr1\t1\t5\nchr1\tx\t5\n", "line 2: a row is contig"),
        ("chr1\t5\t5\n", "line 1: 5 to 5 is no interval"),
        ("chr1\t-1\t5\n", "line 1: -1 to 5 is no interval"),
        ("track x\n", "there is no row"),
        ("1\t1\t5\n", "They call it 'chr1': rename"),
        ("scaffold\t1\t5\n", "no contig of it"),
        ("chr1\t1\t5\nchr1\t4990\t5001\n", "line 2: the interval ends at 5,001, and chr1 has 5,000"),
    ],
)
def test_what_is_refused_leaves_nothing(tmp_path, chain, text, message):
    with pytest.raises(CisflowError, match=message):
        lift(tmp_path, chain, text)
    assert not list(tmp_path.glob("b*"))


def test_an_interval_may_end_where_its_contig_does(tmp_path, chain):
    assert lift(tmp_path, chain, "chr1\t4990\t5000\n")[0].endswith("0 of 1 intervals lifted")


def test_the_wrong_direction_is_told(tmp_path):
    (tmp_path / "a.chain").write_text(chain_text(9, "chr1", "chr1", [(1000, 0, 0)]))
    with pytest.raises(CisflowError, match=r"The target's chr1 has 6,000: is the chain of the other direction\?"):
        lift(tmp_path, tmp_path / "a.chain", "chr1\t5500\t5600\n")


def test_an_output_that_is_an_input_is_refused(tmp_path, chain):
    with pytest.raises(CisflowError, match="would overwrite"):
        lift(tmp_path, chain, "chr1\t1\t5\n", "a.bed")
