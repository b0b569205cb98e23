"""Motifs: counts or probabilities of the four bases at each position, and the two text formats they come in."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cisflow.errors import CisflowError
from cisflow.io import atomic


@dataclass(frozen=True)
class Motif:
    """A motif.

    Attributes
    ----------
    id, name
        For example 'MA0083.3' and 'SRF'.
    matrix
        float64 (4, width), rows A, C, G, T: counts, or probabilities.
    sites
        The number of sequences that were aligned, if it is known.
    """

    id: str
    name: str
    matrix: NDArray[np.float64]
    sites: float | None = None

    @property
    def width(self) -> int:
        """Number of positions."""
        return self.matrix.shape[1]

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """Base probabilities (4, width): each column divided by its sum, no pseudocount."""
        return self.matrix / self.matrix.sum(axis=0)

    def reverse_complement(self) -> "Motif":
        """Return the motif of the other strand."""
        return Motif(self.id, self.name, self.matrix[::-1, ::-1], self.sites)


def information(ppm: NDArray, epsilon: float = 1e-7) -> NDArray:
    """Return the bits of each position of probabilities (..., 4, width): 2 + sum p log2(p + epsilon)."""
    return 2 + (ppm * np.log2(ppm + epsilon)).sum(axis=-2)


def shuffled(motifs: Iterable[Motif], rng: np.random.Generator) -> list[Motif]:
    """Return motifs with their positions in random order: the same bases and information, and no pattern."""
    return [Motif(m.id, m.name, m.matrix[:, rng.permutation(m.width)], m.sites) for m in motifs]


def read_jaspar(path: str | Path) -> list[Motif]:
    """Read count matrices in JASPAR format: '>id name', then a row of counts for each base, as 'A [ 1 2 3 ]'.

    Rows may be in any order of their letters; rows without letters are those of A, C, G and T. What follows '#' in a
    row is a comment.

    Raises
    ------
    CisflowError
        The file has no motif, or a row that is not one; the message names the line.
    """
    motifs: list[Motif] = []
    header, rows = "", {}
    for number, line in _lines(path):
        if line.startswith(">"):
            motifs += [_counts_motif(path, header, rows)] if header else []
            header, rows = line, {}
        elif row := line.partition("#")[0].strip():
            if not header:
                raise CisflowError(f"{path}, line {number}: a header line '>id name' is expected before {line!r}.")
            letter, opening, counts, closing = COUNTS_ROW.fullmatch(row).groups()
            base = letter.upper() if letter else "ACGT"[len(rows) % 4]
            if base not in "ACGT" or base in rows or len(rows) == 4:
                raise CisflowError(f"{path}, line {number}: a motif has one row for each of A, C, G and T.")
            if bool(opening) != bool(closing):
                raise CisflowError(f"{path}, line {number}: {row!r} has one of the brackets [ and ] only.")
            rows[base] = _numbers(path, number, counts.split())
    motifs += [_counts_motif(path, header, rows)] if header else []
    return _some(motifs, path, "a header line '>id name'")


# A row of JASPAR's format: its letter, '[', the numbers, and ']'.
COUNTS_ROW = re.compile(r"([A-Za-z])?\s*[:|]?\s*(\[)?\s*(.*?)\s*(\])?")


def _counts_motif(path: str | Path, header: str, rows: Mapping[str, list[float]]) -> Motif:
    identifier, name = [*(header[1:].split("\t") if "\t" in header else header[1:].split()), "", ""][:2]
    if not identifier.strip():
        raise CisflowError(f"{path}: the header {header!r} has no id.")
    if len(rows) != 4 or len(set(map(len, rows.values()))) != 1 or not rows["A"]:
        raise CisflowError(f"{path}: the motif {identifier} has not four rows of equally many numbers.")
    counts = np.array([rows[base] for base in "ACGT"])
    if not counts.any(axis=0).all():
        raise CisflowError(f"{path}: the motif {identifier} has a position without any count.")
    return Motif(identifier.strip(), name.strip() or identifier.strip(), counts, counts.sum(axis=0).max())


# Probabilities of a position may add up to 1 with this error, since files have few digits.
SUM_TOLERANCE = 0.02


def read_meme(path: str | Path, empty: bool = False) -> list[Motif]:
    """Read motifs in MEME format (version 4 or 5; alphabet ACGT), minimal or as programs of the MEME Suite write it.

    What follows '#' in a row of a matrix is a comment. With `empty`, a file without any motif is read as such;
    else it is an error.

    Raises
    ------
    CisflowError
        The file is not in MEME format or has no motif; a motif has no matrix, a matrix has another number of rows than
        its `w=` says, or a row is not four probabilities; the message names the line.
    """
    lines = list(_lines(path))
    if not any(re.match(r"MEME version \d", line) for _, line in lines):
        raise CisflowError(f"{path}: not in MEME format (there is no line 'MEME version 4').")
    for number, line in lines:
        alphabet = re.match(r"ALPHABET\s*=?\s*(\S+)", line)
        if alphabet and alphabet[1] != "ACGT":
            raise CisflowError(f"{path}, line {number}: the alphabet is {alphabet[1]}, not ACGT.")
    starts = [place for place, (_, line) in enumerate(lines) if re.match(r"MOTIF\b", line)]
    ends = [*starts, len(lines)][1:]
    motifs = [_meme_motif(path, lines[start:end]) for start, end in zip(starts, ends, strict=True)]
    return motifs if empty else _some(motifs, path, "a line 'MOTIF id name'")


def _meme_motif(path: str | Path, lines: Sequence[tuple[int, str]]) -> Motif:
    """Return the motif of the lines from 'MOTIF' to the next."""
    identifier, name = [*lines[0][1].split()[1:], "", ""][:2]
    if not identifier:
        raise CisflowError(f"{path}, line {lines[0][0]}: the motif has no id.")
    found = [place for place, (_, line) in enumerate(lines) if line.startswith("letter-probability matrix:")]
    if not found:
        raise CisflowError(f"{path}: the motif {identifier} has no letter-probability matrix.")
    number, header = lines[found[0]]
    properties = dict(re.findall(r"(\w+)=\s*(\S+)", header))
    matrix = _meme_matrix(path, lines[found[0] + 1 :])
    for key, size in (("alength", 4), ("w", len(matrix))):
        if properties.get(key, str(size)) != str(size):
            raise CisflowError(
                f"{path}, line {number}: the matrix of {identifier} has {key}= {properties[key]}, but {size} "
                f"{'columns' if key == 'alength' else 'rows'}."
            )
    if not matrix:
        raise CisflowError(f"{path}, line {number}: the matrix of {identifier} has no rows.")
    sites = None
    if "nsites" in properties:
        (sites,) = _numbers(path, number, [properties["nsites"]])
        if not sites:
            raise CisflowError(f"{path}, line {number}: nsites= 0; give the number of sites, or leave 'nsites=' out.")
    return Motif(identifier, name or identifier, np.array(matrix).T, sites)


def _meme_matrix(path: str | Path, lines: Sequence[tuple[int, str]]) -> list[list[float]]:
    """Return the rows of a matrix. It ends at 'URL', a line of dashes or stars, or words after an empty line."""
    rows, before = [], ""
    for number, line in lines:
        if re.match(r"URL\b|--|\*\*", line) or (line[:1].isalpha() and not before):
            break
        before = line
        if words := line.partition("#")[0].split():
            row = _numbers(path, number, words)
            if len(row) != 4 or abs(sum(row) - 1) > SUM_TOLERANCE:
                raise CisflowError(f"{path}, line {number}: {line!r} is not four probabilities that add up to 1.")
            rows.append(row)
    return rows


def _numbers(path: str | Path, number: int, words: Sequence[str]) -> list[float]:
    """Return the numbers of a line, none of them negative."""
    try:
        values = [float(word) for word in words]
    except ValueError:
        values = [math.nan]
    if not all(0 <= value < math.inf for value in values):
        raise CisflowError(f"{path}, line {number}: {' '.join(words)!r} are not numbers of at least 0.")
    return values


def _lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a file without spaces at their ends, with their numbers from 1."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise CisflowError(f"{path}: there is no such file.") from None
    except UnicodeDecodeError:
        raise CisflowError(f"{path}: not a text file.") from None
    for number, line in enumerate(text.splitlines(), 1):
        yield number, line.strip()


def _some(motifs: list[Motif], path: str | Path, wanted: str) -> list[Motif]:
    if not motifs:
        raise CisflowError(f"{path}: there is no motif in it ({wanted} is expected).")
    return motifs


def write_jaspar(path: str | Path, motifs: Iterable[Motif]) -> None:
    """Write count matrices in JASPAR format, with all digits."""
    with atomic(path) as partial, partial.open("w", encoding="utf-8") as file:
        for motif in motifs:
            file.write(f">{motif.id}\t{motif.name}\n")
            for base, row in zip("ACGT", motif.matrix, strict=True):
                file.write(f"{base}  [ {' '.join(f'{x:.17g}' for x in row)} ]\n")


def write_meme(path: str | Path, motifs: Iterable[Motif]) -> None:
    """Write motifs in minimal MEME format, with a uniform background and both strands.

    A motif without a known number of sites gets none in the file (programs then assume 20).
    """
    with atomic(path) as partial, partial.open("w", encoding="utf-8") as file:
        file.write("MEME version 4\n\nALPHABET= ACGT\n\nstrands: + -\n\n")
        file.write("Background letter frequencies\nA 0.25 C 0.25 G 0.25 T 0.25\n")
        for motif in motifs:
            sites = "" if motif.sites is None else f" nsites= {motif.sites:{'.0f' if motif.sites >= 1 else 'g'}}"
            # A name is one word.
            file.write(f"\nMOTIF {motif.id} {'_'.join(motif.name.split())}\n")
            file.write(f"letter-probability matrix: alength= 4 w= {motif.width}{sites}\n")
            file.writelines("".join(f" {p:.6f}" for p in column) + "\n" for column in motif.probabilities.T)
