"""Files that one process at a time may work on."""

import errno
import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cisflow.errors import CisflowError

log = logging.getLogger(__name__)

# A file system without locks: there, two processes are not kept apart.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Lock a file, which is made if need be, until the block ends; a process that dies loses its lock.

    Raises
    ------
    CisflowError
        Another process, or thread, has the lock; `what` says what that means.
    """
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CisflowError(f"{path}: {what}. Wait for it, or end it, and run again.") from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            log.warning("%s: no lock can be had there (%s); no other process may work on it", path, error.strerror)
        yield
