"""BED files through `cisflow liftover`: columns, dropped rows, and what is refused."""

import gzip

import pytest
from tests.tracks.test_liftover import chain_text
from typer.testing import CliRunner

from cisflow import cli
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


def test_an_interval_may_end_where_its_contig_does(tmp_path, chain):
    assert lift(tmp_path, chain, "chr1\t4990\t5000\n")[0].endswith("0 of 1 intervals lifted")
