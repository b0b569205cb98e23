"""Tasks 2 and 4 run from small files in the originals' layouts: fetched, taken out of their archive, trained, read."""

from base64 import b64encode

import polars as pl
import pytest

from cisflow.tables import METRICS, read_tsv
from tests.originals import basset_file, deepsea_bundle
from tests.workflow.conftest import snakemake, succeed

DEMO = ("--profile", "profiles/demo", "--cores", "2")
ROWS = {"train": 120, "valid": 60, "test": 60}
ADDRESS = "https://deepsea.princeton.edu/media/code/"


def serve(clone, server, archive):
    """Let the clone's declaration of the bundle point to the server."""
    server.data = archive.read_bytes()
    sources = clone / "config/sources.yaml"
    text = sources.read_text()
    assert ADDRESS in text
    sources.write_text(text.replace(ADDRESS, server.url + "?"))


def shorten(clone):
    """Train one epoch of one run."""
    tasks = clone / "config/demo/tasks.yaml"
    text = tasks.read_text().replace("epochs: 8", "epochs: 1").replace("[cnn-2, cnn-deep]", "[cnn-50]")
    tasks.write_text(text.replace("  task4: # as Task 2\n", "  task4:\n    model: {activation: [exponential]}\n"))


def quality(path, quantity):
    table = pl.read_csv(path, separator="\t").filter(pl.col("quantity") == quantity)
    return dict(zip(table["split"], table["value"], strict=True))


@pytest.mark.slow
def test_task_2_goes_from_the_bundle_to_its_matches(clone, server, tmp_path):
    archive, _ = deepsea_bundle(tmp_path / "original", ROWS)
    serve(clone, server, archive)
    shorten(clone)
    task = "results/demo/tasks/task2"
    output = succeed(clone, *DEMO, f"{task}/metrics.tsv", f"{task}/motifs/matches.tsv")
    assert f"{archive.name} comes from {server.url}" in output
    assert len(server.requests) == 1
    folder = clone / "resources/deepsea"
    assert {path.name for path in folder.iterdir()} == {archive.name, *(f"deepsea_{split}.mat" for split in ROWS)}
    kept, dropped = (quality(clone / task / "dataset.quality.tsv", f"{which}sequences") for which in ("", "dropped_"))
    assert {split: kept[split] + dropped[split] for split in ROWS} == ROWS
    metrics = read_tsv(clone / task / "metrics.tsv", METRICS)
    assert set(metrics["target"]) >= {"ARID3A", "YY1", "mean"}
    assert set(metrics["activation"]) == {"relu", "exponential"}


@pytest.mark.slow
def test_task_4_streams_from_the_file_in_a_mirror(clone, tmp_path):
    basset_file(tmp_path / "mirror/basset-er/er.h5", ROWS)
    shorten(clone)
    metrics = "results/demo/tasks/task4/metrics.tsv"
    succeed(clone, *DEMO, metrics, CISFLOW_MIRROR=str(tmp_path / "mirror"))
    table = read_tsv(clone / metrics, METRICS)
    assert len(set(table["target"])) == 164 + 1  # and the mean
    assert set(table["n"].drop_nulls()) >= {2 * ROWS["test"]}, "both strands of the test split"


def test_a_password_of_a_server_is_nowhere_but_in_the_configuration(clone, server, tmp_path):
    """Neither when the file comes nor when it does not: then Snakemake shows the command and its log."""
    archive, _ = deepsea_bundle(tmp_path / "original", ROWS)
    serve(clone, server, archive)
    sources = clone / "config/sources.yaml"
    sources.write_text(sources.read_text().replace("http://127.0.0.1", "http://ada:hunter2@127.0.0.1"))
    server.faults = [404]
    file = f"resources/deepsea/{archive.name}"
    failed = snakemake(clone, *DEMO, file, "--printshellcmds")
    assert failed.returncode != 0
    assert "http://***@127.0.0.1" in failed.stdout
    output = succeed(clone, *DEMO, file, "--printshellcmds")
    assert server.asked[1]["Authorization"] == f"Basic {b64encode(b'ada:hunter2').decode()}"
    assert "hunter2" not in failed.stdout + output
    files = [path for folder in ("results", "resources", ".snakemake") for path in (clone / folder).rglob("*")]
    assert [path for path in files if path.is_file() and b"hunter2" in path.read_bytes()] == []


def test_a_bundle_that_is_a_page_stops_before_anything_is_taken_out(clone, server, tmp_path):
    (tmp_path / "page").write_text("<!DOCTYPE html><html>moved</html>")
    serve(clone, server, tmp_path / "page")
    done = snakemake(clone, *DEMO, "results/demo/tasks/task2/dataset.h5")
    assert done.returncode != 0
    assert "it is an HTML page (probably a server's error or login page)" in done.stdout
    assert not list(clone.glob("resources/deepsea/*.mat"))
