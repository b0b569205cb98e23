"""Attribution methods against their definitions: gradients, path integrals, differences of outputs."""

import dataclasses

import numpy as np
import pytest
import torch
from tests.attribution.test_mutagenesis import network, plainly, sequences

from cisflow.attribution import methods
from cisflow.attribution.explained import Explained
from cisflow.attribution.maps import Map, reduce
from cisflow.attribution.methods import attribute, nested_maps
from cisflow.attribution.presets import METHODS, PRESETS, REFERENCED, resolve
from cisflow.attribution.references import is_its_only_shuffle, references
from cisflow.models.convnet import one_hot
from cisflow.models.zoo import ACTIVATIONS, ARCHITECTURES
from cisflow.sequence import encode

PAPER, RECOMMENDED = PRESETS["paper-2021"], PRESETS["recommended"]


@pytest.fixture(scope="module")
def model():
    return network("cnn-dist")


@pytest.fixture(scope="module")
def x(model):
    return sequences(model.length, 4)


def test_saliency_is_the_gradient(model, x):
    inputs = one_hot(torch.from_numpy(x)).requires_grad_()
    torch.sigmoid(model(inputs)[:, 0]).sum().backward()
    expected = inputs.grad.transpose(1, 2).numpy()
    found = attribute(Explained(model, 0, probability=True), x, "saliency", PAPER)
    np.testing.assert_allclose(found.scores, expected, atol=1e-7)
    assert found.convergence is None
    centred = attribute(Explained(model, 0, probability=True), x, "saliency", RECOMMENDED)
    np.testing.assert_allclose(centred.scores, expected - expected.mean(2, keepdims=True), atol=1e-7)


@pytest.mark.parametrize("method", ["integrated_gradients", "deep_lift_shap"])
def test_hypothetical_contributions_add_up_to_the_difference_of_the_outputs(model, x, method):
    """Summed over positions, the bases that are there contribute the difference from the references' output."""
    settings = dataclasses.replace(RECOMMENDED, centred=False, steps=400)
    explained = Explained(model)
    found = attribute(explained, x, method, settings, seed=5)
    starts = references(x, "dinucleotide", settings.references, 5).flatten(0, 1).float()
    with torch.inference_mode():
        difference = explained(one_hot(torch.from_numpy(x))) - explained(starts).view(len(x), -1).mean(1, keepdim=True)
    total = reduce(found.scores, x, method, settings).sum(1)
    # The path of integrated gradients has kinks, at which 400 points still miss something.
    tolerance = 1e-4 if method == "deep_lift_shap" else 0.05
    np.testing.assert_allclose(total, difference[:, 0].numpy(), atol=tolerance * difference.abs().max().item())
    assert found.convergence.max() < tolerance
    assert found.spread.shape == (len(x),)
    assert found.spread.min() > 0


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_deep_lift_has_a_rule_for_every_layer(name):
    network_ = network(name)
    settings = dataclasses.replace(RECOMMENDED, references=2)
    found = attribute(Explained(network_, probability=True), sequences(network_.length), "deep_lift_shap", settings)
    # Rounding of single precision, far below the error of a layer without its rule (tens of per cent).
    assert found.convergence.max() < 1e-3


def test_deep_lift_holds_for_a_scaled_first_activation_without_normalisation():
    network_ = network("cnn-2", first_norm=False, first_activation_scale=0.5)
    settings = dataclasses.replace(RECOMMENDED, references=2)
    found = attribute(Explained(network_), sequences(network_.length), "deep_lift_shap", settings)
    # Rounding of single precision, as for every layer.
    assert found.convergence.max() < 1e-3


class DoublePrecision(Explained):
    """An explained model that computes in double precision throughout."""

    def __init__(self, model):
        super().__init__(model.double())

    def forward(self, x):
        return super().forward(x.double())

    def link_of(self, logits):
        return self.link(logits[:, self.target, None])


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_deep_lift_has_a_rule_for_every_activation(activation):
    """In double precision, so that the rule is tested and not the rounding of one build of torch.

    shift_tanh, tanh(x - 6), is close to -1 here. Its values differ by some 1e-5, and in single precision neighbouring
    numbers around 1 are 6e-8 apart: each difference is off by up to a per cent, and the attributions by 0.02, which
    says nothing of the rule. A missing rule is off by tens of per cent in double precision as well.
    """
    settings = dataclasses.replace(PAPER, references=2)
    network_ = network("cnn-2", activation)
    found = attribute(DoublePrecision(network_), sequences(network_.length), "deep_lift_shap", settings)
    # The references and the multipliers of the input are in single precision: rounding, 5e-7 at most.
    assert found.convergence.max() < 1e-5


def test_paper_variants_of_the_path_methods(model, x):
    """Integrated gradients: the mean gradient over references and 20 points, the end left out, not times the input."""
    settings = dataclasses.replace(PAPER, references=2)
    explained = Explained(model, 0, probability=True)
    found = attribute(explained, x, "integrated_gradients", settings, seed=1)
    starts, ends = references(x, "permuted", 2, 1), one_hot(torch.from_numpy(x)).unsqueeze(1)
    total = torch.zeros(len(x), 4, x.shape[1])
    for step in range(20):
        point = (starts + step / 20 * (ends - starts)).flatten(0, 1).requires_grad_()
        explained(point).sum().backward()
        total += point.grad.view_as(starts).mean(1) / 20
    np.testing.assert_allclose(found.scores, total.transpose(1, 2), atol=1e-6)


def test_mutagenesis_and_its_two_reductions(model, x):
    explained = Explained(model)
    effects = attribute(explained, x, "mutagenesis", PAPER).scores
    np.testing.assert_allclose(effects, plainly(explained, x), atol=1e-5)
    np.testing.assert_allclose(reduce(effects, x, "mutagenesis", PAPER), np.linalg.norm(effects, axis=2), rtol=1e-6)
    np.testing.assert_allclose(reduce(effects, x, "mutagenesis", RECOMMENDED), -effects.sum(2) / 3, rtol=1e-6)


def test_reduction_takes_the_base_that_is_there():
    x = np.array([[0, 3, 2]], np.uint8)
    scores = np.arange(12, dtype=np.float32).reshape(1, 3, 4)
    assert reduce(scores, x, "saliency", PAPER).tolist() == [[0, 7, 10]]


def test_nothing_is_known_of_a_sequence_without_other_shuffles(model, x):
    rows = np.concatenate([x[:2], np.resize(encode("CA"), (1, model.length))])
    assert is_its_only_shuffle(rows, "dinucleotide").tolist() == [False, False, True]
    found = attribute(Explained(model), rows, "integrated_gradients", dataclasses.replace(RECOMMENDED, steps=4))
    assert np.isfinite(found.scores[:2]).all()
    assert np.isnan(found.scores[2]).all()


@pytest.mark.parametrize("method", METHODS)
def test_the_model_is_left_as_it_was(model, x, method):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = attribute(Explained(model), x, method, dataclasses.replace(PAPER, references=2, steps=3))
    assert isinstance(found, Map)
    assert found.scores.shape == (*x.shape, 4)
    assert found.scores.dtype == np.float32
    assert not any(module.training for module in model.modules())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks or module._backward_hooks for module in model.modules())


@pytest.mark.parametrize("method", REFERENCED)
@pytest.mark.parametrize("preset", [PAPER, RECOMMENDED])
def test_maps_of_fewer_references_are_means_of_the_first(model, x, method, preset, monkeypatch):
    settings, explained = dataclasses.replace(preset, steps=4), Explained(model)
    every = references(x, settings.reference, 5, 7)
    found = nested_maps(explained, x, method, settings, [1, 3, 5], seed=7)
    assert list(found) == [1, 3, 5]
    for count, map_ in found.items():
        monkeypatch.setattr(methods, "references", lambda *_, count=count: every[:, :count])
        plain = attribute(explained, x, method, dataclasses.replace(settings, references=count), seed=7)
        # Batches of another size round differently.
        np.testing.assert_allclose(map_.scores, plain.scores, atol=1e-6 * np.abs(plain.scores).max())
        assert map_.convergence.shape == (len(x),)
    np.testing.assert_allclose(found[5].convergence, plain.convergence, rtol=1e-3, atol=1e-6)


def test_deep_lift_computes_no_output_twice(model, x, monkeypatch):
    """One pass for each group of pairs, and the outputs of these passes are those of the sequences and references."""
    settings = dataclasses.replace(RECOMMENDED, references=5)
    whole = attribute(Explained(model), x, "deep_lift_shap", settings, seed=2)
    monkeypatch.setattr(methods, "PAIRS", {"cpu": 7})
    explained, passes = Explained(model), []
    explained.register_forward_hook(lambda module, inputs, output: passes.append(len(output)))
    found = attribute(explained, x, "deep_lift_shap", settings, seed=2)
    pairs = len(x) * 5
    assert passes == [14] * (pairs // 7) + ([2 * (pairs % 7)] if pairs % 7 else [])
    # Batches of another size round differently.
    np.testing.assert_allclose(found.scores, whole.scores, atol=1e-6 * np.abs(whole.scores).max())
    np.testing.assert_allclose(found.spread, whole.spread, rtol=1e-4)
    starts = references(x, "dinucleotide", 5, 2).float()
    multipliers, difference = methods._deep_lift_shap(Explained(model), one_hot(torch.from_numpy(x)), starts, settings)
    with torch.inference_mode():
        ends = explained(one_hot(torch.from_numpy(x)))
        expected = ends - explained(starts.flatten(0, 1)).view(len(x), 5)
    np.testing.assert_allclose(difference, expected, atol=1e-5 * expected.abs().max())
    assert multipliers.shape == starts.shape


def test_changes_are_laid_over_a_preset():
    changed = resolve("paper-2021", {"output": "logit", "steps": None})
    assert (changed.output, changed.steps, changed.reference) == ("logit", 20, "permuted")
