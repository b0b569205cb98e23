"""A task of synthetic sequences: scans by its motifs and filters, and scores by the number of references."""

import json

import pytest

from cisflow.tables import ATTRIBUTION_REFERENCES, SCAN, SCAN_EXAMPLES, read_tsv
from tests.workflow.conftest import copy_of_repository, succeed

TASK = """
  known:
    dataset:
      kind: synthetic_motifs
      classes: {SP1: MA0079.3, YY1: MA0095.2}
      sequences: 300
      length: 100
      counts: {1: 0.5, 2: 0.3, 3: 0.2}
      seed: 1
    model: {name: cnn-local, activation: exponential}
    trials: 2
    training: {epochs: 1, device: any}
    scan: {buffers: [5, 10], examples: 1}
    attribution: {sequences: 4, reference_counts: [3, 1], steps: 2}
"""
RUN = "cnn-local_exponential"
TARGETS = [
    "motifs/scan/motifs.tsv", "motifs/scan/examples/motifs.tsv", f"motifs/scan/{RUN}.tsv",
    f"motifs/scan/examples/{RUN}.tsv", f"attribution/references/{RUN}.tsv",
]  # fmt: skip

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def task(root, tmp_path_factory):
    clone = copy_of_repository(root, tmp_path_factory.mktemp("known") / "clone")
    with (clone / "config/tasks.yaml").open("a") as file:
        file.write(TASK)
    folder = "results/tasks/known"
    succeed(clone, "--profile", "profiles/local", "--cores", "2", *(f"{folder}/{target}" for target in TARGETS))
    return clone / folder


def test_every_scan_and_trial_is_measured(task):
    known, filters = (read_tsv(task / f"motifs/scan/{name}.tsv", SCAN) for name in ("motifs", RUN))
    assert known.height == 3 * 2 * 2
    assert filters.height == 2 * 2 * 2
    assert set(filters["trial"]) == {0, 1}
    assert set(filters["scanner"]) == {"first"}
    own = known.filter(buffer=10, ends="corrected")
    assert own.filter(scanner="pwm")["auroc"].item() > own.filter(scanner="random")["auroc"].item() + 0.3
    record = json.loads((task / "motifs/scan/motifs.provenance.json").read_text())
    assert "MA0079.3" in json.dumps(record)


def test_examples_are_of_the_same_sequence(task):
    known, filters = (read_tsv(task / f"motifs/scan/examples/{name}.tsv", SCAN_EXAMPLES) for name in ("motifs", RUN))
    assert set(known["scanner"]) == {"truth", "ppm", "pwm"}
    assert known.height == 3 * 100
    assert filters.height == 100
    assert known["sequence"].unique().to_list() == filters["sequence"].unique().to_list()


def test_scores_by_the_number_of_references(task):
    table = read_tsv(task / f"attribution/references/{RUN}.tsv", ATTRIBUTION_REFERENCES)
    assert table.height == 2 * 2 * 2
    assert set(table["method"]) == {"integrated_gradients", "deep_lift_shap"}
    assert set(table["references"]) == {1, 3}
    assert table["auroc"].is_between(0, 1).all()
