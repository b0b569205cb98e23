"""The recipes install with the Makefile, and say the same; jobs run in the image that the configuration names."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from tests.environments import test_modules
from tests.environments.apptainer import install
from tests.environments.linked import link
from tests.workflow.conftest import snakemake
from workflow.envs.modules import families

from cisflow.software import pins

own, DATASET = test_modules.own, test_modules.DATASET
BY_CONTAINER = ("--software-deployment-method", "apptainer", "--profile", "profiles/local", "--cores", "2")
MAKE = "make environment VENV=/opt/environment"


@pytest.fixture
def recipes(root):
    return {name: (root / "containers" / name).read_text() for name in ("Dockerfile", "cisflow.def")}


def without_comments(text):
    return "\n".join(line for line in text.splitlines() if not line.startswith("#"))


def copied(recipe: str) -> set[str]:
    """The files of the repository that a recipe copies."""
    if "%files" in recipe:
        section = recipe.partition("%files")[2].partition("%post")[0]
        return {line.split()[0] for line in section.strip().splitlines()}
    lines = re.findall(r"^COPY (.*)$", recipe, flags=re.MULTILINE)
    return {name for line in lines for name in line.split()[:-1]}


def base(recipe: str) -> str:
    return re.search(r"^from:? (.*)$", recipe, flags=re.MULTILINE | re.IGNORECASE)[1]


def test_recipes_pin_nothing_and_install_with_the_makefile(recipes):
    for text in map(without_comments, recipes.values()):
        assert "==" not in text
        assert "pip install" not in text
        assert MAKE in text
        assert text.count("PATH=/opt/environment/bin:$PATH") == 1
        # Where an image is made there is no driver, but where it runs.
        assert "TORCH_BUILD=cuda" in text
    docker, apptainer = recipes["Dockerfile"], recipes["cisflow.def"]
    assert base(docker) == base(apptainer) != ""
    assert re.search(r"apt-get install[^&]*", docker)[0] == re.search(r"apt-get install[^&]*", apptainer)[0]
    assert copied(docker) == copied(apptainer)


def test_what_recipes_copy_is_enough_to_install(root, recipes, tmp_path):
    """All that `make environment` reads is there; the packages themselves are not installed once more."""
    for name in copied(recipes["Dockerfile"]):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (root / name).is_dir() else shutil.copy2
        copy(root / name, tmp_path / name)
    listed = subprocess.run([*MAKE.split(), "--dry-run"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert listed.returncode == 0, listed.stderr
    assert "-r requirements.lock" in listed.stdout
    for program in re.findall(r"/opt/environment/bin/python (\S+\.py)", listed.stdout):
        assert (tmp_path / program).exists()
    assert "/opt/environment/bin/python -m cisflow.motifs.tomtom" in listed.stdout
    code = "import setuptools.build_meta as b; print(b.prepare_metadata_for_build_editable('metadata'))"
    (tmp_path / "metadata").mkdir()
    built = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "metadata/cisflow-0.1.0.dist-info/entry_points.txt").exists()


def test_jobs_run_in_the_image(own, software, tmp_path):
    image = tmp_path / "cisflow.sif"
    link(pins(families()["base"]), image)
    path = os.pathsep.join([str(install(tmp_path / "programs")), software.variables()["PATH"]])
    done = software.run(own, *BY_CONTAINER, DATASET, "--config", f"container={image}", PATH=path)
    assert done.returncode == 0, done.stdout[-5000:]
    assert f"Activating singularity image {image}" in done.stdout
    assert (own / DATASET).exists()


def test_without_an_image_a_job_is_refused(own, tmp_path):
    path = os.pathsep.join([str(install(tmp_path / "programs")), os.path.dirname(sys.executable), os.environ["PATH"]])
    done = snakemake(own, *BY_CONTAINER, DATASET, PATH=path)
    assert done.returncode != 0
    assert "No container was entered: does 'container' in config/config.yaml name an image?" in done.stdout
    assert not (own / DATASET).exists()
