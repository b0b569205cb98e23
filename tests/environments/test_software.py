"""A job compares the Python it runs in with what the workflow deploys."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cisflow import software
from cisflow.errors import CisflowError

SOURCE = os.path.dirname(os.path.dirname(software.__file__))
ENVIRONMENTS = Path(__file__).parents[2] / "workflow/envs"
FILE = """# A comment about numpy==1.0
channels:
  - conda-forge
dependencies:
  - python=3.11.15
  - pip=25.3
  - pytorch=2.13.0=cuda*
  - cuda-version=12.9
  - pip:
      - numpy=={numpy}
      # What these need:
      - typing-extensions==4.16.0
"""


@pytest.fixture
def told(monkeypatch, tmp_path):
    """Tell jobs what `prepare` would, of one script, by a Snakemake elsewhere."""

    def tell(methods=("conda",), python="/elsewhere", **environments):
        value = {"methods": list(methods), "python": python, "environments": environments}
        monkeypatch.setenv(software.VARIABLE, json.dumps(value))

    for program in ("APPTAINER", "SINGULARITY"):
        monkeypatch.delenv(f"{program}_CONTAINER", raising=False)
    return tell


def conda_file(folder, numpy):
    path = folder / "torch-cuda.yaml"
    path.write_text(FILE.format(numpy=numpy))
    return path


def test_pins_have_the_names_of_pip(tmp_path):
    path = conda_file(tmp_path, "2.4.6")
    assert software.pins(path) == {"torch": "2.13.0", "numpy": "2.4.6", "typing-extensions": "4.16.0"}


@pytest.mark.parametrize("installed", ["2.13.0", "2.13.0+cpu", "2.13.0.post300", "2.13.0.post1+cu129"])
def test_a_build_is_not_compared(tmp_path, monkeypatch, installed):
    known = {"torch": installed, "numpy": "2.4.6", "typing-extensions": "4.16.0"}
    monkeypatch.setattr(software.metadata, "version", known.__getitem__)
    assert software.differences(conda_file(tmp_path, "2.4.6")) == []
    known["torch"] = "2.13.1"
    assert software.differences(conda_file(tmp_path, "2.4.6")) == [("torch", "2.13.0", "2.13.1")]


@pytest.mark.parametrize(
    "file", [*sorted(ENVIRONMENTS.glob("[!b]*.yaml")), ENVIRONMENTS / "base.yaml"], ids=lambda f: f.stem
)
def test_the_environment_of_the_tests_would_serve(file):
    """It has all of the lock, so that a difference would be one that the comparison invents."""
    assert software.differences(file) == []


def test_a_cpu_build_under_a_name_of_its_own_serves(tmp_path, monkeypatch):
    here = {"tensorflow-cpu": "2.21.0"}
    monkeypatch.setattr(software, "_version", here.get)
    path = tmp_path / "tensorflow.yaml"
    path.write_text("      - tensorflow==2.21.0\n      - keras==3.15.1\n")
    assert software.differences(path) == [("keras", "3.15.1", None)]


def test_nothing_is_compared_where_nothing_is_deployed(monkeypatch):
    monkeypatch.delenv(software.VARIABLE, raising=False)
    assert software.check("workflow/scripts/training/train.py") is None


def test_another_python_with_the_right_versions_is_accepted(told, tmp_path):
    path = str(conda_file(tmp_path, "2.4.6"))
    told(**{"training/train.py": path})
    assert software.check("/somewhere/workflow/scripts/training/train.py") is None


def test_other_versions_are_refused(told, tmp_path):
    path = conda_file(tmp_path, "1.26.4")
    path.write_text(path.read_text() + "      - none-such==1.0\n")
    told(**{"training/train.py": str(path)})
    with pytest.raises(
        CisflowError, match=r"torch-cuda.yaml: none-such is missing \(1.0\), numpy 2.4.6 \(1.26.4\)\. In"
    ):
        software.check("workflow/scripts/training/train.py")


@pytest.mark.parametrize(
    ("method", "why"),
    [
        ("conda", "The conda environment was not activated"),
        ("env-modules", "is 'module' a command of bash"),
        ("apptainer", "No container was entered"),
    ],
)
def test_the_python_of_snakemake_is_refused(told, method, why):
    told([method], os.path.realpath(sys.prefix))
    with pytest.raises(CisflowError, match=why):
        software.check("workflow/scripts/training/train.py")


def test_a_container_may_have_its_python_at_the_same_path(told, monkeypatch):
    told(["apptainer"], os.path.realpath(sys.prefix))
    monkeypatch.setenv("APPTAINER_CONTAINER", "/images/cisflow.sif")
    assert software.check("workflow/scripts/training/train.py") is None


def of_bash(commands: str, **variables: str) -> subprocess.CompletedProcess:
    """Run what Snakemake's shell runs before a job: braces are single there."""
    text = commands.replace("{{", "{").replace("}}", "}")
    path = f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", f"{text} python -c 'import os; print(os.environ[\"PYTHONPATH\"])'"], check=False, text=True,
        env={"PATH": path} | variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def test_the_shell_of_a_job_finds_the_package(monkeypatch):
    monkeypatch.setenv(software.VARIABLE, "of an earlier Snakefile")
    commands = software.prepare([], {})
    assert software.VARIABLE not in os.environ
    assert of_bash(commands).stdout.splitlines() == [SOURCE]
    assert of_bash(commands, PYTHONPATH="/mine").stdout.splitlines() == [f"{SOURCE}:/mine"]


def test_the_shell_of_a_job_refuses_the_python_of_snakemake(monkeypatch):
    monkeypatch.delenv(software.VARIABLE, raising=False)
    commands = software.prepare(["env-modules"], {"training/train.py": "workflow/envs/torch-cuda.yaml"})
    done = of_bash(commands, **{software.VARIABLE: os.environ[software.VARIABLE]})
    assert done.returncode == 1
    assert done.stdout.startswith("error: this job was to run in an environment of its own")
    monkeypatch.delenv(software.VARIABLE)


def test_the_check_needs_the_standard_library_alone():
    """The wrong Python may lack the rest, and is to be told so all the same."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); import cisflow.software"
    done = subprocess.run([sys.executable, "-S", "-c", code, SOURCE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
