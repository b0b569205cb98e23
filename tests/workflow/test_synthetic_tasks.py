"""The rules make the synthetic sets of the paper bit for bit: settings keep their order on the way to the script."""

import hashlib

import numpy as np
import pytest

from cisflow.io import h5_reader
from cisflow.pwm import information
from cisflow.sequence import decode
from tests.workflow.conftest import copy_of_repository, succeed

# Measured on the original generator with NumPy's legacy random numbers (specification, sections 2.1 and 2.3).
X = {
    "task1": {"train": "e3243d5dbf5e99a7", "valid": "fad2e0d8f5445c83", "test": "1f43b5bd6975997c"},
    "task3": {"train": "2bac264dd5a934d4", "valid": "97e72aae42f0f132", "test": "e1e4cdff4b0f4252"},
}
Y = {"train": "6c8a9bd4dd90496d", "valid": "e3dd60d79042f8cb", "test": "5defda8b96aed1b5"}
START = {"train": "TCCTTAATTTACTACCAGAG", "valid": "GACATCGGGTTGTCTCCCTT", "test": "CCAACCGGCGATTCTCGCCC"}
FACTORS = ["ARID3A", "CEBPB", "FOSL1", "GABPA", "MAFK", "MAX", "MEF2A", "NFYB", "SP1", "SRF", "STAT1", "YY1"]
TEST_POSITIVES = [899, 886, 872, 863, 851, 882, 869, 930, 890, 886, 870, 874]
TASK3_POSITIVES = {"train": 7012, "valid": 1015, "test": 1973}
# Task 1 with its classes in another order: the labels follow the configuration.
REORDERED = """
  reordered:
    dataset:
      kind: synthetic_motifs
      classes: {YY1: MA0095.2, ARID3A: MA0151.1, MAX: MA0058.3}
      sequences: 100
      length: 60
      counts: {1: 1.0}
      seed: 1
    model: null
"""


@pytest.fixture(scope="module")
def datasets(root, tmp_path_factory):
    clone = copy_of_repository(root, tmp_path_factory.mktemp("clone"))
    with (clone / "config/tasks.yaml").open("a") as tasks:
        tasks.write(REORDERED)
    paths = {task: f"results/tasks/{task}/dataset.h5" for task in ("task1", "task3", "reordered")}
    succeed(clone, "--profile", "profiles/local", "--cores", "2", *paths.values())
    return {task: clone / path for task, path in paths.items()}


def digest(array):
    return hashlib.sha256(np.ascontiguousarray(array.astype(np.int8))).hexdigest()[:16]


@pytest.mark.parametrize("task", X)
def test_sequences_are_those_of_the_original(datasets, task):
    with h5_reader(datasets[task], "dataset/1") as h5:
        assert {split: digest(h5[split]["x"][:]) for split in X[task]} == X[task]


def test_labels_and_truth_of_task_1(datasets):
    with h5_reader(datasets["task1"], "dataset/1") as h5:
        assert {split: digest(h5[split]["y"][:]) for split in Y} == Y
        assert {split: decode(h5[split]["x"][0, :20]) for split in START} == START
        assert h5["test/y"][:].sum(axis=0).tolist() == TEST_POSITIVES
        assert list(h5.attrs["targets"]) == FACTORS
        # 10.8 % of the bases are motif (specification, section 2.1).
        truth = h5["test/truth"][:]
        assert (information(truth.transpose(0, 2, 1)) > 0.01).mean() == pytest.approx(0.108, abs=0.003)


def test_labels_of_task_3(datasets):
    with h5_reader(datasets["task3"], "dataset/1") as h5:
        assert {split: int(h5[split]["y"][:].sum()) for split in TASK3_POSITIVES} == TASK3_POSITIVES


def test_targets_stand_in_the_order_of_the_configuration(datasets):
    with h5_reader(datasets["reordered"], "dataset/1") as h5:
        assert list(h5.attrs["targets"]) == ["YY1", "ARID3A", "MAX"]
