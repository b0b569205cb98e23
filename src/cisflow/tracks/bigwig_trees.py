"""The trees in a BigWig file: contigs and their numbers, and where the blocks of data are.

They have no checksum, and what pybigtools does not find by them is no data to it; a damaged one can even end the whole
process. So they are looked at first. The format is that of Kent et al. 2010, supplement.
"""

import itertools
import math
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

# The first and the last four bytes of a BigWig file, in either order of bytes.
SIGNATURES = (struct.pack("<I", 0x888FFC26), struct.pack(">I", 0x888FFC26))
CONTIGS, BLOCKS = 0x78CA8C91, 0x2468ACE0
NO_VALUE = "there is no value in it"


def wrong_trees(path: Path) -> str | None:
    """Return what is wrong with the trees of a BigWig file, or None."""
    size = path.stat().st_size
    with path.open("rb") as file:
        try:
            order = "<" if file.read(4) == SIGNATURES[0] else ">"
            contigs, blocks = struct.unpack(f"{order}4xQ8xQ", file.read(28))
            if not blocks:
                return NO_VALUE
            sizes = _contigs(file, contigs, order, size)["size"].astype(np.int64)
            _check_blocks(file, blocks, order, sizes, size)
        except (struct.error, ValueError, KeyError, IndexError, OverflowError, OSError):
            return "its tables of contigs and places are damaged or cut off"
    return None


def without_values() -> bytes:
    """Return a BigWig file without contigs and values, which pybigtools does not write; see `add_contigs`."""
    tree = contig_tree({}, {}, 104)
    data = 104 + len(tree)
    header = struct.pack("<IHH3QHHQQIQ", 0x888FFC26, 4, 0, 104, data, data + 8, 0, 0, 0, 64, 0, 0)
    blocks = struct.pack("<IIQ4IQII", BLOCKS, 1, 0, 0, 0, 0, 0, data, 1, 0) + struct.pack("<BxH", 1, 0)
    return header + bytes(40) + tree + bytes(8) + blocks + SIGNATURES[0]


def add_contigs(path: Path, sizes: Mapping[str, int]) -> None:
    """Declare contigs without values in a BigWig file, too, which pybigtools leaves out: write a new tree of contigs.

    The file is little-endian, and `sizes` has all contigs that it declares already.
    """
    with path.open("r+b") as file:
        file.seek(8)
        (old,) = struct.unpack("<Q", file.read(8))
        known = _contigs(file, old, "<", path.stat().st_size)
        names = [name.rstrip(b"\0").decode("latin-1") for name in known["name"].tolist()]
        number = dict(zip(names, known["number"].tolist(), strict=True))
        number |= {name: at for at, name in enumerate((name for name in sizes if name not in number), len(number))}
        # The file must end with its signature; the one before it stays where it is.
        at = file.seek(0, 2)
        file.write(contig_tree(sizes, number, at) + SIGNATURES[0])
        file.seek(8)
        file.write(struct.pack("<Q", at))


def contig_tree(sizes: Mapping[str, int], number: Mapping[str, int], at: int) -> bytes:
    """Return the tree of contigs and their numbers, of one or two levels, that is to stand at an offset of a file."""
    names = sorted(name.encode("latin-1") for name in sizes)
    width, key = max(256, math.isqrt(len(names)) + 1), max(map(len, names), default=1)
    header = struct.pack("<IIIIQQ", CONTIGS, width, key, 8, len(names), 0)
    leaves = []
    for first in range(0, len(names) or 1, width):
        own = [name.decode("latin-1") for name in names[first : first + width]]
        rows = [struct.pack(f"<{key}sII", name.encode("latin-1"), number[name], sizes[name]) for name in own]
        leaves.append(struct.pack("<BxH", 1, len(own)) + b"".join(rows))
    if len(leaves) == 1:
        return header + leaves[0]
    place = at + len(header) + 4 + len(leaves) * (key + 8)
    ends = itertools.accumulate(map(len, leaves), initial=place)
    rows = [struct.pack(f"<{key}sQ", name, end) for name, end in zip(names[::width], ends, strict=False)]
    return header + struct.pack("<BxH", 0, len(leaves)) + b"".join(rows) + b"".join(leaves)


def _contigs(file: BinaryIO, at: int, order: str, size: int) -> NDArray:
    """Return name, number and size of each contig, by its number."""
    file.seek(at)
    magic, key, value, count = struct.unpack(f"{order}I4xIIQ", file.read(24))
    if magic != CONTIGS or value != 8 or count * (key + value) > size:
        raise ValueError
    u4, u8, name = f"{order}u4", f"{order}u8", ("name", f"V{key}")
    kinds = [name, ("node", u8)], [name, ("number", u4), ("size", u4)]
    leaves = np.concatenate([rows for _, rows, leaf in _nodes(file, at + 32, order, kinds) if leaf])
    leaves = leaves[np.argsort(leaves["number"])]
    if not np.array_equal(leaves["number"], np.arange(count)):
        raise ValueError
    return leaves


def _check_blocks(file: BinaryIO, at: int, order: str, sizes: NDArray[np.int64], size: int) -> None:
    """Check that all nodes lead to blocks inside the file, and that each has the place of what is below it.

    Blocks of a node may stand in any order and overlap: writers differ, and readers look at all of them.
    """
    file.seek(at)
    magic, count, *whole = struct.unpack(f"{order}I4xQ4I", file.read(32))
    u4, u8 = f"{order}u4", f"{order}u8"
    inner = [("place", u4, 4), ("node", u8)]
    found = 0
    for above, rows, leaf in _nodes(file, at + 48, order, (inner, [*inner, ("bytes", u8)])):
        if not len(rows) and not count:
            # A file without values.
            continue
        # First contig and base, last contig and base.
        place = rows["place"].astype(np.int64)
        low, high = place[:, 0] << 32 | place[:, 1], place[:, 2] << 32 | place[:, 3]
        top = np.array(whole if above is None else above["place"], np.int64)
        if (low >= high).any() or (place[:, 3] > sizes[place[:, 2]]).any():
            raise ValueError
        if (low.min(), high.max()) != (top[0] << 32 | top[1], top[2] << 32 | top[3]):
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
