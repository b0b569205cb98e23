"""The heads on embeddings: sizes, definitions against torch's own layers, and what they refuse."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from cisflow.models.cost import cost
from cisflow.models.heads import Head
from cisflow.models.zoo import HEADS

# Of the CS282A project's heads: 1,536 channels, 896 bins, 18 targets.
PARAMETERS = {
    "linear-probe": 27_666,
    "conv-perceptron": 8_832_518,
    "max-pool-perceptron": 777_518,
    "self-attention": 18_918_930,
}
SMALL = {"units": 5, "attention_heads": 3, "dropout": 0.0}


def head(name, bins=7, channels=12, targets=4, seed=1, **keys):
    spec = {key: value for key, value in (SMALL | keys).items() if key in HEADS[name].keys}
    made = Head({"name": name, **spec}, bins, channels, targets)
    made.reset([seed])
    return made.eval()


def embedding(rows=3, bins=7, channels=12, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(rows, bins, channels)).astype(np.float32))


@pytest.mark.parametrize("name", HEADS)
def test_the_heads_have_the_sizes_of_the_originals(name):
    with torch.device("meta"):
        made = Head({"name": name}, 896, 1536, 18)
    assert sum(parameter.numel() for parameter in made.parameters()) == PARAMETERS[name]


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize(("bins", "channels", "targets"), [(1, 6, 1), (7, 12, 4), (32, 3, 2)])
def test_any_shape_of_embeddings_has_its_predictions(name, bins, channels, targets):
    found = head(name, bins, channels, targets)(embedding(3, bins, channels))
    assert found.shape == ((3, bins, targets) if HEADS[name].labels == "bins" else (3, targets))
    assert found.isfinite().all()


def test_the_linear_probe_is_a_convolution_of_width_1_and_softplus():
    made, x = head("linear-probe"), embedding()
    linear = made.layers.linear
    expected = F.softplus(F.conv1d(x.transpose(1, 2), linear.weight[0][..., None], linear.bias[0])).transpose(1, 2)
    torch.testing.assert_close(made(x), expected)


@pytest.mark.parametrize("name", ["conv-perceptron", "max-pool-perceptron"])
def test_the_perceptrons_are_those_of_the_original(name):
    """Convolution of width 1 over (batch, channels, bins), GELU by the error function, flattened unit by unit."""
    made, x = head(name), embedding()
    conv, last = made.layers.conv, made.layers.logits
    inner = F.gelu(F.conv1d(x.transpose(1, 2), conv.weight[0][..., None], conv.bias[0]))
    inner = inner.flatten(1) if name == "conv-perceptron" else F.max_pool1d(inner, 7).flatten(1)
    torch.testing.assert_close(made(x), F.linear(inner, last.weight[0], last.bias[0]))


@pytest.mark.parametrize("axis", ["position", "batch"])
def test_self_attention_is_that_of_torch(axis):
    """Along the batch it is torch's module fed (batch, bins, channels) without `batch_first`, as the original did."""
    made, x = head("self-attention", attention_axis=axis), embedding()
    own = made.layers.block.attention
    torchs = nn.MultiheadAttention(12, 3, batch_first=axis == "position").eval()
    with torch.no_grad():
        torchs.in_proj_weight.copy_(own.project.weight[0])
        torchs.in_proj_bias.copy_(own.project.bias[0])
        torchs.out_proj.weight.copy_(own.out.weight[0])
        torchs.out_proj.bias.copy_(own.out.bias[0])
    torch.testing.assert_close(own(x), torchs(x, x, x)[0], rtol=1e-5, atol=1e-6)


def test_the_attention_block_is_the_original_s():
    """Added to what came in, normalised; then the feed-forward network in the same way; then the mean over bins."""
    made, x = head("self-attention"), embedding()
    block = made.layers.block
    with torch.no_grad():
        for norm in (block.norm1, block.norm2):  # other values than the initial ones
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.uniform_(-1, 1)

    def normed(values, layer):
        values = (values - values.mean(-1, keepdim=True)) / (values.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()
        return values * layer.weight[0] + layer.bias[0]

    inner = normed(block.attention(x) + x, block.norm1)
    forward = torch.relu(inner @ block.expand.weight[0].T + block.expand.bias[0])
    inner = normed(forward @ block.contract.weight[0].T + block.contract.bias[0] + inner, block.norm2)
    expected = (inner @ made.layers.logits.weight[0].T + made.layers.logits.bias[0]).mean(1)
    torch.testing.assert_close(made(x), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("axis", "depends"), [("position", False), ("batch", True)])
def test_only_attention_along_the_batch_depends_on_the_others_in_it(axis, depends):
    made, x = head("self-attention", attention_axis=axis), embedding(4)
    apart = (made(x)[:1] - made(x[:1])).abs().max().item()
    # Rounding alone is near 1e-7.
    assert (apart > 1e-3) if depends else (apart < 1e-5)
    assert made.needs_batch_mates is depends


@pytest.mark.parametrize("name", HEADS)
def test_the_seed_decides_the_initial_weights(name):
    one, same, other = (head(name, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


def test_the_initial_weights_have_the_original_s_distributions():
    """Kaiming's normal one for the probe; torch's defaults otherwise. The limits are some standard errors."""
    probe = head("linear-probe", channels=400, targets=50).layers.linear
    assert probe.weight.std().item() == pytest.approx((2 / 400) ** 0.5, rel=0.03)
    assert not probe.bias.any()
    conv = head("max-pool-perceptron", channels=400, units=50).layers.conv
    limit = 1 / 400**0.5
    assert 0.999 * limit < conv.weight.abs().max() <= limit
    assert conv.weight.std().item() == pytest.approx(limit / 3**0.5, rel=0.03)
    assert 0.8 * limit < conv.bias.abs().max() <= limit
    attention = head("self-attention", channels=60).layers.block.attention
    # Glorot's uniform one of the (180, 60) weights of query, key and value.
    assert attention.project.weight.abs().max().item() == pytest.approx((6 / 240) ** 0.5, rel=0.01)
    assert not attention.project.bias.any()
    assert not attention.out.bias.any()


@pytest.mark.parametrize("name", HEADS)
def test_every_non_linearity_is_a_module_of_its_own(name):
    kinds = {type(module) for module in head(name).modules()}
    expected = {
        "linear-probe": {nn.Softplus}, "conv-perceptron": {nn.GELU}, "max-pool-perceptron": {nn.GELU},
        "self-attention": {nn.ReLU, nn.Softmax},
    }  # fmt: skip
    assert expected[name] <= kinds


def test_dropout_is_a_function_of_seed_and_step():
    made = head("self-attention", dropout=0.5).train()
    x, found = embedding(), []
    for step in (1, 1, 2):
        made.noise.reset(7, step)
        found.append(made(x))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_costs_are_those_of_closed_forms():
    """Multiplications of a window: b bins, c channels, t targets, u units."""
    b, c, t, u = 7, 12, 4, 5
    feed_forward = 2 * b * c * 2 * c
    attention = b * c * 3 * c + 2 * b * b * c + b * c * c
    expected = {
        "linear-probe": b * c * t,
        "conv-perceptron": b * c * u + b * u * t,
        "max-pool-perceptron": b * c * u + u * t,
        "self-attention": attention + feed_forward + b * c * t,
    }
    for name, macs in expected.items():
        spec = {key: value for key, value in SMALL.items() if key in HEADS[name].keys}
        parameters, found = cost({"name": name, **spec}, 0, t, (b, c))
        assert found == macs, name
        assert parameters == sum(p.numel() for p in head(name).parameters())


def test_what_a_head_cannot_be_is_refused():
    with pytest.raises(ValueError, match="attention_heads: 5 heads do not divide the 12 channels .* 1, 2, 3, 4, 6, 12"):
        head("self-attention", attention_heads=5)
    with pytest.raises(ValueError, match="linear-probe is trained one trial at a time, not 3 together"):
        Head({"name": "linear-probe"}, 7, 12, 4, replicates=3)
