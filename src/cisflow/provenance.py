"""What a result was made from: code hashes that drive re-runs, and the record kept beside each result."""

import ast
import functools
import hashlib
import json
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from cisflow import __version__
from cisflow.checksums import checksum
from cisflow.errors import without_secrets
from cisflow.io import write_json

PACKAGE = Path(__file__).parent
# The libraries whose version can change a number.
LIBRARIES = (
    "torch", "numpy", "scipy", "scikit-learn", "h5py", "polars", "memelite", "pyjaspar", "matplotlib", "captum",
    "tangermeme",
)  # fmt: skip

# The package's own __init__ holds only the version number, and the others tell of a job: no reason to run it again.
NO_RESULT = ("__init__.py", "job.py", "checksums.py", "software.py")

# Provenance files of this process.
written: list[Path] = []


def code_hash(*entries: str | Path) -> str:
    """Return a hash of programs (scripts or notebooks) and of all cisflow modules that they import.

    Comments, docstrings, layout and file times do not count, so it changes only when the code does. Rules carry it
    as a parameter: a job is run again when its code changed, and not because of a commit or a fresh clone.
    """
    seen: dict[Path, str] = {}
    queue = [Path(entry).resolve() for entry in entries]
    while queue:
        path = queue.pop()
        if path not in seen:
            seen[path], imported = _digest(path)
            queue.extend(imported)
    return hashlib.sha256("".join(sorted(seen.values())).encode()).hexdigest()[:16]


@functools.cache
def _digest(path: Path) -> tuple[str, tuple[Path, ...]]:
    tree, imported = ast.parse(_source(path)), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            imported |= _cisflow_modules(node)
        elif isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), tuple(sorted(imported))


def _source(path: Path) -> str:
    if path.suffix != ".ipynb":
        return path.read_text(encoding="utf-8")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


def _cisflow_modules(node: ast.Import | ast.ImportFrom) -> set[Path]:
    names = [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        names = [node.module, *(f"{node.module}.{name}" for name in names)] if node.module else []
    inside = [PACKAGE.joinpath(*name.split(".")[1:]) for name in names if name.split(".")[0] == "cisflow"]
    files = {file for base in inside for file in (base.with_suffix(".py"), base / "__init__.py")}
    return {file for file in files - {PACKAGE / name for name in NO_RESULT} if file.is_file()}


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions of Python, cisflow and the libraries that can change a number."""
    installed = {name: metadata.version(name) for name in LIBRARIES if _installed(name)}
    return {"python": platform.python_version(), "cisflow": __version__, **installed}


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


@functools.cache
def git_commit() -> str | None:
    """Return the checked-out commit, with '+' if the tree has changes, or None outside a repository."""
    peak_of_children()
    try:
        answer = subprocess.run(
            # Many jobs ask at once: none is to write the index anew.
            ["git", "--no-optional-locks", "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"],
            capture_output=True, text=True, cwd=PACKAGE, check=False,
        )  # fmt: skip
    except OSError:  # there is no git, as on some compute nodes
        return None
    return answer.stdout.strip() or None


@functools.cache
def peak_of_children() -> int:
    """Return the highest resident memory of a child of this process, in bytes, of those that have ended.

    Asked for before git is: for Linux, a child has at its start the memory of the process that it is split off from.
    """
    return resident(resource.getrusage(resource.RUSAGE_CHILDREN))


def resident(usage: resource.struct_rusage) -> int:
    """Return the highest resident memory, in bytes; macOS counts in bytes, and Linux in KiB."""
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def software() -> dict[str, Any]:
    """Return what ran: versions, commit and machine."""
    return {"versions": versions(), "commit": git_commit(), "machine": platform.platform()}


def record(
    path: str | Path,
    inputs: Iterable[str | Path],
    parameters: Mapping[str, Any],
    started: float | None,
    **more: Any,
) -> None:
    """Write a provenance file.

    Parameters
    ----------
    path
        Where to write it (JSON).
    inputs
        The files that were read; their SHA-256 checksums are recorded.
    parameters
        The settings of the job.
    started
        When the job started (`time.time()`), for its wall time in seconds; None: a file that is the same in every run.
    more
        Anything else worth knowing, such as the device or the seeds.
    """
    facts = {"inputs": {str(file): checksum(file) for file in inputs}, "parameters": dict(parameters)}
    facts |= more | software()
    if started is not None:
        facts["seconds"] = round(time.time() - started, 3)
        facts["finished"] = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    write_json(path, json.loads(without_secrets(json.dumps(facts))))
    written.append(Path(path))
