"""Tasks that a user's laptop may well have: odd values, labels of one class, runs that diverge, and very many files."""

import re

import h5py
import numpy as np
import polars as pl
import pytest

from cisflow.tables import ATTRIBUTION_QUALITY, METRICS, read_tsv
from tests.conftest import planted
from tests.workflow.conftest import cisflow, copy_of_repository, succeed

LOCAL = ("--profile", "profiles/local", "--cores", "2")
PAGE, QUALITY = "results/tasks/odd/report.html", "results/tasks/odd/attribution/quality.tsv"
# Every label of the test split is 0, and all of the training split are 1. One run diverges at once and is kept.
TASK = """
  odd:
    title: "Odd: 1 > 0, {braces} & 'quotes'"
    dataset: {kind: hdf5, file: "data/{split} of mine.h5"}
    model: {name: cnn-50, activation: exponential, first_norm: false, width: 0.25}
    sweep: {training.optimizer.lr: [0.001, 1.0e+30]}
    trials: 1
    training: {epochs: 1, device: any, batch_size: 20, diverged: keep, monitor: loss, optimizer: {name: sgd}}
    attribution: {sequences: 5, split: valid, methods: [saliency, deep_lift_shap], galleries: {best: null}}
"""
RUNS = ("cnn-50_exponential_lr-0.001", "cnn-50_exponential_lr-1e+30")


def write_split(folder, split, count, labels=None):
    x, y = planted(count, 60, count)
    with h5py.File(folder / f"{split} of mine.h5", "w") as h5:
        h5[f"X_{split}"] = np.eye(4, dtype=np.int8)[x]
        h5[f"Y_{split}"] = y if labels is None else np.full_like(y, labels)


@pytest.fixture(scope="module")
def done(root, tmp_path_factory):
    clone = copy_of_repository(root, tmp_path_factory.mktemp("odd") / "clone")
    (clone / "data").mkdir()
    write_split(clone / "data", "train", 60, labels=1)
    write_split(clone / "data", "valid", 20)
    write_split(clone / "data", "test", 20, labels=0)
    with (clone / "config/tasks.yaml").open("a") as file:
        file.write(TASK)
    succeed(clone, *LOCAL, PAGE, QUALITY)
    return clone


def test_a_sweep_over_decimals_has_a_report(done):
    page = (done / PAGE).read_text()
    assert all(run in page for run in RUNS)
    assert "Odd: 1 &gt; 0, {braces} &amp; &#39;quotes&#39;" in page
    inputs = (done / "results/tasks/odd/figures/filters.json").read_text()
    assert all(f"motifs/meme/{run}/trial-0.meme" in inputs for run in RUNS)


def test_metrics_of_a_test_split_of_one_class_are_undefined(done):
    metrics = read_tsv(done / "results/tasks/odd/metrics.tsv", METRICS)
    assert metrics.filter(pl.col("metric") == "auroc")["value"].null_count() == 2 * 2
    assert "undefined" in (done / PAGE).read_text()


def test_a_run_that_diverged_leaves_the_quality_of_the_other_one(done):
    quality = read_tsv(done / QUALITY, ATTRIBUTION_QUALITY)
    sound, diverged = (quality.filter(pl.col("run") == run) for run in RUNS)
    assert sound["value"].is_finite().any()
    assert diverged["value"].is_null().all()
    assert "no attribution of it is finite" in (done / "results/logs/attribution/odd/quality.log").read_text()


def test_the_page_has_the_quality_that_was_asked_for_with_it(done):
    assert "Not computed: ask for attribution/quality.tsv" not in (done / PAGE).read_text()
    succeed(done, *LOCAL, "--report", "report.html", PAGE)
    assert "figures/quality.png" in (done / "report.html").read_text()


def test_a_report_says_what_a_page_lacks_that_was_made_before(done):
    (done / "results/tasks/odd/figures/quality.png").rename(done / "quality.png")
    output = succeed(done, *LOCAL, "--report", "report.html", PAGE)
    (done / "quality.png").rename(done / "results/tasks/odd/figures/quality.png")
    assert f"To have it, first run: snakemake {PAGE}" in output


def test_a_figure_that_is_drawn_again_has_the_same_files(done):
    """So has one of another training of the same settings: its tables have no times."""
    folder = done / "results/tasks/odd/figures"
    before = {path.name: path.read_bytes() for path in folder.glob("training.*")}
    assert {"training.pdf", "training.png", "training.tsv", "training.json"} == before.keys()
    run = "results/tasks/odd/runs/" + RUNS[0]
    succeed(done, *LOCAL, "--forcerun", "train", "draw_task", "--", run, "results/tasks/odd/figures/training.pdf")
    assert {path.name: path.read_bytes() for path in folder.glob("training.*")} == before


def test_a_crate_of_a_run_with_a_dot_in_its_name_is_called_as_the_run(done):
    run = f"results/tasks/odd/runs/{RUNS[0]}"
    made = cisflow(done, "crate", run)
    assert made.returncode == 0, made.stdout
    assert (done / f"{run}.crate.zip").is_file()
    assert re.search(rf"{re.escape(run)}\.crate\.zip: \d+ files", made.stdout)


MANY = """
  many:
    dataset: {{kind: {kind}, {rest}}}
    model: null
"""
TOO_LONG = "settings and names of files travel on the command line, of which the kernel allows 128 kB an argument"


@pytest.mark.xfail(strict=True, reason=TOO_LONG)
def test_a_task_of_5000_targets(clone):
    (clone / "data").mkdir()
    targets, rng = 5000, np.random.default_rng(0)
    with h5py.File(clone / "data/many.h5", "w") as h5:
        for split in ("train", "valid", "test"):
            h5[f"X_{split}"] = np.eye(4, dtype=np.int8)[rng.integers(0, 4, (4, 30))]
            h5[f"Y_{split}"] = rng.integers(0, 2, (4, targets), dtype=np.int8)
    names = ", ".join(f"target-of-a-rather-long-name-{number:04d}" for number in range(targets))
    with (clone / "config/tasks.yaml").open("a") as file:
        file.write(MANY.format(kind="hdf5", rest=f"file: data/many.h5, targets: [{names}]"))
    succeed(clone, *LOCAL, "results/tasks/many/dataset.h5")
    with h5py.File(clone / "results/tasks/many/dataset.h5") as h5:
        assert h5["train/y"].shape == (4, targets)
        assert len(h5.attrs["targets"]) == targets


@pytest.mark.xfail(strict=True, reason=TOO_LONG)
def test_a_task_of_5000_files(clone):
    (clone / "data").mkdir()
    files, rng = 5000, np.random.default_rng(0)
    (clone / "data/g.fa").write_text(
        "".join(f">chr{n}\n{''.join(rng.choice(list('ACGT'), 2000))}\n" for n in (1, 2, 3))
    )
    beds = [f"data/peaks-{number:04d}.bed" for number in range(files)]
    for number, bed in enumerate(beds):
        rows = (f"chr{chrom}\t{100 + number % 50}\t{300 + number % 50}\n" for chrom in (1, 2, 3))
        (clone / bed).write_text("".join(rows))
    endpoints = ", ".join(f"{{file: {bed}, factor: F{number}, biosample: B}}" for number, bed in enumerate(beds))
    rest = (
        f"genome: data/g.fa, window: {{length: 200}}, endpoints: [{endpoints}], split: {{valid: [chr2], test: [chr3]}}"
    )
    with (clone / "config/tasks.yaml").open("a") as file:
        file.write(MANY.format(kind="peaks", rest=rest))
    succeed(clone, *LOCAL, "results/tasks/many/dataset.h5")
    with h5py.File(clone / "results/tasks/many/dataset.h5") as h5:
        assert h5["train/y"].shape[1] == files
