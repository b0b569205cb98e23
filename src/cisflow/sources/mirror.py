"""Mirror folders: all files that a target needs, with a table of their checksums.

The layout is that of `resources`, `<source>/<file>`, so that either folder serves as the other.
"""

import logging
import shutil
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cisflow.errors import CisflowError
from cisflow.io import disk_is_full, failing_message, remove_partial, sha256
from cisflow.locks import locked
from cisflow.sources.checksums import TABLE, Record, read_records, write_records
from cisflow.sources.fetch import Progress, Wanted, fetch

log = logging.getLogger(__name__)

LOCK = ".fetching"
# What interrupted and refused transfers leave.
LEFT = (".part", ".part.validator", ".rejected")


@dataclass(frozen=True)
class Item:
    """A file that is needed: its source, what is known of it, its licence, and its size in words if that is all."""

    source: str
    wanted: Wanted
    licence: str
    about: str | None = None

    @property
    def file(self) -> str:
        """Its path in a mirror."""
        return f"{self.source}/{self.wanted.name}"

    @property
    def origin(self) -> str:
        """Where it is to be had, for a machine or a reader."""
        return self.wanted.origin

    @property
    def by_hand(self) -> bool:
        """Whether a user has to get it, since there is no address."""
        return self.wanted.url is None and self.wanted.package is None


@dataclass(frozen=True)
class Check:
    """What a look at all files of a mirror finds; `extra` are in no table, and `left` by transfers."""

    good: Sequence[str]
    missing: Sequence[str]
    corrupt: Mapping[str, str]
    extra: Sequence[str]
    left: Sequence[str]


class Mirror:
    """A folder of fetched files with a table of them.

    Raises
    ------
    CisflowError
        The table is broken.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self.records = read_records(folder)
        self._table = threading.Lock()

    def has(self, item: Item) -> bool:
        """Return whether a file is there, as large as when it was written down, and still the one that is wanted.

        Its bytes are not read, unless only an MD5 checksum is known of it; `check` reads them.
        """
        path, record = self.folder / item.file, self.records.get(item.file)
        if record is None or not path.is_file() or path.stat().st_size != record.bytes:
            return False
        if item.wanted.sha256:
            return record.sha256 == item.wanted.sha256
        if item.wanted.md5:
            return item.wanted.problem(path) is None
        return record.url == item.origin

    def get(self, item: Item, others: Sequence[str | Path], progress: Progress, wait: Callable[[float], None]) -> str:
        """Fetch a file, or take the one that is there if it is right, and write it down; return where from, in words.

        Raises
        ------
        CisflowError
            As `fetch`.
        """
        path = self.folder / item.file
        # One of unknown content may be of another address: it is only taken if nothing says so.
        if path.is_file() and (item.file not in self.records or item.wanted.sha256 or item.wanted.md5):
            if (problem := item.wanted.problem(path)) is None:
                self._write_down(item)
                return "was there"
            log.warning("%s: %s; it is fetched again", path, problem)
        # The lock of the folder keeps away others that might be writing it.
        remove_partial(path)
        origin = fetch(item.wanted, path, others, progress, wait)
        self._write_down(item)
        return f"from {origin}"

    def _write_down(self, item: Item) -> None:
        path = self.folder / item.file
        today = datetime.now(UTC).date().isoformat()
        licence = " ".join(item.licence.split())
        record = Record(item.file, path.stat().st_size, sha256(path), item.origin, licence, today)
        with self._table:
            self.records[item.file] = record
            write_records(self.folder, self.records)

    def check(self, parallel: int = 4) -> Check:
        """Read every file of the table, and compare its size and checksum."""
        there = {file: self.folder / file for file in self.records if (self.folder / file).is_file()}
        with ThreadPoolExecutor(parallel) as pool:
            found = pool.map(lambda file: self.records[file].problem(there[file]), there)
            problems = dict(zip(there, found, strict=True))
        others = sorted(
            path.relative_to(self.folder).as_posix()
            for path in self.folder.rglob("*")
            if path.is_file() and path.name not in (TABLE, LOCK)
        )
        unknown = [file for file in others if file not in self.records]
        return Check(
            good=[file for file, problem in problems.items() if problem is None],
            missing=[file for file in self.records if file not in there],
            corrupt={file: problem for file, problem in problems.items() if problem},
            extra=[file for file in unknown if not file.endswith(LEFT)],
            left=[file for file in unknown if file.endswith(LEFT)],
        )


def fill(
    mirror: Mirror,
    items: Sequence[Item],
    others: Sequence[str | Path] = (),
    parallel: int = 4,
    told: Callable[[Item, str], None] = lambda item, origin: None,
    progress_of: Callable[[Item], Progress] = lambda item: lambda done, total: None,
) -> dict[str, str]:
    """Fetch what a mirror lacks, a few files at a time; return why files cannot be had, by file.

    Parameters
    ----------
    mirror
        Where they go.
    items
        What is needed.
    others
        Folders that are searched before any download.
    parallel
        Files that are fetched together.
    told
        Called with each file that has come, and where it came from.
    progress_of
        Returns what is called with the progress of a file (see `fetch`).

    Raises
    ------
    CisflowError
        Another process is filling the mirror, or its disk is too small for what is known to come.
    """
    missing = [item for item in items if not mirror.has(item)]
    if not missing:
        return {}
    try:
        mirror.folder.mkdir(parents=True, exist_ok=True)
        (mirror.folder / LOCK).touch()
    except OSError as error:
        raise CisflowError(f"{mirror.folder}: it cannot be written to ({error.strerror}).") from error
    _check_space(mirror, missing)
    stop = threading.Event()

    def get(item: Item) -> str:
        told_of = progress_of(item)

        def progress(done: int, total: int | None) -> None:
            if stop.is_set():
                raise CisflowError(f"{item.file}: stopped.")
            told_of(done, total)

        def wait(seconds: float) -> None:
            if stop.wait(seconds):
                raise CisflowError(f"{item.file}: stopped.")

        try:
            return mirror.get(item, others, progress, wait)
        except OSError as error:
            if disk_is_full(error):
                raise CisflowError(f"no space is left on the disk of {mirror.folder}; what came is kept.") from error
            if (message := failing_message(error)) is None:
                raise
            raise CisflowError(message) from error

    failures = {}
    busy = "another 'cisflow sources fetch' is filling this folder"
    with locked(mirror.folder / LOCK, busy), ThreadPoolExecutor(parallel) as pool:
        futures = {pool.submit(get, item): item for item in missing}
        try:
            for future in as_completed(futures):
                try:
                    told(futures[future], future.result())
                except CisflowError as error:
                    failures[futures[future].file] = str(error)
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return {item.file: failures[item.file] for item in missing if item.file in failures}


def _check_space(mirror: Mirror, missing: Iterable[Item]) -> None:
    needed = 0
    for item in missing:
        path = mirror.folder / item.file
        here = (path, path.with_name(path.name + ".part"))
        needed += max((item.wanted.size or 0) - sum(file.stat().st_size for file in here if file.is_file()), 0)
    if (free := shutil.disk_usage(mirror.folder).free) < needed:
        raise CisflowError(
            f"{mirror.folder}: {free / 1e9:,.1f} GB are free on its disk, and at least {needed / 1e9:,.1f} GB have to "
            "come. Free some space, or name a folder on another disk (--mirror)."
        )
