"""The small pieces: data set of Task 1, Tomtom of one trial, plan of Figure 1, memory of a training job."""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cisflow.config.project import load_project
from cisflow.motifs.tomtom import tomtom
from cisflow.pwm import Motif
from cisflow.sources.jaspar import release_motifs
from training_data import task1

REPEATS = 5


def timed(work: Callable[[], object]) -> str:
    found = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return f"{statistics.median(found):.2f} s ({min(found):.2f} to {max(found):.2f}, {REPEATS} times)"


def one_trial() -> str:
    """Time Tomtom of 32 filters, as wide and as clear as trained ones, against JASPAR 2016."""
    known = release_motifs("JASPAR2016", "CORE", "vertebrates")
    filters = [Motif(f"filter{n}", "", 0.9 * m.probabilities + 0.025, 200) for n, m in enumerate(known[::16][:32])]
    tomtom(filters, known, 0.1)
    return timed(lambda: tomtom(filters, known, 0.1))


def plan() -> str:
    command = ["snakemake", "--profile", "profiles/local", "-n", "results/figures/fig1.pdf"]
    return timed(lambda: subprocess.run(command, check=True, capture_output=True))


def training_memory(dataset: Path, folder: Path) -> str:
    """Return the peak memory of a training job of Task 1, as the operating system counted it."""
    task = load_project("config/config.yaml").task("task1")
    run = "cnn-deep_exponential"
    settings = task.learning_settings(run) | {"epochs": 1}
    command = [
        sys.executable, "workflow/scripts/training/train.py", "--task", "task1", "--run", run, "--dataset", dataset,
        "--model", json.dumps(task.runs()[run]), "--training", json.dumps(settings), "--trials", "1",
        "--weights", "last", "--device", "cpu",
        "--precision", "auto", "--data", "memory", "--work", folder / "work", "--out", folder / "out",
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return f"{resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6:.2f} GB"


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # First, since the operating system keeps the largest of all child processes.
        print("peak memory of a training job of Task 1:", training_memory(task1(folder), folder))
        print("data set of Task 1 (30,000 sequences), with writing:", timed(lambda: task1(folder)))
    print("Tomtom of 32 filters against 519 motifs:", one_trial())
    print("dry run of Figure 1 at paper scale:", plan())


main()
