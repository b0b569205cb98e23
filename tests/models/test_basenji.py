"""Basenji2 has the published sizes, reads what its settings say, and computes the same when folded for inference."""

import copy

import numpy as np
import pytest
import torch
from tests.basenji import SMALL, random_basenji, random_sequences

from cisflow.models.basenji import CROSS2020, GELUS, Basenji, Residual
from cisflow.models.folded import PRECISIONS, TILE, inference

# From the published settings; the last two are the whole models, human and mouse.
PARAMETERS = [(None, 21_957_503), (5313, 30_123_584), (1643, 24_482_794)]


def count(model: Basenji) -> int:
    """Return the parameters as Keras counts them: with the running means and variances."""
    running = [t for name, t in model.named_buffers() if not name.endswith("num_batches_tracked")]
    return sum(t.numel() for t in [*model.parameters(), *running])


@pytest.mark.parametrize(("targets", "parameters"), PARAMETERS)
def test_the_published_models_have_the_published_numbers_of_parameters(targets, parameters):
    with torch.device("meta"):
        model = Basenji(CROSS2020, targets)
    assert count(model) == parameters
    assert (model.length, model.bin, model.crop, model.bins, model.channels) == (131072, 128, 8192, 896, 1536)


def test_rates_are_rounded_to_even_as_the_original_does():
    with torch.device("meta"):
        trunk = Basenji(CROSS2020).trunk
    dilations = [module.inner.conv.dilation[0] for module in trunk if isinstance(module, Residual)]
    # 1.5 is 2 and 4.5 is 4: halves go to the even number.
    assert dilations == [1, 2, 3, 4, 6, 9, 14, 21, 32, 48, 72]


def test_widths_of_the_tower_are_rounded_from_exact_products():
    with torch.device("meta"):
        blocks = list(Basenji(CROSS2020).convolutions())
    assert [block.conv.out_channels for block in blocks[:7]] == [288, 339, 399, 470, 554, 652, 768]
    assert len(blocks) == 30


def open_model() -> Basenji:
    """Return a model of the published geometry, two channels wide, in which each value passes on what it sees."""
    settings = copy.deepcopy(CROSS2020)
    for block in settings["trunk"]:
        block.update({key: 2 for key in ("filters", "filters_init") if key in block})
        block.update({"filters_mult": 1} if "filters_mult" in block else {})
    model = random_basenji("quick", settings, None)
    for block in model.convolutions():
        torch.nn.init.constant_(block.conv.weight, 1 / block.conv.weight[0].numel())
        block.norm.reset_running_stats()
        torch.nn.init.ones_(block.norm.weight)
        torch.nn.init.zeros_(block.norm.bias)
    return model.double()


def test_the_receptive_field_is_the_published_one():
    model, at = open_model(), 65536
    x = torch.zeros(2, 4, model.length, dtype=torch.float64)
    # The only base that is known: what it reaches is not zero.
    x[1, 0, at] = 1e6
    with torch.no_grad():
        found = (model.embed(x).abs().sum(-1) > 0).nonzero()
    bins = found[found[:, 0] == 1, 1]
    assert (found[:, 0] == 1).all()
    # 430 bins see a base in the middle: a bin sees 54,918 bases.
    assert (bins.min(), bins.max(), len(bins)) == (233, 662, 430)


def test_values_that_settings_must_have():
    model = Basenji(SMALL | {"batch_norm": True, "activation": "gelu", "bn_momentum": 0.9, "verbose": False}, 1)
    assert model.bins == 248


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"activation": "relu"}, "'activation' is 'relu', and Basenji2's is 'gelu'"),
        ({"norm_type": None}, "'norm_type' is None, and Basenji2's is 'batch'"),
        ({"batch_norm": False}, "'batch_norm' is False"),
        ({"attention": 4}, "have 'attention', which Basenji2 has not"),
        ({"trunk": [{"name": "transformer"}]}, "block 0 of the trunk is 'transformer', and none of conv_block"),
        ({"trunk": [{"name": "conv_block"}]}, r"block 0 of the trunk \(conv_block\) lacks 'filters'"),
        ({"trunk": [{"name": "conv_block", "filters": 4, "strides": 2}]}, r"\(conv_block\) has 'strides'"),
        ({"trunk": [{"name": "conv_block", "filters": 4, "kernel_size": 4}]}, "kernel of even width 4"),
        ({"seq_length": 4100}, "4100 bases are no whole bins of 16"),
        ({"target_length": 255}, "4096 bases in bins of 16 are not 255 bins"),
    ],
)
def test_settings_of_other_models_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Basenji(SMALL | change, 1)


def test_a_gelu_is_one_of_those_named():
    with pytest.raises(ValueError, match="'swish' is none of quick, tanh, erf"):
        Basenji(SMALL, 1, "swish")


@pytest.mark.parametrize("gelu", GELUS)
def test_gelus_are_their_formulas(gelu):
    x = torch.linspace(-6, 6, 1001, dtype=torch.float64)
    inner = np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
    formulas = {
        "quick": x / (1 + torch.exp(-1.702 * x)),
        "tanh": x / 2 * (1 + torch.tanh(inner)),
        "erf": x / 2 * (1 + torch.erf(x / np.sqrt(2))),
    }
    torch.testing.assert_close(GELUS[gelu]()(x), formulas[gelu], atol=1e-12, rtol=0)


def test_a_trunk_alone_gives_embeddings_and_no_tracks():
    model = random_basenji(targets=None)
    x = random_sequences(1)
    assert model.embed(x).shape == (1, 248, 24)
    for trunk in (model, inference(model)):
        with pytest.raises(ValueError, match="a trunk alone"):
            trunk(x)


# The largest difference to the plain model in float32, of values with a standard deviation of 0.30 (embeddings) and
# 0.06 (tracks); reached: 6e-7, 0.013, 0.016. bfloat16 has eight bits: one rounding is 0.4 % of a value.
TOLERANCE = {"32-true": 5e-6, "bf16-mixed": 0.04, "bf16-true": 0.05}


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("gelu", GELUS)
def test_folded_models_compute_the_same(gelu, precision):
    model, x = random_basenji(gelu), random_sequences(3)
    folded = inference(model, precision)
    with torch.no_grad():
        embeddings, tracks = model.embed(x), model(x)
    torch.testing.assert_close(folded.embed(x).float(), embeddings, atol=TOLERANCE[precision], rtol=0)
    torch.testing.assert_close(folded(x), tracks, atol=TOLERANCE[precision], rtol=0)
    assert folded.embed(x).dtype == PRECISIONS[precision][0]
    assert (folded.length, folded.bin, folded.crop, folded.bins, folded.channels, folded.gelu) == (
        model.length, model.bin, model.crop, model.bins, model.channels, gelu
    )  # fmt: skip


@pytest.mark.parametrize("pool", [1, 2, 3])
@pytest.mark.parametrize("length", [3 * TILE, 3 * TILE + 6])
def test_tiles_leave_no_seam(pool, length):
    """Lengths of some tiles, the last one shorter, against the plain model, for each way to pool."""
    trunk = [
        {"name": "conv_block", "filters": 5, "kernel_size": 15, "pool_size": pool},
        {"name": "conv_block", "filters": 6, "kernel_size": 5, "dilation_rate": 3},
        {"name": "conv_block", "filters": 6, "kernel_size": 1, "pool_size": 2},
    ]
    length -= length % (2 * pool)
    model = random_basenji("tanh", {"seq_length": length, "trunk": trunk}, None)
    x = random_sequences(1, length)
    with torch.no_grad():
        torch.testing.assert_close(inference(model).embed(x), model.embed(x), atol=5e-6, rtol=0)


def test_channels_that_a_gpu_wants_aligned_are_zeros_and_go(monkeypatch):
    from cisflow.models import folded

    model, x = random_basenji("quick"), random_sequences(2)
    wide = folded.Folded(model, torch.float32, torch.float32, folded.ALIGNED).eval()
    assert [len(block.bias) for block in wide.blocks[:4]] == [16, 16, 24, 24]
    with torch.no_grad():
        expected = model.embed(x)
        torch.testing.assert_close(wide.embed(x), expected, atol=5e-6, rtol=0)
        # As on a GPU: the whole batch, and no tiles.
        torch.testing.assert_close(wide._trunk(x, model.length), expected, atol=5e-6, rtol=0)


def test_a_model_stays_as_it_is_when_it_is_folded():
    model = random_basenji()
    before = copy.deepcopy(model.state_dict())
    folded = inference(model)
    folded(random_sequences(1))
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert not any(parameter.requires_grad for parameter in folded.parameters())


def test_a_precision_is_one_of_those_named():
    with pytest.raises(ValueError, match="'16-mixed' is none of 32-true, bf16-mixed, bf16-true"):
        inference(random_basenji(), "16-mixed")
