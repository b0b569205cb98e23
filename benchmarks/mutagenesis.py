"""Saturation mutagenesis and DeepLIFT/SHAP of cnn-dist: cisflow against tangermeme, same model, sequences and output.

tangermeme's mutagenesis is timed as it comes (it tries its own fast path on long jobs) and with the fast path off.
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Callable, Sequence

import numpy as np
import torch
from tangermeme.deep_lift_shap import deep_lift_shap
from tangermeme.saturation_mutagenesis import saturation_mutagenesis

from cisflow.attribution.deep_lift import RULES
from cisflow.attribution.explained import Explained
from cisflow.attribution.methods import PAIRS, attribute
from cisflow.attribution.mutagenesis import mutagenesis
from cisflow.attribution.presets import resolve
from cisflow.models.convnet import ConvNet, one_hot

BATCH = 1000
# tangermeme's own batch of DeepLIFT/SHAP.
DEFAULT = 32


def in_turns(works: Sequence[Callable[[], torch.Tensor]], repeats: int) -> list[tuple[torch.Tensor, list[float]]]:
    """Return what each work computed, and its times: one of each, then again, as the machine's own speed changes."""
    found, seconds = [None] * len(works), [[] for _ in works]
    for _ in range(repeats):
        for number, work in enumerate(works):
            started = time.perf_counter()
            found[number] = work()
            seconds[number].append(time.perf_counter() - started)
    return list(zip(found, seconds, strict=True))


def report(name: str, seconds: list[float], base: list[float]) -> None:
    middle, reference = statistics.median(seconds), statistics.median(base)
    print(f"{name:55} {middle:7.2f} s ({min(seconds):.2f} to {max(seconds):.2f})  {reference / middle:5.2f}")


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--sequences", type=int, default=500)
    flags.add_argument("--repeats", type=int, default=3)
    flags.add_argument("--threads", type=int, default=torch.get_num_threads())
    flags.add_argument("--device", default="cpu")
    args = flags.parse_args()
    torch.set_num_threads(args.threads)
    model = ConvNet({"name": "cnn-dist", "activation": "exponential", "initializer": "he_normal"}, 200, 1)
    model.reset([1])
    explained = Explained(model.to(args.device).eval())
    x = np.random.default_rng(0).integers(0, 4, (args.sequences, 200), dtype=np.uint8)
    where = f"{args.threads} threads, {args.device}"
    print(f"cnn-dist, {args.sequences} sequences of 200 bp, {where}; median (range) of {args.repeats}, and the ratio")
    compare_mutagenesis(explained, x, args)
    compare_deep_lift(explained, x[: args.sequences // 5], args)


def compare_mutagenesis(explained: Explained, x: np.ndarray, args: argparse.Namespace) -> None:
    letters = one_hot(torch.from_numpy(x))

    def theirs(fast: bool) -> Callable[[], torch.Tensor]:
        def work() -> torch.Tensor:
            before, after = saturation_mutagenesis(
                explained, letters, batch_size=BATCH, device=args.device, raw_outputs=True, fast=fast
            )
            return (after - before[:, None, None])[..., 0].transpose(1, 2)

        return work

    works = theirs(True), theirs(False), lambda: mutagenesis(explained, x)
    (default, base), (_, plain), (ours, seconds) = in_turns(works, args.repeats)
    report("mutagenesis, tangermeme as it comes", base, base)
    report("mutagenesis, tangermeme with fast=False", plain, base)
    report("mutagenesis, cisflow", seconds, base)
    print(f"  largest difference {(ours - default).abs().max():.1e} of {default.abs().max():.2f}")


def compare_deep_lift(explained: Explained, x: np.ndarray, args: argparse.Namespace) -> None:
    letters = one_hot(torch.from_numpy(x))
    settings = resolve("recommended", {})

    def theirs(batch: int) -> Callable[[], torch.Tensor]:
        return lambda: deep_lift_shap(
            explained, letters, n_shuffles=settings.references, additional_nonlinear_ops=RULES, random_state=0,
            batch_size=batch, device=args.device, warning_threshold=float("inf"),
        )  # fmt: skip

    def ours() -> torch.Tensor:
        return torch.from_numpy(attribute(explained, x, "deep_lift_shap", settings).scores)

    batches = (DEFAULT, PAIRS[torch.device(args.device).type], BATCH)
    *others, (_, seconds) = in_turns([*map(theirs, batches), ours], args.repeats)
    for batch, (_, own) in zip(batches, others, strict=True):
        report(f"DeepLIFT/SHAP of {len(x)}, tangermeme, batches of {batch}", own, others[0][1])
    report(f"DeepLIFT/SHAP of {len(x)}, cisflow", seconds, others[0][1])


warnings.simplefilter("ignore", RuntimeWarning)
main()
