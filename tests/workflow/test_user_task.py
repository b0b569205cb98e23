"""A user adds a task to config/tasks.yaml, with their own HDF5 file, and gets every standard output."""

import json
import re

import polars as pl
import pytest

from cisflow.attribution.presets import METHODS
from cisflow.attribution.store import read_map
from cisflow.cli.predict import predict_fasta
from cisflow.io import h5_reader
from cisflow.pwm import read_meme
from cisflow.tables import ATTRIBUTION_QUALITY, FILTERS, GALLERY, MATCHES, METRICS, read_tsv
from cisflow.training.checkpoint import read_description
from tests.workflow.conftest import USER_TASK, succeed, write_user_data

TARGET = "results/tasks/mine/report.html"
QUALITY = "results/tasks/mine/attribution/quality.tsv"
GALLERY_FILE = "results/tasks/mine/attribution/galleries/own.tsv"
LOCAL = ("--profile", "profiles/local", "--cores", "2")


@pytest.fixture(scope="module")
def done(root, tmp_path_factory):
    """A finished run of the user's task."""
    from tests.workflow.conftest import copy_of_repository

    clone = copy_of_repository(root, tmp_path_factory.mktemp("user") / "clone")
    write_user_data(clone / "data" / "mine.h5")
    with (clone / "config/tasks.yaml").open("a") as file:
        file.write(USER_TASK)
    succeed(clone, *LOCAL, TARGET, QUALITY, GALLERY_FILE)
    # The quality of attributions joins the page when it is asked for with it.
    assert "Not computed: ask for attribution/quality.tsv" not in (clone / TARGET).read_text()
    return clone


def test_every_standard_output_is_there(done):
    task = done / "results/tasks/mine"
    for run in ("cnn-50_relu", "cnn-50_exponential"):
        for trial in ("trial-0", "trial-1"):
            files = {path.name for path in (task / "runs" / run / trial).iterdir()}
            assert files == {"model.json", "best.safetensors", "last.safetensors", "history.tsv", "SHA256SUMS"}
            assert (task / "motifs/meme" / run / f"{trial}.meme").is_file()
        assert (task / "predictions" / f"{run}.parquet").is_file()
    for name in ("dataset", "performance", "training", "filters", "matches", "sequences", "quality"):
        for ending in ("pdf", "png", "tsv", "json"):
            assert (task / "figures" / f"{name}.{ending}").stat().st_size > 0


def test_the_tables_have_every_trial(done):
    task = done / "results/tasks/mine"
    metrics = read_tsv(task / "metrics.tsv", METRICS)
    assert set(metrics["run"]) == {"cnn-50_relu", "cnn-50_exponential"}
    assert metrics.filter(pl.col("metric") == "auroc")["value"].is_between(0, 1).all()
    filters = read_tsv(task / "motifs/filters.tsv", FILTERS)
    assert len(filters) == 2 * 2 * 32
    matches = read_tsv(task / "motifs/matches.tsv", MATCHES)
    assert len(matches) == 2 * 2 * 2
    assert matches["match_fraction"].is_null().all(), "a task without ground truth has no such fraction"
    motifs = read_meme(task / "motifs/meme/cnn-50_exponential/trial-0.meme")
    assert all(motif.sites >= 2 for motif in motifs)


def test_every_trial_is_explained_by_every_method(done):
    maps = done / "results/tasks/mine/attribution/maps"
    found = {path.relative_to(maps).as_posix() for path in maps.rglob("*.h5")}
    runs, trials = ("cnn-50_relu", "cnn-50_exponential"), ("trial-0", "trial-1")
    assert found == {f"{run}/{trial}.{method}.h5" for run in runs for trial in trials for method in METHODS}
    stored = read_map(maps / "cnn-50_relu/trial-0.mutagenesis.h5")
    assert stored.scores.shape == stored.x.shape
    quality = read_tsv(done / QUALITY, ATTRIBUTION_QUALITY)
    errors = quality.filter((pl.col("quantity") == "convergence_error") & (pl.col("method") == "deep_lift_shap"))
    assert len(errors) == 4
    assert errors["value"].max() < 0.01, "or the gate would not have let it pass"


def test_the_best_sequences_are_explained_by_every_run(done):
    best = read_tsv(done / "results/tasks/mine/attribution/galleries/best.tsv", GALLERY)
    assert len(best) == 2 * 4 * 60
    assert set(best["output"]) == {"logit"}
    # The best in the mean over the runs are best by the predictions too.
    parts = [pl.read_parquet(done / f"results/tasks/mine/predictions/{run}.parquet") for run in set(best["run"])]
    logit = (pl.col("p.bound") / (1 - pl.col("p.bound"))).log()
    mean = pl.concat(parts).filter(trial=0, set="test").group_by("id").agg(logit.mean())
    wanted = mean.sort("p.bound", descending=True)["id"][:4].to_list()
    assert best["sequence"].unique(maintain_order=True).to_list() == wanted


def test_a_gallery_has_the_rows_that_the_task_names(done):
    own = read_tsv(done / GALLERY_FILE, GALLERY)
    assert own.select("run", "trial").unique().rows() == [("cnn-50_relu", 1)]
    assert (own["position"].min(), own["position"].max(), own["label"].min()) == (10, 49, 1)
    with h5_reader(done / "results/tasks/mine/dataset.h5") as h5:
        positives = h5["test/id"][:][h5["test/y"][:, 0] == 1]
    assert own["sequence"].unique(maintain_order=True).to_list() == [positives[7].decode(), positives[2].decode()]


def test_optional_loggers_wrote_their_files(done):
    run = done / "results/tasks/mine/runs/cnn-50_relu"
    assert len(list(run.glob("tensorboard/trial-*/events*"))) >= 2
    assert len(list(run.glob("wandb/offline-run-*"))) == 2


def test_the_page_needs_no_other_file(done):
    page = (done / TARGET).read_text()
    assert "My own binding sites" in page
    assert page.count("data:image/png;base64,") == 7
    assert "Best-scoring sequences" in page
    assert "cnn-50_relu, trial 0: 32 filters" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "cnn-50_exponential" in page


def test_every_result_says_what_it_was_made_from(done):
    record = json.loads((done / "results/tasks/mine/runs/cnn-50_relu/provenance.json").read_text())
    assert record["inputs"].keys() == {"results/tasks/mine/dataset.h5"}
    assert record["parameters"]["training"]["epochs"] == 3
    assert set(record["seeds"]) == {"trial-0", "trial-1"}
    assert record["versions"]["torch"]
    figure = json.loads((done / "results/tasks/mine/figures/matches.json").read_text())
    assert figure["inputs"].keys() == {"results/tasks/mine/motifs/matches.tsv"}


def test_a_second_run_has_nothing_to_do(done):
    assert "Nothing to be done" in succeed(done, *LOCAL, TARGET)


def test_only_a_change_of_code_runs_jobs_again(done):
    """Comments, docstrings and file times do not count; what a script imports does."""
    script = done / "workflow/scripts/training/train.py"
    script.write_text(script.read_text() + "\n# another comment\n")
    assert "Nothing to be done" in succeed(done, *LOCAL, "-n", TARGET)
    metrics = done / "src/cisflow/evaluation/metrics.py"
    before = metrics.read_text()
    metrics.write_text(before.replace("p >= 0)", "p > 0)"))
    planned = succeed(done, *LOCAL, "-n", TARGET)
    assert "rule evaluate:" in planned
    assert "rule train:" not in planned
    metrics.write_text(before)


def test_another_task_does_not_run_this_one_again(done):
    tasks = done / "config/tasks.yaml"
    before = tasks.read_text()
    tasks.write_text(before.replace("  mine:", "  other:") + USER_TASK)
    assert "Nothing to be done" in succeed(done, *LOCAL, "-n", TARGET)
    tasks.write_text(before)


@pytest.mark.parametrize(
    "change",
    ["device: cpu, loggers: [tensorboard, wandb]", "device: any, loggers: []",
     "device: any, loggers: [tensorboard, wandb], save_minutes: 1, replicates: 2, data: stream"],
)  # fmt: skip
def test_how_a_task_is_carried_out_makes_only_its_page_again(done, change):
    """The page has the task's settings."""
    tasks = done / "config/tasks.yaml"
    before = tasks.read_text()
    tasks.write_text(before.replace("device: any, loggers: [tensorboard, wandb]", change))
    planned = succeed(done, *LOCAL, "-n", TARGET)
    tasks.write_text(before)
    assert re.findall(r"^rule (\w+):", planned, re.MULTILINE) == ["task_report"]


def test_another_setting_of_the_task_does(done):
    tasks = done / "config/tasks.yaml"
    before = tasks.read_text()
    tasks.write_text(
        before.replace("activation: [relu, exponential]}\n    trials: 2", "activation: [relu, tanh]}\n    trials: 2")
    )
    planned = succeed(done, *LOCAL, "-n", TARGET)
    assert "cnn-50_tanh" in planned
    assert "output: results/tasks/mine/runs/cnn-50_relu\n" not in planned
    tasks.write_text(before)


def test_a_trained_model_predicts_without_the_workflow(done, tmp_path):
    (tmp_path / "x.fa").write_text(">a\n" + "ACGTT" * 12 + "\n>b some words\n" + "acgtn" * 12 + "\n")
    runs = done / "results/tasks/mine/runs"
    count, unknown = predict_fasta(
        [runs / "cnn-50_relu/trial-0", runs / "cnn-50_exponential/trial-1"],
        tmp_path / "x.fa",
        tmp_path / "p.tsv",
        None,
        "cpu",
    )
    assert (count, unknown) == (2, 12)
    table = pl.read_csv(tmp_path / "p.tsv", separator="\t")
    assert table["sequence"].to_list() == ["a", "b"] * 2
    assert table["bound"].is_between(0, 1).all()


def test_the_report_of_snakemake_has_the_figures(done):
    succeed(done, *LOCAL, "--report", "report.html", TARGET)
    page = (done / "report.html").read_text()
    assert "figures/performance.png" in page
    assert "figures/sequences.png" in page
    assert "figures/quality.png" in page
    assert "mine" in page
    assert "What the first trial of each run reads in the sequences of the highest output" in page


def test_more_trials_and_other_weights_train_only_what_is_new(done):
    """The last test: what was made of the run is outdated afterwards."""
    tasks, runs = done / "config/tasks.yaml", done / "results/tasks/mine/runs"
    before, weights = tasks.read_text(), (runs / "cnn-50_relu/trial-1/last.safetensors").read_bytes()
    more = "trials: 3\n    training: {weights: last, epochs: 3,"
    tasks.write_text(before.replace("trials: 2\n    training: {epochs: 3,", more))
    printed = succeed(done, *LOCAL, "results/tasks/mine/runs/cnn-50_relu")
    assert re.findall(r"cnn-50_relu (trial-\d): epoch", printed) == ["trial-2"] * 3
    assert (runs / "cnn-50_relu/trial-1/last.safetensors").read_bytes() == weights
    assert read_description(runs / "cnn-50_relu/trial-1")["weights"] == "last"
