"""Which statistics of batch normalisation predict best after few steps, and what they cost.

    python benchmarks/normalisation.py [--trials 3] [--epochs 5] [--sequences 2000]

Random sequences with a planted motif in half of them; small networks of the zoo are trained for a few epochs with each
kind of statistics, with the same weights in the end. Accuracy and AUROC are those of 2,000 test sequences. 'corrected'
is not a choice of cisflow: running averages without the part of the initial values, as Adam corrects its moments.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from cisflow.training import engine, normalisation
from cisflow.training.data import DataInfo, Rows

LENGTH, TEST = 200, 2000
# The longer one is learned within few epochs by every network, the shorter one is not.
MOTIFS = {"15 bases": "TGACTCAGGCATTGC", "7 bases": "TGACTCA"}
# Name, setting of the engine, momentum, and whether running averages are corrected.
KINDS = (
    ("keras, 0.99", "keras", 0.99, False),
    ("corrected, 0.99", "keras", 0.99, True),
    ("corrected, 0.9", "keras", 0.9, True),
    ("recomputed", "recomputed", 0.99, False),
)


class Corrected(engine.Training):
    """A training whose running averages have no part of their initial values."""

    momentum = 0.99

    def _step(self, batch):
        batches = self.train.batch_count(self.settings["batch_size"])
        steps = self.epoch * batches + self.step + 1
        for layer in normalisation.norms(self.model.module):
            layer.update = (1 - self.momentum) / (1 - self.momentum**steps)
        return super()._step(batch)


def planted(count: int, motif: str, seed: int) -> Rows:
    """Return random sequences, of which the first half have the motif at a random place."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 4, (count, LENGTH), dtype=np.uint8)
    bases = np.array(["ACGT".index(base) for base in motif], np.uint8)
    for row in range(count // 2):
        start = rng.integers(0, LENGTH - len(bases))
        x[row, start : start + len(bases)] = bases
    return Rows({"x": x}, (np.arange(count) < count // 2).astype(np.float32)[:, None])


@torch.inference_mode()
def score(training: engine.Training, rows: Rows) -> tuple[float, float]:
    """Return AUROC and accuracy of a trained network."""
    training.model.eval()
    batches = list(rows.batches(torch.arange(rows.count), 1000))
    outputs = torch.cat([training.model(**batch.inputs()) for batch in batches])[:, 0]
    y = torch.cat([batch.y for batch in batches])[:, 0]
    return roc_auc_score(y, outputs), ((outputs > 0) == (y > 0.5)).float().mean().item()


def train(spec: dict, rows: dict[str, Rows], epochs: int, kind: tuple, seed: int) -> tuple[float, float, float]:
    """Return AUROC, accuracy and seconds of one training."""
    _, setting, momentum, corrected = kind
    settings = {
        "loss": "binary_cross_entropy", "optimizer": {"name": "adam", "lr": 1e-3, "eps": 1e-7}, "batch_size": 100,
        "epochs": epochs, "monitor": "auroc", "mode": "max", "weights": "last", "norm_statistics": setting,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        make = type("Corrected", (Corrected,), {"momentum": momentum}) if corrected else engine.Training
        training = make(
            spec, DataInfo(LENGTH, ["motif"], "binary"), rows["train"], rows["valid"], settings, {"trial-0": seed},
            Path(folder), engine.make_fabric("cpu", "32-true"), None, lambda trial, row: None,
        )  # fmt: skip
        started = time.perf_counter()
        training.run()
        seconds = time.perf_counter() - started
    return *score(training, rows["test"]), seconds


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--trials", type=int, default=3)
    flags.add_argument("--epochs", type=int, default=5)
    flags.add_argument("--sequences", type=int, default=2000)
    args = flags.parse_args()
    torch.set_num_threads(1)
    print("| motif | model | activation | statistics | AUROC of each trial | accuracy of each trial | time, ratio |")
    print("|---|---|---|---|---|---|---|")
    for name, motif in MOTIFS.items():
        sizes = {"train": args.sequences, "valid": args.sequences // 4, "test": TEST}
        rows = {split: planted(count, motif, seed) for seed, (split, count) in enumerate(sizes.items())}
        for model in ("cnn-2", "cnn-deep"):
            for activation in ("relu", "exponential"):
                compare(name, {"name": model, "activation": activation, "l2": 1e-6}, rows, args)


def compare(motif: str, spec: dict, rows: dict[str, Rows], args: argparse.Namespace) -> None:
    """Train with each kind of statistics, trial by trial in turns, and print a row of each."""
    results = {kind: [] for kind in KINDS}
    for seed in range(args.trials):
        for kind, found in results.items():
            found.append(train(spec, rows, args.epochs, kind, seed))
    base = statistics.median(seconds for *_, seconds in results[KINDS[0]])
    for (name, *_), found in results.items():
        aurocs, accuracies = (", ".join(f"{row[column]:.3f}" for row in found) for column in (0, 1))
        ratio = statistics.median(seconds for *_, seconds in found) / base
        cells = (motif, spec["name"], spec["activation"], name, aurocs, accuracies, f"{ratio:.2f}")
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
