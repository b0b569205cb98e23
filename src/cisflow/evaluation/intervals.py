"""Bootstrap over blocks of neighbouring windows: resamples, and statistics of all of them at once."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from cisflow.evaluation.windows import Windows, natural

# Values that are ranked together, in several resamples: so few that they stay in the processor's cache.
TOGETHER = 1 << 17
# Parts of a running sum that are computed beside each other.
LANES = 16
# A variance below this part of that of all windows is that of equal values, computed with rounding.
NOTHING = 1e-12


def blocks_of(windows: Windows, size: int) -> NDArray[np.int64]:
    """Return the block of each window: stretches of `size` bases of each contig, numbered along the genome.

    A window is in the block that its middle is in; blocks without a window have no number.
    """
    contigs = {name: number for number, name in enumerate(sorted(set(windows.chrom.tolist()), key=natural))}
    contig = np.array([contigs[name] for name in windows.chrom.tolist()], np.int64)
    stretch = np.maximum(windows.start + windows.end, 0) // 2 // size
    _, block = np.unique(contig * (stretch.max(initial=0) + 1) + stretch, return_inverse=True)
    return block


def draw_blocks(rng: np.random.Generator, blocks: int, resamples: int) -> NDArray[np.float64]:
    """Return how often each block is in each resample (resamples, blocks): as many as there are, with replacement."""
    drawn = rng.integers(blocks, size=(resamples, blocks))
    offset = drawn + np.arange(resamples)[:, None] * blocks
    return np.bincount(offset.ravel(), minlength=resamples * blocks).reshape(resamples, blocks).astype(np.float64)


def interval(draws: NDArray[np.float64], level: float) -> tuple[float | None, float | None]:
    """Return the percentile interval of a statistic's resamples (resamples,); those that are NaN are left out."""
    defined = draws[~np.isnan(draws)]
    if not defined.size:
        return None, None
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def two_sided(draws: NDArray[np.float64]) -> float | None:
    """Return the p-value that the resamples of a difference give against none; at least 2 / (resamples + 1)."""
    defined = draws[~np.isnan(draws)]
    if not defined.size:
        return None
    tail = min((defined <= 0).sum(), (defined >= 0).sum())
    return float(min(2 * (tail + 1) / (defined.size + 1), 1.0))


def benjamini_hochberg(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return p-values (n,) adjusted as Benjamini & Hochberg (1995) do; NaN stays and does not count."""
    q = np.full(len(p), np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    scaled = p[order] * len(order) / np.arange(1, len(order) + 1)
    q[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1)
    return q


def moments(
    y: NDArray[np.float64], p: NDArray[np.float64], block: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return sums over the windows of each block, of which correlations and errors of any resample are made.

    Parameters
    ----------
    y, p
        Labels, NaN where not measured, and predictions (n, columns).
    block
        Block of each window (n,).

    Returns
    -------
    sums
        (blocks, 7, columns): the number of measured labels; of standardised labels a and predictions b the sums of a,
        b, aa, bb and ab; and of the squared errors, in the units of the labels. NaN where a prediction is no number.
    defined
        (columns,): whether labels and predictions vary, so that there is a correlation.
    """
    measured, p = ~np.isnan(y), np.where(np.isfinite(p), p, np.nan)
    a, varies = _standardised(y, measured)
    b, differs = _standardised(p, measured)
    error = np.where(measured, y - p, 0) ** 2
    parts = np.stack([measured.astype(float), a, b, a * a, b * b, a * b, error], axis=1)
    order = np.argsort(block, kind="stable")
    first = np.flatnonzero(np.diff(block[order], prepend=-1))
    return np.add.reduceat(parts[order], first, axis=0), varies & differs


def _standardised(values: NDArray, measured: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return values with mean 0 and variance 1 where measured and 0 elsewhere, and whether each column varies."""
    low = np.where(measured, values, np.inf).min(0, initial=np.inf)
    varies = low < np.where(measured, values, -np.inf).max(0, initial=-np.inf)
    count = np.maximum(measured.sum(0), 1)
    centred = np.where(measured, values - np.where(measured, values, 0).sum(0) / count, 0)
    deviation = np.sqrt((centred**2).sum(0) / count)
    return centred / np.where(varies & (deviation > 0), deviation, 1), varies


def correlation(sums: NDArray[np.float64], defined: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the Pearson correlation of sums (..., 7, columns) as of `moments`; NaN where there is none."""
    n, a, b, aa, bb, ab, _ = np.moveaxis(sums, -2, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        one, other = aa - a * a / n, bb - b * b / n
        r = (ab - a * b / n) / np.sqrt(one * other)
    return np.where(defined & (one > NOTHING * n) & (other > NOTHING * n), r, np.nan)


def mean_squared_error(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean squared error of sums (..., 7, columns) as of `moments`; NaN where nothing is measured."""
    n, error = sums[..., 0, :], sums[..., 6, :]
    return np.where(n > 0, error / np.maximum(n, 1), np.nan)


class Ranking:
    """Values in their order, to rank them anew in resamples of blocks.

    Ranks are running sums of the windows' weights. These are computed for `LANES` places at once: value i of the order
    is at place i // LANES of lane i % LANES, and lanes are filled up with windows that no resample has.

    Parameters
    ----------
    values, block
        (n,): finite values, and the block of each.
    blocks
        Number of blocks.
    """

    def __init__(self, values: NDArray[np.float64], block: NDArray[np.int64], blocks: int):
        order = np.argsort(values, kind="stable")
        self.width = -(-len(values) // LANES)
        places = np.arange(len(values)) % LANES * self.width + np.arange(len(values)) // LANES
        self.place = np.empty_like(places)
        self.place[order] = places
        self.block = np.full(LANES * self.width, blocks)
        self.block[self.place] = block
        starts = np.flatnonzero(np.diff(values[order], prepend=np.nan) != 0)
        self.first = self.last = None
        if len(starts) < len(values):
            group = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(values)))
            ends = np.append(starts[1:] - 1, len(values) - 1)
            self.first, self.last = (np.zeros(LANES * self.width, np.int64) for _ in range(2))
            self.first[places], self.last[places] = places[starts[group]], places[ends[group]]

    def laid(self, of_windows: NDArray) -> NDArray:
        """Return what windows have (n,) at their places; 0 elsewhere."""
        values = np.zeros(len(self.block), of_windows.dtype)
        values[self.place] = of_windows
        return values

    def ranks(self, counts: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return at each place the copies of a window, and the mean rank of the copies of its value, less 1/2.

        `counts` (resamples, blocks + 1) is how often each block is in a resample, and a 0.
        """
        weights = np.take(counts, self.block, axis=1)
        upto = weights.reshape(len(counts), LANES, self.width).copy()
        for lane in range(1, LANES):
            upto[:, lane] += upto[:, lane - 1]
        before = np.cumsum(upto[:, -1], axis=1)
        upto[:, :, 1:] += before[:, None, :-1]
        upto = upto.reshape(weights.shape)
        if self.first is None:
            upto -= weights / 2
            return weights, upto
        middle = np.take(upto, self.last, axis=1)
        middle += np.take(upto - weights, self.first, axis=1)
        middle /= 2
        return weights, middle


def _parts(counts: NDArray[np.float64], values: int) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Yield resamples of so many values, some at a time, with the 0 that `Ranking.ranks` needs."""
    size = max(TOGETHER // max(values, 1), 1)
    for first in range(0, len(counts), size):
        some = slice(first, first + size)
        yield some, np.pad(counts[some], ((0, 0), (0, 1)))


def rank_correlations(
    y: NDArray[np.float64], p: NDArray[np.float64], block: NDArray[np.int64], counts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the Spearman correlation of labels with several predictions in each resample, ranked anew in each.

    Parameters
    ----------
    y, p
        Labels (n,) and predictions (k, n), all finite.
    block
        Block of each window (n,).
    counts
        How often each block is in each resample (resamples, blocks).

    Returns
    -------
    array
        (k, resamples); NaN where labels or predictions of a resample are all alike.
    """
    label, *others = (Ranking(own, block, counts.shape[1]) for own in (y, *p))
    at = [label.laid(own.place) for own in others]
    found = np.full((len(p), len(counts)), np.nan)
    for some, own in _parts(counts, len(y)):
        weights, ranks = label.ranks(own)
        half = weights.sum(1, keepdims=True) / 2
        ranks -= half
        weights *= ranks
        spread = np.einsum("rn,rn->r", weights, ranks)
        for row, (other, places) in enumerate(zip(others, at, strict=True)):
            copies, ranked = other.ranks(own)
            ranked -= half
            shared = np.einsum("rn,rn->r", weights, np.take(ranked, places, axis=1))
            copies *= ranked
            product = spread * np.einsum("rn,rn->r", copies, ranked)
            varies = product > 0
            found[row, some] = np.where(varies, shared / np.sqrt(np.where(varies, product, 1)), np.nan)
    return found


def areas(
    positive: NDArray[np.bool_], scores: NDArray[np.float64], block: NDArray[np.int64], counts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the area under the ROC curve of several scores in each resample.

    Parameters
    ----------
    positive, scores
        Classes (n,), and scores (k, n), all finite.
    block, counts
        As of `rank_correlations`.

    Returns
    -------
    array
        (k, resamples); NaN where a resample has one class only.
    """
    found = np.full((len(scores), len(counts)), np.nan)
    rankings = [Ranking(own, block, counts.shape[1]) for own in scores]
    ups_at = [own.laid(positive) for own in rankings]
    for some, own in _parts(counts, len(positive)):
        for row, (ranking, up) in enumerate(zip(rankings, ups_at, strict=True)):
            weights, ranks = ranking.ranks(own)
            chosen = weights * up
            ups = chosen.sum(1)
            downs = weights.sum(1) - ups
            pairs = ups * downs
            above = np.einsum("rn,rn->r", chosen, ranks) - ups**2 / 2
            found[row, some] = np.where(pairs > 0, above / np.where(pairs > 0, pairs, 1), np.nan)
    return found
