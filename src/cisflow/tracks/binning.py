"""The values of a track in the bins of regions, and what kept a bin from being measured."""

from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cisflow.errors import CisflowError
from cisflow.tracks.chains import read_chains
from cisflow.tracks.contigs import on_genome
from cisflow.tracks.formats import open_signal
from cisflow.tracks.intervals import read_intervals
from cisflow.tracks.liftover import LIFTED, REASONS, Rules
from cisflow.tracks.placing import BLACKLISTED, MEASURED, NO_DATA, NOT_LIFTED, Lift, Pieces, as_they_stand
from cisflow.tracks.signal import Assembly, Signal
from cisflow.tracks.transforms import SUMMARY_OF, calm, fill, finish, pool

STATES = ("measured", "off_contig", "blacklisted", "no_data")
LIFT_REASONS = (*REASONS, "outside")


class Source:
    """A track that is open for reading, a context manager.

    Parameters
    ----------
    track
        Its settings (`cisflow.config.tracks.Track`, as a dictionary) with paths in the places of files.
    sizes, genome
        Contigs of the regions' assembly with their sizes, and its name or file, for messages.

    Raises
    ------
    CisflowError
        A file is not right, or not of the genome.
    """

    def __init__(self, track: Mapping[str, Any], sizes: Mapping[str, int], genome: str):
        self.track, self.sizes = track, sizes
        self.lift, assembly = None, Assembly(genome, sizes, track["absent_contigs"] == "no_data")
        if track["lift"]:
            chains = [read_chains(path) for path in track["lift"]]
            self.lift = Lift(chains, sizes, genome, Rules(**track["lift_rules"]))
            assembly = Assembly(f"the target of {chains[-1].path}", self.lift.sizes, assembly.absent)
        cut = "cut" if track.get("rows_beyond_contig") == "drop" else "fail"
        self.black = _blacklist(track["blacklist"], sizes, genome, cut)
        self.ratio = track["file"] is None
        self.counts: Counter[tuple[str, str]] = Counter()
        self.notes: list[str] = list(self.lift.notes) if self.lift else []
        with ExitStack() as stack:
            paths = (track["numerator"], track["denominator"]) if self.ratio else (track["file"],)
            self.signals = [stack.enter_context(open_signal(path, assembly, track)) for path in paths]
            self._stack = stack.pop_all()

    def __enter__(self) -> "Source":
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()
        self.notes += [note for signal in self.signals for note in signal.notes]

    def bins(
        self, chrom: NDArray[np.int64], start: NDArray[np.int64], bins: int, width: int
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return the values of regions and whether they were measured, both (regions, bins), and count what was not.

        Parameters
        ----------
        chrom, start
            Number of the contig in `sizes` and first position of each region, (regions,).
        bins, width
            How many bins each region has, and their width in bases.

        Raises
        ------
        CisflowError
            The signal cannot be read, or a value is no finite number.
        """
        if self.track["compat"] == "cs282a":
            pieces, values = self._place_cs282a(chrom, start, bins, width)
        else:
            place = self.lift.place if self.lift else lambda *where: as_they_stand(*where, self.sizes)
            pieces, values = place(chrom, start, bins, width), np.full((len(start), bins), np.nan)
        state = pieces.state
        enough = self._read(pieces, values)
        state[(state == MEASURED) & (np.isnan(values) | ~enough)] = NO_DATA
        if self.black and self.track["blacklist"]["rule"] == "mask":
            state[self._black_bins(chrom, start, bins, width) & np.isin(state, (MEASURED, NO_DATA))] = BLACKLISTED
        if self.track["compat"]:
            self._unmask(values, state)
        values[state != MEASURED] = np.nan
        done = finish(values, self._statistic, *(self.track[key] for key in ("scale", "soft_clip", "clip")))
        with np.errstate(over="ignore"):
            found = self._finite(done.values.astype(np.float32), state)
        self._count(state, done.soft_clipped, done.clipped)
        return found, state == MEASURED

    @property
    def _statistic(self) -> str:
        return "sum" if self.ratio else self.track["statistic"]

    def _read(self, pieces: Pieces, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Fill in the summaries of the pieces; return which bins have data in enough of their bases."""
        enough = np.ones(values.shape, bool)
        order = np.lexsort((pieces.start, pieces.contig))
        columns = (pieces.row, pieces.first, pieces.count, pieces.contig, pieces.start, pieces.end, pieces.turned)
        for row, first, count, contig, start, end, turned in zip(*(c[order].tolist() for c in columns), strict=True):
            where = slice(first, first + count)
            place = (pieces.contigs[contig], start, end)
            out = values[row, where]
            if self.ratio:
                self._divide(*place, out)
            else:
                enough[row, where] = self._summarise(self.signals[0], *place, out)
            if turned:
                out[:], enough[row, where] = out[::-1].copy(), enough[row, where][::-1].copy()
        return enough

    def _summarise(self, signal: Signal, chrom: str, start: int, end: int, out: NDArray) -> NDArray[np.bool_] | bool:
        policy, summary = self.track["no_data"], SUMMARY_OF[self.track["statistic"]]
        black = self.black and self.track["blacklist"]["rule"] == "clip"
        if summary == "median" or self.track["exp2"] or black or policy in ("median", "interpolate"):
            return self._summarise_bases(signal, chrom, start, end, out, summary)
        signal.read(chrom, start, end, out, summary, 0.0 if policy == "zero" else None)
        if policy != "mask":
            return True
        covered = np.empty_like(out)
        signal.read(chrom, start, end, covered, "covered")
        return covered >= self._needed(start, end, len(out))

    def _needed(self, start: int, end: int, bins: int) -> float:
        return self.track["min_covered"] * ((end - start) // bins) - 1e-9

    def _summarise_bases(self, signal, chrom, start, end, out, summary) -> NDArray[np.bool_] | bool:
        values, policy, bins = signal.values(chrom, start, end), self.track["no_data"], len(out)
        covered = (~np.isnan(values)).reshape(bins, -1).sum(1)
        values = fill(values, policy, bins)
        if self.black and self.track["blacklist"]["rule"] == "clip":
            values = calm(values, self._black_bases(chrom, start, end), bins)
        if self.track["exp2"]:
            with np.errstate(over="ignore"):
                values = np.exp2(values)
        out[:] = pool(values, bins, summary)
        return covered >= self._needed(start, end, bins) if policy == "mask" else True

    def _divide(self, chrom: str, start: int, end: int, out: NDArray[np.float64]) -> None:
        below = np.empty_like(out)
        for signal, into in zip(self.signals, (out, below), strict=True):
            signal.read(chrom, start, end, into, "sum", 0.0)
        wrong = np.flatnonzero((below == 0) & (out != 0))
        if len(wrong) and not self.track["compat"]:
            width = (end - start) // len(out)
            low, (above, under) = start + int(wrong[0]) * width, self.signals
            raise CisflowError(
                f"{above.path}: its sum over {chrom}:{low}-{low + width} is {out[wrong[0]]:g}, and that of "
                f"{under.path}, which divides it, is 0. Do the two belong together?"
            )
        # NaN, 0 / 0, is what was not measured.
        out[:] = np.divide(out, below, out=np.full_like(out, np.nan), where=below != 0)

    def _place_cs282a(self, chrom, start, bins: int, width: int) -> tuple[Pieces, NDArray[np.float64]]:
        """Place regions as the original did: first base lifted, contig and strand of the hit ignored, failures 0."""
        names, length = list(self.sizes), bins * width
        hit = self.lift.points(chrom, start)
        lifted = hit.reason == LIFTED
        known = self.lift.sizes
        size = np.array([known.get(name, 0) for name in names], np.int64)[chrom]
        beyond = lifted & (hit.start + length > size)
        rows = np.flatnonzero(lifted & ~beyond)
        values = np.zeros((len(start), bins))
        # A single bin that passes the end was NaN there, and stayed so but in ratios.
        values[beyond] = np.nan if bins == 1 and not self.ratio else 0
        for taken, which in (("not_lifted", ~lifted), ("off_contig", beyond)):
            self.counts[f"taken_as_{'nan' if np.isnan(values[which]).any() else 0}", taken] += int(which.sum()) * bins
        zero, low, state = np.zeros(len(rows), np.int64), hit.start[rows], np.zeros(values.shape, np.uint8)
        pieces = Pieces(rows, zero, zero + bins, chrom[rows], low, low + length, zero > 0, names, state)
        return pieces, values

    def _unmask(self, values: NDArray[np.float64], state: NDArray[np.uint8]) -> None:
        empty = (state == NO_DATA) & ~(np.isnan(values) & (values.shape[1] == 1) & (not self.ratio))
        self.counts["taken_as_0", "no_data"] += int(empty.sum())
        values[empty] = 0
        state[state == NO_DATA] = MEASURED

    def _finite(self, values: NDArray[np.float32], state: NDArray[np.uint8]) -> NDArray[np.float32]:
        wrong = ~np.isfinite(values) & (state == MEASURED)
        if wrong.any() and not self.track["compat"]:
            raise CisflowError(f"{self.signals[0].path}: {int(wrong.sum()):,} values are too large for 32-bit numbers.")
        return values

    def _black_bins(self, chrom, start, bins: int, width: int) -> NDArray[np.bool_]:
        found = np.zeros((len(start), bins), bool)
        for contig in np.unique(chrom).tolist():
            rows = np.flatnonzero(chrom == contig)
            low = start[rows, None] + np.arange(bins) * width
            found[rows] = _touches(self.black.get(contig), low, low + width)
        return found

    def _black_bases(self, chrom: str, start: int, end: int) -> NDArray[np.bool_]:
        base = np.arange(start, end)
        return _touches(self.black.get(list(self.sizes).index(chrom)), base, base + 1)

    def _count(self, state: NDArray[np.uint8], soft_clipped: int, clipped: int) -> None:
        number = np.bincount(state.ravel(), minlength=NOT_LIFTED + len(LIFT_REASONS))
        self.counts["total", ""] += state.size
        for what, count in zip(STATES, number, strict=False):
            self.counts[what, ""] += int(count)
        for reason, count in zip(LIFT_REASONS, number[NOT_LIFTED:], strict=True):
            self.counts["not_lifted", reason] += int(count)
        self.counts["soft_clipped", ""] += soft_clipped
        self.counts["clipped", ""] += clipped


Places = dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]]


def _blacklist(setting: Mapping[str, Any] | None, sizes: Mapping[str, int], genome: str, beyond: str) -> Places:
    """Return blacklisted stretches, widened, by the number of their contig: starts and ends of which none overlap."""
    if setting is None:
        return {}
    path = Path(setting["file"])
    table = on_genome(read_intervals(path, tables=True), sizes, path, genome, beyond).table
    found = {}
    for number, name in enumerate(sizes):
        part = table.filter(pl.col("chrom") == name).sort("start")
        low, high = (part[key].to_numpy() for key in ("start", "end"))
        if len(low):
            low, high = low - setting["buffer"], np.maximum.accumulate(high + setting["buffer"])
            new = np.r_[True, low[1:] > high[:-1]]
            found[number] = low[new], high[np.r_[new[1:], True]]
    return found


def _touches(places: tuple[NDArray, NDArray] | None, low: NDArray, high: NDArray) -> NDArray[np.bool_]:
    """Return which intervals overlap a stretch."""
    if places is None:
        return np.zeros(low.shape, bool)
    at = np.searchsorted(places[1], low, side="right")
    return np.r_[places[0], np.iinfo(np.int64).max][at] < high
