"""SHA-256 checksums that are computed once: of a large file it is remembered until its size, time or place changes."""

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from cisflow.io import sha256, write_json

# Below this, a file is read again: thousands of small files are no reason for thousands of others.
LARGE = 2**20

_memory: dict[str, Path | None] = {"folder": None}


def remember_in(folder: Path | None) -> None:
    """Keep the checksums of large files in this folder, a small file each; None forgets none and keeps none."""
    _memory["folder"] = folder


def checksum(path: str | Path) -> str:
    """Return the SHA-256 checksum of a file as 64 hexadecimal digits, as `io.sha256` does.

    A checksum that was remembered counts while the file has the same size, modification time (in nanoseconds) and
    inode: files are replaced and not written over, so that a new one has another inode.
    """
    folder, stat = _memory["folder"], os.stat(path)
    if folder is None or stat.st_size < LARGE:
        return sha256(path)
    place = os.path.realpath(path)
    about = {"path": place, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "inode": stat.st_ino}
    kept = folder / f"{hashlib.sha256(place.encode()).hexdigest()[:32]}.json"
    with suppress(OSError, ValueError):
        known = json.loads(kept.read_text(encoding="utf-8"))
        digest = known.pop("sha256")
        if known == about:
            return digest
    digest = sha256(path)
    # What cannot be kept is computed again.
    with suppress(OSError, RuntimeError):
        write_json(kept, about | {"sha256": digest})
    return digest


def describe(path: str | Path, digests: bool = True) -> dict[str, Any]:
    """Return what identifies a file or folder: size in bytes, SHA-256, and of a folder the number of its files.

    The checksum of a folder is that of a list of its files, in the order of their paths: checksum, two blanks, path, a
    line each, as `sha256sum` writes it. Hidden files do not count. Of what is not there, `missing` is true.
    """
    path = Path(path)
    if not path.exists():
        return {"missing": True}
    if not path.is_dir():
        return {"bytes": path.stat().st_size} | ({"sha256": checksum(path)} if digests else {})
    files = files_below(path)
    found = {"bytes": sum(file.stat().st_size for file in files), "files": len(files)}
    if digests:
        lines = "".join(f"{checksum(file)}  {file.relative_to(path).as_posix()}\n" for file in files)
        found["sha256"] = hashlib.sha256(lines.encode()).hexdigest()
    return found


def files_below(folder: Path) -> list[Path]:
    """Return the files of a folder and of its subfolders, without hidden ones, in the order of their paths.

    Snakemake keeps a hidden file in folders that are outputs.
    """
    found = (file for file in folder.rglob("*") if file.is_file())
    return sorted(
        (file for file in found if not any(part.startswith(".") for part in file.relative_to(folder).parts)),
        key=lambda file: file.relative_to(folder).as_posix(),
    )
