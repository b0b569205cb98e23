"""Records of real jobs: gathered, up to date when they are, shown in the report, and written as an RO-Crate."""

import json

import pytest

from cisflow.tables import RECORDS, read_tsv
from tests.records.conftest import validate  # noqa: F401
from tests.workflow.browser import open_page
from tests.workflow.conftest import cisflow, copy_of_repository, succeed

DEMO = ("--profile", "profiles/demo")
RESULTS = "results/demo"
FIGURE, MOTIFS = f"{RESULTS}/figures/s7.pdf", "resources/jaspar2016/jaspar2016.meme"
TABLE = f"{RESULTS}/records.tsv"


@pytest.fixture(scope="module")
def done(root, tmp_path_factory):
    """A copy in which two short jobs were run, and their records gathered."""
    clone = copy_of_repository(root, tmp_path_factory.mktemp("records") / "clone")
    succeed(clone, *DEMO, FIGURE, MOTIFS)
    succeed(clone, *DEMO, TABLE)
    return clone


def test_each_job_has_a_row(done):
    rows = {row["rule"]: row for row in read_tsv(done / TABLE, RECORDS).iter_rows(named=True)}
    assert set(rows) == {"draw_figure", "export_jaspar"}
    drawn = rows["draw_figure"]
    assert (drawn["job"], drawn["status"], drawn["attempts"]) == ("figures/s7", "done", 1)
    assert (drawn["threads"], drawn["asked_memory_mb"], drawn["asked_minutes"], drawn["gpus"]) == (1, 3000, 30, 0)
    # The notebook runs in a child.
    assert 100 < drawn["memory_mb"] < 2000
    assert drawn["cpu_seconds"] > 0


def test_the_table_is_up_to_date_until_a_job_was_run(done):
    assert "Nothing to be done" in succeed(done, *DEMO, "-n", TABLE)
    succeed(done, *DEMO, TABLE)
    assert "Nothing to be done" in succeed(done, *DEMO, "-n", TABLE, FIGURE)
    succeed(done, *DEMO, "--forcerun", "export_jaspar", "--", MOTIFS)
    again = succeed(done, *DEMO, "-n", TABLE, FIGURE, MOTIFS)
    assert "gather_records" in again
    assert "draw_figure" not in again
    assert "export_jaspar" not in again


def test_what_was_asked_for_is_no_reason_to_run_again(done):
    again = succeed(done, *DEMO, "-n", "--set-resources", "draw_figure:mem_mb=9000", "--", FIGURE)
    assert "Nothing to be done" in again


FAIL_ONCE = """
import os, pathlib
real = pathlib.Path.replace
def replace(self, target):
    tried = pathlib.Path(os.environ["TRIED"])
    if str(target).endswith(".meme") and not tried.exists():
        tried.touch()
        raise OSError(5, "Input/output error")
    return real(self, target)
pathlib.Path.replace = replace
"""


def test_a_job_that_is_retried_has_both_attempts(done, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(FAIL_ONCE)
    variables = {"PYTHONPATH": str(tmp_path), "TRIED": str(tmp_path / "tried")}
    succeed(done, *DEMO, "--retries", "1", "--forcerun", "export_jaspar", "--", MOTIFS, **variables)
    succeed(done, *DEMO, TABLE)
    rows = {row["rule"]: row for row in read_tsv(done / TABLE, RECORDS).iter_rows(named=True)}
    assert (rows["export_jaspar"]["attempts"], rows["export_jaspar"]["endings"]) == (2, "failed")
    told = cisflow(done, "records", "--config", "config/demo/config.yaml", "--rule", "export_jaspar")
    assert "1 of 1 jobs are done, in 2 attempts" in told.stdout


def test_the_report_shows_the_page(done):
    succeed(done, *DEMO, "--report", "report.html", FIGURE, f"{RESULTS}/records.html")
    shown = open_page(done / "report.html", ["Results", "Jobs", (["what the jobs took"], "information-circle")])
    assert "What the jobs took, beside what they asked for" in shown


def test_a_figure_is_written_as_a_crate(done, validate):  # noqa: F811
    told = cisflow(done, "crate", FIGURE, "--out", "crate")
    assert told.returncode == 0, told.stdout
    assert "1 jobs" in told.stdout
    assert not any(validate(done / "crate").values())
    metadata = json.loads((done / "crate/ro-crate-metadata.json").read_text())
    (root,) = [entity for entity in metadata["@graph"] if entity["@id"] == "./"]
    assert root["name"] == "The exponential and the modified activations (s7)"
    told = cisflow(done, "crate", "results/demo/figures/none.pdf")
    assert (told.returncode, "there is no record of a job that made it" in told.stdout) == (1, True)
