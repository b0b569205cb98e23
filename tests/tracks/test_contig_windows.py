"""Windows by Basenji's algorithm: against cases worked by hand, and against the algorithm said again, plainly."""

import heapq
import math
import random
from collections import Counter

import numpy as np
import polars as pl
import pytest

from cisflow.errors import CisflowError
from cisflow.tracks.contig_windows import (
    ABSTAIN,
    Contig,
    Layout,
    broken,
    contig_windows,
    dealt,
    rejoined,
    starts_in,
    unmappable_fraction,
    without_gaps,
    without_largest,
)

BY_CHROM = {"valid": ["b"], "test": ["c"]}


def intervals(*rows):
    return pl.DataFrame(list(rows), {"chrom": pl.String, "start": pl.Int64, "end": pl.Int64}, orient="row")


def total(counts, unit, step=None):
    return sum(entry.count for entry in counts if entry.unit == unit and step in (None, entry.step))


def test_contigs_are_what_gaps_leave():
    gaps = intervals(("a", 0, 10), ("a", 30, 40), ("a", 35, 50), ("a", 90, 100), ("b", 5, 6))
    found = list(without_gaps({"a": 100, "b": 10, "c": 7}, gaps))
    assert found == [("a", 10, 30), ("a", 50, 90), ("b", 0, 5), ("b", 6, 10), ("c", 0, 7)]
    assert list(without_gaps({"a": 100}, None)) == [("a", 0, 100)]


def test_the_longest_contig_is_broken_in_half_until_none_is_above_the_limit():
    found = broken([Contig("a", 0, 100), Contig("b", 10, 35), Contig("c", 0, 51)], 25)
    assert sorted(found) == [("a", 0, 25), ("a", 25, 50), ("a", 50, 75), ("a", 75, 100), ("b", 10, 35),
        ("c", 0, 25), ("c", 25, 38), ("c", 38, 51)]  # fmt: skip
    assert broken([Contig("b", 10, 35)], 25) == [("b", 10, 35)]


def test_contigs_have_the_order_of_a_heap_that_they_are_pushed_to():
    """To make a heap of them all at once would give c, b, a."""
    a, b, c = (Contig(chrom, 0, size) for chrom, size in (("a", 1), ("b", 2), ("c", 3)))
    assert broken([a, b, c], 10) == [c, a, b]
    assert without_largest([c, a, b]) == [b, a]


def test_neighbours_of_one_split_are_joined():
    found = rejoined(
        [Contig("b", 5, 9), Contig("a", 20, 30), Contig("b", 0, 5), Contig("a", 0, 10), Contig("b", 9, 12)]
    )
    assert found == [("b", 0, 12), ("a", 0, 10), ("a", 20, 30)]


@pytest.mark.parametrize(
    ("contig", "stride", "snap", "starts"),
    [((0, 100), 20, 1, [0, 20, 40, 60]), ((0, 99), 20, 1, [0, 20, 40]), ((3, 100), 25, 8, [8, 33, 58]),
     ((0, 40), 50, 1, [0]), ((0, 39), 50, 1, [])],
)  # fmt: skip
def test_windows_of_a_contig(contig, stride, snap, starts):
    assert starts_in(Contig("a", *contig), 40, stride, snap).tolist() == starts


@pytest.mark.parametrize(
    ("interval", "bins"),
    [
        ((100, 120), [0, 0, 0, 0]),  # ends where the window starts
        ((120, 130), [1, 0, 0, 0]),
        ((125, 135), [1, 1, 0, 0]),
        ((129, 141), [1, 1, 1, 0]),
    ],
)
def test_bins_that_an_unmappable_interval_touches(interval, bins):
    found = unmappable_fraction(np.array(["a"]), np.array([120]), 40, 10, intervals(("a", *interval)))
    assert found == [sum(bins) / 4]


@pytest.mark.parametrize(
    ("interval", "fraction"), [((37, 43), 0), ((36, 43), 0.5), ((36, 44), 1), ((41, 42), 0), ((50, 51), 0.5)]
)
def test_a_bin_of_which_an_interval_reaches_less_than_a_tenth_is_mappable(interval, fraction):
    found = unmappable_fraction(np.array(["a"]), np.array([0]), 80, 40, intervals(("a", *interval)))
    assert found == [fraction]


def plain_unmappable(start, length, bin, rows):
    """The rule, said for one window: intervals one by one, minor overlaps at their ends not counted."""
    bins = [False] * (length // bin)
    for low, high in rows:
        low, high = max(low, start), min(high, start + length)
        if high <= low:
            continue
        first, last = (low - start) // bin, math.ceil((high - start) / bin)
        first += (start + (first + 1) * bin - low) < 0.1 * bin
        last -= (high - (start + (last - 1) * bin)) < 0.1 * bin
        bins[first:last] = [True] * max(last - first, 0)
    return sum(bins) / len(bins)


def test_unmappable_bins_against_one_window_at_a_time():
    rng = np.random.default_rng(1)
    low = rng.integers(0, 3000, 60)
    rows = [(int(a), int(a + b)) for a, b in zip(low, rng.integers(1, 200, 60), strict=True)]
    start = rng.integers(0, 3000, 300)
    found = unmappable_fraction(np.full(300, "a"), start, 320, 32, intervals(*[("a", *row) for row in rows]))
    assert found.tolist() == [plain_unmappable(int(at), 320, 32, rows) for at in start]
    assert len(set(found.tolist())) > 5


def test_a_genome_worked_by_hand():
    sizes = {"a": 250, "b": 100, "c": 130, "d": 30}
    layout = Layout(length=60, crop=10, break_above=100, stride_train=0.5, stride_test=45, chromosomes=BY_CHROM, bin=20)
    gaps, unmappable = intervals(("a", 0, 25), ("c", 50, 60)), intervals(("a", 140, 185), ("b", 45, 65))
    table, counts = contig_windows(sizes, layout, gaps, unmappable)
    # Contigs: a 25-250, b 0-100, c 0-50 and 60-130; d is too short. a is broken (225, then 113) and joined again.
    # Target windows of 40: a from 25 by 30: 25, 55, 85, 115, 145, 175, 205; b 0, 45; c 0; 60.
    # Of a, 145 (both bins), and 115 and 175 (one of two bins) are unmappable to a half and more; of b, 45 (one of two).
    assert sorted(table.rows()) == [
        ("a", 15, 75, "train"), ("a", 45, 105, "train"), ("a", 75, 135, "train"), ("a", 195, 255, "train"),
        ("b", -10, 50, "valid"), ("c", -10, 50, "test"), ("c", 50, 110, "test"),
    ]  # fmt: skip
    assert Counter(counts) == Counter(
        [
            ("bases", "genome", "", 510), ("bases", "contigs", "gap", -35), ("contigs", "contigs", "", 5),
            ("contigs", "contigs", "too_short", -1), ("bases", "contigs", "too_short", -30),
            ("contigs", "break", "broken", 3), ("contigs", "join", "joined", -3),
            # Behind the last windows: a 5, b 15, c 10 and 30; between windows of b: 5.
            ("bases", "windows", "remainder", -60), ("bases", "windows", "between", -5),
            ("windows", "windows", "train", 7), ("windows", "windows", "valid", 2), ("windows", "windows", "test", 2),
            ("windows", "unmappable", "train", -3), ("windows", "unmappable", "valid", -1),
            ("windows", "unmappable", "test", 0),
        ]
    )  # fmt: skip
    assert total(counts, "windows") == len(table)


def plain(sizes, length, crop, above, strides, split, seed, lose, gaps=()):
    """The algorithm said again, contig by contig, with the generators of the original program."""
    draw, shuffle, target = np.random.RandomState(seed), random.Random(seed), length - 2 * crop
    heap = []
    for chrom, size in sizes.items():
        edges = [0, *(edge for name, *gap in gaps if name == chrom for edge in gap), size]
        for start, end in zip(edges[::2], edges[1::2], strict=True):
            contig = (start - end, (chrom, start, end))
            if end - start >= target and above:
                heapq.heappush(heap, contig)
            elif end - start >= target:
                heap.append(contig)
    while above and -heap[0][0] > above:
        _, (chrom, start, end) = heapq.heappop(heap)
        middle = start + (end - start) // 2
        heapq.heappush(heap, (start - middle, (chrom, start, middle)))
        heapq.heappush(heap, (middle - end, (chrom, middle, end)))
    if above and lose:
        heapq.heappop(heap)
    by_chromosome = isinstance(split["valid"], list)
    parts = (plain_chromosomes if by_chromosome else plain_shares)(heap, split["valid"], split["test"], draw)
    rows = []
    for name, part, stride in zip(("train", "valid", "test"), parts, strides, strict=True):
        of_chrom, own = {}, []
        for contig in part:
            of_chrom.setdefault(contig[0], []).append(contig)
        for chrom, pieces in of_chrom.items():
            spans = []
            for _, start, end in sorted(pieces):
                spans = (
                    [*spans[:-1], (spans[-1][0], end)] if spans and spans[-1][1] == start else [*spans, (start, end)]
                )
            for start, end in spans:
                while start + target <= end:
                    own.append((chrom, start - crop, start - crop + length, name))
                    start += stride
        shuffle.shuffle(own)
        rows += own
    return rows


def plain_chromosomes(heap, valid, test, _draw):
    parts = ([], [], [])
    for _, contig in heap:
        parts[1 if contig[0] in valid else 2 if contig[0] in test else 0].append(contig)
    return parts


def plain_shares(heap, valid, test, draw):
    contigs = sorted(((-size, contig) for size, contig in heap), reverse=True)
    whole = sum(size for size, _ in contigs)
    lack, parts = [whole - valid * whole - test * whole, valid * whole, test * whole], ([], [], [])
    for size, contig in contigs:
        now = [max(1, lack[0]), max(0, lack[1]), max(0, lack[2])]
        now[1:] = [0 if size > 0.2 * gap else gap for gap in now[1:]]
        chosen = draw.choice(range(3), 1, p=[gap / sum(now) for gap in now])[0]
        parts[chosen].append(contig)
        lack[chosen] -= size
    return parts


@pytest.mark.parametrize("lose", [False, True])
@pytest.mark.parametrize("seed", [44, 1])
def test_shares_and_order_are_those_of_the_original_program(seed, lose):
    sizes = {"a": 100_000, "b": 70_001, "c": 33_333, "d": 900, "e": 50}
    fractions = {"valid": 0.1, "test": 0.2}
    layout = Layout(length=200, crop=40, break_above=2000, stride_train=70, stride_test=121,
        fractions=fractions, seed=seed, lose_contig=lose)  # fmt: skip
    table, counts = contig_windows(sizes, layout)
    assert table.rows() == plain(sizes, 200, 40, 2000, (70, 121, 121), fractions, seed, lose)
    lost = [entry for entry in counts if entry.reason == "compat_lost"]
    assert [entry.unit for entry in lost if entry.count < 0] == ["contigs", "bases"] * lose


def random_genome(seed):
    """Return sizes of chromosomes, in any order of their names, and gaps in them."""
    rng, gaps = np.random.default_rng(seed), []
    sizes = {f"c{number}": int(rng.integers(1000, 9000)) for number in rng.permutation(rng.integers(3, 9))}
    for chrom, size in sizes.items():
        edges = np.sort(rng.choice(size, 2 * rng.integers(0, 4), replace=False)).reshape(-1, 2)
        gaps += [(chrom, start, end) for start, end in edges.tolist()]
    return sizes, gaps


@pytest.mark.parametrize("above", [None, 500])
@pytest.mark.parametrize("lose", [False, True])
def test_order_of_windows_split_by_chromosome_is_that_of_the_original_program(lose, above):
    for seed in range(35):
        sizes, gaps = random_genome(seed)
        split = dict(zip(("valid", "test"), ([chrom] for chrom in sizes), strict=False))
        layout = Layout(60, 10, above, stride_train=30, stride_test=50, chromosomes=split, lose_contig=lose)
        table, counts = contig_windows(sizes, layout, intervals(*gaps))
        assert table.rows() == plain(sizes, 60, 10, above, (30, 50, 50), split, 44, lose, gaps)
        assert any(entry.reason == "compat_lost" for entry in counts) == bool(lose and above)


def test_splits_are_near_their_shares_and_apart():
    sizes = {f"chr{number}": 400_000 for number in range(5)}
    layout = Layout(length=500, crop=100, break_above=5000, fractions={"valid": 0.1, "test": 0.3}, stride_train=0.2)
    table, _ = contig_windows(sizes, layout)
    covered = {split: Counter() for split in ("train", "valid", "test")}
    for chrom, start, end, split in table.rows():
        covered[split].update((chrom, at // 100) for at in range(start + 100, end - 100, 100))
    assert sum(map(len, covered.values())) == len(set().union(*covered.values()))
    parts = dealt(broken([Contig(chrom, 0, size) for chrom, size in sizes.items()], 5000), layout)
    bases = {split: sum(contig.size for contig in part) / 2_000_000 for split, part in parts.items()}
    # A split ends within a contig of its share, and it abstains from the last ones, when 5 contigs are lacking.
    assert bases["valid"] == pytest.approx(0.1, abs=5000 / ABSTAIN / 2_000_000 + 0.0025)
    assert bases["test"] == pytest.approx(0.3, abs=5000 / ABSTAIN / 2_000_000 + 0.0025)


def test_a_contig_that_is_large_against_what_a_split_lacks_stays_in_train():
    contigs = [Contig("a", 0, 1000), Contig("b", 0, 100), Contig("c", 0, 100)]
    layout = Layout(length=10, crop=0, fractions={"valid": 0.3, "test": 0.3})
    for seed in range(50):
        parts = dealt(contigs, Layout(**vars(layout) | {"seed": seed}))
        assert parts == {"train": sorted(contigs, key=lambda contig: (contig.size, contig), reverse=True),
            "valid": [], "test": []}  # fmt: skip


def test_folds_share_the_genome_and_have_one_stride():
    sizes = {"a": 100_000, "b": 50_000}
    layout = Layout(length=100, crop=0, break_above=1000, stride_train=0.5, stride_test=1.0, folds=(5, 3, 0))
    table, counts = contig_windows(sizes, layout)
    share = {split: count / len(table) for split, count in Counter(table["split"]).items()}
    assert [share["test"], share["valid"]] == pytest.approx([0.2, 0.2], abs=0.03)
    of_test = table.filter(pl.col("split") == "test", pl.col("chrom") == "a").sort("start")["start"].to_numpy()
    assert np.diff(of_test).min() == 50
    assert total(counts, "windows") == len(table)
    again, _ = contig_windows(sizes, Layout(**vars(layout) | {"folds": (5, 4, 0)}))
    valid = [set(found.filter(pl.col("split") == "valid").rows()) for found in (table, again)]
    assert valid[0] == valid[1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"length": 5000}, "no contig is as long as a target window, 5,000 bases"),
        (
            {"chromosomes": {"valid": ["b"], "test": ["z"]}},
            "there is no contig of z that is long enough; there are: a, b",
        ),
        ({"chromosomes": {"valid": ["b"], "test": []}}, "no window came to test"),
        ({"fractions": {"valid": 0.1, "test": 0.1}}, "no window came to valid, test"),
    ],
)
def test_what_cannot_be_laid_is_refused(settings, message):
    with pytest.raises(CisflowError, match=message):
        contig_windows({"a": 1000, "b": 1000, "c": 20}, Layout(**{"length": 100, "crop": 0, **settings}))


def test_a_split_all_of_whose_windows_are_unmappable_is_refused():
    layout = Layout(length=100, crop=0, chromosomes=BY_CHROM, bin=10)
    with pytest.raises(CisflowError, match="no window came to valid"):
        contig_windows(dict.fromkeys("abc", 1000), layout, unmappable=intervals(("b", 0, 1000)))
