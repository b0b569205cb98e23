"""Each rule in the environment of its own family, by environment modules, under a Snakemake without their packages."""

import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest
from tests.conftest import planted
from tests.environments.conftest import ELSEWHERE, MODULES
from tests.workflow import conftest, test_embeddings, test_heads
from tests.workflow.conftest import copy_of_repository, snakemake, write_user_data
from workflow.envs.modules import families, locked

from cisflow.software import pins

BY_MODULES = ("--software-deployment-method", "env-modules", "--profile", "profiles/local", "--cores", "2")
TASK = """
  own:
    dataset:
      kind: hdf5
      file: data/mine.h5
      keys: {x: "{split}/sequences", y: "{split}/bound"}
      targets: [bound]
    model: {name: cnn-2, activation: exponential}
    trials: 1
    training: {epochs: 6, device: any, optimizer: {lr: 3.0e-3}}
    attribution: {methods: [deep_lift_shap, integrated_gradients], references: 5, sequences: 50}
    modisco: {size: 11, seqlet_flank_size: 3, trim_size: 11, initial_flank_to_add: 3, min_seqlets: 50}
"""
OF_OWN = ("report.html", "attribution/quality.tsv", "modisco/cnn-2_exponential/report.html")
DATASET = "results/tasks/own/dataset.h5"

pytestmark = pytest.mark.skipif(
    not MODULES.exists(), reason="no environment modules (apt-get install environment-modules)"
)
clone, mine, tasks = conftest.clone, test_embeddings.mine, test_heads.tasks


@pytest.fixture
def own(root, tmp_path):
    """A clone with a user's task, and its file."""
    clone = copy_of_repository(root, tmp_path / "clone")
    write_user_data(clone / "data/mine.h5")
    with (clone / "config/tasks.yaml").open("a") as file:
        file.write(TASK)
    return clone


def modules_of(printed: str) -> set[str]:
    return set(re.findall(r"Activating environment modules: cisflow/(\S+)", printed))


def test_snakemake_has_no_scientific_package(software):
    for package in ("torch", "polars", "scipy", "sklearn", "matplotlib", "memelite", "captum", "pysam"):
        done = subprocess.run(
            [software.snakemake, "-c", f"import {package}"], capture_output=True, text=True, check=False
        )
        assert "ModuleNotFoundError" in done.stderr


@pytest.mark.parametrize("family", sorted(set(families()) - {ELSEWHERE}))
def test_pip_is_given_the_hashes_of_the_lock(family):
    text, versions = locked(family), pins(families()[family])
    entries = dict(re.findall(r"^([\w.-]+)==(\S+) \\\n    --hash=sha256:", text, flags=re.MULTILINE))
    assert entries == {name: version for name, version in versions.items() if name != "torch"}


@pytest.mark.environments
def test_each_script_starts_in_the_environment_of_its_rule(root, software):
    """What it imports on top is there; what functions import is compared with the files by tests/test_house.py."""
    found = {
        script: family
        for path in (root / "workflow/rules").glob("*.smk")
        for family, script in re.findall(
            r'"cisflow/([\w-]+)",.*?workflow/scripts/(\S+\.py)', path.read_text(), re.DOTALL
        )
        if software.python(family).exists()
    }
    assert len(found) > 30
    assert set(found.values()) == set(families()) - {ELSEWHERE}

    def start(script):
        command = [software.python(found[script]), root / "workflow/scripts" / script, "--help"]
        variables = software.variables() | {"PYTHONPATH": str(root / "src")}
        return script, subprocess.run(command, text=True, check=False, capture_output=True, env=variables)

    with ThreadPoolExecutor(2) as pool:
        for script, done in pool.map(start, sorted(found)):
            assert done.returncode == 0, f"{script} in {found[script]}: {done.stderr}"


@pytest.mark.environments
def test_from_sequences_to_patterns_with_modules(own, software):
    with h5py.File(own / "data/mine.h5", "w") as h5:
        for number, (split, count) in enumerate((("train", 2000), ("valid", 200), ("test", 500))):
            x, y = planted(count, seed=number)
            h5[f"{split}/sequences"] = np.eye(4, dtype=np.int8)[x]
            h5[f"{split}/bound"] = y[:, 0].astype(np.int8)
    done = software.run(own, *BY_MODULES, *(f"results/tasks/own/{target}" for target in OF_OWN))
    assert done.returncode == 0, done.stdout[-5000:]
    assert modules_of(done.stdout) == {"base", "torch", "motifs", "attribution", "modisco", "figures"}


@pytest.mark.environments
def test_from_a_genome_to_heads_with_modules(tasks, mine, software):
    clone, *_ = mine
    done = software.run(clone, *BY_MODULES, "results/tasks/mine/report.html")
    assert done.returncode == 0, done.stdout[-5000:]
    assert modules_of(done.stdout) == {"base", "tracks", "torch", "figures"}


def test_without_the_command_module_a_job_is_refused(own):
    """This Python has all packages: without the refusal the job would succeed."""
    done = snakemake(own, *BY_MODULES, DATASET, BASH_ENV="")
    assert done.returncode != 0
    assert "module: command not found" in done.stdout
    assert (
        "error: this job was to run in an environment of its own (--software-deployment-method env-modules)"
        in done.stdout
    )
    assert "is 'module' a command of bash in a job, and cisflow/<family> in MODULEPATH?" in done.stdout
    assert not (own / DATASET).exists()


def test_without_the_module_a_job_is_refused(own, tmp_path):
    done = snakemake(own, *BY_MODULES, DATASET, BASH_ENV=str(MODULES), MODULEPATH=str(tmp_path))
    assert done.returncode != 0
    assert "Unable to locate a modulefile for 'cisflow/base'" in done.stdout
    assert "it runs in the Python of Snakemake" in done.stdout
    assert not (own / DATASET).exists()


def test_a_module_with_another_version_is_refused(own, software, tmp_path):
    folder = tmp_path / "software"
    shutil.copytree(software.folder / "base", folder / "base", copy_function=shutil.os.link, symlinks=True)
    (information,) = folder.glob("base/lib/python3*/site-packages/polars-*.dist-info/METADATA")
    text = information.read_text()
    information.unlink()
    information.write_text(re.sub(r"^Version: .*$", "Version: 2.0.9", text, count=1, flags=re.MULTILINE))
    module = (software.folder / "modulefiles/cisflow/base").read_text().replace(str(software.folder), str(folder))
    (folder / "modulefiles/cisflow").mkdir(parents=True)
    (folder / "modulefiles/cisflow/base").write_text(module)
    done = software.run(own, *BY_MODULES, DATASET, MODULEPATH=str(folder / "modulefiles"))
    assert done.returncode != 0
    assert re.search(r"is not that of \S+/workflow/envs/base.yaml: polars 2.0.9 \(2.1.0\). In parentheses", done.stdout)
    assert not (own / DATASET).exists()


def test_the_rules_that_have_results_are_not_run_again_by_deploying(own, software):
    """Module names are part of a rule whether modules are used or not, so that both may make parts of one result."""
    done = snakemake(own, *BY_MODULES[2:], DATASET)
    assert done.returncode == 0, done.stdout
    done = software.run(own, *BY_MODULES, "-n", DATASET)
    assert "Nothing to be done" in done.stdout
