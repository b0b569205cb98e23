"""The architectures have the published numbers of parameters and compute what their tables say."""

import numpy as np
import pytest
import torch

from cisflow.models.activations import FUNCTIONS, Pointwise
from cisflow.models.convnet import ConvNet, one_hot, split_replicates
from cisflow.models.layers import Conv1d, Dropout, Flatten, Linear, MaxPool, Noise
from cisflow.models.zoo import ACTIVATIONS, ARCHITECTURES

# Trainable parameters, from the original's summaries (name, length, width multiplier, targets, parameters).
PARAMETERS = [
    ("cnn-2", 200, 1, 12, 156_740),
    ("cnn-2", 1000, 2, 12, 2_638_716),
    ("cnn-50", 200, 1, 12, 156_740),
    ("cnn-50", 1000, 2, 12, 2_638_716),
    ("cnn-deep", 200, 1, 12, 286_700),
    ("cnn-deep", 1000, 2, 12, 5_320_652),
    ("cnn-local", 200, 1, 1, 14_929),
    ("cnn-dist", 200, 1, 1, 46_225),
    ("residualbind", 400, 1, 1, 31_665),
    ("basset", 600, 1, 164, 4_132_364),
]


@pytest.mark.parametrize(("name", "length", "width", "targets", "parameters"), PARAMETERS)
def test_parameter_counts_are_the_published_ones(name, length, width, targets, parameters):
    model = ConvNet({"name": name, "activation": "relu", "width": width}, length, targets)
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_every_architecture_is_in_the_table_of_parameters():
    assert {row[0] for row in PARAMETERS} == set(ARCHITECTURES)


def test_every_architecture_gives_one_logit_a_target_and_replicate():
    for name, length, width, targets, _ in PARAMETERS[::2]:
        model = ConvNet({"name": name, "activation": "exponential", "width": width}, length, targets, replicates=2)
        assert model.eval()(torch.zeros(3, 4, length)).shape == (3, 2 * targets)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# Closed forms from the original's activation table, written out once more.
CLOSED = {
    "relu": lambda x: np.maximum(0, x),
    "exponential": np.exp,
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "softplus": lambda x: np.log1p(np.exp(x)),
    "linear": lambda x: x,
    "elu": lambda x: np.where(x > 0, x, np.exp(x) - 1),
    "shift_scale_relu": lambda x: np.maximum(0, (x - 0.2) ** 3),
    "shift_scale_sigmoid": lambda x: 4000 * sigmoid(x - 8),
    "shift_scale_tanh": lambda x: 500 * np.tanh(x - 6) + 500,
    "exp_relu": lambda x: np.maximum(0, np.exp(0.1 * x) - 1),
    "shift_relu": lambda x: np.maximum(0, x - 0.2),
    "shift_sigmoid": lambda x: sigmoid(x - 8),
    "shift_tanh": lambda x: np.tanh(x - 6),
    "scale_relu": lambda x: np.maximum(0, x**3),
    "scale_sigmoid": lambda x: 4000 * sigmoid(x),
    "scale_tanh": lambda x: 500 * np.tanh(x) + 500,
    "log": lambda x: np.log(np.abs(x) + 1e-10),
    "log_relu": lambda x: np.maximum(0, np.log(np.abs(x) + 1e-10)),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_equal_their_closed_forms(name):
    x = np.linspace(-5, 10, 301)
    # Double precision on both sides: a few rounding errors of values up to 4000.
    np.testing.assert_allclose(Pointwise(name)(torch.from_numpy(x)).numpy(), CLOSED[name](x), rtol=1e-12, atol=1e-9)


def test_the_names_that_the_configuration_knows_are_those_that_can_be_computed():
    assert set(ACTIVATIONS) == set(FUNCTIONS) == set(CLOSED)
    assert Pointwise("exp").name == "exponential"


def test_too_short_sequences_are_refused():
    with pytest.raises(ValueError, match="sequences of 40 bases are too short for cnn-deep"):
        ConvNet({"name": "cnn-deep", "activation": "relu"}, 40, 1)


@pytest.mark.parametrize("width", [4, 5])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_convolution_equals_a_loop(width, padding):
    layer = Conv1d(1, 3, 2, width, padding)
    torch.nn.init.normal_(layer.weight)
    x = torch.randn(2, 3, 11)
    # Keras pads an even width by one more on the right.
    left, right = ((width - 1) // 2, width // 2) if padding == "same" else (0, 0)
    padded = torch.nn.functional.pad(x, (left, right))
    length = padded.shape[2] - width + 1
    expected = torch.stack(
        [torch.einsum("bck,ock->bo", padded[:, :, p : p + width], layer.weight[0]) for p in range(length)], dim=2
    )
    # Sums of at most 15 products of single precision.
    torch.testing.assert_close(layer(x.unsqueeze(2)).squeeze(2), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("length", "padding", "windows"), [(9, "same", 3), (10, "same", 4), (10, "valid", 3)])
def test_pooling_keeps_or_drops_an_incomplete_window(length, padding, windows):
    x = torch.arange(length, dtype=torch.float)[None, None, None]
    pooled = MaxPool(3, padding)(x)
    assert pooled.shape[-1] == windows
    # 'same' puts the missing positions on both sides, the odd one on the right, as Keras does.
    assert pooled[0, 0, 0, 0] == (1 if (length, padding) == (10, "same") else 2)
    assert pooled.isfinite().all()


def test_flatten_goes_position_by_position():
    x = torch.arange(12.0).view(1, 6, 1, 2)  # two replicates of three channels
    assert Flatten(2)(x).tolist() == [[0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11]]


def test_linear_keeps_replicates_apart():
    layer = Linear(2, 3, 1, bias=True)
    with torch.no_grad():
        layer.weight[0], layer.weight[1] = 1.0, 10.0
        layer.bias[1] = 0.5
    assert layer(torch.tensor([[1.0, 2, 3, 4, 5, 6]])).tolist() == [[6.0, 150.5]]


@pytest.mark.parametrize("name", ["cnn-2", "residualbind"])
def test_replicates_equal_the_networks_alone(name):
    """R = 3 gives what three networks of the same seeds give one by one, on shared input and on their own."""
    spec, length, seeds = {"name": name, "activation": "exponential"}, 400, [5, 6, 7]
    together = ConvNet(spec, length, 2, replicates=3).eval()
    together.reset(seeds)
    shared = one_hot(torch.randint(0, 5, (4, length)))
    own = torch.randint(0, 4, (3, 4, length))
    for index, seed in enumerate(seeds):
        alone = ConvNet(spec, length, 2).eval()
        alone.reset([seed])
        assert all(torch.equal(a[0], t[index]) for a, t in zip(alone.parameters(), together.parameters(), strict=True))
        # Grouped and plain convolutions sum in another order: single-precision rounding over some hundred terms.
        torch.testing.assert_close(split_replicates(together(shared), 3)[index], alone(shared), rtol=1e-4, atol=1e-5)
        mine = split_replicates(together(one_hot(own)), 3)[index]
        torch.testing.assert_close(mine, alone(one_hot(own[index])), rtol=1e-4, atol=1e-5)


def test_activations_are_those_after_the_named_layer():
    model = ConvNet({"name": "cnn-2", "activation": "exponential"}, 100, 1).eval()
    model.reset([0])
    x = one_hot(torch.randint(0, 4, (2, 100)))
    first = model.activations(x)
    assert first.shape == (2, 32, 100)
    torch.testing.assert_close(first, model.activations(x, "norm1").exp())
    with pytest.raises(ValueError, match=r"no layer is called 'conv9'; there are: conv1, norm1"):
        model.activations(x, "conv9")


def built(**variant):
    model = ConvNet({"name": "cnn-deep", "activation": "exponential", "l2": 1e-6, **variant}, 200, 12).eval()
    model.reset([3])
    return model


def test_the_first_layer_alone_goes_without_normalisation():
    model, plain = built(first_norm=False), built()
    # A scale and a shift for each of the 32 filters are gone.
    assert sum(p.numel() for p in model.parameters()) == 286_700 - 2 * 32
    missing = {name for name, _ in plain.layers.named_children()} - {name for name, _ in model.layers.named_children()}
    assert missing == {"norm1"}
    x = one_hot(torch.randint(0, 4, (2, 200)))
    torch.testing.assert_close(model.activations(x), model.activations(x, "conv1").exp())


@pytest.mark.parametrize("name", ["exponential", "relu", "sigmoid"])
def test_the_first_activation_is_scaled_before_it_is_applied(name):
    model = built(activation=name, first_activation_scale=0.5)
    x = one_hot(torch.randint(0, 4, (2, 200)))
    expected = CLOSED[name](0.5 * model.activations(x, "norm1").detach().double().numpy())
    # Single against double precision.
    np.testing.assert_allclose(model.activations(x).detach().numpy(), expected, rtol=1e-5, atol=1e-6)
    assert [module.scale for module in model.modules() if isinstance(module, Pointwise)] == [0.5, 1, 1, 1, 1]
    assert "scale=0.5" in repr(model.layers.activation1)


@pytest.mark.parametrize("variant", [{"first_sd": 2.0}, {"first_initializer": "he_uniform"}])
def test_the_first_kernel_has_its_own_initial_distribution(variant):
    """Standard deviations of all kernels: the first by its own key, the others by `initializer`."""
    kernels = built(**variant).kernels()
    fans = [(k.shape[2] * k[0, 0, 0].numel(), k.shape[1] * k[0, 0, 0].numel()) for k in kernels]
    expected = [(2 / sum(fan)) ** 0.5 for fan in fans]
    expected[0] = variant.get("first_sd") or (2 / fans[0][0]) ** 0.5
    # The smallest kernel has 2,432 weights: its standard deviation is known to 1.4 %.
    assert [k.std().item() for k in kernels] == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(
    ("l2", "expected"),
    [
        ({"l2": 1e-6}, {1e-6: 5}),
        ({"l2": 0.0}, {}),
        ({"l2": 1e-6, "first_l2": None}, {1e-6: 5}),
        ({"l2": 1e-6, "first_l2": 0.1}, {0.1: 1, 1e-6: 4}),
        ({"l2": 1e-6, "first_l2": 0.0}, {1e-6: 4}),
        ({"l2": 0.0, "first_l2": 0.1}, {0.1: 1}),
    ],
)
def test_the_first_kernel_has_its_own_penalty(l2, expected):
    model = built(**l2)
    penalties = model.penalties()
    assert {weight: len(kernels) for weight, kernels in penalties.items()} == expected
    first = l2["l2"] if l2.get("first_l2") is None else l2["first_l2"]
    assert not first or penalties[first][0] is model.layers.conv1.weight


def test_an_unknown_base_is_a_column_of_zeros():
    encoded = one_hot(torch.tensor([[0, 3, 4]]))
    assert encoded.tolist() == [[[1, 0, 0], [0, 0, 0], [0, 0, 0], [0, 1, 0]]]


def test_dropout_drops_the_stated_fraction_and_keeps_the_mean():
    noise = Noise()
    for dtype in (torch.float32, torch.bfloat16):
        noise.reset(1, 2)
        mask = noise.mask(torch.Size((1000, 1000)), 0.3, dtype)
        kept = (mask > 0).float().mean().item()
        # Five standard deviations of a million draws.
        assert abs(kept - 0.7) < 5 * (0.21 / 1e6) ** 0.5
        assert mask.max().item() == pytest.approx(1 / 0.7, rel=2**-8)


def test_dropout_is_a_function_of_seed_and_step():
    noise = Noise()

    def draw(seed, step):
        noise.reset(seed, step)
        return noise.mask(torch.Size((64,)), 0.5, torch.float32)

    assert torch.equal(draw(3, 7), draw(3, 7))
    assert not torch.equal(draw(3, 7), draw(3, 8))
    assert not torch.equal(draw(3, 7), draw(4, 7))


def test_dropout_is_off_in_evaluation():
    layer = Dropout(0.5, Noise()).eval()
    x = torch.randn(3, 4)
    assert layer(x) is x
