"""One process at a time: a folder that is claimed for as long as its process lives."""

import logging
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from cisflow.locks import lock

log = logging.getLogger(__name__)
# The locked file in a folder that is claimed.
CLAIM = "claim"


class GivenUp(Exception):
    """The process was asked to stop while it waited for another one."""


@contextmanager
def claimed(folder: str | Path, stop: Callable[[], bool] = lambda: False, every: float = 1.0) -> Iterator[None]:
    """Hold a folder, made if need be, for the block; wait while another process holds it.

    The claim is a lock of the system on the file `claim` in the folder, so it ends with its process, however that ends,
    and it counts on all nodes that share the file system. Where a file system has no locks, a warning says so.

    Parameters
    ----------
    folder
        What is claimed.
    stop
        Asked while waiting; True gives up.
    every
        Seconds between two attempts.

    Raises
    ------
    GivenUp
        It was asked to stop before the other process ended.
    """
    path, waited = Path(folder) / CLAIM, False
    while (file := _taken(path)) is None:
        if not waited:
            log.warning(
                "%s: %s is at work on it; waiting until it ends. If it is cancelled, this goes on from where it was",
                folder, _holder(path),
            )  # fmt: skip
        waited = True
        if stop():
            raise GivenUp(f"stopped while {_holder(path)} was at work on {folder}; run again to take its place")
        time.sleep(every)
    with file:
        yield


def is_claimed(folder: Path) -> bool:
    """Return whether another process holds a folder."""
    path = folder / CLAIM
    if not path.exists():
        return False
    with path.open("a", encoding="utf-8") as file:
        return not lock(file.fileno(), path)


def _taken(path: Path) -> IO[str] | None:
    """Return the file of a claim, locked, or None if another process has locked it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a+", encoding="utf-8")
    if not lock(file.fileno(), path):
        file.close()
        return None
    file.truncate(0)
    file.write(_self())
    file.flush()
    return file


def _self() -> str:
    job = os.environ.get("SLURM_JOB_ID")
    return f"Slurm job {job} on {platform.node()}" if job else f"process {os.getpid()} on {platform.node()}"


def _holder(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8") or "another process"
    except FileNotFoundError:
        return "another process"
