"""Embeddings of windows by a pretrained Basenji2: read, computed and written in a thread each, in bounded memory."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cisflow.embeddings.ahead import ahead
from cisflow.embeddings.store import Block, is_made, write_shard
from cisflow.embeddings.weights import load_basenji, read_params
from cisflow.embeddings.windows import Windows
from cisflow.errors import CisflowError
from cisflow.io import sha256
from cisflow.models.convnet import one_hot
from cisflow.models.device import choose_device
from cisflow.models.folded import Folded, inference
from cisflow.sequence import UNKNOWN
from cisflow.tracks.genome import Genome
from cisflow.tracks.shards import rows_of

# Batches that are read ahead of the computation, and computed ahead of the writing.
READ_AHEAD, WRITE_BEHIND = 4, 4
TYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class How:
    """How windows are computed.

    Attributes
    ----------
    precision
        A key of `PRECISIONS` of the model.
    batch
        Windows that are computed together.
    device
        'gpu', 'cpu' or 'any'.
    """

    precision: str = "32-true"
    batch: int = 4
    device: str = "any"


@dataclass(frozen=True)
class Kept:
    """What of the embeddings is stored.

    Attributes
    ----------
    keep
        'all' bins, their 'mean' or 'max', or numbers of bins.
    dtype
        'float16' or 'bfloat16'.
    compression
        One of `store.COMPRESSIONS`.
    """

    keep: str | Sequence[int] = "all"
    dtype: str = "float16"
    compression: str = "none"

    def of(self, embeddings: Tensor) -> Tensor:
        """Return what is kept of embeddings (batch, bins, channels), of the same number of axes."""
        if self.keep == "mean":
            return embeddings.float().mean(1, keepdim=True)
        if self.keep == "max":
            return embeddings.amax(1, keepdim=True)
        return embeddings if self.keep == "all" else embeddings[:, list(self.keep)]

    def bins(self, model: Folded) -> int:
        """Return how many bins are kept.

        Raises
        ------
        CisflowError
            The model does not have them.
        """
        if isinstance(self.keep, str):
            return model.bins if self.keep == "all" else 1
        if wrong := [number for number in self.keep if not 0 <= number < model.bins]:
            raise CisflowError(f"keep: there is no bin {wrong[0]}; the model has bins 0 to {model.bins - 1}.")
        return len(self.keep)


def load_model(weights: str | Path, params: str | Path | None, gelu: str, how: How, head: bool = False) -> Folded:
    """Return a model with its weights, ready to compute.

    Parameters
    ----------
    weights, gelu, head
        As of `load_basenji`.
    params
        Settings file (JSON); None for those of the published models.
    how
        Precision and device.

    Raises
    ------
    CisflowError
        A file is not right, or there is no such device.
    """
    device = choose_device(how.device)
    model = load_basenji(weights, read_params(params) if params else None, gelu, head)
    return inference(model, how.precision, device)


def about_of(
    model: Folded, how: How, kept: Kept, weights: str | Path, params: str | Path | None, genome: str | Path,
    regions: str | Path,
) -> dict[str, Any]:  # fmt: skip
    """Return what embeddings are (`store.ABOUT`): checksums of the files that they are made from, and how."""
    files = {"weights": weights, "params": params, "genome": genome, "regions": regions}
    about: dict[str, Any] = {f"{key}_sha256": sha256(path) if path else "" for key, path in files.items()}
    about |= {"gelu": model.gelu, "precision": how.precision, "keep": json.dumps(kept.keep)}
    return about | {"bin": model.bin, "crop": model.crop, "length": model.length}


def embed_shard(
    model: Folded, genome: str | Path, windows: Windows, about: Mapping[str, Any], how: How, kept: Kept,
    shard: int, shards: int, out: str | Path, progress: Progress | None = None,
) -> bool:  # fmt: skip
    """Write the embeddings of a shard of windows, unless it is there already.

    Parameters
    ----------
    model
        The trunk.
    genome
        The indexed genome.
    windows
        All windows.
    about
        See `about_of`.
    how, kept
        How they are computed, and what of them is stored.
    shard, shards
        Which part of the windows, from 0, and how many parts there are.
    out
        HDF5 file to write (schema embeddings/1).
    progress
        Told how many windows of the shard are written, and how many there are.

    Returns
    -------
    bool
        Whether it has been computed; False if it was there.

    Raises
    ------
    CisflowError
        The shard is there and is something else, or a value is too large for `kept.dtype`.
    """
    first, last = rows_of(shard, shards, len(windows))
    place, bins, own = (first, last, len(windows)), kept.bins(model), windows[first:last]
    if is_made(out, about, place, kept.dtype):
        return False
    work = lambda x: kept.of(model.embed(x))  # noqa: E731
    with closing(computed(work, genome, own, how, kept.dtype, progress)) as blocks:
        write_shard(
            out, about, place, own.table, own.padded, (bins, model.channels), kept.dtype, kept.compression, blocks
        )
    return True


def computed(
    work: Callable[[Tensor], Tensor],
    genome: str | Path,
    windows: Windows,
    how: How,
    dtype: str,
    progress: Progress | None = None,
) -> Iterator[Block]:
    """Yield what a model makes of windows, block by block; windows are read, and computed, in threads of their own.

    Parameters
    ----------
    work
        One-hot sequences (batch, 4, length) to what is stored, (batch, ...).
    genome, windows, how
        As in `embed_shard`.
    dtype
        A key of `TYPES`; bfloat16 comes as its bits, in uint16.
    progress
        As in `embed_shard`.

    Raises
    ------
    CisflowError
        A value is too large for `dtype`, or no number.
    """
    device = choose_device(how.device)
    batches = ahead(_read(genome, windows, how.batch), READ_AHEAD)
    with closing(ahead(_compute(batches, work, device, TYPES[dtype]), WRITE_BEHIND)) as results:
        for result in results:
            if result.done is not None:
                result.done.synchronize()
            _check(result, windows, dtype)
            values = result.values.view(torch.uint16) if dtype == "bfloat16" else result.values
            yield Block(result.first, values.numpy(), result.unknown)
            if progress:
                progress(result.first + len(values), len(windows))


@dataclass
class _Batch:
    """Windows as base indices, (batch, length), and the number of the first."""

    first: int
    codes: NDArray[np.uint8]


@dataclass
class _Result:
    first: int
    values: Tensor
    wrong: Tensor
    unknown: NDArray[np.int64]
    done: torch.cuda.Event | None


def _read(genome: str | Path, windows: Windows, batch: int) -> Iterator[_Batch]:
    chrom = windows.chrom
    with Genome(genome) as fasta:
        for first in range(0, len(windows), batch):
            rows = slice(first, min(first + batch, len(windows)))
            yield _Batch(first, fasta.encode(chrom[rows], windows.begin[rows], windows.length))


def _compute(
    batches: Iterator[_Batch], work: Callable[[Tensor], Tensor], device: torch.device, kind: torch.dtype
) -> Iterator[_Result]:
    # What is called float32 is without TF32.
    flags = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
    with closing(batches), torch.inference_mode(), flags:
        for batch in batches:
            codes = torch.from_numpy(batch.codes)
            if device.type == "cuda":
                codes = codes.pin_memory()
            y = work(one_hot(codes.to(device, non_blocking=True))).to(kind)
            wrong = (~torch.isfinite(y)).flatten(1).sum(1)
            # To pinned memory, while the next batch is computed.
            values, wrong = (tensor.to("cpu", non_blocking=True) for tensor in (y.contiguous(), wrong))
            done = torch.cuda.current_stream().record_event() if device.type == "cuda" else None
            unknown = np.count_nonzero(batch.codes == UNKNOWN, axis=1)
            yield _Result(batch.first, values, wrong, unknown, done)


def _check(result: _Result, windows: Windows, dtype: str) -> None:
    wrong = result.wrong.numpy()
    if not wrong.any():
        return
    row = int(np.flatnonzero(wrong)[0])
    place = result.first + row
    window = f"{windows.table['chrom'][place]}:{windows.begin[place]}-{windows.begin[place] + windows.length}"
    values = result.values[row].float()
    largest = torch.finfo(TYPES[dtype]).max
    if values.isnan().any():
        raise CisflowError(
            f"{window}: {int(values.isnan().sum()):,} values are no numbers. Are these the right weights?"
        )
    raise CisflowError(
        f"{window}: {int(wrong[row]):,} values are too large for {dtype}, which ends at {largest:g}. Store bfloat16 "
        "(embeddings) or float32 (predictions)."
    )
