"""`cisflow explain` of results: under a profile, at any scale, and what it says where something is wrong."""

import re

import pytest
from tests.cli.conftest import run
from typer.testing import CliRunner

from cisflow import cli
from cisflow.cli.explain import _path, profile_of
from cisflow.cli.planning.plan import config_of
from cisflow.config.project import BASE, load_project
from cisflow.errors import CisflowError

pytestmark = pytest.mark.usefixtures("in_repository")


def test_a_figure_on_a_cluster():
    output = run("explain", "results/figures/fig1.pdf", "--profile", "slurm")
    if "jobs   28 to run" not in output:
        pytest.skip("there are results here")
    assert re.search(r"\ntrain +21 +0 +4 +4 +4:00 +\d+\.\d +\d+\.\d\d +estimates", output)
    assert re.search(r"\nevaluate +1 +0 +1 +4 +2:00 +\d\.\d\d +\d\.\d\d +estimates", output)
    assert re.search(r"\n<GPU partition> +23 ", output)
    assert re.search(r"jobs +28 to run, 0 up to date; 26 submissions, with groups", output)
    assert re.search(r"wall +about \d+ min with 100 jobs at once \(profiles/slurm\)", output)
    assert "Fill these in before anything is submitted: <CPU partition>, <GPU partition>, <your account>" in output
    assert output.strip().endswith("snakemake --profile profiles/slurm results/figures/fig1.pdf")


def test_figures_and_explain_tell_the_same_numbers():
    told = run("explain", "results/figures/fig1.pdf")
    jobs, gpu, cores = (re.search(pattern, told)[1] for pattern in (
        r"jobs +(\d+) to run", r"GPU +([\d.]+) hours", r"cores +([\d.]+) hours",
    ))  # fmt: skip
    assert re.search(rf"\nfig1 .* {jobs} +{gpu} +{cores} ", run("figures"))


def test_a_profile_brings_its_configuration():
    output = run("explain", "results/demo/figures/fig1.pdf", "results/demo/figures/fig2.pdf", "--profile", "demo")
    assert "with 2 cores (profiles/demo)" in output
    assert "GPU    none" in output
    assert output.strip().endswith(
        "snakemake --profile profiles/demo results/demo/figures/fig1.pdf results/demo/figures/fig2.pdf"
    )
    assert config_of("profiles/demo") == "config/demo/config.yaml"
    assert config_of("profiles/slurm") is None


def test_the_profile_is_that_of_the_command():
    project = load_project(BASE)
    assert profile_of(project, None) == "profiles/slurm"
    assert profile_of(load_project("config/demo/config.yaml"), None) == "profiles/demo"
    assert profile_of(project, "none") is None
    assert profile_of(project, "local") == "profiles/local"
    with pytest.raises(CisflowError, match="there is no profile 'slurmy'. Did you mean 'slurm'"):
        profile_of(project, "slurmy")


def test_targets_are_tasks_and_paths(root):
    project = load_project(BASE)
    assert _path(project, "task1") == "results/tasks/task1/report.html"
    assert _path(project, "./results//figures/fig1.pdf") == "results/figures/fig1.pdf"
    assert _path(project, f"{root}/results/claims.tsv") == "results/claims.tsv"
    assert _path(project, "figures") == "figures"


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (
            "results/figures/fig11.pdf",
            "no rule makes 'results/figures/fig11.pdf'. Did you mean 'results/figures/fig1.pdf'",
        ),
        (
            "results/demo/figures/fig1.pdf",
            "With config/config.yaml, results are below 'results'; --config names another",
        ),
        ("tsk1", "there is no task 'tsk1'. Did you mean 'task1'?"),
        ("results/tasks/cs282a/motifs/matches.tsv", "task 'cs282a': its models are heads on embeddings, and filters"),
    ],
)
def test_what_no_rule_makes_is_one_message(target, message):
    result = CliRunner().invoke(cli.app, ["explain", target])
    assert isinstance(result.exception, CisflowError)
    assert message in str(result.exception)
    assert "Traceback" not in str(result.exception)


def test_a_task_that_cannot_be_planned_is_told_all_the_same(tmp_path, root):
    """Its file is not here yet, and nothing makes it."""
    text = (root / "config/tasks.yaml").read_text()
    text += "  mine: {dataset: {kind: hdf5, file: nowhere.h5}, model: {name: cnn-2}}\n"
    (tmp_path / "tasks.yaml").write_text(text)
    (tmp_path / "config.yaml").write_text(f"tasks: [{tmp_path}/tasks.yaml]\ncommand: snakemake\n")
    output = run("explain", "mine", "--config", str(tmp_path / "config.yaml"))
    assert re.search(r"dataset.file +nowhere.h5 ", output)
    assert re.search(r"jobs  \? .*\n?(.*\n)*.*nowhere.h5", output)
