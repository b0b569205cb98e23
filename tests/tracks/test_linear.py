"""Sets of intervals on one axis, against counting base by base."""

import numpy as np
import polars as pl
import pytest

from cisflow.tracks.linear import NONE, Axis, covered, covered_bins, distance, joined, merge, supported

SIZE = 400


def random_set(rng, count):
    start = rng.integers(0, SIZE - 1, count)
    return start, np.minimum(start + rng.integers(1, 30, count), SIZE)


def bases(intervals):
    found = np.zeros(SIZE, bool)
    for start, end in zip(*intervals, strict=True):
        found[start:end] = True
    return found


def runs(flags):
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(int), [0]])))
    return edges[::2], edges[1::2]


@pytest.mark.parametrize("seed", range(20))
def test_merging_covering_and_distance_are_those_of_bases(seed):
    rng = np.random.default_rng(seed)
    intervals = random_set(rng, rng.integers(0, 25))
    merged, flags = merge(intervals), bases(intervals)
    assert np.array_equal(np.array(merged), np.array(runs(flags)))
    start, end = random_set(rng, 50)
    assert covered(start, end, merged).tolist() == [flags[a:b].sum() for a, b in zip(start, end, strict=True)]
    found = distance(start, end, merged)
    for a, b, gap in zip(start, end, found, strict=True):
        places = np.flatnonzero(flags)
        wanted = np.maximum(np.maximum(a - places - 1, places - b), 0).min() if len(places) else np.iinfo(int).max
        assert gap == wanted


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("step", [1, 7, 50])
def test_bins_that_are_touched_have_their_bases_counted_once(seed, step):
    rng = np.random.default_rng(seed)
    intervals = random_set(rng, 20)
    bins, counts = covered_bins(merge(intervals), step)
    every = np.add.reduceat(bases(intervals).astype(int), np.arange(0, SIZE, step))
    assert bins.tolist() == np.flatnonzero(every).tolist()
    assert counts.tolist() == every[bins].tolist()


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("least", [1, 2, 3])
def test_a_part_of_the_union_needs_a_base_with_support(seed, least):
    rng = np.random.default_rng(seed)
    sets = [random_set(rng, 8) for _ in range(3)]
    depth = sum(bases(intervals).astype(int) for intervals in sets)
    wanted = [(a, b) for a, b in zip(*runs(depth > 0), strict=True) if depth[a:b].max() >= least]
    assert list(zip(*supported(sets, least), strict=True)) == wanted


def test_neighbours_do_not_support_each_other_and_a_set_counts_once():
    a, b = (np.array([0, 3]), np.array([10, 8])), (np.array([10]), np.array([20]))
    assert supported([a, b], 2)[0].size == 0
    assert [side.tolist() for side in supported([a, b], 1)] == [[0], [20]]
    assert supported([], 1) == NONE or supported([], 1)[0].size == 0


def test_intervals_that_are_close_become_one():
    assert [side.tolist() for side in joined([(np.array([5]), np.array([9])), (np.array([0]), np.array([3]))], 2)] == [
        [0],
        [9],
    ]


def test_contigs_keep_their_margin_and_begin_at_a_multiple():
    axis = Axis({"chr1": 1001, "2": 10, "empty": 0}, step=200, margin=350)
    assert (axis.offsets % 200 == 0).all()
    assert axis.offsets[0] >= 350
    assert (np.diff(axis.offsets) >= axis.sizes[:-1] + 350).all()
    table = pl.DataFrame({"chrom": ["2", "chr1"], "start": [0, 1000], "end": [10, 1001]})
    start, end = axis.intervals(table)
    names, places = axis.places(start, axis.contig(start))
    assert names.tolist() == ["2", "chr1"]
    assert places.tolist() == [0, 1000]
    assert (end - start).tolist() == [10, 1]
    assert len(Axis({}).offsets) == 0
