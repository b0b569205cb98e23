"""Files that are whole or absent: atomic writing, checksums, and HDF5 files that say what they are."""

import csv
import errno
import glob
import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import h5py

from cisflow import __version__
from cisflow.errors import CisflowError

# Which rule makes a file of each schema: a reader that finds something else tells the user where to get one.
SCHEMAS = {
    "dataset/1": "make_dataset",
    "filters/1": "filters",
    "predictions/1": "evaluate",
    "attributions/1": "attribute",
    "track/1": "bin_track",
    "tracks/1": "gather_tracks",
    "embeddings/1": "gather_embeddings",
}


# Where HDF5 looks for the files of virtual arrays, if it is set.
VDS_PREFIX = "HDF5_VDS_PREFIX"
# Number of points of a selection without end.
UNLIMITED = h5py.h5s.UNLIMITED

# What a system says of a disk that is full, and of a file system that cannot be read or written.
FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
FAILING = {
    errno.EROFS: "the file system is read-only. Give another place, or have it mounted for writing",
    errno.EACCES: "permission is denied. Give another place, or have its owner permit it ('ls -ld' shows who may)",
    errno.EPERM: "the system does not permit it. Give another place",
    errno.EIO: "the disk, or the connection to it, fails. The log of the system (dmesg) may say more. Run it again "
    "when this is mended, or give a place on another disk",
    errno.ESTALE: "it is gone from the server of the network file system. Run it again",
}

# Folders in which files are being written, and the paths that the files are for.
_UNFINISHED: dict[Path, Path] = {}
# How the names of these folders end.
PARTIAL = ".partial"
# What is entered when a file gets its final name: a job makes sure that its outputs are still its own (`cisflow.job`).
_guard: Callable[[Path], AbstractContextManager[None]] = nullcontext


def guard_outputs(guard: Callable[[Path], AbstractContextManager[None]]) -> None:
    """Enter this context, which is given the path, whenever a file or folder gets its final name."""
    global _guard
    _guard = guard


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path and rename it to `path` if the block succeeds; else leave nothing.

    The temporary path has the same file name, in a new folder beside `path` that no other process writes into.

    Raises
    ------
    CisflowError
        The disk is full (any other exception of the block passes through).
    """
    path = Path(path)
    with partial_folder(path) as folder:
        partial = folder / path.name
        yield partial
        publish(partial, path)


def publish(partial: Path, path: Path) -> None:
    """Give a file that is whole its final name, on the same file system, once it is on the disk."""
    with _guard(path):
        with partial.open("rb") as handle:
            os.fsync(handle.fileno())
        partial.replace(path)


@contextmanager
def partial_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder beside a path, in which what is to stand there can be made; it is removed afterwards.

    Raises
    ------
    CisflowError
        The disk is full, or the file system is read-only or fails. What the block cannot read elsewhere passes through.
    """
    folder = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # File names have at most 255 bytes.
        folder = Path(tempfile.mkdtemp(PARTIAL, f".{path.name[:60]}.", path.parent))
        _UNFINISHED[folder] = path
        yield folder
    except BaseException as error:
        number = system_error(error)
        if number in FULL or (number in FAILING and (folder is None or _is_of(error, path.parent))):
            raise CisflowError(_unwritten(path, number)) from error
        raise
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
            _UNFINISHED.pop(folder, None)


def publish_folder(source: Path, path: Path, ignore: Callable[[str, list[str]], Iterable[str]]) -> None:
    """Put the content of a folder at `path` as hard links, as copies where there can be none; whole or not at all.

    What is at `path` is replaced. Files that are hard links take no space, and neither is to be changed in place.

    Parameters
    ----------
    source, path
        The folder, and where its content is to stand.
    ignore
        What is left out, as of `shutil.copytree`.

    Raises
    ------
    CisflowError
        The disk is full.
    """
    with partial_folder(path) as folder:
        shutil.copytree(source, folder / path.name, symlinks=True, ignore=ignore, copy_function=_link_or_copy)
        with _guard(path):
            if path.exists():
                path.rename(folder / "replaced")
            (folder / path.name).rename(path)


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # the file system has no hard links
        shutil.copy2(source, target, follow_symlinks=False)


def remove_partial(path: Path) -> None:
    """Remove what processes that were killed have left of unfinished files for a path."""
    for folder in path.parent.glob(f".{glob.escape(path.name[:60])}.*{PARTIAL}"):
        shutil.rmtree(folder, ignore_errors=True)


def _is_of(error: BaseException, folder: Path) -> bool:
    """Return whether an error is one of a file below a folder, as far as it tells."""
    name = getattr(error, "filename", None)
    return name is None or Path(os.fsdecode(name)).absolute().is_relative_to(folder.absolute())


def _unwritten(path: Path, number: int) -> str:
    """Return what to tell of a file that cannot be written, by the number of the system's error."""
    if number in FULL:
        return full_message(path)
    # These come with reading, too, and then without the name of the file.
    unsure = number in (errno.EIO, errno.ESTALE)
    what = "a file could not be read or written while this one was made" if unsure else "it cannot be written"
    return f"{path}: {what}: {FAILING[number]}."


def abandon(number: int) -> str:
    """Remove all files that are being written; return what to tell, by the number of the system's error."""
    other = "there is no space left on the disk." if number in FULL else f"a file cannot be written: {FAILING[number]}."
    told = [_unwritten(path, number) for path in _UNFINISHED.values()] or [other]
    for folder in _UNFINISHED:
        shutil.rmtree(folder, ignore_errors=True)
    return told[-1]


def disk_is_full(error: BaseException | None) -> bool:
    """Return whether an exception says that a disk, a quota or a file-size limit is exhausted."""
    return system_error(error) in FULL


def system_error(error: BaseException | None) -> int | None:
    """Return the number in FULL or FAILING that an exception tells, or None."""
    numbers = (*FULL, *FAILING)
    if getattr(error, "errno", None) in numbers:
        return error.errno
    text = str(error)
    # h5py, programs in Rust, and shutil.copytree report the system's error number only inside their message.
    told = (n for n in numbers for words in (f"errno = {n},", f"(os error {n})", f"[Errno {n}]") if words in text)
    return next(told, None)


def failing_message(error: OSError) -> str | None:
    """Return what to tell of a file that could not be read or written; None if the file system is not to blame."""
    number = system_error(error)
    if number in FULL:
        return f"no space left on the disk ({error}). Free some space and run again."
    if number not in FAILING:
        return None
    what = f"{error.filename}: " if error.filename is not None else "a file cannot be read or written: "
    return f"{what}{FAILING[number]} ({error.strerror or error})."


def full_message(path: Path) -> str:
    """Return what to tell when a file cannot be written since its disk is full."""
    free = shutil.disk_usage(path.parent).free / 1e6
    return (
        f"{path}: no space left to write it ({free:,.0f} MB free on that disk, or a quota or file-size limit is "
        "reached). Nothing partial was left. Free some space, or set 'results:' in config/config.yaml to another disk, "
        "and run again."
    )


def sha256(path: str | Path) -> str:
    """Return the SHA-256 checksum of a file as 64 hexadecimal digits."""
    return _digest(path, "sha256")


def md5(path: str | Path) -> str:
    """Return the MD5 checksum of a file as 32 hexadecimal digits."""
    return _digest(path, "md5")


def check_md5(sums: Mapping[str, str]) -> None:
    """Check that files, by path, have these MD5 checksums, which a manifest pins.

    Raises
    ------
    CisflowError
        One has another: it was changed after it was fetched, or fetched for another manifest.
    """
    for path, pinned in sums.items():
        if (found := md5(path)) != pinned:
            raise CisflowError(
                f"{path}: its md5 is {found}, and {pinned} is pinned. Delete the file, and it is fetched again."
            )


def _digest(path: str | Path, algorithm: str) -> str:
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, algorithm).hexdigest()


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically."""
    with atomic(path) as partial:
        partial.write_text(json.dumps(value, indent=2, sort_keys=False) + "\n", encoding="utf-8")


def write_tsv(path: str | Path, columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a tidy table, atomically: one header line, one observation a row, tabs between fields.

    A None is an empty field; a float is written with the shortest digits that read back as the same number.

    Raises
    ------
    ValueError
        A row has a key that is not among `columns`.
    """
    with atomic(path) as partial, partial.open("w", newline="", encoding="utf-8") as handle:
        table = csv.DictWriter(handle, list(columns), delimiter="\t", lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


@contextmanager
def h5_writer(path: str | Path, schema: str, inputs: Mapping[str, str] | None = None) -> Iterator[h5py.File]:
    """Open a new HDF5 file that appears at `path` only when the block succeeds.

    The file's attributes say what it is: `schema`, `created_by`, and `inputs` (JSON: file name to SHA-256).
    """
    with atomic(path) as partial, h5py.File(partial, "w") as h5:
        h5.attrs["schema"] = schema
        h5.attrs["created_by"] = f"cisflow {__version__}"
        h5.attrs["inputs"] = json.dumps(dict(inputs or {}), sort_keys=True)
        yield h5


@contextmanager
def h5_reader(
    path: str | Path, schema: str | None = None, cache: int | None = None, check: bool | None = None
) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading, and check that it is whole and of the given schema.

    Parameters
    ----------
    path
        The file.
    schema
        What its attribute `schema` must be; None for a file of other makers.
    cache
        Size of the cache of each of its arrays, in bytes; None for HDF5's own (8 MB since version 2).
    check
        Whether all of its arrays must be written (`check_written`); by default in files with a schema. In a file of
        other makers, those that are read are checked by who reads them.

    Raises
    ------
    CisflowError
        The file is missing, is not HDF5, is truncated, has another schema, or an array is not wholly there.
    """
    try:
        h5 = h5py.File(path, "r", rdcc_nbytes=cache)
    except FileNotFoundError:
        raise CisflowError(f"{path}: there is no such file.{_made_by(schema)}") from None
    except OSError as error:
        raise CisflowError(f"{path}: {_why_not_hdf5(Path(path), error)}{_made_by(schema)}") from error
    with h5:
        found = h5.attrs.get("schema")
        if schema is not None and found != schema:
            raise CisflowError(f"{path}: its schema is {found!r}, and {schema!r} is needed.{_made_by(schema)}")
        if check or (check is None and schema is not None):
            h5.visititems(lambda _, item: check_written(item) if isinstance(item, h5py.Dataset) else None)
        yield h5


def check_written(array: h5py.Dataset) -> None:
    """Refuse an array of which a part is not there: HDF5 would show the fill value in its place, such as 0.

    A part is not there if it was never written, as by a program that was interrupted, or if a file that a virtual or
    external array is made of is missing or too short. Of an array that is neither chunked, virtual nor external HDF5
    does not know which rows were written; only one without any is refused.

    Raises
    ------
    CisflowError
        A part is not there; the array's file, or the one that lacks something, is named.
    """
    if not array.size:
        return
    if array.is_virtual:
        why = _missing_part(array)
    elif array.external:
        why = _missing_external(array)
    else:
        why = _never_written(array)
    if why:
        raise CisflowError(f"{array.file.filename}: '{array.name}' {why}")


def _never_written(array: h5py.Dataset) -> str | None:
    if array.chunks is not None:
        chunks, written = math.prod(map(_chunks, array.shape, array.chunks)), array.id.get_num_chunks()
        what = f"has {written:,} of {chunks:,} chunks, and the others were never written" if written < chunks else None
    elif array.id.get_create_plist().get_layout() == h5py.h5d.CONTIGUOUS and array.id.get_offset() is None:
        what = "was never written"
    else:
        what = None
    return what and f"{what}. Was the program that wrote the file interrupted? Make the file again."


def _chunks(size: int, chunk: int) -> int:
    return -(-size // chunk)


def _missing_external(array: h5py.Dataset) -> str | None:
    for name, offset, size in array.external:
        # HDF5 looks for a relative name in the folder of the process, and shows zeros for what a short file lacks.
        file = Path(name)
        if not file.is_file() or (size != h5py.h5f.UNLIMITED and file.stat().st_size < offset + size):
            return f"is in a file that is missing or too short: {file}. Bring it back, or make the array again."
    return None


def _missing_part(array: h5py.Dataset) -> str | None:
    """Return what is missing of a virtual array; what is missing of the arrays that it is made of is raised."""
    if os.environ.get(VDS_PREFIX):
        return f"is made of other files, for which HDF5 would look elsewhere, since {VDS_PREFIX} is set; unset it."
    path, filled = Path(array.file.filename), 0
    for part in array.virtual_sources():
        source = path if part.file_name == "." else path.parent / part.file_name
        if "%b" in part.file_name:
            return f"is made of numbered files ({source}), of which one may be missing; copy it into a plain array."
        if not source.is_file():
            return f"is made of files of which one is missing: {source}. Make it again."
        with h5_reader(source, check=False) as h5:
            inner = h5.get(part.dset_name)
            if not isinstance(inner, h5py.Dataset) or not _has(inner, part):
                return f"is made of '{part.dset_name}' of {source}, which is missing or too small. Make it again."
            check_written(inner)
        filled += part.vspace.get_select_npoints()
    return "has parts that no file fills. Make it again." if filled < array.size else None


def _has(source: h5py.Dataset, part: Any) -> bool:
    """Return whether an array has the block of it that a virtual array shows."""
    if part.src_space.get_select_type() == h5py.h5s.SEL_ALL:
        return source.size >= part.vspace.get_select_npoints() or part.vspace.get_select_npoints() == UNLIMITED
    if part.src_space.get_select_npoints() == UNLIMITED:
        return True
    _, last = part.src_space.get_select_bounds()
    return len(last) == source.ndim and all(end < size for end, size in zip(last, source.shape, strict=True))


def _made_by(schema: str | None) -> str:
    return f" The rule '{SCHEMAS[schema]}' makes it." if schema in SCHEMAS else ""


def _why_not_hdf5(path: Path, error: OSError) -> str:
    if "truncated" in str(error):
        return "the HDF5 file is truncated (it ends before its own header says). Fetch or make it again."
    if error.errno == errno.EAGAIN:
        return "another program has it open for writing, and has locked it. Wait until it is done, or end it."
    if "already open for write" in str(error):
        return (
            "the HDF5 file is open for writing, or the program that wrote it died. Wait until it is done; if none "
            "writes it, make the file again."
        )
    if not path.is_file() or not os.access(path, os.R_OK):
        return f"it cannot be read ({error.strerror or error})."
    with path.open("rb") as handle:
        start = handle.read(64)
    if start.lstrip()[:1] == b"<":
        return "it is an HTML or XML page, not an HDF5 file; probably a server's error page. Fetch it again."
    return f"it is not an HDF5 file (its first bytes are {start[:8]!r})."
