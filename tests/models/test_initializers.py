"""Initial weights have the variance and the cut that Keras' initialisers have."""

import pytest
import torch

from cisflow.models.initializers import fill
from cisflow.models.zoo import INITIALIZERS

# Convolution of 64 channels to 128 filters of width 9.
SHAPE, FAN_IN, FAN_OUT = (128, 64, 9), 64 * 9, 128 * 9
VARIANCE = {"glorot": 2 / (FAN_IN + FAN_OUT), "he": 2 / FAN_IN, "lecun": 1 / FAN_IN}


@pytest.mark.parametrize("name", INITIALIZERS)
def test_variance_and_limits(name):
    weight = torch.zeros(SHAPE)
    fill(weight, name, torch.Generator().manual_seed(0))
    family, distribution = name.split("_")
    sd = VARIANCE[family] ** 0.5
    assert weight.mean().abs() < 5 * sd / weight.numel() ** 0.5
    # The variance of 73,728 draws is within 2 %.
    assert weight.var().item() == pytest.approx(VARIANCE[family], rel=0.02)
    # A uniform distribution ends at sqrt(3) standard deviations, a truncated normal one at 2 / 0.8796 of its own.
    limit = 3**0.5 * sd if distribution == "uniform" else 2 / 0.87962566103423978 * sd
    assert 0.99 * limit < weight.abs().max() <= limit * (1 + 1e-6)


def test_a_number_is_the_standard_deviation_of_a_plain_normal_distribution():
    weight = torch.zeros(SHAPE)
    fill(weight, 0.3, torch.Generator().manual_seed(0))
    assert weight.mean().abs() < 5 * 0.3 / weight.numel() ** 0.5
    assert weight.std().item() == pytest.approx(0.3, rel=0.01)
    # Not cut at two standard deviations: a normal distribution has 4.55 % beyond (five of their own sd: 0.38 %).
    assert (weight.abs() > 0.6).float().mean().item() == pytest.approx(0.0455, abs=0.0038)


def test_the_seed_decides():
    first, second, other = (torch.zeros(SHAPE) for _ in range(3))
    for weight, seed in ((first, 1), (second, 1), (other, 2)):
        fill(weight, "he_normal", torch.Generator().manual_seed(seed))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
