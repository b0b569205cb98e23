"""The activation table has the numbers of a plain calculation, and counts what it cannot show."""

import numpy as np
import polars as pl
import pytest
import torch

from cisflow.errors import CisflowError
from cisflow.io import write_tsv
from cisflow.models.convnet import ConvNet, one_hot
from cisflow.motifs.activations import activation_rows, before_and_after, ranks
from cisflow.tables import ACTIVATIONS, read_tsv
from cisflow.training import checkpoint

LENGTH, SEED = 60, 5


def write_trial(folder, **keys):
    """Write a checkpoint whose weights are drawn from another seed than the one that its training began with."""
    about = {
        "model": {"name": "cnn-2", "activation": "exponential", **keys},
        "length": LENGTH, "targets": ["a"], "kind": "binary", "weights": "last", "seed": SEED,
    }  # fmt: skip
    model = checkpoint.build(about)
    model.reset([SEED + 1])
    with torch.no_grad():
        if hasattr(model.layers, "norm1"):
            model.layers.norm1.running_mean.fill_(0.1)
    for name in ("best", "last"):
        checkpoint.write_weights(folder / f"{name}.safetensors", checkpoint.replicate_state(model, 0), about)
    checkpoint.write_description(folder, about)
    return model.eval()


@pytest.fixture
def sequences():
    return np.random.default_rng(0).integers(0, 4, (7, LENGTH), dtype=np.uint8)


def table_of(tmp_path, trial, x, bins=10, pairs=50):
    write_tsv(tmp_path / "table.tsv", ACTIVATIONS, activation_rows("t", trial, x, bins, pairs))
    return read_tsv(tmp_path / "table.tsv", ACTIVATIONS)


def statistics(table, weights, variable):
    own = table.filter(
        (pl.col("part") == "statistic") & (pl.col("weights") == weights) & (pl.col("variable") == variable)
    )
    return dict(own.select("name", "value").iter_rows())


def by_hand(model, x, first_norm=True, scale=1.0):
    """Convolution, normalisation and activation from their formulas."""
    layers = model.layers
    kernel = layers.conv1.weight[0]
    before = torch.nn.functional.conv1d(one_hot(torch.from_numpy(x)), kernel, padding="same")
    if first_norm:
        norm = layers.norm1
        before = (before - norm.running_mean[0, :, None]) / (norm.running_var[0, :, None] + 1e-3).sqrt()
        before = before * norm.weight[0, :, None] + norm.bias[0, :, None]
    return before.detach().numpy(), torch.exp(scale * before).detach().numpy()


@pytest.mark.parametrize("keys", [{}, {"first_norm": False}, {"first_activation_scale": 2.0}])
def test_values_before_and_after_are_those_of_the_formulas(tmp_path, sequences, keys):
    """Without normalisation the convolution itself is before the activation; a scale belongs to the activation."""
    model = write_trial(tmp_path / "run" / "trial-0", **keys)
    found = before_and_after(model, sequences)
    expected = by_hand(model, sequences, keys.get("first_norm", True), keys.get("first_activation_scale", 1.0))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other.ravel(), rtol=1e-4, atol=1e-6)


def test_the_table_has_both_networks_and_all_their_values(tmp_path, sequences):
    trained = write_trial(tmp_path / "cnn-2_exponential" / "trial-0")
    untrained = ConvNet(trained.spec, LENGTH, 1).eval()
    untrained.reset([SEED])
    table = table_of(tmp_path, tmp_path / "cnn-2_exponential" / "trial-0", sequences)
    assert set(table["run"]) == {"cnn-2_exponential"}
    for weights, model in (("untrained", untrained), ("trained", trained)):
        for variable, values in zip(("before", "after"), by_hand(model, sequences), strict=True):
            found = statistics(table, weights, variable)
            assert (found["count"], found["not_finite"]) == (7 * 32 * LENGTH, 0)
            expected = {"mean": values.mean(), "sd": values.std(), "min": values.min(), "max": values.max()}
            assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-4)
            bins = table.filter(
                (pl.col("part") == "histogram") & (pl.col("weights") == weights) & (pl.col("variable") == variable)
            )
            assert len(bins) == 10
            assert bins["value"].sum() == values.size
            assert bins["start"][1:].to_list() == bins["end"][:-1].to_list()
            assert (bins["start"][0], bins["end"][-1]) == pytest.approx((values.min(), values.max()), rel=1e-4)
        pairs = table.filter((pl.col("part") == "pair") & (pl.col("weights") == weights))
        assert 25 < len(pairs) <= 50
        np.testing.assert_allclose(pairs["after"], np.exp(pairs["before"]), rtol=1e-5)
        assert pairs["before"].is_sorted()
        ends = statistics(table, weights, "before")
        assert (pairs["before"][0], pairs["before"][-1]) == (ends["min"], ends["max"])


def test_unknown_bases_are_counted_and_said(tmp_path, sequences, caplog):
    write_trial(tmp_path / "run" / "trial-0")
    sequences[2, 10:13] = 4
    with caplog.at_level("INFO"):
        table = table_of(tmp_path, tmp_path / "run" / "trial-0", sequences)
    assert statistics(table, "trained", "sequences") == {"count": 7, "unknown_bases": 3}
    assert "3 of 420 bases are unknown: the network is given zeros there" in caplog.text


@pytest.mark.parametrize(("weight", "lost_before"), [(float("nan"), 1), (1e3, 0)])
def test_values_that_are_not_finite_are_counted_said_and_left_out(tmp_path, sequences, caplog, weight, lost_before):
    """One filter of 32 overflows, in the trained network alone: before and after the exponential, or only after."""
    trial, of_filter = tmp_path / "run" / "trial-0", 7 * LENGTH
    model = write_trial(trial)
    with torch.no_grad():
        model.layers.conv1.weight[0, 0] = weight
    about = checkpoint.read_description(trial)
    checkpoint.write_weights(trial / "last.safetensors", checkpoint.replicate_state(model, 0), about)
    table = table_of(tmp_path, trial, sequences)
    for variable, lost in (("before", lost_before * of_filter), ("after", of_filter)):
        found = statistics(table, "trained", variable)
        assert (found["count"], found["not_finite"]) == (32 * of_filter, lost)
        assert np.isfinite(found["max"])
        bins = table.filter((pl.col("weights") == "trained") & (pl.col("variable") == variable))
        assert bins.filter(pl.col("part") == "histogram")["value"].sum() == 32 * of_filter - lost
    assert statistics(table, "untrained", "after")["not_finite"] == 0
    assert f"trained: {of_filter} of {32 * of_filter} values after the activation are not finite" in caplog.text
    pairs = table.filter(pl.col("part") == "pair")
    assert pairs.select(pl.all_horizontal(pl.col("before", "after").is_finite()).all()).item()


def test_a_network_without_any_finite_value_has_no_statistics(tmp_path, sequences):
    trial = tmp_path / "run" / "trial-0"
    model = write_trial(trial)
    with torch.no_grad():
        model.layers.conv1.weight.fill_(float("nan"))
    about = checkpoint.read_description(trial)
    checkpoint.write_weights(trial / "last.safetensors", checkpoint.replicate_state(model, 0), about)
    table = table_of(tmp_path, trial, sequences)
    found = statistics(table, "trained", "after")
    assert found["not_finite"] == found["count"] > 0
    assert {found[name] for name in ("mean", "sd", "min", "max")} == {None}
    assert set(table.filter(pl.col("weights") == "trained")["part"]) == {"statistic"}


def test_what_cannot_be_read_is_refused(tmp_path, sequences):
    model = write_trial(tmp_path / "run" / "trial-0")
    with pytest.raises(CisflowError, match="activations.split: there are no sequences in this split"):
        list(activation_rows("t", tmp_path / "run" / "trial-0", sequences[:0], 10, 10))
    del model.layers.activation1
    with pytest.raises(CisflowError, match="no first activation to read; its layers are conv1, norm1, dropout1"):
        before_and_after(model, sequences)


@pytest.mark.parametrize(("values", "count"), [(0, 10), (7, 10), (10, 10), (10_000, 100), (640_000, 1000), (50, 1)])
def test_ranks_are_distinct_and_have_both_ends(values, count):
    found = ranks(values, count)
    assert len(found) == len(set(found)) <= count
    assert all(0 <= rank < values for rank in found)
    assert list(found) == sorted(found)
    if values and count > 1:
        assert (found[0], found[-1]) == (0, values - 1)
    if values > count > 1:
        assert len(found) > 0.8 * count
        # The ends are denser than the middle.
        assert found[2] <= 3
        assert np.diff(found).max() <= values / (count // 2 - 1) + 1
