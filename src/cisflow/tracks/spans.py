"""Signal that is held in memory as spans of one value each: bedGraph files, and the coverage of BED files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cisflow.errors import CisflowError
from cisflow.tracks.contigs import on_genome
from cisflow.tracks.intervals import read_intervals
from cisflow.tracks.signal import Assembly, Signal, check_there


@dataclass(frozen=True)
class Spans:
    """Spans of one contig that do not overlap, in order, [S] each: start, end (0-based, half-open), value."""

    start: NDArray[np.int64]
    end: NDArray[np.int64]
    value: NDArray[np.float64]

    def within(self, start: int, end: int) -> "Spans":
        """Return the spans that overlap a window, cut to it, counted from its start."""
        first = np.searchsorted(self.end, start, side="right")
        last = np.searchsorted(self.start, end, side="left")
        low, high = (values[first:last] - start for values in (self.start, self.end))
        return Spans(np.maximum(low, 0), np.minimum(high, end - start), self.value[first:last])

    def values(self, length: int) -> NDArray[np.float64]:
        """Return the value of each base from 0 to `length`, NaN between spans."""
        found = np.full(length, np.nan)
        for start, end, value in zip(self.start.tolist(), self.end.tolist(), self.value.tolist(), strict=True):
            found[start:end] = value
        return found

    def binned(self, length: int, bins: int, summary: str, uncovered: float | None = None) -> NDArray[np.float64]:
        """Summarise the bases from 0 to `length` in bins; see `Signal.read`."""
        width = length // bins
        number, low, high, value = self._by_bin(width)
        covered = np.bincount(number, high - low, bins)
        if summary == "covered":
            return covered
        if summary in ("min", "max"):
            rest = np.where(covered < width, np.nan if uncovered is None else uncovered, np.nan)
            return self._extreme(summary, bins, number, value, rest)
        total = np.bincount(number, (high - low) * value, bins)
        if uncovered is not None:
            total, covered = total + uncovered * (width - covered), np.full(bins, float(width))
        divisor = np.where(covered > 0, covered if summary == "mean" else 1.0, np.nan)
        return total / divisor

    def _by_bin(self, width: int) -> tuple[NDArray, NDArray, NDArray, NDArray]:
        """Cut spans at the bounds of bins: number of the bin, start, end and value of each part, in order."""
        first = self.start // width
        count = (self.end - 1) // width - first + 1
        span = np.repeat(np.arange(len(count)), count)
        number = first[span] + np.arange(len(span)) - np.repeat(np.cumsum(count) - count, count)
        low, high = np.maximum(self.start[span], number * width), np.minimum(self.end[span], (number + 1) * width)
        return number, low, high, self.value[span]

    @staticmethod
    def _extreme(summary: str, bins: int, number: NDArray, value: NDArray, rest: NDArray) -> NDArray[np.float64]:
        found = np.full(bins, np.nan)
        if len(number):
            here, at = np.unique(number, return_index=True)
            reduce = np.maximum.reduceat if summary == "max" else np.minimum.reduceat
            found[here] = reduce(value, at)
        # Where one of the two is NaN, it is the other.
        return (np.fmax if summary == "max" else np.fmin)(found, rest)


def covering(start: NDArray[np.int64], end: NDArray[np.int64], value: NDArray[np.float64] | None = None) -> Spans:
    """Return how many intervals cover each place, or the sum of their values; where none does, there is no span.

    Parameters
    ----------
    start, end
        0-based, half-open, in any order, (n,).
    value
        Of each interval, (n,); 1 if not given.
    """
    value = np.ones(len(start)) if value is None else value
    order = np.argsort(start, kind="stable")
    if (start[order][1:] >= end[order][:-1]).all():
        return Spans(start[order], end[order], value[order])
    place = np.r_[start, end]
    order = np.argsort(place, kind="stable")
    sign = np.r_[np.ones(len(start), np.int64), -np.ones(len(start), np.int64)][order]
    total, depth = np.cumsum(np.r_[value, -value][order]), np.cumsum(sign)
    # The state after the last event of a place holds until the next place.
    bounds, last = np.unique(place[order][::-1], return_index=True)
    last = len(place) - 1 - last
    inside = depth[last][:-1] > 0
    return Spans(bounds[:-1][inside], bounds[1:][inside], total[last][:-1][inside])


class Table(Signal):
    """A bedGraph file, or a BED file (narrowPeak, broadPeak) whose intervals are counted or whose values add up.

    Parameters
    ----------
    path, assembly
        The file, and the genome that it must be of.
    column
        Column of the values, from 1; None counts intervals.
    sorted_rows
        Whether rows that are not in order or that overlap are refused, as in a bedGraph file.
    beyond
        What is done with rows that end beyond their contig: `fail`, or `drop`.

    Raises
    ------
    CisflowError
        A row is no interval, has no finite value, is beyond its contig, or is not where it should be; with its line.
    """

    def __init__(
        self,
        path: Path,
        assembly: Assembly,
        column: int | None = None,
        sorted_rows: bool = False,
        beyond: str = "fail",
    ):
        super().__init__(path, assembly)
        check_there(path)
        table = read_intervals(path, {} if column is None else {"value": column - 1})
        if sorted_rows:
            _check_order(table, path)
        known, elsewhere, wrong = on_genome(table, assembly.sizes, path, assembly.name, beyond)
        for rows, why in ((elsewhere, f"their contigs are not in {assembly.name}"), (wrong, "they end beyond them")):
            if rows:
                self.notes.append(f"{path}: {rows:,} rows left out, {why}")
        self._spans = {
            str(name): covering(*(part[key].to_numpy() for key in ("start", "end", "value") if key in part.columns))
            for (name,), part in known.partition_by("chrom", as_dict=True, maintain_order=True).items()
        }
        # A contig without rows has no data; the file does not say which contigs there are.
        self.names = {name: name for name in assembly.sizes}

    def _within(self, chrom: str, start: int, end: int) -> Spans:
        empty = np.zeros(0, np.int64)
        return self._spans.get(chrom, Spans(empty, empty, np.zeros(0))).within(start, end)

    def _read(
        self, chrom: str, start: int, end: int, out: NDArray[np.float64], summary: str, uncovered: float | None
    ) -> None:
        out[:] = self._within(chrom, start, end).binned(end - start, len(out), summary, uncovered)

    def _values(self, chrom: str, start: int, end: int) -> NDArray[np.float64]:
        return self._within(chrom, start, end).values(end - start)


def _check_order(table: pl.DataFrame, path: Path) -> None:
    same = pl.col("chrom") == pl.col("chrom").shift()
    table = table.with_columns(
        back=same & (pl.col("start") < pl.col("start").shift()),
        overlap=same & (pl.col("start") < pl.col("end").shift()),
        again=~same & ~pl.col("chrom").is_first_distinct(),
    )
    for key, what in (
        ("back", "it begins before the row above it; the file is not sorted"),
        ("again", "its contig was left before; the file is not sorted"),
        ("overlap", "it overlaps the row above it: which value is it?"),
    ):
        rows = table.filter(pl.col(key))
        if len(rows):
            row = rows.row(0, named=True)
            raise CisflowError(
                f"{path}, line {row['line']}: {row['chrom']}:{row['start']}-{row['end']}: {what} ({len(rows):,} such "
                "rows)."
            )
