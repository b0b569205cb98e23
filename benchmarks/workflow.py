"""Planning: what each job of a cluster pays to read the Snakefile, everything that is declared, and 30,000 jobs.

The peer is Snakemake with plain rules: as many jobs in the same shape (tasks of four runs, 22 jobs each), without
configuration, checks, or functions that are asked for inputs and parameters. Seconds are of the processor (user and
system), which other programs on the machine change less than those of the clock.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import yaml

from cisflow.config.project import Project, load_project

ROOT = Path(__file__).parents[1]
ACTIVATIONS = ("relu", "exponential", "sigmoid", "tanh")
JOBS = 22  # of a task: data set, 4 trainings, 4 maps, evaluation, 3 of filters, gallery, quality, 6 figures, report
# Snakemake, with its own clock: seconds until it is imported, of reading the Snakefile, and of all.
INSIDE = """
import atexit, json, resource, sys, time
from snakemake.cli import main
from snakemake.workflow import Workflow
imported, spent, depth, include = time.process_time(), [0.0], [0], Workflow.include
def timed(*args, **kwargs):
    depth[0] += 1
    started = time.process_time()
    try:
        return include(*args, **kwargs)
    finally:
        depth[0] -= 1
        spent[0] += 0 if depth[0] else time.process_time() - started
Workflow.include = timed
def tell():
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = {"imported": imported, "read": spent[0], "all": used.ru_utime + used.ru_stime}
    open(sys.argv[1], "w").write(json.dumps(seconds | {"peak": used.ru_maxrss / 1024}))
atexit.register(tell)
main(sys.argv[2:])
"""
PLAIN = """
TASKS = [f"made{number:04d}" for number in range(int(config["made"]))]
RUNS = "relu exponential sigmoid tanh".split()
PLOTS = "dataset performance training filters matches sequences".split()

rule all:
    input: expand("results/{task}/report.html", task=TASKS), expand("results/{task}/quality.tsv", task=TASKS)
"""
RULES = {
    "dataset": ("", "{task}/dataset.h5"),
    "train": ("'results/{task}/dataset.h5'", "{task}/runs/{run}/model"),
    "attribute": ("'results/{task}/dataset.h5', 'results/{task}/runs/{run}/model'", "{task}/maps/{run}.h5"),
    "evaluate": ("expand('results/{{task}}/runs/{run}/model', run=RUNS)", "{task}/metrics.tsv"),
    "filters": ("expand('results/{{task}}/runs/{run}/model', run=RUNS)", "{task}/filters.tsv"),
    "tomtom": ("'results/{task}/filters.tsv'", "{task}/tomtom.tsv"),
    "matches": ("'results/{task}/tomtom.tsv'", "{task}/matches.tsv"),
    "gallery": ("expand('results/{{task}}/runs/{run}/model', run=RUNS)", "{task}/gallery.tsv"),
    "quality": ("expand('results/{{task}}/maps/{run}.h5', run=RUNS)", "{task}/quality.tsv"),
    "draw": ("'results/{task}/metrics.tsv', 'results/{task}/matches.tsv', 'results/{task}/gallery.tsv'",
             "{task}/figures/{plot}.pdf"),
    "report": ("expand('results/{{task}}/figures/{plot}.pdf', plot=PLOTS)", "{task}/report.html"),
}  # fmt: skip
RULE = """
rule {name}:
    input: {inputs}
    output: "results/{output}"
    log: "logs/{output}.log"
    benchmark: "benchmarks/{output}.tsv"
    threads: 1
    resources: mem_mb=1000, runtime=10
    params: seed=1
    shell: "{name}.py --seed {{params.seed}} --in {{input}} --out {{output}} > {{log}}"
"""


@dataclass
class Used:
    """Seconds of the processor (until Snakemake is imported, of reading the Snakefile, all), of the clock; MB."""

    imported: float
    read: float
    all: float
    wall: float
    peak: float


def planned(folder: Path, *arguments: str) -> Used:
    """Run snakemake -n in a folder."""
    with tempfile.NamedTemporaryFile("r") as told:
        started = time.monotonic()
        command = [sys.executable, "-c", INSIDE, told.name, "-n", "--quiet", "all", "--nolock", *arguments]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        wall = time.monotonic() - started
        if done.returncode:
            sys.exit(done.stdout[-3000:] + done.stderr[-3000:])
        found = json.load(told)
    return Used(found["imported"], found["read"], found["all"], wall, found["peak"])


def declared(project: Project) -> list[str]:
    """Return a target for everything that the repository declares."""
    tasks, results = project.tasks.items(), project.settings.results
    targets = [f"{results}/reproduction.md", *(f"{results}/figures/{name}.pdf" for name in project.figures)]
    for name, task in tasks:
        tables = ["report.html", "dataset.h5", *(["metrics.tsv"] if task.model else [])]
        maps = ["attribution/quality.tsv"] if task.model and not task.heads else []
        targets += [project.table(name, table) for table in tables + maps]
    targets += [f"{results}/embeddings/{name}.h5" for name in project.embeddings]
    return targets + [project.source_file(name, file) for name, of in project.sources.items() for file in of.files]


def linked(folder: Path) -> Path:
    """Make a folder to run the workflow in: its code is the repository's."""
    for name in ("Snakefile", "workflow", "src", "profiles", "config"):
        (folder / name).symlink_to(ROOT / name)
    return folder


def made(folder: Path, tasks: int) -> list[str]:
    """Declare so many tasks of four runs in a folder; return their targets."""
    linked(folder)
    with h5py.File(folder / "mine.h5", "w") as h5:
        for split in ("train", "valid", "test"):
            h5[f"X_{split}"], h5[f"Y_{split}"] = np.zeros((4, 4, 100), np.int8), np.zeros((4, 1), np.int8)
    task = {
        "dataset": {"kind": "hdf5", "file": "mine.h5"},
        "model": {"name": "cnn-deep", "activation": list(ACTIVATIONS)},
    }
    names = [f"made{number:04d}" for number in range(tasks)]
    for key, content in {"tasks": dict.fromkeys(names, task), "figures": {}, "claims": {}}.items():
        (folder / f"{key}.yaml").write_text(json.dumps({key: content}))
    settings = {"tasks": ["tasks.yaml"], "figures": "figures.yaml", "claims": "claims.yaml"}
    (folder / "config.yaml").write_text(yaml.safe_dump(settings | {"reproduce": [], "leave_out": []}))
    return [f"results/tasks/{name}/{table}" for name in names for table in ("report.html", "attribution/quality.tsv")]


def ours(tasks: int) -> Used:
    """Plan the jobs of so many tasks of cisflow."""
    with tempfile.TemporaryDirectory() as folder:
        targets = made(Path(folder), tasks)
        flags = ("--profile", "profiles/local", "--configfile", "config.yaml")
        return planned(Path(folder), *flags, "--", *targets)


def peer(tasks: int) -> Used:
    """Plan as many jobs of plain rules."""
    with tempfile.TemporaryDirectory() as folder:
        rules = (RULE.format(name=name, inputs=inputs, output=output) for name, (inputs, output) in RULES.items())
        Path(folder, "Snakefile").write_text(PLAIN + "".join(rules))
        return planned(Path(folder), "--cores", "2", "--config", f"made={tasks}")


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def job(repeats: int) -> None:
    """Print what a job of a cluster pays before its own work begins: Snakemake is started again in it."""
    with tempfile.TemporaryDirectory() as folder:
        target = ("--allowed-rules", "export_jaspar", "--target-jobs", "export_jaspar:source=jaspar2016")
        flags = ("--mode", "remote", *target, "--cores", "1", "--ignore-incomplete")
        runs = [
            planned(linked(Path(folder)) if first else Path(folder), *flags)
            for first in [True] + [False] * (repeats - 1)
        ]
    print("| in each job of a cluster | seconds of the processor | goal |\n|---|---|---|")
    print(f"| Python starts and imports Snakemake | {spread([used.imported for used in runs])} | |")
    print(f"| the Snakefile is read (configuration, checks, rules) | {spread([used.read for used in runs])} | 1 |")
    print(f"| all of it, until the job's command would start | {spread([used.all for used in runs])} | |")
    print(f"| all of it, by the clock | {spread([used.wall for used in runs])} | |\n")


def everything(repeats: int) -> None:
    """Print the dry run of all targets at paper scale."""
    targets = declared(load_project(ROOT / "config/config.yaml"))
    with tempfile.TemporaryDirectory() as folder:
        flags = ("--profile", "profiles/local", "--", *targets)
        runs = [
            planned(linked(Path(folder)) if first else Path(folder), *flags)
            for first in [True] + [False] * (repeats - 1)
        ]
        shown = subprocess.run(
            ["snakemake", "-n", "--quiet", "rules", *flags], cwd=folder, capture_output=True, text=True, check=True
        ).stdout
    jobs = next(line.split()[1] for line in shown.splitlines() if line.startswith("total"))
    print(f"| everything declared | jobs | seconds of the processor | by the clock | peak MB | goal |\n{'|---' * 6}|")
    cells = (spread([used.all for used in runs]), spread([used.wall for used in runs]))
    print(f"| {len(targets)} targets | {jobs} | {' | '.join(cells)} | {max(used.peak for used in runs):.0f} | 10 |\n")


def growth(sizes: list[int], repeats: int) -> None:
    """Print time and memory against the number of jobs, both sides in turns."""
    print("| jobs | side | seconds of the processor | ms a job | ratio | by the clock | peak MB | kB a job |")
    print("|---" * 8 + "|")
    for size in sizes:
        tasks = round(size / JOBS)
        both = [(peer(tasks), ours(tasks)) for _ in range(repeats)]
        for side, runs in zip(("plain rules", "cisflow"), zip(*both, strict=True), strict=True):
            seconds = statistics.median(used.all for used in runs)
            ratio = seconds / statistics.median(plain.all for plain, _ in both)
            peak = max(used.peak for used in runs)
            each = f"{1e3 * seconds / (tasks * JOBS):.2f} | {ratio:.2f} | {spread([used.wall for used in runs])}"
            cells = f"{spread([used.all for used in runs])} | {each} | {peak:.0f} | {1e3 * peak / (tasks * JOBS):.0f}"
            print(f"| {tasks * JOBS:,} | {side} | {cells} |", flush=True)


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--jobs", type=int, nargs="*", default=[1_000, 3_000, 10_000, 30_000])
    flags.add_argument("--repeats", type=int, default=3)
    args = flags.parse_args()
    print(f"{os.cpu_count()} cores; load before: {', '.join(f'{load:.1f}' for load in os.getloadavg())}\n")
    job(args.repeats)
    everything(args.repeats)
    growth(args.jobs, args.repeats)


if __name__ == "__main__":
    main()
