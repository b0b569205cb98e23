"""Write the versions in the conda files of this folder: `make pins`, after requirements.lock was renewed.

By hand one edits, in a family's file, its comment and the packages that its scripts import. This program gives them the
locked versions, adds all that these packages need, and makes the variants: a CUDA file out of each CPU file, and the
motifs with the MEME Suite. It runs in the environment that has all of requirements.lock, whose packages say what they
need. With --check it changes nothing, and fails if it would.
"""

import argparse
import re
import sys
from collections.abc import Container, Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
# Python is the interpreter's choice where pip makes the environment (3.11 to 3.13), and is chosen here for conda.
BASE = ("python=3.11.15", "pip=25.3")
# conda-forge names the build: a file that asks for the one cannot get the other.
TORCH = {"cpu": "pytorch={}=cpu*", "cuda": "pytorch={}=cuda*"}
CUDA = "cuda-version=12.9"
MEME = "meme=5.5.9"
OF_MEME = "# With the MEME Suite's tomtom, for tasks that say so; its licence allows non-commercial use only."
NEEDED = "# What these need:"
ON_A_GPU = ("attribution", "torch")

FILE = """{comment}
channels:
{channels}
dependencies:
{conda}
  - pip:
{pip}
"""


def lock(path: Path) -> dict[str, str]:
    """Return the versions of a lock file by name."""
    return dict(re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", path.read_text(encoding="utf-8"), flags=re.MULTILINE))


def torch_version() -> str:
    """Return the version of torch that the Makefile installs, of which the lock has none: its builds differ."""
    return re.search(r"^TORCH := torch==(\S+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)[1]


def needed(names: Iterable[str], locked: Container[str] | None = None) -> set[str]:
    """Return these distributions and all that they need, as the installed ones say.

    Parameters
    ----------
    names
        Distributions that are installed.
    locked
        Names of the packages in requirements.lock, if the result must be the same for every build of torch. The lock
        has what all builds need; what one build needs beyond that (cuda-*, nvidia-*, triton) comes with the build, from
        pip as from conda, and is left out.
    """
    found: dict[str, frozenset[str]] = {}
    queue = [(canonicalize_name(name), frozenset({""})) for name in names]
    while queue:
        name, extras = queue.pop()
        if extras <= found.get(name, frozenset()):
            continue
        found[name] = found.get(name, frozenset()) | extras
        for requirement in map(Requirement, metadata.requires(name) or ()):
            other = canonicalize_name(requirement.name)
            if name == "torch" and locked is not None and other not in locked:
                continue
            if requirement.marker is None or any(requirement.marker.evaluate({"extra": e}) for e in found[name]):
                queue.append((other, frozenset({"", *requirement.extras})))
    return set(found)


def versions(names: Iterable[str], locked: Mapping[str, str]) -> list[str]:
    """Return the lines of pip's packages at their locked versions, sorted by name.

    Raises
    ------
    SystemExit
        The lock lacks some of them.
    """
    names = sorted(names)
    lacking = [name for name in names if name not in locked]
    if lacking:
        sys.exit(f"requirements.lock lacks {', '.join(lacking)}: renew it (CONTRIBUTING.md)")
    return [f"- {name}=={locked[name]}" for name in names]


def written(stem: str) -> tuple[str, list[str], bool]:
    """Return what is written by hand in a family's file: its comment, the packages of pip, and whether torch is one."""
    text = (HERE / f"{stem}.yaml").read_text(encoding="utf-8")
    comment = text[: text.index("channels:")].strip()
    by_hand = text.partition(NEEDED)[0]
    return comment, re.findall(r"^ +- ([\w.-]+)==", by_hand, flags=re.MULTILINE), "pytorch=" in text


def content(comment: str, conda: Iterable[str], pip: Iterable[str], channels: Iterable[str] = ()) -> str:
    """Return the text of a conda file."""
    names = ["conda-forge", *channels, "nodefaults"]
    lines = {"channels": names, "conda": [*BASE, *conda]}
    listed = {key: "\n".join(f"  - {line}" for line in values) for key, values in lines.items()}
    return FILE.format(comment=comment, pip="\n".join(f"      {line}" for line in pip), **listed)


def files() -> Iterator[tuple[Path, str]]:
    """Yield each conda file and what it should contain."""
    locked, torch = lock(ROOT / "requirements.lock"), torch_version()
    for path in sorted(HERE.glob("*.yaml")):
        stem, _, variant = path.stem.partition("-")
        if stem == "basenji2" or variant in ("cuda", "meme"):
            continue
        comment, names, with_torch = written(path.stem)
        others = needed([*names, *(["torch"] if with_torch else [])], locked) - set(map(canonicalize_name, names))
        pins = [*versions(names, locked), NEEDED, *versions(others - {"torch"}, locked)]
        yield path, content(comment, [TORCH["cpu"].format(torch)] if with_torch else [], pins)
        if stem in ON_A_GPU:
            other = comment.replace("The CPU variant", "The CUDA variant")
            yield HERE / f"{stem}-cuda.yaml", content(other, [TORCH["cuda"].format(torch), CUDA], pins)
        if stem == "motifs":
            yield HERE / f"{stem}-meme.yaml", content(f"{comment}\n{OF_MEME}", [MEME], pins, ["bioconda"])
    yield HERE / "basenji2-tensorflow.yaml", tensorflow()


def tensorflow() -> str:
    """Return the file of TensorFlow, which has a lock of its own.

    pip has no --no-deps for one package of a list, and tf-keras asks for `tensorflow`: so it is all of it, where the
    lock has tensorflow-cpu.
    """
    path = HERE / "basenji2-tensorflow.yaml"
    comment, names, _ = written(path.stem)
    locked = {name.replace("-cpu", ""): version for name, version in lock(path.with_suffix(".lock")).items()}
    pins = [f"- {name}=={locked[name]}" for name in sorted(names)]
    return content(comment, [], [*pins, NEEDED, *(f"- {n}=={v}" for n, v in sorted(locked.items()) if n not in names)])


def main() -> None:
    """Write the files that differ, or only name them."""
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("--check", action="store_true", help="change nothing, and fail if something would be changed")
    args = flags.parse_args()
    differ = {path: text for path, text in files() if not path.exists() or path.read_text(encoding="utf-8") != text}
    for path, text in differ.items():
        if not args.check:
            path.write_text(text, encoding="utf-8")
        print(f"{path.relative_to(ROOT)} {'differs: make pins' if args.check else 'is written'}")
    sys.exit(args.check and bool(differ))


if __name__ == "__main__":
    main()
