"""TF-MoDISco's patterns as motifs and tables."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cisflow.attribution.modisco import SIGNS, Sign
from cisflow.io import h5_reader
from cisflow.motifs.consensus import consensus
from cisflow.pwm import Motif, information
from cisflow.sequence import ALPHABET

Row = dict[str, Any]

# A pattern is cut to the positions whose contributions are more than this part of the largest, as modisco-lite's own
# reports do before they compare it.
TRIM = 0.3


@dataclass(frozen=True)
class Pattern:
    """A pattern.

    Attributes
    ----------
    name, sign
        As 'pos_patterns.pattern_0', 'positive'.
    seqlets
        How many were aligned.
    ppm, contributions
        Mean of their bases and of the contributions of the bases that are there, float64 (4, width).
    start, end
        The half-open range of positions that matter (`TRIM`).
    """

    name: str
    sign: str
    seqlets: int
    ppm: NDArray[np.float64]
    contributions: NDArray[np.float64]
    start: int
    end: int

    def motif(self) -> Motif:
        """Return the positions that matter as a motif."""
        return Motif(self.name, self.name, self.ppm[:, self.start : self.end], self.seqlets)


def read_patterns(path: str | Path) -> list[Pattern]:
    """Read the patterns of a file in modisco-lite's format: positive ones first, each sign in the order of the file."""
    with h5_reader(path, check=True) as h5:
        return [
            _pattern(f"{group}.{name}", sign, h5[group][name])
            for sign, group in SIGNS.items()
            for name in sorted(h5.get(group, ()), key=lambda name: int(name.rpartition("_")[2]))
        ]


def _pattern(name: str, sign: str, stored: Mapping[str, Any]) -> Pattern:
    ppm, contributions = (stored[key][:].T.astype(np.float64) for key in ("sequence", "contrib_scores"))
    start, end = trim(contributions)
    return Pattern(name, sign, int(stored["seqlets"]["n_seqlets"][0]), ppm, contributions, start, end)


def trim(contributions: NDArray[np.float64]) -> tuple[int, int]:
    """Return the half-open range of positions of contributions (4, width) that matter (`TRIM`)."""
    size = np.abs(contributions).sum(0)
    kept = np.flatnonzero(size >= TRIM * size.max())
    return int(kept[0]), int(kept[-1]) + 1


def sign_rows(about: Row, found: Mapping[str, Sign]) -> Iterator[Row]:
    """Yield the rows of `tables.MODISCO_SIGNS`."""
    for name, sign in found.items():
        counts = {"seqlets": sign.seqlets, "used": sign.used, "patterns": len(sign.patterns)}
        in_patterns = sum(len(pattern.seqlets) for pattern in sign.patterns)
        yield {**about, "sign": name, **counts, "in_patterns": in_patterns, "note": sign.note}


def pattern_rows(about: Row, patterns: Iterable[Pattern], hits: Sequence[Row]) -> Iterator[Row]:
    """Yield the rows of `tables.MODISCO_PATTERNS`; `hits` are those of Tomtom, of each pattern the best first."""
    for pattern in patterns:
        motif = pattern.motif()
        own = [hit for hit in hits if hit["query"] == pattern.name]
        best = own[0] if own else dict.fromkeys(("target", "target_name", "e_value", "q_value"))
        yield {
            **about, "pattern": pattern.name, "sign": pattern.sign, "seqlets": pattern.seqlets,
            "start": pattern.start, "end": pattern.end, "bits": float(information(motif.matrix).sum()),
            "consensus": consensus(motif.matrix), "hits": len(own), "best": best["target"],
            "best_name": best["target_name"], "e_value": best["e_value"], "q_value": best["q_value"],
        }  # fmt: skip


def base_rows(patterns: Iterable[Pattern]) -> Iterator[Row]:
    """Yield the rows of `tables.MODISCO_BASES`: each base of each position."""
    for pattern in patterns:
        for position in range(pattern.ppm.shape[1]):
            kept = int(pattern.start <= position < pattern.end)
            for base, letter in enumerate(ALPHABET):
                yield {
                    "pattern": pattern.name, "position": position, "kept": kept, "base": letter,
                    "contribution": float(pattern.contributions[base, position]),
                    "probability": float(pattern.ppm[base, position]),
                }  # fmt: skip
