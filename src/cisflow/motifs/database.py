"""The known motifs that others are compared with."""

from collections.abc import Collection
from pathlib import Path

from cisflow.errors import CisflowError
from cisflow.pwm import Motif, read_meme


def read_database(path: str | Path, exclude: Collection[str] = ()) -> list[Motif]:
    """Read a MEME file of known motifs without those of the ids that are excluded.

    Raises
    ------
    CisflowError
        The file is not in MEME format, or has no motif of an excluded id.
    """
    known = read_meme(path)
    if unknown := set(exclude) - {motif.id for motif in known}:
        raise CisflowError(f"tomtom.exclude: {path} has no motif {', '.join(sorted(unknown))}.")
    return [motif for motif in known if motif.id not in exclude]
