"""Motifs: counts or probabilities of the four bases at each position, and the two text formats they come in."""

import re
from collections.abc import Iterable
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
    """Read count matrices in JASPAR format ('>id name', then a row 'A [ 1 2 3 ]' for each base).

    Raises
    ------
    CisflowError
        There is no motif in the file, or one has not four rows of equal length.
    """
    motifs = []
    for record in re.split(r"^>", _text(path), flags=re.MULTILINE)[1:]:
        header, *rows = [line for line in record.splitlines() if line.strip()]
        identifier, _, name = header.strip().partition("\t") if "\t" in header else header.strip().partition(" ")
        try:
            counts = np.array([[float(x) for x in re.findall(r"[-+.\deE]+", row.lstrip("ACGT "))] for row in rows])
        except ValueError:
            counts = np.empty(0)
        if counts.ndim != 2 or counts.shape[0] != 4 or not counts.size:
            raise CisflowError(f"{path}: the motif {identifier} has not four rows of equally many numbers.")
        motifs.append(Motif(identifier, name.strip() or identifier, counts, counts.sum(axis=0).max()))
    return _some(motifs, path, "a header line '>id name'")


def read_meme(path: str | Path, empty: bool = False) -> list[Motif]:
    """Read motifs in minimal MEME format (version 4 or 5; alphabet ACGT).

    With `empty`, a file without any motif is read as such; else it is an error.

    Raises
    ------
    CisflowError
        The file is not in MEME format, has no motif, or one has rows that are not four probabilities.
    """
    text = _text(path)
    if not re.search(r"^MEME version \d", text, flags=re.MULTILINE):
        raise CisflowError(f"{path}: not in MEME format (there is no line 'MEME version 4').")
    motifs = []
    for record in re.split(r"^MOTIF\s+", text, flags=re.MULTILINE)[1:]:
        header, _, body = record.partition("\n")
        identifier, name = [*header.split(maxsplit=1), ""][:2]
        properties = re.search(r"letter-probability matrix:(.*)\n((?:\s*\d.*\n?)+)", body)
        try:
            rows = np.array([[float(x) for x in line.split()] for line in properties[2].splitlines() if line.strip()])
        except (TypeError, ValueError):
            rows = np.empty(0)
        if rows.ndim != 2 or rows.shape[1] != 4:
            raise CisflowError(f"{path}: the motif {identifier} has no letter-probability matrix of four columns.")
        sites = re.search(r"nsites=\s*([\d.]+)", properties[1])
        motifs.append(Motif(identifier, name.strip() or identifier, rows.T, float(sites[1]) if sites else None))
    return motifs if empty else _some(motifs, path, "a line 'MOTIF id name'")


def _text(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise CisflowError(f"{path}: there is no such file.") from None
    except UnicodeDecodeError:
        raise CisflowError(f"{path}: not a text file.") from None


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
            sites = "" if motif.sites is None else f" nsites= {motif.sites:.0f}"
            file.write(f"\nMOTIF {motif.id} {motif.name}\n")
            file.write(f"letter-probability matrix: alength= 4 w= {motif.width}{sites}\n")
            file.writelines("".join(f" {p:.6f}" for p in column) + "\n" for column in motif.probabilities.T)
