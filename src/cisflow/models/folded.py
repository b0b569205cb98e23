"""Basenji2 for inference: normalisations folded into convolutions, channels last, tiles that stay in a CPU's cache.

It computes what `cisflow.models.basenji.Basenji` does in evaluation. Only forward passes are meant: non-linearities are
no modules of their own here, so hooks, gradients and DeepLIFT use the plain model.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from cisflow.models.basenji import BASES, Basenji, ConvBlock, Crop, Residual

# As the trainer names them: the type of factors (sums of products are of float32 in each), and of what passes along the
# residual blocks.
PRECISIONS = {
    "32-true": (torch.float32, torch.float32),
    "bf16-mixed": (torch.bfloat16, torch.float32),
    "bf16-true": (torch.bfloat16, torch.bfloat16),
}
# Positions that a CPU takes at a time: what a convolution gives stays in the cache until it is pooled.
TILE = 4096
# Tensor cores want channels in multiples of this; those that are added are zeros, and stay so.
ALIGNED = 8
# x sigmoid(1.702 x) is silu(1.702 x) / 1.702. All values are kept 1.702 times as large, so that no product is needed.
SCALE = {"quick": 1.702, "tanh": 1.0, "erf": 1.0}


def inference(model: Basenji, precision: str = "32-true", device: str | torch.device = "cpu") -> "Folded":
    """Return a model for inference with the weights of another, which stays as it is.

    Parameters
    ----------
    model
        Basenji2; it is taken as in evaluation.
    precision
        A key of `PRECISIONS`.
    device
        Where it is to compute.

    Raises
    ------
    ValueError
        The precision is none of `PRECISIONS`.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"the precision '{precision}' is none of {', '.join(PRECISIONS)}")
    device = torch.device(device)
    folded = Folded(model, *PRECISIONS[precision], 1 if device.type == "cpu" else ALIGNED)
    return folded.to(device).eval().requires_grad_(False)


def _activate(x: Tensor, gelu: str) -> Tensor:
    if gelu == "quick":
        return fn.silu(x)
    return fn.gelu(x, approximate="tanh" if gelu == "tanh" else "none")


def _fold(block: ConvBlock, aligned: int) -> tuple[Tensor, Tensor]:
    """Return weight (filters, channels, width) and bias of a convolution and the normalisation after it."""
    norm = block.norm
    # In float64: the fold costs one rounding.
    factor = norm.weight.detach().double() / torch.sqrt(norm.running_var.double() + norm.eps)
    weight = block.conv.weight.detach().double() * factor[:, None, None]
    bias = norm.bias.detach().double() - norm.running_mean.double() * factor
    more, channels = -len(bias) % aligned, weight.shape[1]
    # The four bases are no channels to be aligned.
    weight = fn.pad(weight, (0, 0, 0, -channels % aligned if channels > BASES else 0, 0, more))
    return weight, fn.pad(bias, (0, more))


class _Block(nn.Module):
    """GELU, convolution with its normalisation, pooling: (batch, length, channels) to (batch, length / pool, filters).

    Rows that come and go are before the GELU, and `SCALE` times as large as in the plain model.
    """

    def __init__(self, block: ConvBlock, gelu: str, dtype: torch.dtype, aligned: int):
        super().__init__()
        weight, bias = _fold(block, aligned)
        self.gelu, self.dtype = gelu, dtype
        self.dilation = block.conv.dilation[0]
        self.pool = block.pool.kernel_size if isinstance(block.pool, nn.MaxPool1d) else 1
        self.margin = self.after = self.dilation * (weight.shape[2] - 1) // 2
        self.kind = "image" if weight.shape[2] > 1 else "linear"
        if self.kind == "linear":
            weight = weight[..., 0]
        elif weight.shape[1] == BASES and self.dilation == 1:
            # The bases that a filter sees are one row of a matrix; with one more, it has 64 columns and not 60.
            self.kind, self.after = "bases", self.margin + 1
            weight = fn.pad(weight, (0, 1)).transpose(1, 2).flatten(1)
        else:
            weight = weight[:, :, None].contiguous(memory_format=torch.channels_last)
        self.weight = nn.Parameter(weight.to(dtype, memory_format=torch.preserve_format))
        self.bias = nn.Parameter((bias * SCALE[gelu]).to(dtype))

    def forward(self, x: Tensor, tile: int) -> Tensor:
        """Compute `tile` positions at a time."""
        batch, length, _ = x.shape
        if tile >= length:
            return self._pooled(self._convolved(x, 0, length))
        tile -= tile % self.pool
        out = x.new_empty((batch, length // self.pool, len(self.bias)), dtype=self.dtype)
        for start in range(0, length, tile):
            end = min(start + tile, length)
            self._pooled(self._convolved(x, start, end), out[:, start // self.pool : end // self.pool])
        return out

    def _convolved(self, x: Tensor, start: int, end: int) -> Tensor:
        """Return the convolution at the positions from `start` to `end`, with zeros for what lies outside."""
        first, last = max(start - self.margin, 0), min(end + self.after, x.shape[1])
        before, after = first - start + self.margin, end + self.after - last
        x = _activate(x[:, first:last], self.gelu).to(self.dtype)
        if self.kind == "linear":
            return fn.linear(x, self.weight, self.bias)
        if self.kind == "bases" or before != after:
            x, before = fn.pad(x, (0, 0, before, after)), 0
        if self.kind == "bases":
            return fn.linear(self._side_by_side(x, end - start), self.weight, self.bias)
        # Rows are an image of height 1 with its channels last, as it lies in memory.
        image = x.transpose(1, 2).unsqueeze(2)
        image = fn.conv2d(image, self.weight, self.bias, padding=(0, before), dilation=(1, self.dilation))
        return image.squeeze(2).transpose(1, 2)

    def _side_by_side(self, x: Tensor, length: int) -> Tensor:
        return x.as_strided((len(x), length, self.weight.shape[1]), (x.stride(0), BASES, 1))

    def _pooled(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        if self.pool == 1:
            return x if out is None else out.copy_(x)
        found = torch.maximum(x[:, :: self.pool], x[:, 1 :: self.pool], out=out)
        for place in range(2, self.pool):
            torch.maximum(found, x[:, place :: self.pool], out=found)
        return found


class Folded(nn.Module):
    """Basenji2 for inference, with the methods and sizes of `Basenji`; `inference` makes it.

    On a CPU the sequences of a batch are computed one after another, so that only the result grows with the batch.
    """

    def __init__(self, model: Basenji, dtype: torch.dtype, stream: torch.dtype, aligned: int):
        super().__init__()
        self.length, self.bin, self.crop, self.bins = model.length, model.bin, model.crop, model.bins
        self.channels, self.gelu, self.dtype, self.stream = model.channels, model.gelu, dtype, stream
        self.blocks = nn.ModuleList(_Block(block, model.gelu, dtype, aligned) for block in model.convolutions())
        # What happens to the rows: a block, two blocks around which they pass, or a number of positions that go.
        self.steps: list[tuple[str, int]] = []
        for module in model.trunk:
            if isinstance(module, ConvBlock):
                self.steps.append(("block", 1))
            elif isinstance(module, Residual):
                self.steps.append(("residual", 2))
            elif isinstance(module, Crop):
                self.steps.append(("crop", module.size))
        self.head = None
        if model.head is not None:
            self.head = nn.Linear(model.channels, model.head.out_features, dtype=dtype)
            self.head.load_state_dict(model.head.state_dict())

    @torch.inference_mode()
    def embed(self, x: Tensor) -> Tensor:
        """Return embeddings (batch, bins, channels), of the precision's type, of one-hot bases (batch, 4, length)."""
        x = x.to(self.blocks[0].weight.device)
        if x.device.type != "cpu":
            return self._trunk(x, self.length)
        out = x.new_empty((len(x), self.bins, self.channels), dtype=self.dtype)
        for row, one in zip(out, x, strict=True):
            row.copy_(self._trunk(one[None], TILE)[0])
        return out

    def _trunk(self, x: Tensor, tile: int) -> Tensor:
        scale = SCALE[self.gelu]
        rows = x.transpose(1, 2).contiguous().to(torch.float32) * scale
        blocks = iter(self.blocks)
        for kind, size in self.steps:
            if kind == "block":
                rows = next(blocks)(rows, tile)
            elif kind == "residual":
                inner, outer = next(blocks), next(blocks)
                rows = rows.to(self.stream).add_(outer(inner(rows, tile), tile))
            else:
                rows = rows[:, size : rows.shape[1] - size]
        return (_activate(rows, self.gelu) / scale)[..., : self.channels].to(self.dtype)

    @torch.inference_mode()
    def forward(self, x: Tensor) -> Tensor:
        """Return the tracks (batch, bins, targets), float32, of one-hot sequences (batch, 4, length).

        Raises
        ------
        ValueError
            The model is a trunk alone.
        """
        if self.head is None:
            raise ValueError("the model is a trunk alone: it gives embeddings and no tracks")
        return fn.softplus(self.head(self.embed(x)).float())
