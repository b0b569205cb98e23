"""One environment for each family of rules, with module files, and one for Snakemake that has no scientific package."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.environments.linked import link
from workflow.envs.modules import families, write_module
from workflow.envs.pins import needed

from cisflow.software import pins

# What defines the command `module`; the name of the file is Debian's.
MODULES = Path("/usr/share/modules/init/bash")
# What the Snakefile imports; the rest comes with it.
SCHEDULING = ("snakemake", "snakemake-executor-plugin-slurm", "h5py", "pydantic", "pyjaspar", "pyyaml")
# TensorFlow has an environment of its own, which its own test needs (tests/embeddings/test_parity.py).
ELSEWHERE = "basenji2-tensorflow"


@dataclass(frozen=True)
class Software:
    """A folder of environments, and the Python of Snakemake."""

    folder: Path
    snakemake: Path

    def python(self, family: str) -> Path:
        return self.folder / family / "bin" / "python"

    def variables(self) -> dict[str, str]:
        """The environment variables of a user's shell: nothing of this Python, and the modules."""
        strange = ("SNAKEMAKE", "CISFLOW", "PYTHON", "VIRTUAL_ENV", "MODULE", "BASH_ENV", "LOADEDMODULES")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(strange)}
        path = f"{self.snakemake.parent}{os.pathsep}/usr/bin{os.pathsep}/bin"
        return kept | {"PATH": path, "MODULEPATH": str(self.folder / "modulefiles"), "BASH_ENV": str(MODULES)}

    def run(self, clone: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
        """Run Snakemake in a folder and return what it printed (both streams together)."""
        return subprocess.run(
            [self.snakemake, "-m", "snakemake", *arguments], cwd=clone, env=self.variables() | variables, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip


@pytest.fixture(scope="session")
def software(tmp_path_factory) -> Software:
    folder = tmp_path_factory.mktemp("software")
    for family, file in families().items():
        if family != ELSEWHERE:
            link(pins(file), folder / family)
            write_module(family, folder)
    return Software(folder, link(needed(SCHEDULING), folder / "snakemake"))
