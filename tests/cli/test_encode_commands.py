"""`cisflow encode` against a server that answers as ENCODE does."""

import pytest
from tests.config.standin import ATAC, load
from tests.portal import experiment, file
from typer.testing import CliRunner

from cisflow import cli
from cisflow.cli import encode as commands
from cisflow.cli.doctor import _unpinned
from cisflow.errors import CisflowError
from cisflow.sources.manifest import read_manifest

__all__ = ["load"]


@pytest.fixture(autouse=True)
def _wide(monkeypatch):
    monkeypatch.setattr(commands.out, "_width", 200)


@pytest.fixture(autouse=True)
def experiments(portal):
    found = [
        experiment("ENCSR000AAA", [file("ENCFF001AAA"), file("ENCFF002AAA", file_type="bam")], "ATAC-seq", None),
        experiment("ENCSR000BBB", [file("ENCFF003AAA")], "ATAC-seq", None, "HepG2"),
    ]
    portal.experiments = found
    return found


@pytest.fixture
def run(load, tmp_path):
    """Run a command of `cisflow encode` on a project with the given data set; return its exit status and output."""

    def ran(*arguments, dataset=ATAC):
        load(dataset)
        result = CliRunner().invoke(cli.app, ["encode", *arguments, "--config", str(tmp_path / "config.yaml")])
        if isinstance(result.exception, CisflowError):
            return result.exit_code, f"{result.output}{result.exception}"
        return result.exit_code, result.output

    return ran


def search(*arguments):
    result = CliRunner().invoke(cli.app, ["encode", "search", *arguments])
    return result.exit_code, f"{result.output}{result.exception or ''}"


def test_search_shows_files_and_reasons():
    status, output = search("--assay", "ATAC-seq")
    assert status == 0
    assert "ENCFF001AAA  ATAC-seq  ATAC    K562" in output
    assert "2 files are taken, 0.0 MB; 1 are left out" in output
    assert "1  another file type" in output
    assert "1 files are taken" in search("--assay", "ATAC-seq", "--biosample", "HepG2")[1]
    assert "0 files are taken" in search("--assay", "CAGE")[1]
    assert (
        "note: biosample: no file has 'k562', but 'HepG2'." in search("--biosample", "HepG2", "--biosample", "k562")[1]
    )
    assert "1 files are taken" in search("--accession", "ENCFF002AAA")[1]


def test_search_says_what_is_wrong_with_its_options():
    assert "it would take all of ENCODE" in search()[1]
    assert "--require-empty: require_empty" in search("--assay", "x", "--require-empty", "y")[1]


def test_a_task_is_pinned_and_compared(run, portal, tmp_path, experiments):
    path = tmp_path / "pins/a.tsv"
    assert "there is no" in run("diff", "a")[1]
    status, output = run("pin", "a")
    assert (status, "2 files, 0.0 MB; commit it" in output) == (0, True)
    found = read_manifest(path)
    assert [row["accession"] for row in found.rows] == ["ENCFF001AAA", "ENCFF003AAA"]
    assert (found.server, found.left_out) == (portal.url, {"another file type": 1})
    before = path.read_bytes()
    assert run("diff", "a")[0] == 0
    assert "as at ENCODE today" in run("pin", "a")[1]

    experiments[0]["files"] = [file("ENCFF001AAA", status="archived"), file("ENCFF004AAA")]
    experiments[1]["files"] = [file("ENCFF003AAA", md5sum="1" * 32)]
    status, output = run("diff", "a")
    assert status == 1
    assert "added    ENCFF004AAA  ATAC, K562" in output
    assert "gone     ENCFF001AAA  ATAC, K562: status: archived" in output
    assert f"changed  ENCFF003AAA  md5: {found.rows[1]['md5']} -> {'1' * 32}" in output
    status, output = run("pin", "a")
    assert status == 1
    assert "it is pinned already" in output
    assert "--force replaces it" in output
    assert path.read_bytes() == before
    assert run("pin", "a", "--force")[0] == 0
    assert run("diff", "a")[0] == 0


def test_a_changed_query_differs(run):
    assert run("pin", "a")[0] == 0
    status, output = run("diff", "a", dataset="encode: {assay: ATAC-seq, biosample: K562}")
    assert status == 1
    assert "The query, or the accessions, have changed" in output
    assert ": biosample: none -> K562." in output
    assert "gone     ENCFF003AAA  ATAC, HepG2: not in the answer" in output


def test_a_broken_manifest_is_replaced_by_force(run, tmp_path):
    run("pin", "a")
    (tmp_path / "pins/a.tsv").write_text("x")
    status, output = run("pin", "a")
    assert (status, "it is no manifest of cisflow" in output) == (1, True)
    assert run("pin", "a", "--force")[0] == 0


def test_nothing_is_pinned_without_files(run, tmp_path):
    status, output = run("pin", "a", dataset="encode: {assay: ATAC-seq, assembly: hg19}")
    assert status == 1
    assert "2  another assembly" in output
    assert "note: assembly: no file has 'hg19', but 'GRCh38'." in output
    assert "ENCODE has no file of its query" in output
    assert not (tmp_path / "pins").exists()
    assert "neither a query" in run("pin", "a", dataset="genome: hg38")[1]


def test_a_server_that_fails_leaves_the_manifest_as_it_is(run, portal, tmp_path):
    run("pin", "a")
    before = (tmp_path / "pins/a.tsv").read_bytes()
    portal.faults = ["page"]
    status, output = run("pin", "a", "--force")
    assert (status, "HTML page" in output) == (1, True)
    assert (tmp_path / "pins/a.tsv").read_bytes() == before


def test_the_doctor_names_tasks_whose_files_are_not_pinned(run, load):
    (finding,) = _unpinned(load(ATAC))
    assert finding.level == "note"
    assert "Run: cisflow encode pin a" in finding.text
    run("pin", "a")
    assert list(_unpinned(load(ATAC))) == []
