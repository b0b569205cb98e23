"""Mutagenesis that computes only what an edit reaches equals the plain method, for every model of the zoo."""

import numpy as np
import pytest
import torch

from cisflow.attribution.explained import Explained
from cisflow.attribution.mutagenesis import mutagenesis
from cisflow.errors import CisflowError
from cisflow.models.convnet import ConvNet, one_hot
from cisflow.models.zoo import ARCHITECTURES

# Short, so that edits near both ends and pooling windows that are dropped are met; long enough for each architecture.
LENGTHS = {"basset": 200, "residualbind": 303, "cnn-deep": 119, "cnn-dist": 103}


def network(name: str, activation: str = "exponential", targets: int = 2, **variant) -> ConvNet:
    spec = {"name": name, "activation": activation, "initializer": "he_normal", "width": 0.25, **variant}
    model = ConvNet(spec, LENGTHS.get(name, 107), targets)
    model.reset([1])
    generator = torch.Generator().manual_seed(0)
    for key, value in model.state_dict().items():
        if key.endswith(("running_mean", "bias")):
            # So that a position of zero padding differs from a position of the map.
            value.normal_(0, 0.3, generator=generator)
    return model.eval()


def sequences(length: int, count: int = 2) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 4, (count, length), dtype=np.uint8)


@torch.inference_mode()
def plainly(explained: Explained, x: np.ndarray) -> np.ndarray:
    """Every substitution as a sequence of its own."""
    effects = np.zeros((*x.shape, 4), np.float32)
    unedited = explained(one_hot(torch.from_numpy(x)))
    for position in range(x.shape[1]):
        for base in range(4):
            edited = x.copy()
            edited[:, position] = base
            effects[:, position, base] = (explained(one_hot(torch.from_numpy(edited))) - unedited)[:, 0]
    return effects


@pytest.mark.parametrize(
    ("name", "variant"),
    [*((name, {}) for name in ARCHITECTURES), ("cnn-2", {"first_norm": False, "first_activation_scale": 0.5})],
)
def test_it_equals_the_plain_method(name, variant):
    model = network(name, **variant)
    explained, x = Explained(model, target=1), sequences(model.length)
    expected = plainly(explained, x)
    assert np.abs(expected).max() > 0.01, "a model that ignores its input shows nothing"
    # Single precision: sums of some hundred terms in another order.
    tolerance = 1e-4 * np.abs(expected).max()
    np.testing.assert_allclose(mutagenesis(explained, x).numpy(), expected, rtol=1e-4, atol=tolerance)


def test_probabilities_differ_from_logits_and_blocks_do_not_matter():
    model = network("cnn-2")
    x = sequences(model.length, 5)
    logit, probability = Explained(model), Explained(model, probability=True)
    assert not np.allclose(mutagenesis(logit, x), mutagenesis(probability, x), atol=1e-4)
    np.testing.assert_allclose(mutagenesis(probability, x), plainly(probability, x), atol=1e-5)
    np.testing.assert_allclose(mutagenesis(logit, x, block=2), mutagenesis(logit, x, block=5), atol=1e-5)


def test_an_edit_in_a_dropped_pooling_window_has_no_effect():
    model = network("cnn-local")  # 107 bases, windows of 50: the last 7 bases only reach through the first kernel
    effects = mutagenesis(Explained(model), sequences(model.length)).numpy()
    # The kernel of 19 bases reaches 9 positions back, to position 99.
    assert np.all(effects[:, 109 - 1 :] == 0)
    assert np.abs(effects[:, 98]).max() > 0


def test_the_base_that_is_there_has_no_effect():
    model = network("cnn-50")
    x = sequences(model.length)
    effects = mutagenesis(Explained(model), x).numpy()
    assert np.all(np.take_along_axis(effects, x[..., None].astype(int), 2) == 0)
    assert (effects != 0).sum(2).max() == 3


def test_unknown_bases_are_refused():
    model = network("cnn-2")
    x = sequences(model.length)
    x[0, 3] = 4
    with pytest.raises(CisflowError, match="without unknown bases"):
        mutagenesis(Explained(model), x)
