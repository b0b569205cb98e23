"""A stand-in for conda, as far as Snakemake uses it: it makes environments of links, since no channel can be reached.

What it cannot show is that conda finds the packages; what it shows is that rules name files that exist, that Snakemake
activates what they name, and that the package is found there, though Snakemake takes PYTHONPATH away.
"""

import itertools
import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAM = """#!{python}
import sys
sys.path[:0] = ["{root}", "{root}/src"]
from tests.environments.conda import main
main(sys.argv[1:])
"""
ACTIVATE = 'export PATH="$1/bin:$PATH" CONDA_PREFIX="$1"\n'


def install(folder: Path, activate: str = ACTIVATE) -> Path:
    """Write the stand-in, and what `source activate` does, and return the folder for PATH."""
    programs = folder / "bin"
    programs.mkdir(parents=True)
    (programs / "conda").write_text(PROGRAM.format(python=sys.executable, root=ROOT))
    (programs / "conda").chmod(0o755)
    (programs / "activate").write_text(activate)
    return programs


def main(arguments: list[str]) -> None:
    """Answer as conda would."""
    if arguments[:2] == ["info", "--json"]:
        print(json.dumps({"conda_prefix": str(Path(sys.argv[0]).parents[1]), "platform": "linux-64"}))
    elif arguments == ["--version"]:
        print("conda 25.9.1")
    elif arguments[:2] == ["config", "--get"]:
        print(json.dumps({"get": {"channel_priority": "strict"}}))
    elif arguments[:2] == ["env", "create"]:
        from tests.environments.linked import link

        from cisflow.software import pins

        given = dict(itertools.pairwise(arguments))
        link(pins(given["--file"]), Path(given["--prefix"]))
    elif arguments[:1] != ["clean"]:
        sys.exit(f"the stand-in of conda does not know: {arguments}")
