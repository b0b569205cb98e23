"""BigWig files, read by pybigtools."""

import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path

import numpy as np
import pybigtools
from numpy.typing import NDArray

from cisflow.errors import CisflowError
from cisflow.io import atomic
from cisflow.tracks.bigwig_trees import NO_VALUE, SIGNATURES, add_contigs, without_values, wrong_trees
from cisflow.tracks.signal import Assembly, Signal, check_there

SUMMARY = {"covered": "bases_covered"}


class BigWig(Signal):
    """A BigWig file, whatever its name is.

    Raises
    ------
    CisflowError
        It is missing, truncated, no BigWig file, or of another genome; or, when a region is read, there is NaN or
        infinity in it.
    """

    def __init__(self, path: Path, assembly: Assembly):
        super().__init__(path, assembly)
        check_whole(path)
        with ExitStack() as stack:
            # By a path pybigtools would open it only if its name ends in .bw or .bigWig.
            file = stack.enter_context(path.open("rb"))
            with self._reading("its header"):
                self._file = pybigtools.open(file)
                declared = self._file.chroms()
                total = self._file.info()["summary"]["sum"]
            self.share(declared)
            self._opened = stack.pop_all()
        # There is NaN or infinity among the values, or only in the summary, which some programs write so.
        self._suspicious = not math.isfinite(total)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._opened.close()

    @contextmanager
    def _reading(self, what: str):
        # pybigtools answers damaged data with a panic, which is no Exception.
        try:
            yield
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:
            why = str(error).rpartition(" value: ")[2] or type(error).__name__
            raise CisflowError(
                f"{self.path}: {what} cannot be read ({why}). The file is truncated or damaged; fetch it again."
            ) from None

    def _read(
        self, chrom: str, start: int, end: int, out: NDArray[np.float64], summary: str, uncovered: float | None
    ) -> None:
        self._fill(chrom, start, end, out, SUMMARY.get(summary, summary), uncovered)
        self._check_finite(chrom, start, end, out, uncovered)
        if self._suspicious and summary in ("min", "max"):
            # These pass NaN over; a sum does not.
            total = np.empty_like(out)
            self._fill(chrom, start, end, total, "sum", uncovered)
            self._check_finite(chrom, start, end, total, uncovered)

    def _check_finite(
        self, chrom: str, start: int, end: int, values: NDArray[np.float64], uncovered: float | None
    ) -> None:
        """Refuse bins (bins,) that are infinite, or NaN though they have data."""
        if np.isfinite(values).all():
            return
        width, (empty,) = (end - start) // len(values), np.nonzero(~np.isfinite(values))
        first, last = int(empty[0]), int(empty[-1]) + 1
        part = values[first:last]
        wrong = ~np.isfinite(part)
        if uncovered is None:
            # A bin without data is NaN as well.
            covered = np.empty_like(part)
            self._fill(chrom, start + first * width, start + last * width, covered, "bases_covered", None)
            wrong &= np.isinf(part) | (covered > 0)
        if wrong.any():
            self._refuse(chrom, start, end, (first + int(np.argmax(wrong))) * width)

    def _fill(self, chrom, start, end, out, summary, uncovered) -> None:
        try:
            self._file.values(
                self.names[chrom], start, end, bins=len(out), summary=summary, exact=True, uncovered=uncovered,
                fillna=None, arr=out,
            )  # fmt: skip
        except BaseException as error:
            with self._reading(f"{chrom}:{start}-{end}"):
                raise error

    def _values(self, chrom: str, start: int, end: int) -> NDArray[np.float64]:
        with self._reading(f"{chrom}:{start}-{end}"):
            found = self._file.values(self.names[chrom], start, end, fillna=None)
        if np.isinf(found).any():
            self._refuse(chrom, start, end, int(np.argmax(np.isinf(found))))
        if self._suspicious:
            # NaN is what a base without data is, and what a file may have as the value of one.
            covered = np.empty(1)
            self._fill(chrom, start, end, covered, "bases_covered", None)
            if covered[0] > np.isfinite(found).sum():
                self._refuse(chrom, start, end, 0)
        return found

    def _refuse(self, chrom: str, start: int, end: int, offset: int) -> None:
        raise CisflowError(
            f"{self.path}: there is a NaN or infinite value in {chrom}:{start}-{end}, at {start + offset} or soon "
            "after."
        )


def check_whole(path: Path) -> None:
    """Refuse a file that is missing or truncated, or no BigWig file; its values are not read."""
    check_there(path)
    with path.open("rb") as file:
        head = file.read(8)
        if head[:4] not in SIGNATURES:
            page = " It is an HTML or XML page, perhaps a server's error page." if head.lstrip()[:1] == b"<" else ""
            raise CisflowError(f"{path}: it is not a BigWig file (its first bytes are {head!r}).{page}")
        file.seek(-4, 2)
        if file.read() != head[:4]:
            raise CisflowError(f"{path}: the BigWig file is truncated (its last bytes are missing). Fetch it again.")
    wrong = wrong_trees(path)
    if wrong == NO_VALUE:
        raise CisflowError(f"{path}: {wrong}. Whatever wrote it had nothing to write, or was interrupted.")
    if wrong:
        raise CisflowError(f"{path}: its header cannot be read: {wrong}. Fetch it again.")


def write_bigwig(path: str | Path, sizes: Mapping[str, int], rows: Iterator[tuple[str, int, int, float]]) -> None:
    """Write a BigWig file, atomically.

    Parameters
    ----------
    path
        Where it goes.
    sizes
        All contigs; the file declares them, with values or without.
    rows
        Contig, start, end and value of intervals; contigs in the order of names, and intervals in that of places.
        There may be none.

    Raises
    ------
    CisflowError
        It could not be written whole.
    """
    with atomic(path) as partial:
        # pybigtools tells a BigWig file by the end of its name.
        named = partial.with_suffix(".bw")
        first = next(rows, None)
        if first is None:
            named.write_bytes(without_values())
        else:
            pybigtools.open(str(named), "w").write(dict(sizes), chain([first], rows))
        try:
            check_whole(named)
        except CisflowError as error:
            # pybigtools tells why to the terminal alone, and goes on.
            raise CisflowError(f"{path}: it was not written whole; why is above. Is the disk full?") from error
        add_contigs(named, sizes)
        named.replace(partial)
