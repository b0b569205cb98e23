"""Results with records, made here: a figure, and the jobs behind it; and the validator of RO-Crates."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import rocrate
from tests.workflow.conftest import copy_of_repository

from cisflow.checksums import describe

VERSIONS = {"python": "3.11.7", "cisflow": "0.1.0", "numpy": "2.4.6"}
RESULTS = "results/demo"


class Records:
    """Writes records of jobs into a folder of results, as `cisflow.job` does."""

    def __init__(self, root: Path, results: str = RESULTS):
        self.root, self.results, self.number = root, results, 0

    def start(self, job: str, rule: str, asked=None, **more) -> str:
        """Write that an attempt starts, and return its id."""
        self.number += 1
        event = {
            "id": f"{self.number:012x}", "event": "start", "rule": rule, "job": job,
            "command": [more.pop("script", "workflow/scripts/training/train.py"), "--seed", "1"],
            "asked": {"threads": 1, "mem_mb": 1000, "runtime": 60} | (asked or {}),
            "started": f"2026-11-20T10:{self.number:02d}:00+0100", "host": "node1", "pid": 1,
        }  # fmt: skip
        self._write(job, event | more)
        return event["id"]

    def end(self, job: str, name: str, status: str = "done", reads=(), writes=(), **more) -> None:
        """Write that it ends; checksums are those of the files as they are now."""
        files = {
            kind: {path: describe(self.root / path, status == "done") for path in paths}
            for kind, paths in (("reads", reads), ("writes", writes))
        }
        event = {
            "id": name, "event": "end", "status": status, "message": None, "seconds": 60.0, "cpu_seconds": 90.0,
            "ended": f"2026-11-20T11:{self.number:02d}:00+0100", "memory_mb": 300.0, "children_mb": 100.0,
            "cpu": {"model": "a processor", "visible": 2}, "provenance": [], "versions": VERSIONS,
            "commit": "0123456789ab", "machine": "Linux", "recording_seconds": 0.1,
        }  # fmt: skip
        self._write(job, event | files | more)

    def add(self, job: str, rule: str, status: str = "done", asked=None, script=None, reads=(), writes=(), **more):
        """Write a whole attempt."""
        given = {"script": script} if script else {}
        given |= {"command": more.pop("command")} if "command" in more else {}
        self.end(job, self.start(job, rule, asked, **given), status, reads, writes, **more)

    def path(self, job: str) -> Path:
        return self.root / self.results / "logs" / f"{job}.jsonl"

    def _write(self, job: str, event: dict) -> None:
        self.path(job).parent.mkdir(parents=True, exist_ok=True)
        with self.path(job).open("a") as handle:
            handle.write(json.dumps(event) + "\n")


@pytest.fixture
def records(tmp_path) -> Records:
    return Records(tmp_path)


def write(root: Path, path: str, text: str = "") -> str:
    """Write a small file, and return its path."""
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text or path)
    return path


@pytest.fixture
def finished(root, tmp_path) -> Records:
    """A copy of the repository in which Figure 1 was drawn from a trained task, on paper."""
    clone = copy_of_repository(root, tmp_path / "clone")
    made = Records(clone)
    fetched = write(clone, "resources/hg38/hg38.fa.gz")
    motifs = write(clone, "resources/jaspar2016/jaspar2016.jaspar")
    own = write(clone, "data/my peaks.bed")
    dataset, metrics, run = (f"{RESULTS}/tasks/task1/{name}" for name in ("dataset.h5", "metrics.tsv", "runs/cnn_relu"))
    made.add("sources/hg38/hg38.fa.gz", "fetch_source", script="workflow/scripts/sources/fetch.py", writes=[fetched])
    write(clone, dataset)
    script = "workflow/scripts/datasets/make.py"
    made.add("datasets/task1", "make_dataset", script=script, reads=[fetched, motifs, own], writes=[dataset])
    write(clone, f"{run}/trial-0/model.json")
    write(clone, f"{run}/.snakemake_timestamp")
    made.add("training/task1/cnn_relu", "train", "stopped", reads=[dataset], writes=[run])
    gpu = [{"name": "a GPU", "allocated_mb": 10.0, "reserved_mb": 20.0}]
    made.add("training/task1/cnn_relu", "train", reads=[dataset], writes=[run], gpus=gpu)
    write(clone, metrics)
    script = "workflow/scripts/evaluation/evaluate.py"
    made.add("evaluation/task1", "evaluate", script=script, reads=[dataset, run], writes=[metrics])
    figure = [write(clone, f"{RESULTS}/figures/fig1.{ending}") for ending in ("pdf", "png", "tsv", "json")]
    script = "workflow/scripts/figures/draw.py"
    made.add("figures/fig1", "draw_figure", script=script, reads=[metrics], writes=figure)
    made.add("figures/unrelated", "draw_figure", script=script, writes=[write(clone, f"{RESULTS}/figures/s7.pdf")])
    return made


@pytest.fixture(scope="session")
def validate(root):
    """Return a function: the issues that the validator has with a crate, by profile; skip where it is not installed."""
    python = os.environ.get("CISFLOW_VALIDATOR_PYTHON", str(root / ".venv-validator/bin/python"))
    if not Path(python).is_file():
        pytest.skip(f"no validator of RO-Crates: there is no {python} ('make .venv-validator/ready' installs it)")
    context = Path(rocrate.__file__).parent / "data/ro-crate.jsonld"

    def issues(crate: Path, severity: str = "REQUIRED") -> dict[str, list[str]]:
        command = [python, root / "tests/records/validate_crate.py", crate, context, severity]
        kept = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=kept, check=False)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout.splitlines()[-1])
        # Of these, profile and all those that it is based on, how many checks there are is known to be more.
        assert [entry["checks"] > 40 for entry in found] == [True, True]
        return {entry["profile"]: entry["issues"] for entry in found}

    return issues
