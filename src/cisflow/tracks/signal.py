"""Signal along a genome, by bin or by base, from files of any format through one interface."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from cisflow.errors import CisflowError
from cisflow.tracks.contigs import shared_contigs

# Of the bases of a bin that have data; `covered` is their number.
SUMMARIES = ("sum", "mean", "min", "max", "covered")


@dataclass(frozen=True)
class Assembly:
    """The genome that a file must be of.

    Attributes
    ----------
    name
        For messages.
    sizes
        Contig to its size in bases.
    absent
        Whether a contig that the file does not have is one without data; else to read from it is an error.
    """

    name: str
    sizes: Mapping[str, int]
    absent: bool = False


@dataclass
class Signal(ABC):
    """A file of signal, a context manager. A base has data where a record of the file covers it.

    Attributes
    ----------
    path
        The file.
    assembly
        The genome; its names of contigs are the ones that are asked for.
    names
        Contig of the genome to its name in the file.
    unlike
        Contig of the genome that has another size in the file, to the error message for a region on it.
    notes
        What was left out, for the log.
    """

    path: Path
    assembly: Assembly
    names: dict[str, str] = field(default_factory=dict)
    unlike: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def __enter__(self) -> "Signal":
        return self

    def __exit__(self, kind: type | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:  # noqa: B027
        """Close the file."""

    def share(self, declared: Mapping[str, int]) -> None:
        """Take the contigs that the file declares, with their sizes.

        Raises
        ------
        CisflowError
            None is of the genome (see `shared_contigs`).
        """
        shared = shared_contigs(declared, self.assembly.sizes, self.path, self.assembly.name)
        self.names, self.unlike = shared.names, shared.unlike
        self.notes += shared.note(self.path, self.assembly.name)

    def read(
        self, chrom: str, start: int, end: int, out: NDArray[np.float64], summary: str, uncovered: float | None = None
    ) -> None:
        """Summarise a window in bins of equal width, exactly, from the bases themselves.

        Parameters
        ----------
        chrom, start, end
            The window, 0-based, half-open, inside its contig.
        out
            Where the values go, one a bin, contiguous; NaN where no base of a bin has data (`covered`: 0).
        summary
            One of `SUMMARIES`, of the bases with data.
        uncovered
            The value of bases without data; if None, they are left out. `covered` never counts them.

        Raises
        ------
        CisflowError
            The file cannot be read there, has NaN or infinity there, or does not have the contig or has one of another
            size.
        """
        if not self._has(chrom, start, end):
            width = (end - start) // len(out) if summary == "sum" else 1
            out[:] = 0 if summary == "covered" else np.nan if uncovered is None else uncovered * width
            return
        self._read(chrom, start, end, out, summary, uncovered)

    def values(self, chrom: str, start: int, end: int) -> NDArray[np.float64]:
        """Return the value of each base of a window, NaN where there is none; parameters and errors as in `read`."""
        if not self._has(chrom, start, end):
            return np.full(end - start, np.nan)
        return self._values(chrom, start, end)

    def _has(self, chrom: str, start: int, end: int) -> bool:
        if chrom in self.names:
            return True
        if chrom not in self.assembly.sizes:
            raise CisflowError(f"{self.path}: {chrom}:{start}-{end} is on no contig of {self.assembly.name}.")
        if chrom in self.unlike:
            raise CisflowError(self.unlike[chrom])
        if not self.assembly.absent:
            raise CisflowError(
                f"{self.path}: it has no contig '{chrom}', which {self.assembly.name} has and a region is on. Is it of "
                "another genome? If nothing was measured there, say so: absent_contigs: no_data."
            )
        return False

    @abstractmethod
    def _read(
        self, chrom: str, start: int, end: int, out: NDArray[np.float64], summary: str, uncovered: float | None
    ) -> None: ...

    @abstractmethod
    def _values(self, chrom: str, start: int, end: int) -> NDArray[np.float64]: ...


def check_there(path: Path) -> None:
    """Refuse a file that is missing or empty."""
    if not path.is_file():
        raise CisflowError(f"{path}: there is no such file.")
    if not path.stat().st_size:
        raise CisflowError(f"{path}: the file is empty.")
