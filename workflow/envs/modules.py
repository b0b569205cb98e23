"""Make an environment for each family of rules with pip, and module files for them: `make modules FOLDER=…`.

For clusters without conda: in FOLDER/<family> the packages of a family's conda file, at its versions, with the hashes
of the lock file; and FOLDER/modulefiles/cisflow/<family>, which puts that environment's Python on PATH. torch is the
build that pip chooses, on Linux the one with CUDA (2.7 GB to download), since compute nodes may have GPUs.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "src"))

from cisflow.software import pins  # noqa: E402

MODULE = """#%Module
## {file} of cisflow
module-whatis "cisflow: what the rules of the family {family} need"
prepend-path PATH {environment}/bin
setenv VIRTUAL_ENV {environment}
"""


def families() -> dict[str, Path]:
    """Return the conda file of each family; of variants, the one that pip can make."""
    files = sorted(HERE.glob("*.yaml"))
    return {path.stem.removesuffix("-cpu"): path for path in files if not path.stem.endswith(("-cuda", "-meme"))}


def locked(family: str) -> str:
    """Return what a lock file says of the packages of a family: versions and hashes."""
    own = HERE / f"{family}.lock"
    if own.exists():
        return own.read_text(encoding="utf-8")
    entries = re.findall(
        r"^[\w.-]+==(?:.|\n    )*", (HERE.parents[1] / "requirements.lock").read_text(encoding="utf-8"), re.MULTILINE
    )
    wanted = set(pins(families()[family])) - {"torch"}
    chosen = [entry for entry in entries if entry.partition("==")[0] in wanted]
    assert len(chosen) == len(wanted)
    return "\n".join(chosen) + "\n"


def module_file(family: str, folder: Path) -> str:
    """Return the module file of a family whose environment is in a folder."""
    file = f"workflow/envs/{families()[family].name}"
    return MODULE.format(family=family, file=file, environment=folder.absolute() / family)


def write_module(family: str, folder: Path) -> Path:
    """Write the module file of a family and return its path."""
    path = folder / "modulefiles" / "cisflow" / family
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(module_file(family, folder), encoding="utf-8")
    return path


def install(family: str, folder: Path, python: str) -> None:
    """Make the environment of a family with pip."""
    here = folder / family
    subprocess.run([python, "-m", "venv", "--clear", here], check=True)
    pip = [here / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    with tempfile.TemporaryDirectory() as scratch:
        versions = pins(families()[family])
        constraints, requirements = Path(scratch, "constraints.txt"), Path(scratch, "requirements.txt")
        constraints.write_text("".join(f"{name}=={version}\n" for name, version in versions.items()), encoding="utf-8")
        requirements.write_text(locked(family), encoding="utf-8")
        if "torch" in versions:
            subprocess.run([*pip, "--constraint", constraints, f"torch=={versions['torch']}"], check=True)
        subprocess.run([*pip, "--no-deps", "--require-hashes", "--requirement", requirements], check=True)


def main() -> None:
    """Make what is asked for, and say how to use it."""
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("--folder", required=True, type=Path, help="where compute nodes see it, too")
    flags.add_argument("--families", nargs="+", choices=families(), default=list(families()))
    flags.add_argument("--python", default=sys.executable, help="Python 3.11 to 3.13")
    args = flags.parse_args()
    for number, family in enumerate(args.families, 1):
        print(f"[{number}/{len(args.families)}] {args.folder / family}", flush=True)
        install(family, args.folder, args.python)
        write_module(family, args.folder)
    print(f"\nexport MODULEPATH={args.folder.absolute() / 'modulefiles'}:$MODULEPATH")
    print("snakemake --software-deployment-method env-modules …")


if __name__ == "__main__":
    main()
