"""Tables of every task of the configuration, with made-up numbers, as the workflow would write them."""

from pathlib import Path

import numpy as np

from cisflow.attribution.presets import METHODS, REFERENCED
from cisflow.config.project import Project
from cisflow.io import write_tsv
from cisflow.pwm import Motif, write_meme
from cisflow.tables import (
    ATTRIBUTION_REFERENCES,
    ATTRIBUTION_SCORES,
    LABELS,
    MATCHES,
    METRICS,
    SCAN,
    SCAN_EXAMPLES,
    THRESHOLDS,
)

TRIALS = 5


def write_tables(project: Project, folder: Path, trials: int) -> None:
    """Write tables below `folder/<task>`; every number is another."""
    rng = np.random.default_rng(0)
    for name, task in project.tasks.items():
        if task.heads:
            continue  # No figure of the paper reads them.
        rows = {"metrics": [], "matches": [], "thresholds": [], "scores": []}
        for run, spec in task.runs().items():
            about = {"task": name, "run": run, "model": spec["name"], "activation": spec["activation"]}
            for trial in range(trials):
                for kind, new in _rows(rng, about | {"trial": trial}).items():
                    rows[kind] += new
        write_tsv(folder / name / "metrics.tsv", METRICS, rows["metrics"])
        _write_scans(rng, folder / name / "motifs/scan", name, task.runs(), trials)
        _write_references(rng, folder / name / "attribution/references", name, task.runs(), trials)
        write_tsv(folder / name / "motifs/matches.tsv", MATCHES, rows["matches"])
        write_tsv(folder / name / "motifs/thresholds.tsv", THRESHOLDS, rows["thresholds"])
        write_tsv(folder / name / "attribution/scores.tsv", ATTRIBUTION_SCORES, rows["scores"])
        _write_filters(rng, folder / name / "motifs", name, list(task.runs().items()))


def _rows(rng, about):
    found = {"filters": 32, "with_matrix": 32, "factors_found": 1}

    def matches(name):
        return about | found | {"set": name, "match_fraction": rng.random(), "match_any": rng.random()}

    metric = about | {"set": "test", "target": "mean", "n": 12}
    return {
        "metrics": [metric | {"metric": name, "value": rng.random()} for name in ("auroc", "aupr")],
        "matches": [matches(name) for name in ("filters", "shuffled")],
        "thresholds": [matches(name) | {"threshold": t / 10} for name in ("filters", "shuffled") for t in range(1, 10)],
        "scores": [
            about | {"method": method, "sequences": 50, "auroc": rng.random(), "aupr": rng.random()}
            for method in METHODS
        ],
    }


def _write_filters(rng, folder, task, runs):
    labels = []
    for run, spec in runs:
        motifs = [Motif(f"filter{n}", "", rng.dirichlet(np.full(4, 0.3), 12).T, 9) for n in range(10)]
        write_meme(folder / "meme" / run / "trial-0.meme", motifs)
        about = {"task": task, "run": run, "model": spec["name"], "activation": spec["activation"], "trial": 0}
        labels += [about | {"filter": f"filter{n}", "factor": "SRF", "e_value": rng.random()} for n in range(12)]
    write_tsv(folder / "labels.tsv", LABELS, labels)


def _scan(rng, about, scanner):
    every = [(buffer, ends) for buffer in (5, 10) for ends in ("corrected", "published")]
    return [
        about | {"scanner": scanner, "buffer": buffer, "ends": ends, "sequences": 9} | _areas(rng)
        for buffer, ends in every
    ]


def _areas(rng):
    return {name: rng.random() for name in ("auroc", "aupr", "auroc_sd", "aupr_sd")}


def _example(rng, about, scanner):
    of = about | {"scanner": scanner}
    return [
        of | {"example": example, "sequence": f"sequence-{example}", "position": p, "score": rng.random()}
        for example in range(2)
        for p in range(60)
    ]


def _write_scans(rng, folder, task, runs, trials):
    about = {"task": task, "run": "motifs"}
    rows = [row for scanner in ("ppm", "pwm", "random") for row in _scan(rng, about, scanner)]
    write_tsv(folder / "motifs.tsv", SCAN, rows)
    examples = [row for scanner in ("truth", "ppm", "pwm") for row in _example(rng, about, scanner)]
    for row in examples:
        if row["scanner"] == "truth":
            row["score"] = 2.0 if 20 <= row["position"] < 30 else 0.0
    write_tsv(folder / "examples/motifs.tsv", SCAN_EXAMPLES, examples)
    for run, spec in runs.items():
        about = {"task": task, "run": run, "model": spec["name"], "activation": spec["activation"]}
        rows = [row for trial in range(trials) for row in _scan(rng, about | {"trial": trial}, "first")]
        write_tsv(folder / f"{run}.tsv", SCAN, rows)
        write_tsv(folder / f"examples/{run}.tsv", SCAN_EXAMPLES, _example(rng, about | {"trial": 0}, "first"))


def _write_references(rng, folder, task, runs, trials):
    for run, spec in runs.items():
        about = {"task": task, "run": run, "model": spec["name"], "activation": spec["activation"]}
        rows = [
            about | {"trial": trial, "method": method, "references": count, "sequences": 9,
                "auroc": rng.random(), "aupr": rng.random()}
            for trial in range(trials) for method in REFERENCED for count in (1, 3, 5)
        ]  # fmt: skip
        write_tsv(folder / f"{run}.tsv", ATTRIBUTION_REFERENCES, rows)
