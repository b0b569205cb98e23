"""The indices of a genome (.fai and .gzi): are they of this very file?

htslib believes them, and with those of an earlier version of the file it returns other bases, without a word. Times of
files say little, since copies and clones change them. So the places in the indices are held against the file.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pysam
from numpy.typing import NDArray

from cisflow.tracks.htslib import quiet

# Blocks, and contigs, that are looked up in the file.
LOOKED_UP = 50
# Most bytes of a block, uncompressed.
BLOCK = 1 << 16


class Contig(NamedTuple):
    """A row of a .fai file: name, bases, place of the first base, bases and bytes of a line."""

    name: str
    size: int
    offset: int
    bases: int
    width: int

    @property
    def end(self) -> int:
        """The place behind its last base."""
        line, base = divmod(self.size - 1, self.bases)
        return self.offset + line * self.width + base + 1


def wrong_indices(path: Path) -> str | None:
    """Return what is wrong with the indices of a genome, or None.

    Parameters
    ----------
    path
        FASTA file, compressed in blocks; `<path>.fai` and `<path>.gzi` are its indices.
    """
    try:
        contigs = list(read_fai(Path(f"{path}.fai")))
    except (ValueError, TypeError):
        return f"{path}.fai: the index is damaged"
    try:
        blocks = read_gzi(Path(f"{path}.gzi"), path.stat().st_size)
    except ValueError:
        return f"{path}.gzi: the index is damaged, or of another file"
    earlier = f"the index is of another file, or of an earlier version of {path.name}"
    with quiet():
        file = pysam.BGZFile(str(path), "rb")
        try:
            total = _size(file, blocks)
            where = None if total is None else _other_contig(file, blocks, contigs, total)
        except (OSError, ValueError):
            total = None
        finally:
            # It says again what reading has said.
            with suppress(OSError):
                file.close()
    if total is None:
        return f"{path}.gzi: {earlier}"
    return where and f"{path}.fai: {earlier} ({where})"


def read_fai(path: Path) -> Iterator[Contig]:
    """Yield the contigs of a .fai file.

    Raises
    ------
    ValueError, TypeError
        A row is not as it should be.
    """
    for line in path.read_text("latin-1").splitlines():
        name, *numbers = line.split("\t")
        contig = Contig(name, *map(int, numbers))
        # htslib leaves out contigs without bases.
        if contig.size <= 0 or contig.offset <= 0 or not 0 < contig.bases <= contig.width:
            raise ValueError(line)
        yield contig


def read_gzi(path: Path, end: int) -> NDArray[np.int64]:
    """Return where each block begins in the file, before its place `end`, and in what it holds, (blocks, 2).

    Raises
    ------
    ValueError
        The index is damaged, or of a larger file.
    """
    data = path.read_bytes()
    places = np.frombuffer(data, "<u8", offset=8)
    if len(places) != 2 * int.from_bytes(data[:8], "little") or (places >= 1 << 47).any():
        raise ValueError
    blocks = np.concatenate([[[0, 0]], places.reshape(-1, 2).astype(np.int64)])
    if (np.diff(blocks[:, 0]) <= 0).any() or (np.diff(blocks[:, 1]) < 0).any() or (blocks[:, 0] >= end).any():
        raise ValueError
    return blocks


def _size(file: pysam.BGZFile, blocks: NDArray[np.int64]) -> int | None:
    """Return how many bytes a file holds; None if its blocks are not those of the index."""
    for number in _some(len(blocks) - 1):
        file.seek(int(blocks[number, 0]) << 16)
        length = int(blocks[number + 1, 1] - blocks[number, 1])
        if length > BLOCK or len(file.read(length)) < length or file.tell() != int(blocks[number + 1, 0]) << 16:
            return None
    file.seek(int(blocks[-1, 0]) << 16)
    rest = len(file.read(BLOCK + 1))
    return None if rest > BLOCK else int(blocks[-1, 1]) + rest


def _some(count: int) -> list[int]:
    """Return numbers below a count, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, LOOKED_UP).astype(int)).tolist() if count else []


def _other_contig(file: pysam.BGZFile, blocks: NDArray[np.int64], contigs: list[Contig], total: int) -> str | None:
    """Return where a file is not as its contigs are said to be, or None."""
    ends = [0, *(contig.end for contig in contigs)]
    for number in _some(len(contigs)):
        contig = contigs[number]
        length = contig.offset - ends[number]
        between = _read(file, blocks, ends[number], length) if 0 < length <= BLOCK else b""
        if not between.endswith(b"\n") or (_headers(between) or [])[-1:] != [contig.name.encode("latin-1")]:
            return f"'{contig.name}' begins elsewhere"
    behind = _read(file, blocks, ends[-1], min(total - ends[-1], BLOCK))
    return "its last contig ends elsewhere" if ends[-1] > total or _headers(behind) is None else None


def _headers(between: bytes) -> list[bytes] | None:
    """Return the names in the lines from the last base of a contig on; None if there are others than headers."""
    lines = between.split(b"\n")
    if any(line.strip() and not line.startswith(b">") for line in lines):
        return None
    return [line[1:].split(maxsplit=1)[0] for line in lines if line[1:].strip()]


def _read(file: pysam.BGZFile, blocks: NDArray[np.int64], start: int, length: int) -> bytes:
    block = int(np.searchsorted(blocks[:, 1], start, side="right")) - 1
    file.seek(int(blocks[block, 0]) << 16 | start - int(blocks[block, 1]))
    return file.read(max(length, 0))
