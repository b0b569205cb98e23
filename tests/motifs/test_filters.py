"""Filter matrices equal a plain loop over sites, and the edge cases of the rule are what it says."""

import numpy as np
import pytest
import torch

from cisflow.errors import CisflowError
from cisflow.models.convnet import ConvNet, one_hot
from cisflow.motifs import filters
from cisflow.motifs.filters import FilterSettings, clip, filter_matrices
from cisflow.pwm import Motif, information, shuffled

LENGTH = 60


@pytest.fixture(scope="module")
def model():
    network = ConvNet({"name": "cnn-2", "activation": "exponential"}, LENGTH, 2).eval()
    network.reset([3])
    return network


@pytest.fixture(scope="module")
def sequences():
    x = np.random.default_rng(0).integers(0, 4, (700, LENGTH), dtype=np.uint8)
    x[5, 30:33] = 4
    return x


def by_loop(activation, x, settings):
    """The rule, site by site: counts of bases and unknown ones around every site."""
    half = settings.window // 2
    cutoff = settings.threshold * activation.max()
    windows = []
    for row, position in np.argwhere(activation > cutoff):
        start, end = position - half, position - half + settings.window
        if start > 0 and end < x.shape[1]:
            windows.append(np.vstack([np.eye(4), np.full(4, 0.25)])[x[row, start:end]])
    return np.mean(windows, axis=0).T, len(windows)


@pytest.mark.parametrize("window", [20, 11])
def test_matrices_equal_a_loop_over_sites(model, sequences, window, monkeypatch):
    # One batch on both sides: a rounding error at the threshold may depend on the size of the batch.
    monkeypatch.setattr(filters, "BATCH", len(sequences))
    # All positions are kept, so that whole windows are compared.
    settings = FilterSettings(window=window, threshold=0.4, clip_pad=window)
    with torch.inference_mode():
        activation = model.activations(one_hot(torch.from_numpy(sequences))).numpy()
    found = filter_matrices(model, sequences, settings)
    assert len(found) == 32
    for number, filter_ in enumerate(found):
        expected, sites = by_loop(activation[:, number], sequences, settings)
        assert filter_.sites == sites
        # Sums of single-precision counts are exact.
        np.testing.assert_allclose(filter_.ppm, expected, atol=1e-12)
        assert filter_.max_activation == pytest.approx(activation[:, number].max(), rel=1e-5)


def test_a_planted_motif_is_found(model):
    """A filter whose kernel is a motif has that motif as its matrix."""
    network = ConvNet({"name": "cnn-2", "activation": "exponential"}, LENGTH, 1).eval()
    network.reset([0])
    motif = np.array([0, 1, 2, 3, 3, 2, 1, 0])
    with torch.no_grad():
        network.layers.conv1.weight[0, 0] = 0
        network.layers.conv1.weight[0, 0, motif, 6 + np.arange(8)] = 1.0
    x = np.random.default_rng(1).integers(0, 4, (400, LENGTH), dtype=np.uint8)
    x[:, 20:28] = motif
    first = filter_matrices(network, x, FilterSettings())[0]
    # The kernel is centred on its position 9 and the window on 10; the clipping keeps three positions on either side.
    assert first.consensus.strip("n") == "ACGTTGCA"
    assert (first.start, first.end) == (7 - 3, 7 + 8 + 3)


def test_filters_that_never_activate_have_no_matrix(sequences):
    network = ConvNet({"name": "cnn-2", "activation": "relu"}, LENGTH, 1).eval()
    network.reset([0])
    with torch.no_grad():
        network.layers.norm1.weight[0, :2] = 0
        network.layers.norm1.bias[0, 0] = -1  # ReLU of -1 everywhere
        network.layers.norm1.bias[0, 1] = 1  # 1 everywhere
    found = filter_matrices(network, sequences, FilterSettings())
    assert (found[0].status, found[0].ppm, found[0].consensus, found[0].bits) == ("never active", None, "", 0.0)
    # Active everywhere: all windows count, and nothing is clipped because no position is informative.
    assert found[1].sites == len(sequences) * (LENGTH - 21)
    assert (found[1].start, found[1].end) == (0, 20)
    assert found[1].status == "ok"
    flat = filter_matrices(network, sequences, FilterSettings(min_information=3))[1]
    assert (flat.status, flat.bits) == ("uninformative", pytest.approx(0, abs=0.1))
    np.testing.assert_array_equal(flat.ppm, found[1].ppm)


@pytest.mark.parametrize("weight", [float("nan"), 1e3])
def test_filters_that_overflow_have_no_matrix(sequences, weight):
    network = ConvNet({"name": "cnn-2", "activation": "exponential"}, LENGTH, 1).eval()
    with torch.no_grad():
        network.layers.conv1.weight[0, 0] = weight  # exp(19 * 1000) is infinite
    first, second = filter_matrices(network, sequences, FilterSettings())[:2]
    assert (first.status, first.ppm) == ("not finite", None)
    assert second.status == "ok"


def test_a_single_site_is_not_enough(model):
    x = np.random.default_rng(2).integers(0, 4, (1, LENGTH), dtype=np.uint8)
    found = filter_matrices(model, x, FilterSettings(threshold=0.999))
    lonely = [f for f in found if f.status != "ok"]
    assert lonely
    assert all((f.status, f.ppm) == ("too few sites", None) and f.sites <= 1 for f in lonely)


@pytest.mark.parametrize(
    ("informative", "expected"),
    [([8, 9, 12], (5, 16)), ([0], (0, 4)), ([19], (16, 20)), ([1, 18], (0, 20)), ([], (0, 20))],
)
def test_clipping(informative, expected):
    """Three more positions on either side; a single informative first position counts (the original lost it)."""
    ppm = np.full((4, 20), 0.25)
    ppm[:, informative] = np.array([[1.0], [0], [0], [0]])
    assert clip(ppm, 0.5, 3) == expected


def test_layers_that_cannot_be_read_are_named(model, sequences):
    with pytest.raises(CisflowError, match="filters.layer: no layer is called 'conv7'; there are: conv1"):
        filter_matrices(model, sequences, FilterSettings(layer="conv7"))
    with pytest.raises(CisflowError, match="'pool1' has not one value a base"):
        filter_matrices(model, sequences, FilterSettings(layer="pool1"))


def test_shuffled_matrices_keep_their_columns():
    ppm = np.random.default_rng(0).dirichlet(np.ones(4), 12).T
    null = shuffled([Motif("filter0", "filter0", ppm, 9)], np.random.default_rng(1))[0]
    assert sorted(map(tuple, null.matrix.T)) == sorted(map(tuple, ppm.T))
    assert not np.array_equal(null.matrix, ppm)
    assert information(null.matrix).sum() == pytest.approx(information(ppm).sum())
