"""BED files through `cisflow liftover`: columns, dropped rows, and what is refused."""

import gzip

import numpy as np
import pytest
from tests.tracks.test_liftover import chain_text
from typer.testing import CliRunner

from cisflow import cli
from cisflow.errors import CisflowError
from cisflow.tables import DROPPED, read_tsv
from cisflow.tracks.bed import lift_bed, read_bed
from cisflow.tracks.chains import read_chains
from cisflow.tracks.liftover import Rules, contig_codes, lift_points


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


# A chain with a gap of 20 bases in the source and 30 in the target, and one of the other strand.
GAPPED = chain_text(9, "chr1", "chrA", [(100, 20, 30), (880, 0, 0)], at=0, there=500)
TURNED = chain_text(8, "chr2", "chrA", [(1000, 0, 0)], "-", at=0, there=0)


def peak(chrom, start, end, summit, strand="."):
    return f"{chrom}\t{start}\t{end}\tp\t0\t{strand}\t2.5\t1\t-1\t{summit}\n"


def lift_peaks(tmp_path, text, name="a.narrowPeak", **keys):
    (tmp_path / "g.chain").write_text(GAPPED + TURNED)
    (tmp_path / name).write_text(text)
    notes = lift_bed(tmp_path / "g.chain", tmp_path / name, tmp_path / "out.bed", Rules(0.5, 1.0), **keys)
    return [line.split("\t") for line in (tmp_path / "out.bed").read_text().splitlines()], notes


@pytest.mark.parametrize("name", ["a.narrowPeak", "ENCFF000ABC.bed", "A.NARROWPEAK"])
def test_summits_of_peaks_are_lifted(tmp_path, name):
    """Each is held against its own base, lifted as a point."""
    peaks = [("chr1", 50, 200, 10), ("chr1", 50, 200, 90), ("chr1", 50, 200, 60), ("chr1", 300, 400, -1),
        ("chr2", 10, 60, 5), ("chr2", 10, 60, 49), ("chr2", 10, 60, 0)]  # fmt: skip
    rows, notes = lift_peaks(tmp_path, "".join(peak(*row, strand="+") for row in peaks), name)
    chains = read_chains(tmp_path / "g.chain")
    codes = contig_codes(chains, [row[0] for row in peaks])
    points = lift_points(chains, codes, np.array([start + summit for _, start, _, summit in peaks]))
    for (chrom, _, _, summit), row, at in zip(peaks, rows, points.start.tolist(), strict=True):
        assert int(row[9]) == (at - int(row[1]) if summit >= 0 and at >= 0 else -1)
        assert int(row[9]) < int(row[2]) - int(row[1])
        assert row[5] == ("-" if chrom == "chr2" else "+")
    assert [int(row[9]) for row in rows] == [10, 100, -1, -1, 44, 0, 49]
    assert notes[-2:] == ["narrowPeak: 5 summits lifted", "  1 summits are -1: their base is not in the target"]


def test_a_file_that_is_no_narrow_peak_keeps_its_columns(tmp_path):
    text = peak("chr2", 10, 60, 5)
    assert lift_peaks(tmp_path, text, kind="bed")[0][0][9] == "5"
    # BED10 with another meaning: not all rows have a summit.
    rows, notes = lift_peaks(tmp_path, text + peak("chr2", 10, 60, 900), "a.bed")
    assert [row[9] for row in rows] == ["5", "900"]
    assert notes[-1] == "columns after the sixth are kept as they are: coordinates in them are not lifted"
    wrong = r"line 2: a row of a narrowPeak file has ten columns.* from -1 to 49 here.* say --format bed"
    for name, kind in (("a.narrowPeak", "auto"), ("a.bed", "narrowpeak")):
        with pytest.raises(CisflowError, match=wrong):
            lift_peaks(tmp_path, text + peak("chr2", 10, 60, 50), name, kind=kind)


def test_rows_beyond_their_contig_are_dropped_if_that_is_asked(tmp_path, chain):
    rows = "chr1\t1\t5\n" * 200 + "chr1\t4990\t5001\tend\n"
    with pytest.raises(CisflowError, match="1 of 201 rows are so, and the others fit.* --drop-beyond drops such rows"):
        lift(tmp_path, chain, rows)
    (tmp_path / "a.bed").write_text(rows)
    arguments = ["--chain", chain, "--in", tmp_path / "a.bed", "--out", tmp_path / "b.bed", "--drop-beyond"]
    result = CliRunner().invoke(cli.app, ["liftover", *map(str, arguments)], catch_exceptions=False)
    assert "200 of 201 intervals lifted" in result.output
    assert "1 beyond: they end beyond their contig" in result.output
    assert read_tsv(tmp_path / "b.dropped.tsv", DROPPED).rows() == [("chr1", 4990, 5001, "end", "beyond")]
