"""Is a file what its name says, and whole? A matching checksum is no answer where the published file is broken."""

import gzip
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py

BLOCK = 1 << 20


def check_structure(path: Path, name: str) -> str | None:
    """Return what is wrong with a file called `name`, or None.

    An HTML page in place of data is refused for every kind of file; gzip, zip, tar and HDF5 files are opened and read
    to their end, and MEME and BigWig files must begin as such files do.
    """
    with path.open("rb") as file:
        start = file.read(512)
    if not start:
        return "it is empty"
    page = start.lstrip()[:15].lower()
    if page.startswith((b"<!doctype html", b"<html")) and not name.endswith((".html", ".htm")):
        return "it is an HTML page (probably a server's error or login page)"
    for endings, check in CHECKS.items():
        if name.lower().endswith(endings):
            return check(path)
    return None


def _gzip(path: Path) -> str | None:
    try:
        with gzip.open(path) as file:
            while file.read(BLOCK):
                pass
    except (EOFError, OSError, zlib.error) as error:
        return f"it is not a whole gzip file ({error})"
    return None


def _hdf5(path: Path) -> str | None:
    try:
        # What is being fetched is locked by this very process, and HDF5 would take that for a writer at work.
        with h5py.File(path, "r", locking=False) as file:
            list(file)
    except OSError as error:
        why = "truncated" if "truncated" in str(error) else "not HDF5"
        return f"it is not a whole HDF5 file ({why})"
    return None


def _zip(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as file:
            broken = file.testzip()
    except zipfile.BadZipFile as error:
        return f"it is not a zip file ({error})"
    return f"its member {broken} is broken" if broken else None


def _tar(path: Path) -> str | None:
    try:
        with tarfile.open(path) as file:
            for _ in file:
                pass
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        return f"it is not a whole tar archive ({error})"
    return None


def _meme(path: Path) -> str | None:
    with path.open(errors="replace", encoding="utf-8") as file:
        head = file.read(4096)
    return None if "MEME version" in head else "it is not in MEME format (there is no line 'MEME version')"


def _bigwig(path: Path) -> str | None:
    magic = {0x888FFC26.to_bytes(4, "little"), 0x888FFC26.to_bytes(4, "big")}
    with path.open("rb") as file:
        first = last = file.read(4)
        if len(first) == 4:
            file.seek(-4, 2)
            last = file.read(4)
    if first not in magic:
        return "it is not a BigWig file"
    return None if last in magic else "it is a truncated BigWig file (it does not end with the mark of its kind)"


CHECKS: dict[tuple[str, ...], Callable[[Path], str | None]] = {
    (".tar.gz", ".tgz", ".tar"): _tar,
    (".gz", ".bgz"): _gzip,
    (".h5", ".hdf5"): _hdf5,
    (".zip",): _zip,
    (".meme",): _meme,
    (".bw", ".bigwig"): _bigwig,
}
