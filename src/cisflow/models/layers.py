"""Layers with a replicate axis: R independent networks of one architecture as one module.

Every parameter and buffer has the replicate as its first axis. Between layers a map is (batch, R * channels, 1,
length), with the channels of one replicate together and in channels-last memory (on a CPU twice as fast as the
plain order), and a vector is (batch, R * features). R = 1 is the ordinary layer.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from cisflow.models.initializers import fill

# Of running statistics, as in Keras.
MOMENTUM = 0.99


class Conv1d(nn.Module):
    """Convolution of stride 1 without bias; weight (R, out, in, width).

    An input with the channels of a single replicate, such as a batch of sequences for all of them, is shared.
    """

    def __init__(self, replicates: int, channels_in: int, channels_out: int, width: int, padding: str):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(replicates, channels_out, channels_in, width))
        self.padding = padding

    def forward(self, x: Tensor) -> Tensor:
        """(batch, R * in or in, 1, length) to (batch, R * out, 1, length or length - width + 1)."""
        replicates, channels_out, channels_in, width = self.weight.shape
        weight = self.weight.reshape(replicates * channels_out, channels_in, 1, width)
        if self.padding == "same":
            # As Keras does, an even width gets the odd base of padding on the right.
            left, right = (width - 1) // 2, width // 2
            if left == right:
                return F.conv2d(x, weight, padding=(0, left), groups=x.shape[1] // channels_in)
            x = F.pad(x, (left, right))
        return F.conv2d(x, weight, groups=x.shape[1] // channels_in)

    def reset(self, replicate: int, initializer: str | float, generator: torch.Generator) -> None:
        """Draw the initial weights of one replicate."""
        fill(self.weight[replicate], initializer, generator)


class Linear(nn.Module):
    """Linear map; weight (R, out, in), bias (R, out) or none. The initial bias is zero, as in Keras."""

    def __init__(self, replicates: int, features_in: int, features_out: int, bias: bool = False):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(replicates, features_out, features_in))
        self.bias = nn.Parameter(torch.zeros(replicates, features_out)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(batch, R * in) to (batch, R * out); for one replicate also (..., in) to (..., out)."""
        replicates, _, features_in = self.weight.shape
        if replicates == 1:
            return F.linear(x, self.weight[0], None if self.bias is None else self.bias[0])
        x = x.view(-1, replicates, features_in).transpose(0, 1)
        y = torch.bmm(x, self.weight.transpose(1, 2)).transpose(0, 1).flatten(1)
        return y if self.bias is None else y + self.bias.flatten()

    def reset(self, replicate: int, initializer: str, generator: torch.Generator) -> None:
        """Draw the initial weights of one replicate."""
        fill(self.weight[replicate], initializer, generator)


class BatchNorm(nn.Module):
    """Batch normalisation with Keras' epsilon of 1e-3; all tensors (R, channels).

    The running variance is the unbiased one, where Keras keeps the biased: a factor of n / (n - 1) for n values a
    channel, 1.01 at most in the models of the zoo.

    Attributes
    ----------
    update
        Weight of a batch's statistics in the running ones, in training: r becomes (1 - update) * r + update * batch.
    """

    def __init__(self, replicates: int, channels: int, momentum: float = MOMENTUM):
        super().__init__()
        # Rounded, so that 1 - 0.99 is 0.01 to the last bit.
        self.update = round(1 - momentum, 12)
        self.weight = nn.Parameter(torch.ones(replicates, channels))
        self.bias = nn.Parameter(torch.zeros(replicates, channels))
        self.register_buffer("running_mean", torch.zeros(replicates, channels))
        self.register_buffer("running_var", torch.ones(replicates, channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each channel over the batch and length (training) or by the running statistics."""
        mean, var = self.running_mean.view(-1), self.running_var.view(-1)
        weight, bias = self.weight.view(-1), self.bias.view(-1)
        return F.batch_norm(x, mean, var, weight, bias, self.training, momentum=self.update, eps=1e-3)


class LayerNorm(nn.Module):
    """Layer normalisation over the last axis, for one replicate; epsilon 1e-5, weight and bias (1, channels)."""

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, channels))
        self.bias = nn.Parameter(torch.zeros(1, channels))

    def forward(self, x: Tensor) -> Tensor:
        """(..., channels) to (..., channels)."""
        return F.layer_norm(x, self.weight.shape[1:], self.weight[0], self.bias[0])


class MaxPool(nn.Module):
    """Max-pooling whose stride is its size; 'valid' drops an incomplete window, 'same' keeps it."""

    def __init__(self, size: int, padding: str):
        super().__init__()
        self.size, self.padding = size, padding

    def pads(self, length: int) -> tuple[int, int]:
        """Return how many positions of minus infinity are put before and behind a map of this length."""
        missing = -length % self.size if self.padding == "same" else 0
        return missing // 2, missing - missing // 2

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, 1, length) to (batch, channels, 1, length / size)."""
        pads = self.pads(x.shape[-1])
        if any(pads):
            x = F.pad(x, pads, value=float("-inf"))
        return F.max_pool2d(x, (1, self.size))


class Flatten(nn.Module):
    """(batch, R * channels, 1, length) to (batch, R * length * channels), position by position as in Keras."""

    def __init__(self, replicates: int):
        super().__init__()
        self.replicates = replicates

    def forward(self, x: Tensor) -> Tensor:
        """Flatten each replicate's map."""
        return x.unflatten(1, (self.replicates, -1)).squeeze(3).transpose(2, 3).flatten(1)


class Noise:
    """The random numbers of all dropout layers of a model: a function of (seed, step) and of nothing else.

    On a CPU a third of a plain training step went into dropout's random numbers and its masks of booleans; here 16
    random bits an element come from NumPy's SFC64, and the comparison stays in 16-bit integers, which is vectorised.
    """

    def __init__(self) -> None:
        self._bits = np.random.SFC64(0)

    def reset(self, seed: int, step: int) -> None:
        """Start the random numbers of a training step."""
        self._bits = np.random.SFC64([seed, step])
        # A GPU draws its masks itself, from torch's generator.
        if torch.cuda.is_available():
            torch.cuda.manual_seed_all(int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> 1))

    def mask(self, shape: torch.Size, p: float, dtype: torch.dtype) -> Tensor:
        """Return zeros with probability p, to the nearest 1/65536, and 1 / (1 - p) elsewhere; on the CPU."""
        count = shape.numel()
        words = self._bits.random_raw((count + 3) // 4).view(np.int16)
        kept = torch.from_numpy(words)[:count].ge_(round(p * 65536) - 32768)
        scale = 1 / (1 - p)
        if dtype == torch.bfloat16:
            # The integers 0 and 1 times the bits of `scale` are the bits of 0 and of `scale`.
            return kept.mul_(int(torch.tensor(scale, dtype=dtype).view(torch.int16))).view(dtype).view(shape)
        return kept.to(dtype).mul_(scale).view(shape)


class Dropout(nn.Module):
    """Dropout with probability p in training, with the masks of a shared `Noise`."""

    def __init__(self, p: float, noise: Noise):
        super().__init__()
        self.p, self.noise = p, noise

    def forward(self, x: Tensor) -> Tensor:
        """Return x with dropped elements set to zero and the others scaled, or x itself in evaluation."""
        if not self.training or self.p == 0:
            return x
        if x.device.type != "cpu":
            return F.dropout(x, self.p, True)
        if x.dim() != 4:
            return x * self.noise.mask(x.shape, self.p, x.dtype)
        # The mask has the memory order of the map.
        last = x.permute(0, 2, 3, 1)
        return x * self.noise.mask(last.shape, self.p, x.dtype).permute(0, 3, 1, 2)
