"""Take one file out of a tar archive."""

import shutil
import tarfile
import zlib
from pathlib import Path

from cisflow.errors import CisflowError
from cisflow.io import atomic

BLOCK = 1 << 20


def extract(archive: str | Path, member: str, path: str | Path) -> int:
    """Write a member of a tar archive to `path`, reading the archive once and from front to back.

    Parameters
    ----------
    archive
        Tar file, compressed or not.
    member
        Name of the file; folders before it may be left out. The first that fits is taken.
    path
        Where it goes; it is written as a whole or not at all.

    Returns
    -------
    int
        Its bytes.

    Raises
    ------
    CisflowError
        The archive is missing, truncated or none, or has no such file.
    """
    seen: list[str] = []
    try:
        with tarfile.open(archive, "r|*") as tar:
            for info in tar:
                if info.isfile() and f"/{info.name}".endswith(f"/{member}"):
                    with atomic(path) as partial, tar.extractfile(info) as reader, partial.open("wb") as writer:
                        shutil.copyfileobj(reader, writer, BLOCK)
                    return info.size
                seen.append(info.name)
    except FileNotFoundError:
        raise CisflowError(f"{archive}: there is no such file.") from None
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise CisflowError(
            f"{archive}: it is not a whole tar archive ({error}). Delete it, and it will be fetched again."
        ) from error
    raise CisflowError(f"{archive}: there is no file '{member}' in it. There are: {', '.join(seen) or 'none'}.")
