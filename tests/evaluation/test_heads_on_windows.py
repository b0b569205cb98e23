"""Statistics of heads equal peers' and explicit loops; what is planted is found; what is not measured is left out."""

import json
import logging
import struct
import subprocess
import sys
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from scipy import stats
from sklearn import metrics as sk
from tests.evaluation.made_heads import CROP, LENGTH, TARGETS, made, places, write

from cisflow.errors import CisflowError
from cisflow.evaluation import intervals, roc
from cisflow.evaluation.describe import head_rows
from cisflow.evaluation.domains import LABELS, area_rows, different, in_domains, questions, read_domains
from cisflow.evaluation.drawn import (
    NOWHERE,
    composition_rows,
    density_rows,
    most_tested,
    profile_rows,
    unit_of,
)
from cisflow.evaluation.heads import BASELINE, MEAN, POOLED, Bootstrap, comparison_rows, score_rows, score_split
from cisflow.evaluation.windows import (
    Windows,
    contig_sizes,
    dataset_windows,
    read_predictions,
    target_windows,
    training_means,
)
from cisflow.evaluation.windows import (
    places as places_of,
)
from cisflow.seeds import generator
from cisflow.tables import HEAD_COMPARISON, HEAD_DOMAINS, HEAD_ROC, HEAD_SCORES, HEADS, read_tsv

HOW = Bootstrap(resamples=60, block=4000, level=0.9)
NOISE = {"good": 0.3, "bad": 1.5}


def windows(chrom, start, labels=None):
    start = np.array(start)
    labels = np.zeros((len(start), 0)) if labels is None else labels
    return Windows(np.array(chrom), start, start + LENGTH, labels)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def scored(tmp_path, rng):
    """Return a function: predictions, scores of a split, and rows of scores and comparisons, of planted data."""

    def score(noise=None, split="test", change=None, how=HOW, **options):
        found = made(rng, noise or NOISE, **options)
        if change:
            change(found)
        read = read_predictions(write(tmp_path, found, options.get("targets", TARGETS)))
        means = training_means(tmp_path / "dataset.h5", read.targets)
        own = score_split("task", split, read, means, how)
        return read, own, score_rows("task", split, own, read, how), comparison_rows("task", split, own, read, how)

    return score


def one(rows, **wanted):
    (row,) = [row for row in rows if all(row.get(key) == value for key, value in wanted.items())]
    return row


def test_windows_are_in_the_block_of_their_middle():
    own = windows(["chr10", "chr2", "chr2", "chr2", "chr10", "chr10"], [0, 0, 3400, 3600, 99_000, -900])
    assert intervals.blocks_of(own, 4000).tolist() == [2, 0, 0, 1, 3, 2]


def test_windows_may_begin_before_their_contig():
    chrom, start, end = places_of(pl.Series(["chr1:-64-4032", "HLA:A*01:7-9"]), "x")
    assert (chrom.tolist(), start.tolist(), end.tolist()) == (["chr1", "HLA:A*01"], [-64, 7], [4032, 9])


def test_resamples_have_as_many_blocks_as_there_are():
    counts = intervals.draw_blocks(np.random.default_rng(0), 7, 500)
    assert counts.shape == (500, 7)
    assert (counts.sum(1) == 7).all()
    drawn = np.random.default_rng(0).integers(7, size=(500, 7))
    assert (counts == [[list(row).count(block) for block in range(7)] for row in drawn.tolist()]).all()


def _resampled(windows, how, split):
    """Yield the rows of each resample, drawn one by one with the seed of the task."""
    block = intervals.blocks_of(windows, how.block)
    rows = [np.flatnonzero(block == number) for number in range(block.max() + 1)]
    drawn = generator("bootstrap", "task", split).integers(len(rows), size=(how.resamples, len(rows)))
    for numbers in drawn:
        yield np.concatenate([rows[number] for number in numbers])


def test_the_bootstrap_is_that_of_an_explicit_loop(scored):
    """Every metric of every track, on the windows that each resample has, some of them several times."""

    def change(found):
        found["test"][1][5:9, 0] = np.nan
        # Equal values, as counts have, share their mean rank.
        for values in (found["test"][1], *found["test"][2].values()):
            values[..., 2] = np.round(values[..., 2] / 200)

    read, own, rows, _ = scored(change=change)
    y = read.splits["test"].labels
    means = np.array([np.nanmean(read.splits["train"].labels[:, column]) for column in range(3)])
    draws = {name: [] for name in ("pearson", "spearman", "mse", "skill")}
    pooled = []
    for some in _resampled(read.splits["test"], HOW, "test"):
        each = {name: np.zeros((2, 3)) for name in draws}
        for trial, p in enumerate(read.runs["good"]["test"]):
            for column in range(3):
                there = some[~np.isnan(y[some, column])]
                a, b = y[there, column], p[there, column]
                each["pearson"][trial, column] = stats.pearsonr(a, b).statistic
                each["spearman"][trial, column] = stats.spearmanr(a, b).statistic
                each["mse"][trial, column] = np.mean((a - b) ** 2)
                each["skill"][trial, column] = 1 - np.mean((a - b) ** 2) / np.mean((a - means[column]) ** 2)
        pooled.append(
            np.mean([
                stats.pearsonr(y[some][there], p[some][there]).statistic
                for p in read.runs["good"]["test"] for there in [~np.isnan(y[some])]
            ])
        )  # fmt: skip
        for name, values in each.items():
            draws[name].append(values.mean(0))
    for name, values in draws.items():
        np.testing.assert_allclose(own.tracks["good"][name].draws.mean(0), values, rtol=1e-9, atol=1e-12)
        for column, target in enumerate(TARGETS):
            row = one(rows, run="good", target=target, metric=name, trials=2)
            wanted = np.quantile(np.array(values)[:, column], [0.05, 0.95])
            np.testing.assert_allclose([row["low"], row["high"]], wanted, rtol=1e-9)
    row = one(rows, run="good", target=POOLED, metric="pearson", trials=2)
    np.testing.assert_allclose([row["low"], row["high"]], np.quantile(pooled, [0.05, 0.95]), rtol=1e-9)
    mean = one(rows, run="good", target=MEAN, metric="spearman", trials=2)
    wanted = np.quantile(np.mean(draws["spearman"], axis=1), [0.05, 0.95])
    np.testing.assert_allclose([mean["low"], mean["high"]], wanted, rtol=1e-9)


def test_values_are_those_of_scipy(scored):
    read, _, rows, _ = scored()
    y, p = read.splits["test"].labels, read.runs["bad"]["test"][1]
    for column, target in enumerate(TARGETS):
        of = {"run": "bad", "target": target, "trial": 1}
        a, b = y[:, column], p[:, column]
        assert one(rows, metric="pearson", **of)["value"] == pytest.approx(stats.pearsonr(a, b).statistic, rel=1e-12)
        assert one(rows, metric="spearman", **of)["value"] == pytest.approx(stats.spearmanr(a, b).statistic, rel=1e-12)
        assert one(rows, metric="mse", **of)["value"] == pytest.approx(np.mean((a - b) ** 2), rel=1e-12)
    pooled = one(rows, run="bad", target=POOLED, metric="pearson", trial=1)
    assert pooled["value"] == pytest.approx(stats.pearsonr(y.ravel(), p.ravel()).statistic, rel=1e-12)
    assert pooled["n"] == y.size
    both = [one(rows, run="bad", target="a", metric="pearson", trial=trial)["value"] for trial in (0, 1)]
    row = one(rows, run="bad", target="a", metric="pearson", trials=2)
    assert row["value"] == pytest.approx(np.mean(both))
    assert row["low"] < row["value"] < row["high"]


def test_the_scale_of_tracks_alone_makes_pooled_correlations(scored):
    """The baseline knows nothing of windows; its pooled correlation is high, and its own ones are not defined."""
    read, _, rows, _ = scored()
    y, train = read.splits["test"].labels, read.splits["train"].labels
    flat = np.broadcast_to(train.mean(0), y.shape)
    row = one(rows, run=BASELINE, target=POOLED, metric="pearson")
    assert row["value"] == pytest.approx(stats.pearsonr(y.ravel(), flat.ravel()).statistic)
    assert row["value"] > 0.5
    assert one(rows, run=BASELINE, target=POOLED, metric="spearman")["value"] > 0.5
    for target in (*TARGETS, MEAN):
        assert one(rows, run=BASELINE, target=target, metric="pearson")["value"] is None
        assert one(rows, run=BASELINE, target=target, metric="skill")["value"] == 0
    mse = one(rows, run=BASELINE, target="b", metric="mse")
    assert mse["value"] == pytest.approx(np.mean((y[:, 1] - train[:, 1].mean()) ** 2))
    assert mse["low"] < mse["value"] < mse["high"]
    assert not [row for row in rows if row["target"] == MEAN and row["metric"] == "mse"]


def test_a_better_head_is_found_on_the_same_windows(scored):
    _, own, _, pairs = scored({"good": 0.5, "bad": 0.8, "same": 0.5})
    for target in TARGETS:
        row = one(pairs, run="good", other="bad", target=target)
        assert row["difference"] == pytest.approx(row["value"] - row["other_value"])
        assert 0 < row["low"] < row["difference"] < row["high"]
        assert row["p"] == pytest.approx(2 / 61)
        assert row["q"] == pytest.approx(2 / 61)
    mean = one(pairs, run="good", other="bad", target=MEAN)
    assert mean["difference"] == pytest.approx(
        np.mean([one(pairs, run="good", other="bad", target=t)["difference"] for t in TARGETS])
    )
    assert mean["q"] is None
    assert one(pairs, run="good", other="same", target=MEAN)["p"] > 0.05
    # Pairing matters: the interval of the difference is that of differences, not of two intervals.
    one_run, other = (own.tracks[run]["pearson"].draws.mean(0)[:, 0] for run in ("good", "bad"))
    row = one(pairs, run="good", other="bad", target="a")
    np.testing.assert_allclose([row["low"], row["high"]], np.quantile(one_run - other, [0.05, 0.95]))


def test_p_values_and_their_adjustment():
    assert intervals.two_sided(np.array([1.0, 2, 3, -1])) == pytest.approx(2 * 2 / 5)
    assert intervals.two_sided(np.zeros(9)) == 1
    assert intervals.two_sided(np.array([np.nan])) is None
    p = np.array([0.01, np.nan, 0.04, 0.03, 0.9])
    wanted = stats.false_discovery_control(p[~np.isnan(p)])
    np.testing.assert_allclose(intervals.benjamini_hochberg(p)[[0, 2, 3, 4]], wanted)
    assert np.isnan(intervals.benjamini_hochberg(p)[1])


def test_constant_predictions_have_no_correlation_and_the_others_count(scored):
    def change(found):
        for split in found:
            found[split][2]["bad"][0][:, 0] = 0.1
            found[split][2]["bad"][:, :, 1] = 1 / 3

    _, _, rows, pairs = scored(change=change)
    assert one(rows, run="bad", target="a", metric="pearson", trial=0)["value"] is None
    row = one(rows, run="bad", target="a", metric="pearson", trials=1)
    assert row["value"] == one(rows, run="bad", target="a", metric="pearson", trial=1)["value"]
    for metric in ("pearson", "spearman"):
        row = one(rows, run="bad", target="b", metric=metric, trials=0)
        assert (row["value"], row["low"], row["high"]) == (None, None, None)
    assert one(rows, run="bad", target=MEAN, metric="pearson", trials=2)["n"] == 2
    assert one(rows, run="bad", target="b", metric="mse", trials=2)["value"] > 0
    row = one(pairs, target="b")
    assert (row["difference"], row["p"], row["q"], row["low"]) == (None, None, None, None)
    assert one(pairs, target=MEAN)["n"] == 2


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_predictions_that_are_no_numbers_have_no_scores(scored, value):
    def change(found):
        found["test"][2]["bad"][:, 3, 0] = value

    _, _, rows, _ = scored(change=change)
    for metric in ("pearson", "spearman", "mse", "skill"):
        assert one(rows, run="bad", target="a", metric=metric, trials=0)["value"] is None
        assert one(rows, run="bad", target="b", metric=metric, trials=2)["value"] is not None


def test_labels_that_are_all_missing_or_alike(scored):
    def change(found):
        found["test"][1][:, 0] = np.nan
        found["test"][1][:, 1] = 4.2

    _, _, rows, _ = scored(change=change)
    for target in "ab":
        assert one(rows, run="good", target=target, metric="pearson", trials=0)["value"] is None
    assert one(rows, run="good", target="a", metric="mse", trials=0)["n"] == 0
    assert one(rows, run="good", target="b", metric="mse", trials=2)["value"] > 0


def test_the_same_seed_gives_the_same_rows_whatever_the_other_runs(tmp_path, rng):
    found = made(rng, NOISE)
    rows = []
    for run in (["good"], ["good", "bad"]):
        some = {split: (ids, y, {name: p[name] for name in run}) for split, (ids, y, p) in found.items()}
        read = read_predictions(write(tmp_path, some))
        own = score_split("task", "test", read, np.zeros(3), HOW)
        rows.append([row for row in score_rows("task", "test", own, read, HOW) if row["run"] == "good"])
    assert rows[0] == rows[1]


def test_areas_of_resamples_are_those_of_scikit_learn(rng):
    n, blocks = 200, 12
    block = rng.integers(blocks, size=n)
    block[:blocks] = np.arange(blocks)
    positive = rng.random(n) < 0.3
    scores = np.stack([positive + rng.normal(size=n), np.round(positive + rng.normal(size=n))])
    counts = intervals.draw_blocks(rng, blocks, 40)
    found = intervals.areas(positive, scores, block, counts)
    for resample, weights in enumerate(counts):
        for row, score in enumerate(scores):
            wanted = sk.roc_auc_score(positive, score, sample_weight=weights[block])
            assert found[row, resample] == pytest.approx(wanted, rel=1e-12)
    assert roc.area(positive, scores[0]) == sk.roc_auc_score(positive, scores[0])
    assert np.isnan(roc.area(np.ones(3, bool), np.arange(3.0)))
    alone = intervals.areas(np.arange(n) < 1, scores, block, np.eye(blocks)[1:2])
    assert np.isnan(alone).all()


def test_thinned_curves_have_the_area_of_the_whole(rng):
    positive = rng.random(20_000) < 0.4
    score = positive + rng.normal(size=20_000)
    fpr, tpr = roc.curve(positive, score)
    assert len(fpr) <= 202
    assert (fpr[0], tpr[0], fpr[-1], tpr[-1]) == (0, 0, 1, 1)
    assert (np.diff(fpr) >= 0).all()
    assert (np.diff(tpr) >= 0).all()
    assert sk.auc(fpr, tpr) == pytest.approx(sk.roc_auc_score(positive, score), abs=2e-4)


BED = """{0}1\t0\t150\tT1LAD0
{0}1\t1800\t1950\tT2LAD0
{0}1\t1900\t2000\tT1LAD1
{0}2\t5000\t9000\tT2LAD1
{0}Y\t1\t9\tT1LAD2
"""


@pytest.mark.parametrize("prefix", ["chr", ""])
def test_domains_are_brought_to_the_windows_names(tmp_path, rng, prefix):
    """A window is positive by its target region alone, and windows of a contig without any domain have no answer."""
    (tmp_path / "d.bed").write_text(BED.format(prefix))
    found = read_predictions(write(tmp_path, made(rng, NOISE)))
    domains = read_domains(tmp_path / "d.bed", [], ["chr1", "chr2", "chr10"])
    assert (domains.rows, domains.off_contigs) == (5, 1)
    own = in_domains(found, "test", domains, "b", 0.0, CROP)
    spans = {"chr1": [(0, 150), (1800, 2000)], "chr2": [(5000, 9000)]}
    for row, place in enumerate(places()):
        chrom, start = place.split(":")[0], int(place.split(":")[1].split("-")[0])
        first, last = start + CROP, start + LENGTH - CROP
        hit = any(low < last and first < high for low, high in spans.get(chrom, ()))
        assert own.known[row] == (chrom != "chr10")
        assert own.positive[row] == hit
    assert own.left_out == {"no domain on the contig": 40, "label not measured": 0}
    # The right track is scored.
    np.testing.assert_array_equal(own.scores[LABELS][0], found.splits["test"].labels[:, 1])
    np.testing.assert_array_equal(own.scores["bad"], found.runs["bad"]["test"][:, :, 1])


def test_domains_by_name_and_by_how_much_is_covered(tmp_path):
    (tmp_path / "d.bed").write_text(BED.format("chr"))
    domains = read_domains(tmp_path / "d.bed", ["T1LAD*"], ["chr1", "chr2"])
    assert (domains.rows, sorted(domains.stretches)) == (3, ["chr1"])
    part = domains.covered(
        np.array(["chr1"] * 3 + ["chr2"]), np.array([0, 100, 1850, 0]), np.array([200, 300, 2050, 9])
    )
    np.testing.assert_allclose(part, [0.75, 0.25, 0.5, np.nan])


def test_coverage_of_random_domains_is_that_of_bases(tmp_path, rng):
    covered = np.zeros(5000, bool)
    rows = []
    for _ in range(60):
        start, length = rng.integers(4000), rng.integers(1, 90)
        covered[start : start + length] = True
        rows.append(f"chr1\t{start}\t{start + length}\n")
    (tmp_path / "d.bed").write_text("".join(rows))
    domains = read_domains(tmp_path / "d.bed", [], ["chr1"])
    start = rng.integers(4400, size=300)
    end = start + rng.integers(1, 500, size=300)
    wanted = [covered[low:high].mean() for low, high in zip(start, end, strict=True)]
    np.testing.assert_allclose(domains.covered(np.full(300, "chr1"), start, end), wanted)


def test_differences_are_scaled_by_each_ones_own_training_split(tmp_path, rng):
    """Predictions of half the spread and another mean than the labels would otherwise be of one class."""
    found = made(rng, {"good": 0.2})
    for split in found:
        found[split][2]["good"][:, :, 1] = found[split][2]["good"][:, :, 1] * 0.1 + 500
    found["test"][1][:6, 0] = np.nan
    found["train"][1][:5, 1] = np.nan
    read = read_predictions(write(tmp_path, found))
    own = different(read, "test", "a", "b", 0.0, True)
    y = {split: read.splits[split].labels for split in read.splits}
    z = [(y["test"][:, c] - np.nanmean(y["train"][:, c])) / np.nanstd(y["train"][:, c]) for c in (0, 1)]
    assert own.left_out == {"label not measured": 6}
    assert not own.known[:6].any()
    np.testing.assert_array_equal(own.positive[6:], (z[0] - z[1])[6:] > 0)
    p = {split: read.runs["good"][split][1] for split in read.splits}
    there = ~np.isnan(y["train"])
    z = [(p["test"][:, c] - p["train"][there[:, c], c].mean()) / p["train"][there[:, c], c].std() for c in (0, 1)]
    np.testing.assert_allclose(own.scores["good"][1], z[0] - z[1])
    rows, points = area_rows("task", {"set": "test"}, own, read.splits["test"], read.trials, HOW)
    # The labels are the answer; they have no curve of their own.
    assert {row["run"] for row in rows} == {"good"}
    row = one(rows, trials=2)
    assert row["auroc"] > 0.9
    assert row["low"] < row["auroc"] < row["high"]
    assert (row["positives"] + row["negatives"], row["left_out"], row["why"]) == (114, 6, "label not measured: 6")
    trial = one(rows, trial=1)["auroc"]
    assert trial == sk.roc_auc_score(own.positive[6:], own.scores["good"][1][6:])
    fpr, tpr = ([point[key] for point in points if point["trial"] == 1] for key in ("fpr", "tpr"))
    assert sk.auc(fpr, tpr) == pytest.approx(trial, abs=0.02)


def test_a_difference_without_scaling_has_the_labels_units(tmp_path, rng):
    read = read_predictions(write(tmp_path, made(rng, NOISE)))
    own = different(read, "valid", "b", "a", 15.0, False)
    y = read.splits["valid"].labels
    np.testing.assert_array_equal(own.positive, y[:, 1] - y[:, 0] > 15)
    np.testing.assert_array_equal(
        own.scores["good"][0], read.runs["good"]["valid"][0, :, 1] - read.runs["good"]["valid"][0, :, 0]
    )


def test_constant_predictions_have_no_area_when_they_are_scaled(tmp_path, rng):
    found = made(rng, NOISE)
    for split in found:
        found[split][2]["bad"][0][:, 0] = 3.0
    read = read_predictions(write(tmp_path, found))
    rows, points = area_rows(
        "task", {"set": "test"}, different(read, "test", "a", "b", 0.0, True), read.splits["test"], read.trials, HOW
    )
    assert one(rows, run="bad", trial=0)["auroc"] is None
    row = one(rows, run="bad", trials=1)
    assert row["auroc"] == one(rows, run="bad", trial=1)["auroc"]
    assert not [point for point in points if (point["run"], point["trial"]) == ("bad", 0)]


def test_one_class_has_no_area(tmp_path, rng):
    (tmp_path / "d.bed").write_text("".join(f"{chrom}\t0\t99999\n" for chrom in ("chr1", "chr2", "chr10")))
    read = read_predictions(write(tmp_path, made(rng, NOISE)))
    spec = {"all": {"bed": tmp_path / "d.bed", "names": [], "track": "a", "above": 0.0}}
    for about, classes in questions(read, spec, {}, CROP, logging.getLogger("test")):
        rows, points = area_rows("task", about, classes, read.splits[about["set"]], read.trials, HOW)
        assert {row["auroc"] for row in rows} == {None}
        assert points == []
        assert {row["positives"] for row in rows} == {120}


def test_densities_count_every_window(tmp_path, rng):
    found = made(rng, NOISE)
    found["test"][1][:7, 0] = np.nan
    found["test"][2]["bad"][0][20, 0] = np.nan
    found["test"][2]["good"][0][30, 0] = 1e6
    read = read_predictions(write(tmp_path, found))
    rows = list(density_rows("task", "test", read, dict.fromkeys(TARGETS, (2.0, "mm"))))
    for run in NOISE:
        for target, n in (("a", 113), ("b", 120)):
            own = [row for row in rows if (row["run"], row["target"]) == (run, target)]
            assert sum(row["count"] for row in own) == n
            assert {row["unit"] for row in own} == {"mm"}
    beyond = [row for row in rows if "label_bin" not in row and row["target"] == "a"]
    assert all(row["count"] >= 1 for row in beyond)
    row = next(
        row for row in rows if row.get("count") and "label_bin" in row and (row["run"], row["target"]) == ("good", "b")
    )
    y, p = read.splits["test"].labels[:, 1] / 2, read.runs["good"]["test"][0, :, 1] / 2
    edges = np.linspace(row["low"], row["high"], row["bins"] + 1)
    inside = [(low <= v) & (v < high) for v, bin in ((y, row["label_bin"]), (p, row["prediction_bin"]))
        for low, high in [list(pairwise(edges))[bin]]]  # fmt: skip
    assert row["count"] == (inside[0] & inside[1]).sum()


def test_units_are_those_of_the_first_pattern_that_fits():
    units = {"LMNB1_HEK293": {"divide_by": 500, "unit": "A"}, "LMNB1_*": {"divide_by": 128, "unit": "B"}}
    known = {"CpG": "C"}
    found = [unit_of(name, units, known) for name in ("LMNB1_HEK293", "LMNB1_Liver", "CpG", "x")]
    assert found == [(500, "A"), (128, "B"), (1, "C"), (1, "")]


def test_overlapping_windows_are_averaged_along_a_chromosome(tmp_path, rng):
    """By the base: the mean over the windows whose target region has it, but for those that were not measured."""
    ids = places(("chr1",), 12, 400)
    found = made(rng, NOISE, ids=ids)
    found["train"][1][4, 0] = np.nan
    read = read_predictions(write(tmp_path, found))
    rows = list(profile_rows("task", "chr1", ["a"], read, dict.fromkeys(TARGETS, (2.0, "mm")), CROP))
    for run, values in ((LABELS, read.splits["train"].labels[:, 0]), ("bad", read.runs["bad"]["train"][0, :, 0])):
        sums, number = np.zeros(6000), np.zeros(6000)
        for row, value in enumerate(values):
            if not np.isnan(value):
                sums[row * 400 + CROP : row * 400 + LENGTH - CROP] += value / 2
                number[row * 400 + CROP : row * 400 + LENGTH - CROP] += 1
        drawn, over = np.full(6000, np.nan), np.zeros(6000)
        for row in rows:
            if row["run"] == run and row["set"] == "train":
                assert np.isnan(drawn[row["start"] : row["end"]]).all()
                drawn[row["start"] : row["end"]] = row["value"]
                over[row["start"] : row["end"]] = row["windows"]
        np.testing.assert_array_equal(over, number)
        np.testing.assert_allclose(drawn, np.where(number > 0, sums / np.maximum(number, 1), np.nan))
    assert {row["trial"] for row in rows if row["run"] == LABELS} == {None}


def test_the_composition_of_a_chromosome_is_that_of_its_bases():
    own = {"train": windows(["chr1"] * 3 + ["chr2"], [0, 400, 2000, 0]), "test": windows(["chr1"], [3200])}
    rows = list(composition_rows("task", "chr1", own, CROP, {"chr1": 4000, "chr2": 1000}))
    bases = np.full(4000, NOWHERE, object)
    for split, starts in (("train", (0, 400, 2000)), ("test", (3200,))):
        for start in starts:
            bases[start + CROP : min(start + LENGTH - CROP, 4000)] = split
    for split in ("train", "test", NOWHERE):
        part = sum(row["fraction"] for row in rows if row["set"] == split)
        assert part == pytest.approx((bases == split).mean())
        for row in (row for row in rows if row["set"] == split):
            assert (bases[row["start"] : row["end"]] == split).all()
    assert most_tested(own) == "chr1"
    assert most_tested({"train": windows(["chr10", "chr2"], [0, 0])}) == "chr2"


def _safetensors(path, shapes):
    header = {"__metadata__": {"model": "x"}, **{n: {"dtype": "F32", "shape": s} for n, s in shapes.items()}}
    text = json.dumps(header).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(text)) + text)


def run_folder(folder, name, trials=2):
    for trial in range(trials):
        shapes = {"conv.weight": [3, 4, 5], "norm.running_mean": [99], "bias": [3], "scale": []}
        _safetensors(folder / name / f"trial-{trial}/best.safetensors", shapes)
        (folder / name / f"trial-{trial}/model.json").write_text(json.dumps({"model": {"name": "linear-probe"}}))
    return folder / name


def test_parameters_are_counted_without_running_statistics(tmp_path):
    (row,) = head_rows("task", [run_folder(tmp_path, "probe")])
    assert row == {"task": "task", "run": "probe", "model": "linear-probe", "trials": 2, "parameters": 64}


def test_parameters_are_those_that_safetensors_reads(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    arrays = {"a": np.zeros((3, 7), np.float32), "b": np.zeros(5, np.float32)}
    folder = run_folder(tmp_path, "probe", 1)
    safetensors.save_file(arrays, folder / "trial-0/best.safetensors")
    assert head_rows("task", [folder])[0]["parameters"] == 26


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "probe/trial-0/best.safetensors").write_bytes(b"\x10"), "no whole safetensors file"),
        (lambda f: (f / "probe/trial-0/best.safetensors").unlink(), "no whole safetensors file"),
        (lambda f: (f / "probe/trial-0/model.json").write_text("{"), "model.json: it cannot be read"),
    ],
)
def test_broken_checkpoints_are_named(tmp_path, spoil, message):
    folder = run_folder(tmp_path, "probe", 1)
    spoil(tmp_path)
    with pytest.raises(CisflowError, match=message):
        head_rows("task", [folder])
    with pytest.raises(CisflowError, match="there are no checkpoints"):
        head_rows("task", [tmp_path / "none"])


def _drop(name):
    return lambda table: table.drop(name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_drop("id"), "there is no column id; there are trial, set, y.a"),
        (_drop("p.b"), r"there is no prediction \(column p.\) of b"),
        (lambda t: t.drop([c for c in t.columns if c[1] == "."]), "of any target"),
        (lambda t: t.clear(), "it has no rows"),
        (lambda t: t.rename({"y.a": "y.x", "p.a": "p.x"}), "it has other targets than .*bad.parquet"),
        (lambda t: t.with_columns(pl.col("y.a") + 1), "trial 0 has other windows or labels in the split 'train'"),
        (lambda t: t.sort("id"), "has other windows or labels in the split"),
        (lambda t: t.filter(pl.col("set") != "valid"), "there is no split 'valid'"),
        (lambda t: t.filter((pl.col("set") != "test") | (pl.col("trial") == 0)), "not all trials have the split"),
    ],
)  # fmt: skip
def test_predictions_that_do_not_belong_together(tmp_path, rng, change, message):
    paths = write(tmp_path, made(rng, {"bad": 1.0, "good": 0.2}))
    change(pl.read_parquet(paths[1])).write_parquet(paths[1])
    with pytest.raises(CisflowError, match=message):
        read_predictions(paths)


def test_predictions_that_cannot_be_read(tmp_path, rng):
    with pytest.raises(CisflowError, match="there is no such file; the rule 'evaluate' makes it"):
        read_predictions([tmp_path / "none.parquet"])
    (tmp_path / "text.parquet").write_text("PAR1 no")
    with pytest.raises(CisflowError, match="cannot be read as Parquet"):
        read_predictions([tmp_path / "text.parquet"])
    paths = write(tmp_path, made(rng, NOISE, ids=["seq-1", *places()[1:]]))
    with pytest.raises(CisflowError, match=r"the id 'seq-1' is no place as chr1:1000-2000 \(1 such rows\)"):
        read_predictions(paths)
    with pytest.raises(CisflowError, match="there are no predictions"):
        read_predictions([])


def test_data_sets_and_indices_that_do_not_fit(tmp_path, rng):
    write(tmp_path, made(rng, NOISE))
    with pytest.raises(CisflowError, match="it has other targets than the predictions"):
        training_means(tmp_path / "dataset.h5", ["a"])
    assert sorted(dataset_windows(tmp_path / "dataset.h5")) == ["test", "train", "valid"]
    (tmp_path / "g.fai").write_text("chr1\t300\t0\t60\t61\nchr2\n")
    with pytest.raises(CisflowError, match="it is no index of a genome"):
        contig_sizes(tmp_path / "g.fai")
    with pytest.raises(CisflowError, match="the window chr1:0-1000 has no target region: 500 bases are cropped"):
        target_windows(windows(["chr1"], [0]), 500)


@pytest.mark.parametrize(
    ("text", "names", "message"),
    [
        ("chr7\t1\t9\tx\n", [], "none of its contigs .chr7. is in the windows"),
        ("chr1\t1\t9\tx\n2\t1\t9\tx\n", [], "its contigs are named in two ways"),
        ("chr1\t1\t9\tT1LAD0\n", ["T2*"], r"no domain has a name \(column 4\) like T2\*; there are T1LAD0"),
        ("chr1\t1\t9\n", ["T2*"], "it has 3 columns, and the name is read from column 4"),
        ("chr1\t9\t1\n", [], "line 1"),
        ("", [], "d.bed"),
    ],
)
def test_files_of_domains_that_are_refused(tmp_path, text, names, message):
    (tmp_path / "d.bed").write_text(text)
    with pytest.raises(CisflowError, match=message):
        read_domains(tmp_path / "d.bed", names, ["chr1", "chr2"])


def _script(root, name, *flags):
    done = subprocess.run(
        [sys.executable, root / f"workflow/scripts/evaluation/{name}.py", *map(str, flags)], cwd=root,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_the_scripts_write_the_tables(root, tmp_path, rng):
    found = made(rng, NOISE)
    found["test"][1][:9, 0] = np.nan
    write(tmp_path, found)
    runs = [run_folder(tmp_path / "runs", run) for run in NOISE]
    boot = json.dumps({"resamples": 40, "block": 4000, "level": 0.95})
    common = ["--task", "t", "--predictions", tmp_path / "predictions"]
    said = _script(
        root, "compare", *common, "--dataset", tmp_path / "dataset.h5", "--runs", *runs, "--bootstrap", boot, "--heads",
        tmp_path / "heads.tsv", "--scores", tmp_path / "scores.tsv", "--comparison", tmp_path / "comparison.tsv",
        "--provenance", tmp_path / "p.json",
    )  # fmt: skip
    assert "t test: 120 windows in 27 blocks of 4000 bases" in said
    assert "pearson: 12 values are not defined" in said
    assert read_tsv(tmp_path / "heads.tsv", HEADS).select("run", "resamples").rows() == [("good", 40), ("bad", 40)]
    scores = read_tsv(tmp_path / "scores.tsv", HEAD_SCORES)
    assert (
        scores.filter(pl.col("target") == "a", pl.col("set") == "test", pl.col("metric") == "mse")["n"].to_list()
        == [111] * 7
    )
    assert set(read_tsv(tmp_path / "comparison.tsv", HEAD_COMPARISON)["target"]) == {*TARGETS, MEAN}
    (tmp_path / "d.bed").write_text(BED.format(""))
    domains = {"lad": {"bed": str(tmp_path / "d.bed"), "names": ["T1*"], "track": "b", "above": 0}}
    differences = {"ab": {"track": "a", "minus": "b", "threshold": 0, "zscore": True}}
    said = _script(
        root, "domains", *common, "--runs", *NOISE, "--crop", CROP, "--domains", json.dumps(domains), "--differences",
        json.dumps(differences), "--bootstrap", boot, "--areas", tmp_path / "domains.tsv", "--curves",
        tmp_path / "roc.tsv", "--provenance", tmp_path / "q.json",
    )  # fmt: skip
    assert "lad: 3 domains, 1 of them on contigs without windows" in said
    assert "left out: no domain on the contig: 80" in said
    areas = read_tsv(tmp_path / "domains.tsv", HEAD_DOMAINS)
    assert areas.filter(pl.col("name") == "ab", pl.col("set") == "test")["left_out"].unique().to_list() == [9]
    assert set(read_tsv(tmp_path / "roc.tsv", HEAD_ROC)["name"]) == {"lad", "ab"}
    assert str(tmp_path / "d.bed") in json.loads((tmp_path / "q.json").read_text())["inputs"]


@pytest.mark.real_data
def test_lamina_domains_of_the_original(real_data):
    """Any overlap with the target region, against an explicit loop over some windows."""
    folder = real_data / "cs282a"
    bed = pl.read_csv(folder / "sequences.bed", separator="\t", has_header=False, new_columns=["c", "s", "e", "split"])
    contigs = sorted(set(bed["c"]))
    for cell, rows in (("GSM5669183_CardiacMyocytes", 3404), ("GSM5669232_Liver", 6142)):
        path = folder / f"{cell}_LADs.sorted.bed.gz"
        domains = read_domains(path, [], contigs)
        assert domains.rows == rows
        every = pl.read_csv(path, separator="\t", has_header=False).rows()
        some = bed[::400]
        start, end = some["s"].to_numpy() + 8192, some["e"].to_numpy() - 8192
        part = domains.covered(some["c"].to_numpy().astype(str), start, end)
        for row, (chrom, low, high) in enumerate(zip(some["c"], start, end, strict=True)):
            assert (part[row] > 0) == any(d[0] == chrom and d[1] < high and low < d[2] for d in every)
