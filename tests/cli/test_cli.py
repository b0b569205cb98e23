"""The command line reads well, and its messages say what to do."""

import dataclasses
import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pytest
from rich.console import Console
from tests.cli.conftest import run
from tests.evaluation.test_evaluate import checkpoint_folder
from typer.testing import CliRunner

from cisflow import cli
from cisflow.cli.explain import explain
from cisflow.cli.planning.costs import Size, run_work, size_of
from cisflow.cli.planning.plan import plan as plan_of
from cisflow.cli.predict import predict_fasta
from cisflow.config.datasets import Hdf5
from cisflow.config.project import BASE, load_project
from cisflow.datasets.fasta import read_fasta
from cisflow.errors import CisflowError
from cisflow.evaluation.predict import predict
from cisflow.models.cost import cost
from cisflow.sequence import decode

pytestmark = pytest.mark.usefixtures("in_repository")

# The module, which the command of its name hides.
doctor = importlib.import_module("cisflow.cli.doctor")
COMMANDS = (
    "predict", "embed", "liftover", "encode", "sources", "explain", "figures", "records", "crate", "doctor", "schema",
)  # fmt: skip


def test_help_names_every_command_and_every_command_has_help():
    overview = run("--help")
    for command in COMMANDS:
        assert command in overview
        assert len(run(command, "--help").splitlines()) > 5


def test_errors_are_one_message_without_a_traceback():
    done = subprocess.run(
        [Path(sys.executable).with_name("cisflow"), "explain", "task11"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.strip() == "error: there is no task 'task11'. Did you mean 'task1'?"


def test_explain_tells_values_origins_runs_and_costs():
    output = run("explain", "task1")
    assert re.search(r"training.epochs +100 +config/tasks.yaml:\d+", output)
    assert re.search(r"training.loss +binary_cross_entropy +default for binary labels", output)
    assert re.search(r"tomtom.e_value +0.1 +default", output)
    assert re.search(r"cnn-deep_exponential +286,700 +4,590,592", output)
    assert re.search(r"\ntrain +21 +0 +4 +4 +4:00 +\d+\.\d +\d\.\d\d +estimates\n", output)
    assert "snakemake --profile profiles/slurm results/tasks/task1/report.html" in output
    demo = run("explain", "task1", "--config", "config/demo/config.yaml")
    assert re.search(r"trials +2 +config/demo/tasks.yaml:\d+", demo)
    assert "snakemake --profile profiles/demo results/demo/tasks/task1/report.html" in demo


def test_explain_counts_the_gradients_that_are_measured():
    """Five passes instead of three."""
    task = load_project("config/config.yaml").task("gradients")
    size = Size((21_000, 3000, 6000), 200, 12)
    assert run_work(task, "cnn-deep_relu", size) == 5 * 21_000 * 3 * 100 * 4_590_592


def test_explain_takes_sizes_from_a_data_set_that_is_made(dataset, tmp_path):
    output = run("explain", "task2", "--profile", "none")
    assert "How much there is to do is not known before the data is here: task2." in output
    project = dataclasses.replace(load_project("config/config.yaml"), root=tmp_path)
    assert size_of(project, "task2") is None
    (tmp_path / "results/tasks/task2").mkdir(parents=True)
    dataset.rename(tmp_path / "results/tasks/task2/dataset.h5")
    size = size_of(project, "task2")
    assert (size.train, size.rows, size.length, size.targets) == (400, 600, 60, 1)


def test_explain_takes_sizes_from_files_of_each_split(tmp_path):
    project = dataclasses.replace(load_project("config/config.yaml"), root=tmp_path)
    settings = {"keys": {"x": "x", "y": "{split}/y"}, "columns": [3, 1], "reverse_complement": ["valid"]}
    dataset = Hdf5(kind="hdf5", file="mine_{split}.h5", **settings)
    task = project.task("task5").model_copy(update={"dataset": dataset})
    for split, rows in (("train", 7), ("valid", 2), ("test", 3)):
        with h5py.File(tmp_path / f"mine_{split}.h5", "w") as h5:
            h5["x"], h5[f"{split}/y"] = np.zeros((rows, 4, 30)), np.zeros((rows, 5))
    size = size_of(dataclasses.replace(project, tasks={"mine": task}), "mine")
    assert (size.train, size.rows, size.length, size.targets) == (7, 7 + 2 * 2 + 3, 30, 2)


def test_explain_shows_a_sweep():
    output = run("explain", "exp_scale")
    assert re.search(r"sweep.model.first_activation_scale +0.001, 0.005, 0.01, .*, 5.0 +config/tasks.yaml:\d+", output)
    assert re.search(r"\ntrain +11 +0 ", output)


def test_the_cost_of_a_sweep_over_epochs_is_that_of_all_its_epochs(root, tmp_path):
    text = (root / "config/tasks.yaml").read_text()
    text += "  whole: {dataset: *task1_dataset, model: {name: cnn-2}, training: {epochs: 4000}}\n"
    text += "  parts: {dataset: *task1_dataset, model: {name: cnn-2}, sweep: {training.epochs: [1000, 3000]}}\n"
    (tmp_path / "tasks.yaml").write_text(text)
    (tmp_path / "config.yaml").write_text(json.dumps({"tasks": [str(tmp_path / "tasks.yaml")], "command": "snakemake"}))
    project = load_project(tmp_path / "config.yaml")
    whole, parts = (
        sum(run_work(project.task(name), run, size_of(project, name)) for run in project.task(name).runs())
        for name in ("whole", "parts")
    )
    assert whole == parts > 0


# Multiplications of one forward pass, in millions (specification, section 8).
@pytest.mark.parametrize(
    ("name", "length", "millions"),
    [
        ("cnn-deep", 200, 4.59),
        ("cnn-2", 200, 2.60),
        ("cnn-50", 200, 0.70),
        ("cnn-dist", 200, 2.01),
        ("basset", 600, 153.7),
    ],
)
def test_costs_are_the_published_ones(name, length, millions):
    _, macs = cost({"name": name, "activation": "relu"}, length, {"basset": 164, "cnn-dist": 1}.get(name, 12))
    assert macs / 1e6 == pytest.approx(millions, abs=0.06)


def test_figures_tell_their_state(monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "160")
    cost = r" +\d+ +\d+\.\d+ +\d+\.\d+ +\d+\.\d+ +"
    after = cost + r"task1 \(and task2, if run\)"
    paper = run("figures")
    assert re.search(r"fig1 .*(can be drawn on a GPU|drawn)" + after, paper)
    assert re.search(r"s8 +needs data +\d+ +\? +\? +\? +task2, task2_modified", paper)
    assert re.search(r"deepsea_train_bundle\S+ \(several GB\) from https://", paper)
    demo = run("figures", "--config", "config/demo/config.yaml")
    assert re.search(r"fig1 .*(can be drawn here|drawn)" + after, demo)


def test_what_cannot_be_planned_is_said_in_snakemakes_words(root):
    with pytest.raises(CisflowError, match=r"Snakemake cannot plan results/figures/fig99.pdf:(.|\n)*fig99"):
        plan_of(BASE, ["results/figures/fig99.pdf"], root)


def test_a_figure_that_needs_data_says_which_how_large_and_where(monkeypatch):
    from cisflow.cli.figures import missing_data

    monkeypatch.delenv("CISFLOW_MIRROR", raising=False)
    project = load_project("config/config.yaml")
    monkeypatch.setattr(
        type(project), "source_file", lambda self, name, file=None: f"nowhere/{name}/{file or name + '.jaspar'}"
    )
    assert list(missing_data(project, "task5")) == [
        "ZBED2_400_h3k27ac.h5 (2.1 MB) from "
        + project.sources["exponential-activations"].files["ZBED2_400_h3k27ac.h5"].url
    ]
    assert list(missing_data(project, "task2")) == [
        "deepsea_train_bundle.v0.9.tar.gz (several GB) from "
        + project.sources["deepsea"].files["deepsea_train_bundle.v0.9.tar.gz"].url
    ]
    assert list(missing_data(project, "task1")) == []


@pytest.mark.real_data
def test_a_mirror_counts_as_here(real_data, monkeypatch):
    from cisflow.cli.figures import missing_data

    monkeypatch.setenv("CISFLOW_MIRROR", str(real_data))
    project = load_project("config/config.yaml")
    assert list(missing_data(project, "task5")) == []


def test_the_doctor_finds_this_machine_ready():
    output = run("doctor")
    assert output.strip().endswith("ready")
    assert "Jupyter kernel python3" in output


def test_the_doctor_names_every_problem_with_its_cure(monkeypatch, tmp_path):
    (tmp_path / "tasks.yaml").write_text("tasks:\n  mine: {model: {name: cnn-3}}\n")
    config = tmp_path / "config.yaml"
    config.write_text(f"tasks: [{tmp_path}/tasks.yaml]\ncommand: x\n")
    monkeypatch.setenv("PATH", "")
    result = CliRunner().invoke(cli.app, ["doctor", "--config", str(config)])
    assert result.exit_code == 1
    assert "tasks.mine.dataset: this key is needed" in result.output
    assert "'cnn-3' is not one of" in result.output
    assert "snakemake is not on PATH" in result.output
    assert "source .venv/bin/activate" in result.output


def test_the_doctor_sees_a_wrong_mirror_and_a_full_disk(monkeypatch):
    monkeypatch.setenv("CISFLOW_MIRROR", "/nowhere")
    monkeypatch.setattr(doctor, "FREE_DISK", 1e18)
    found = list(doctor._configuration(Path("config/config.yaml")))
    problems = [finding.text for finding in found if finding.level == "problem"]
    assert any("mirror /nowhere is not a folder" in text for text in problems)
    assert any("GB free for results" in text for text in problems)


def test_the_doctor_finds_placeholders_of_the_slurm_profile(monkeypatch, tmp_path):
    (tmp_path / "sbatch").touch(mode=0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    *found, note = doctor._slurm()
    assert {finding.level for finding in found} == {"note"}
    texts = " ".join(finding.text for finding in found)
    assert re.search(r"profiles/slurm/config.yaml:\d+: <your account> is a placeholder", texts)
    assert "<GPU partition>" in texts
    assert note.mend == "cisflow doctor --profile slurm"


@pytest.fixture
def fasta(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "x.fa"
        path.write_text(text)
        return path

    return write


def test_fasta_is_read_as_written(fasta):
    names, x = read_fasta(fasta(">one first\nACG\nTN\n>two\nttttt\n"))
    assert names == ["one", "two"]
    assert [decode(row) for row in x] == ["ACGTN", "TTTTT"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (">a\nACGT\n>b\nACG\n", "1 of 2 sequences have not 4 bases; the first is 'b' with 3. Cut or pad them to 4"),
        (">a\nACGT\n>b\nACXT\n", "sequence 'b': the letter 'X' at position 3"),
    ],
)
def test_bad_fasta_is_refused(fasta, text, message):
    with pytest.raises(CisflowError, match=f"x.fa.*{re.escape(message)}"):
        read_fasta(fasta(text))


@pytest.mark.parametrize(
    ("ending", "read"), [("tsv", lambda p: pl.read_csv(p, separator="\t")), ("parquet", pl.read_parquet)]
)
def test_predictions_are_written_in_both_formats(fasta, tmp_path, ending, read):
    checkpoint_folder(tmp_path / "run" / "trial-0", 0)
    path = fasta(">a\n" + "ACGT" * 15 + "\n")
    output = run(
        "predict", str(tmp_path / "run" / "trial-0"), "--fasta", str(path), "--out", str(tmp_path / f"p.{ending}")
    )
    assert "1 sequences, 1 models" in output
    assert read(tmp_path / f"p.{ending}").columns == ["checkpoint", "sequence", "has-motif"]


def test_targets_do_not_take_the_columns_of_the_table(fasta, tmp_path):
    """A target may be called as the columns that tell rows apart; each keeps its values."""
    targets = ["sequence", "bound", "p.sequence", "checkpoint"]
    model = checkpoint_folder(tmp_path / "trial-0", 0, targets=targets)
    path = fasta(">a\n" + "ACGT" * 15 + "\n")
    predict_fasta([tmp_path / "trial-0"], path, tmp_path / "p.tsv", None, "cpu")
    table = pl.read_csv(tmp_path / "p.tsv", separator="\t")
    assert table.columns == ["checkpoint", "sequence", "p.p.sequence", "bound", "p.sequence", "p.checkpoint"]
    assert table.row(0)[:2] == (str(tmp_path / "trial-0"), "a")
    assert table.row(0)[2:] == pytest.approx(predict(model, read_fasta(path)[1], "binary")[0].tolist(), abs=1e-6)


def test_predict_refuses_what_it_cannot_do(fasta, tmp_path):
    checkpoint_folder(tmp_path / "short", 0)
    checkpoint_folder(tmp_path / "long", 0, length=100)
    path = fasta(">a\n" + "ACGT" * 15 + "\n")
    with pytest.raises(CisflowError, match="must end in .tsv or .parquet"):
        predict_fasta([tmp_path / "short"], path, tmp_path / "p.csv", None, "cpu")
    with pytest.raises(CisflowError, match=r"sequences of different lengths \(\[60, 100\]\)"):
        predict_fasta([tmp_path / "short", tmp_path / "long"], path, tmp_path / "p.tsv", None, "cpu")
    with pytest.raises(CisflowError, match="1 of 1 sequences have not 100 bases"):
        predict_fasta([tmp_path / "long"], path, tmp_path / "p.tsv", None, "cpu")
    assert not (tmp_path / "p.tsv").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html>", "it is an HTML or XML page, not an HDF5 file"),
        ("other keys", "there is no array 'X_train'"),
        ("short", "sequences of 10 bases are too short for cnn-deep; choose another model"),
    ],
)
def test_explain_says_what_is_wrong_with_the_data(tmp_path, content, message):
    path = tmp_path / "mine.h5"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        with h5py.File(path, "w") as h5:
            for split in ("train", "valid", "test"):
                h5[f"{'X' if content == 'short' else 'x'}_{split}"] = np.zeros((4, 4, 10))
                h5[f"Y_{split}"] = np.zeros((4, 1))
    text = f"tasks:\n  mine: {{dataset: {{kind: hdf5, file: {path}}}, model: {{name: cnn-deep}}}}\n"
    (tmp_path / "tasks.yaml").write_text(text)
    config = {"tasks": [str(tmp_path / "tasks.yaml")]}
    (tmp_path / "claims.yaml").write_text("claims: {}\n")
    (tmp_path / "figures.yaml").write_text("figures: {}\n")
    config |= {name: str(tmp_path / f"{name}.yaml") for name in ("claims", "figures")}
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    with pytest.raises(CisflowError, match=re.escape(message)):
        explain(load_project(tmp_path / "config.yaml"), ["mine"], Console())


def test_explain_counts_sequences_that_are_text(tmp_path):
    path = tmp_path / "mine.h5"
    with h5py.File(path, "w") as h5:
        for split, rows in (("train", 5), ("valid", 2), ("test", 3)):
            h5[f"X_{split}"], h5[f"Y_{split}"] = [b"ACGT" * 8] * rows, np.zeros((rows, 2))
    project = dataclasses.replace(load_project("config/config.yaml"), root=tmp_path)
    task = project.task("task5").model_copy(update={"dataset": Hdf5(kind="hdf5", file="mine.h5")})
    assert size_of(dataclasses.replace(project, tasks={"mine": task}), "mine") == Size((5, 2, 3), 32, 2)


def test_predict_takes_each_checkpoint_once(fasta, tmp_path):
    with pytest.raises(CisflowError, match="a checkpoint is given twice"):
        predict_fasta([tmp_path, tmp_path], fasta, tmp_path / "out.tsv", None, "cpu")
