"""The trees in a BigWig file: contigs and their numbers, and where the blocks of data are.

They have no checksum, and what pybigtools does not find by them is no data to it; a damaged one can even end the whole
process. So they are looked at first. The format is that of Kent et al. 2010, supplement.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

# The first and the last four bytes of a BigWig file, in either order of bytes.
SIGNATURES = (struct.pack("<I", 0x888FFC26), struct.pack(">I", 0x888FFC26))
CONTIGS, BLOCKS = 0x78CA8C91, 0x2468ACE0


def wrong_trees(path: Path) -> str | None:
    """Return what is wrong with the trees of a BigWig file, or None."""
    size = path.stat().st_size
    with path.open("rb") as file:
        try:
            order = "<" if file.read(4) == SIGNATURES[0] else ">"
            contigs, blocks = struct.unpack(f"{order}4xQ8xQ", file.read(28))
            if not blocks:
                return "there is no value in it"
            _check_blocks(file, blocks, order, _sizes(file, contigs, order, size), size)
        except (struct.error, ValueError, KeyError, IndexError, OverflowError, OSError):
            return "its tables of contigs and places are damaged or cut off"
    return None


def _sizes(file: BinaryIO, at: int, order: str, size: int) -> NDArray[np.int64]:
    """Return the size of each contig, by its number."""
    file.seek(at)
    magic, key, value, count = struct.unpack(f"{order}I4xIIQ", file.read(24))
    if magic != CONTIGS or value != 8 or count * (key + value) > size:
        raise ValueError
    u4, u8, name = f"{order}u4", f"{order}u8", ("name", f"V{key}")
    kinds = [name, ("node", u8)], [name, ("number", u4), ("size", u4)]
    leaves = np.concatenate([rows[["number", "size"]] for _, rows, leaf in _nodes(file, at + 32, order, kinds) if leaf])
    leaves = leaves[np.argsort(leaves["number"])]
    if not np.array_equal(leaves["number"], np.arange(count)):
        raise ValueError
    return leaves["size"].astype(np.int64)


def _check_blocks(file: BinaryIO, at: int, order: str, sizes: NDArray[np.int64], size: int) -> None:
    """Look at all nodes that lead to blocks: each has the place of what is below it, and no place is in two."""
    file.seek(at)
    magic, count, *whole = struct.unpack(f"{order}I4xQ4I", file.read(32))
    u4, u8 = f"{order}u4", f"{order}u8"
    inner = [("place", u4, 4), ("node", u8)]
    found = 0
    for above, rows, leaf in _nodes(file, at + 48, order, (inner, [*inner, ("bytes", u8)])):
        # First contig and base, last contig and base.
        place = rows["place"].astype(np.int64)
        low, high = place[:, 0] << 32 | place[:, 1], place[:, 2] << 32 | place[:, 3]
        top = whole if above is None else above["place"].tolist()
        right = (low < high).all() and (low[1:] >= high[:-1]).all() and (place[:, 3] <= sizes[place[:, 2]]).all()
        if not right or [*place[0, :2].tolist(), *place[-1, 2:].tolist()] != top:
            raise ValueError
        if leaf:
            found += len(rows)
            # Without their sum, which may be too large for 64 bits.
            if (rows["node"] > size).any() or (rows["bytes"] > size - rows["node"]).any():
                raise ValueError
    if (magic, found) != (BLOCKS, count):
        raise ValueError


def _nodes(file: BinaryIO, root: int, order: str, kinds: tuple[list, list]) -> Iterator[tuple]:
    """Yield all nodes of a tree: the row that leads to it, its rows, and whether it is a leaf (the second kind)."""
    nodes, seen = [(root, None)], set()
    while nodes:
        at, above = nodes.pop()
        if at in seen:
            raise ValueError
        seen.add(at)
        file.seek(at)
        leaf, count = struct.unpack(f"{order}BxH", file.read(4))
        kind = np.dtype(kinds[leaf])
        rows = np.frombuffer(file.read(count * kind.itemsize), kind, count)
        yield above, rows, leaf
        if not leaf:
            nodes += zip(rows["node"].tolist(), rows, strict=True)
