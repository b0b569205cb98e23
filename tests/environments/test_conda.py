"""Snakemake's way with conda, up to the solver: files, activation, variants, and where the package comes from."""

import os
from pathlib import Path

import pytest
from tests.environments import test_modules
from tests.environments.conda import install
from tests.workflow.conftest import snakemake, succeed

BY_CONDA = ("--software-deployment-method", "conda", "--profile", "profiles/local", "--cores", "2")
DATASET, own = test_modules.DATASET, test_modules.own
RUN = "results/tasks/own/runs/cnn-2_exponential"


def path_with(folder: Path, software) -> str:
    return os.pathsep.join([str(folder), software.variables()["PATH"]])


@pytest.mark.environments
def test_jobs_run_in_conda_environments_and_a_variant_is_no_silent_change(own, software, tmp_path):
    path = path_with(install(tmp_path / "conda"), software)
    # The target comes before --config, which takes all that follows.
    done = software.run(own, *BY_CONDA, RUN, "--config", "torch=cpu", PATH=path)
    assert done.returncode == 0, done.stdout[-5000:]
    assert "Creating conda environment workflow/envs/base.yaml" in done.stdout
    assert "Creating conda environment workflow/envs/torch-cpu.yaml" in done.stdout
    done = software.run(own, *BY_CONDA, "-n", RUN, "--config", "torch=cpu", PATH=path)
    assert "Nothing to be done" in done.stdout
    done = software.run(own, *BY_CONDA, "-n", RUN, PATH=path)
    assert "Conda environment workflow/envs/torch-cuda.yaml will be created" in done.stdout
    assert "software environment definition has changed since last execution" in done.stdout
    assert "make_dataset" not in done.stdout, "the data set is made without torch"


def test_an_environment_that_was_not_activated_is_refused(own, software, tmp_path):
    path = path_with(install(tmp_path / "conda", activate=":\n"), software)
    done = software.run(own, *BY_CONDA, DATASET, PATH=path)
    assert done.returncode != 0
    assert "it runs in the Python of Snakemake" in done.stdout
    assert "The conda environment was not activated." in done.stdout
    assert not (own / DATASET).exists()


@pytest.mark.parametrize(("engine", "file"), [("memelite", "motifs"), ("auto", "motifs"), ("meme", "motifs-meme")])
def test_the_meme_suite_is_installed_for_those_who_ask_for_it(own, software, tmp_path, engine, file):
    tasks = own / "config/tasks.yaml"
    tasks.write_text(tasks.read_text() + f"    tomtom: {{engine: {engine}}}\n")
    path = path_with(install(tmp_path / "conda"), software)
    done = software.run(own, *BY_CONDA, "-n", "results/tasks/own/motifs/tomtom.tsv", PATH=path)
    assert f"Conda environment workflow/envs/{file}.yaml will be created" in done.stdout, done.stdout
    other = {"motifs": "motifs-meme", "motifs-meme": "motifs"}[file]
    assert f"envs/{other}.yaml" not in done.stdout


def test_torch_has_two_builds(own):
    refused = snakemake(own, "-n", DATASET, "--config", "torch=cuba")
    assert "torch: 'cuba' is not one of cuda, cpu" in refused.stdout
    assert "did you mean 'cuda'?" in refused.stdout.lower()
    succeed(own, "-n", DATASET, "--config", "torch=cpu")
