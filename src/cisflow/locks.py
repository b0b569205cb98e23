"""Locks of the system on files: a lock ends with its process, however that ends."""

import errno
import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cisflow.errors import CisflowError

log = logging.getLogger(__name__)

# A file system without locks: there, two processes are not kept apart.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


def lock(file: int, path: Path) -> bool:
    """Lock an open file until it is closed, without waiting.

    Where a file system has no locks, a warning says so, and the file counts as locked.

    Returns
    -------
    False if another process or thread has the lock, or if the path is another file by now: its last holder may have
    deleted it.

    Raises
    ------
    OSError
        The system cannot lock the file for another reason.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(file), os.lstat(path))
    except (BlockingIOError, FileNotFoundError):
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        log.warning("%s: no lock can be had there (%s); no other process may work on it", path, error.strerror)
        return True


@contextmanager
def exclusive(file: int) -> Iterator[None]:
    """Lock an open file for the block, and wait for it; without a lock where the file system has none."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    try:
        yield
    finally:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_UN)


@contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Lock a file, which is made if need be, until the block ends.

    Raises
    ------
    CisflowError
        Another process, or thread, has the lock; `what` says what that means.
    """
    with path.open("ab") as file:
        if not lock(file.fileno(), path):
            raise CisflowError(f"{path}: {what}. Wait for it, or end it, and run again.")
        yield
