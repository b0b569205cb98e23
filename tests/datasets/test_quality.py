"""The quality of a data set: the same numbers as NumPy's on arrays that fit into memory."""

import numpy as np
import polars as pl
import pytest

from cisflow.datasets import quality
from cisflow.datasets.quality import COMPARED, LEVELS, write_quality
from cisflow.datasets.sketch import Sketch, histogram, histogram_edges
from cisflow.datasets.store import SPLITS, Split, write_dataset
from cisflow.sequence import gc_content, reverse_complement
from cisflow.tables import DATASET_DISTRIBUTIONS, DATASET_QUALITY, read_tsv


def splits_of(labels, mask=lambda rng, shape: None, length=30, rows=(40, 15, 9)):
    """Return splits with these labels, unknown bases, and a row without any known base."""
    rng, splits = np.random.default_rng(5), {}
    for name, count in zip(SPLITS, rows, strict=True):
        x = rng.choice(5, (count, length), p=[0.3, 0.2, 0.2, 0.25, 0.05]).astype(np.uint8)
        x[3] = 4
        y = labels(rng, count).astype(np.float32)
        ids = np.arange(count).astype("S4")
        splits[name] = Split(x, y, ids, mask(rng, y.shape))
    return splits


def tables(folder, splits, targets, kind):
    write_dataset(folder / "dataset.h5", splits, targets, kind)
    write_quality(folder / "quality.tsv", folder / "distributions.tsv", folder / "dataset.h5")
    return (
        read_tsv(folder / "quality.tsv", DATASET_QUALITY),
        read_tsv(folder / "distributions.tsv", DATASET_DISTRIBUTIONS),
    )


def half(rng, shape):
    return rng.random(shape) < 0.5


def binary(targets):
    return lambda rng, count: rng.random((count, targets)) < 0.2


def signal(*shape):
    return lambda rng, count: np.maximum(rng.gamma(0.5, 3, (count, *shape)) - 0.3, 0)


def rounded(values):
    """Round to eight significant bits by another way: the spacing of the numbers with seven digits after the first."""
    values = np.asarray(values, np.float64)
    step = np.exp2(np.floor(np.log2(np.maximum(np.abs(values), 1e-300))) - 7)
    return np.where(values == 0, 0, np.round(values / step) * step)


@pytest.mark.parametrize("values", [[0.0], [-2.5], [3, 3, 3], [0, 0.1, 7], [-3, -0.0, 0.0, 1e-12, 5e20], "many"])
def test_quantiles_and_histograms_are_those_of_the_rounded_values(values):
    values = np.random.default_rng(0).normal(size=3000) * 50 if values == "many" else np.array(values)
    values = values.astype(np.float32)
    counts = Sketch.counts(1)
    for part in np.array_split(values, 7):
        Sketch.add(counts[0], part)
    sketch, expected = Sketch.of(counts[0]), rounded(values)
    assert sketch.quantiles(LEVELS) == np.quantile(expected, LEVELS, method="inverted_cdf").tolist()
    edges = histogram_edges([sketch])
    bins = histogram(sketch, edges)
    assert sum(count for *_, count in bins) == len(values)
    if len(edges) > 1:
        inside = expected[expected >= edges[0]]
        assert [count for *_, count in bins[-len(edges) + 1 :]] == np.histogram(inside, edges)[0].tolist()


def test_whole_numbers_to_256_and_halves_are_not_rounded():
    values = np.concatenate([np.arange(-256, -128), np.arange(-128, 128, 0.5), np.arange(128, 257)]).astype(np.float32)
    counts = Sketch.counts(1)
    Sketch.add(counts[0], values)
    assert Sketch.of(counts[0]).values.tolist() == values.tolist()


def test_logarithmic_bins_keep_zeros_apart_and_lose_nothing_below_them():
    counts = Sketch.counts(1)
    Sketch.add(counts[0], np.array([0, 0, 1e-9, 1, 100], np.float32))
    sketch = Sketch.of(counts[0])
    bins = histogram(sketch, histogram_edges([sketch]))
    assert bins[0] == (0, 0, 2)
    assert bins[1] == (0, pytest.approx(1e-4), 1)
    starts, ends = np.array(bins[2:])[:, 0], np.array(bins[2:])[:, 1]
    assert ends / starts == pytest.approx(np.full(40, 10 ** (6 / 40)))


@pytest.mark.parametrize("block", [1 << 24, 200])
def test_rows_gc_and_unknown_bases_by_class(tmp_path, monkeypatch, block):
    monkeypatch.setattr(quality, "BLOCK_BYTES", block)
    splits = splits_of(binary(1), half)
    # Of training, once as it is and twice as the other strand; a sequence without a known base is not counted.
    splits["valid"].x[0] = splits["train"].x[1]
    splits["test"].x[4:6] = reverse_complement(splits["train"].x[7])
    in_train = {"valid": {"all sequences_in_train": 1}, "test": {"all sequences_in_train": 2}}
    scalars, found = tables(tmp_path, splits, ["bound"], "binary")
    for name, split in splits.items():
        own = found.filter(pl.col("split") == name)
        y, mask, gc = split.y[:, 0], split.mask[:, 0], gc_content(split.x)
        for group, rows in (("positive", mask & (y == 1)), ("negative", mask & (y == 0)), ("unmeasured", ~mask)):
            of_class = own.filter(pl.col("class") == group)
            assert of_class.filter(part="rows")["value"].to_list() == [rows.sum()]
            expected = np.histogram(gc[rows & np.isfinite(gc)] + 1e-9, 20, (0, 1 + 2e-9))[0]
            assert of_class.filter(part="gc")["value"].to_list() == expected.tolist()
        unknown = np.quantile((split.x == 4).sum(axis=1), LEVELS, method="inverted_cdf")
        assert own.filter(part="unknown")["value"].to_list() == unknown.tolist()
        fraction = own.filter(part="fraction").row(0, named=True)
        assert (fraction["target"], fraction["n"], fraction["value"]) == ("bound", mask.sum(), y[mask].mean())
        single = dict(scalars.filter(split=name).select(pl.format("{} {}", "target", "quantity"), "value").iter_rows())
        assert single == in_train.get(name, {}) | {
            "all sequences": len(y), "all dropped_sequences": 0, "all gc_content": pytest.approx(np.nanmean(gc)),
            "all unknown_bases": (split.x == 4).sum(), "all unmeasured_labels": (~mask).sum(),
            "all without_known_base": (split.x == 4).all(1).sum(), "all labels_not_finite": 0,
            "bound positives": y[mask].sum(),
            "bound masked_fraction": pytest.approx((~mask).mean()),
        }  # fmt: skip
    assert set(found["part"]) == {"targets", "rows", "gc", "unknown", "fraction"}


def test_positive_labels_a_row_of_several_targets(tmp_path):
    splits = splits_of(binary(6))
    _, found = tables(tmp_path, splits, list("abcdef"), "binary")
    for name, split in splits.items():
        own = found.filter(split=name)
        number, rows = np.unique(split.y.sum(axis=1), return_counts=True)
        positives = own.filter(part="positives")
        assert positives["start"].to_list() == number.tolist()
        assert positives["value"].to_list() == rows.tolist()
        of_class = own.filter(part="rows")
        assert dict(of_class.select("class", "value").iter_rows()) == {
            "any positive": len(split.y) - (rows[0] if number[0] == 0 else 0),
            "no positive": rows[0] if number[0] == 0 else 0,
        }
        assert own.filter(part="fraction")["value"].to_list() == pytest.approx(split.y.mean(axis=0).tolist())


@pytest.mark.parametrize("shape", [(3,), (7, 3)], ids=["one label", "bins"])
@pytest.mark.parametrize("masked", [False, True], ids=["all measured", "masked"])
@pytest.mark.parametrize("block", [1 << 24, 500])
def test_real_labels_with_and_without_bins_and_mask(tmp_path, monkeypatch, shape, masked, block):
    monkeypatch.setattr(quality, "BLOCK_BYTES", block)
    splits = splits_of(signal(*shape), half if masked else lambda rng, shape: None)
    scalars, found = tables(tmp_path, splits, ["a", "b", "c"], "real")
    whole = []
    for name, split in splits.items():
        y = np.where(np.ones_like(split.y, bool) if split.mask is None else split.mask, split.y, np.nan).reshape(-1, 3)
        whole.append(y)
        for number, target in enumerate("abc"):
            values, own = y[:, number][np.isfinite(y[:, number])], found.filter(split=name, target=target)
            quantiles = np.quantile(rounded(values), LEVELS, method="inverted_cdf")
            assert own.filter(part="quantile")["value"].to_list() == quantiles.tolist()
            assert own.filter(part="histogram")["value"].sum() == len(values)
            assert own.filter(part="histogram", end=0)["value"].sum() == (values == 0).sum()
            single = scalars.filter(split=name, target=target)
            wanted = [float(values.mean(dtype=np.float64)), np.isnan(y[:, number]).mean()]
            assert single["quantity"].to_list() == ["mean", "masked_fraction"]
            assert single["value"].to_list() == pytest.approx(wanted)
    check_correlations(found, np.concatenate(whole), "abc")


def check_correlations(found, y, names):
    """Hold them against NumPy's, over the rows where both are measured; six digits are written."""
    pairs = found.filter(part="correlation")
    assert len(pairs) == len(names) * (len(names) - 1) // 2
    for row in pairs.iter_rows(named=True):
        both = y[:, [names.index(row["target"]), names.index(row["other"])]].astype(np.float64)
        both = both[np.isfinite(both).all(axis=1)]
        assert row["n"] == len(both)
        assert row["value"] == pytest.approx(np.corrcoef(both.T)[0, 1], abs=1e-6)


def test_correlations_of_a_small_spread_far_from_zero(tmp_path):
    def labels(rng, count):
        return 1e4 + rng.normal(size=(count, 2)) @ [[1, 0.8], [0, 0.6]]

    splits = splits_of(labels, half)
    _, found = tables(tmp_path, splits, ["a", "b"], "real")
    y = np.concatenate([np.where(split.mask, split.y, np.nan) for split in splits.values()])
    check_correlations(found, y, "ab")


def test_what_is_not_defined_is_empty(tmp_path):
    def labels(rng, count):
        y = rng.normal(size=(count, 3))
        y[:, 1] = 0.1
        return y

    def mask(rng, shape):
        return np.broadcast_to([True, True, False], shape)

    scalars, found = tables(tmp_path, splits_of(labels, mask), ["a", "constant", "never"], "real")
    assert found.filter(part="correlation")["value"].to_list() == [None] * 3
    assert found.filter(part="quantile", target="never")["value"].is_null().all()
    assert found.filter(part="histogram", target="never")["value"].sum() == 0
    assert scalars.filter(target="never", quantity="masked_fraction")["value"].to_list() == [1.0] * 3
    assert scalars.filter(target="never", quantity="mean")["value"].is_null().all()


def test_labels_that_are_no_numbers_are_counted_and_left_out(tmp_path):
    def labels(rng, count):
        y = np.ones((count, 2))
        y[0] = np.nan
        y[1, 1] = np.inf
        return y

    scalars, _ = tables(tmp_path, splits_of(labels), ["a", "b"], "real")
    assert scalars.filter(quantity="labels_not_finite")["value"].to_list() == [3] * 3
    assert scalars.filter(quantity="mean")["value"].to_list() == [1] * 6


def test_of_many_targets_some_are_compared_and_the_table_says_so(tmp_path):
    names = [f"t{number}" for number in range(300)]
    scalars, found = tables(tmp_path, splits_of(binary(300)), names, "binary")
    assert dict(found.filter(part="targets").select("name", "value").iter_rows()) == {"all": 300, "compared": COMPARED}
    assert len(found.filter(part="correlation")) == COMPARED * (COMPARED - 1) // 2
    assert {"t0", "t299"} <= set(
        found.filter(part="correlation").select(pl.concat_list("target", "other")).to_series().explode()
    )
    assert len(scalars.filter(quantity="positives")) == 3 * 300


def test_the_same_data_set_has_the_same_tables(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        tables(tmp_path / name, splits_of(signal(5, 4), half), list("abcd"), "real")
    for table in ("quality.tsv", "distributions.tsv"):
        assert (tmp_path / "a" / table).read_bytes() == (tmp_path / "b" / table).read_bytes()
