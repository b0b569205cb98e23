"""The synthetic sets are the original's, bit for bit, and their truth is what the sequences were drawn from."""

import hashlib

import numpy as np
import pytest
import yaml

from cisflow.config.project import load_project
from cisflow.datasets.make import make_dataset
from cisflow.datasets.synthetic import Planting, both_strands, find_motifs, plant, synthetic_motifs
from cisflow.errors import CisflowError
from cisflow.io import h5_reader
from cisflow.pwm import Motif
from cisflow.sequence import decode
from cisflow.sources.jaspar import export

# Measured on the original generator with NumPy's legacy random numbers (specification, sections 2.1 and 2.3).
TASK1_X = {"train": "e3243d5dbf5e99a7", "valid": "fad2e0d8f5445c83", "test": "1f43b5bd6975997c"}
TASK1_TEST_POSITIVES = [899, 886, 872, 863, 851, 882, 869, 930, 890, 886, 870, 874]


@pytest.fixture(scope="module")
def jaspar(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jaspar")
    export("JASPAR2016", "CORE", "vertebrates", folder / "counts.jaspar", folder / "motifs.meme")
    return str(folder / "counts.jaspar")


def made(root, task, inputs, folder):
    spec = load_project("config/config.yaml", root).task(task).dataset.model_dump()
    make_dataset(spec, inputs, folder / "dataset.h5")
    return folder / "dataset.h5"


def digest(array):
    return hashlib.sha256(np.ascontiguousarray(array.astype(np.int8))).hexdigest()[:16]


@pytest.mark.real_data
def test_the_papers_own_matrices_give_the_same_set(root, real_data, tmp_path):
    path = made(root, "task1", [str(real_data / "exponential_activations" / "pfm_vertebrates.txt")], tmp_path)
    with h5_reader(path) as h5:
        assert {split: digest(h5[split]["x"][:]) for split in TASK1_X} == TASK1_X


def test_the_quality_table_adds_up(root, jaspar, tmp_path):
    made(root, "task1", [jaspar], tmp_path)
    rows = [line.split("\t") for line in (tmp_path / "dataset.quality.tsv").read_text().splitlines()[1:]]
    sizes = {row[0]: float(row[3]) for row in rows if row[2] == "sequences"}
    assert sizes == {"train": 21000, "valid": 3000, "test": 6000}
    positives = [float(row[3]) for row in rows if row[0] == "test" and row[2] == "positives"]
    assert positives == TASK1_TEST_POSITIVES


def motif(identifier, text):
    matrix = np.zeros((4, len(text)))
    matrix[["ACGT".index(base) for base in text], range(len(text))] = 7
    return Motif(identifier, identifier, matrix)


def test_planted_motifs_stand_where_the_truth_says():
    pool = both_strands([motif("one", "AAAAAC"), motif("two", "GATTACA")])
    x, truth, planted = plant(np.random.RandomState(1), pool, 200, Planting(50, {1: 0.5, 2: 0.5}))
    certain = truth.max(axis=2) == 1
    assert (truth.argmax(axis=2)[certain] == x[certain]).all()
    widths = [sum(pool[index].shape[1] for index in chosen) for chosen in planted]
    assert certain.sum(axis=1).tolist() == widths
    assert {len(chosen) for chosen in planted} == {1, 2}
    np.testing.assert_allclose(truth.sum(axis=2), 1)


def test_labels_are_the_planted_classes():
    motifs = {"one": motif("one", "AAAAAAAAC"), "two": motif("two", "GGGGGGGGC")}
    splits = synthetic_motifs(motifs, 300, Planting(60, {1: 1.0}), 5, (0.7, 0.1, 0.2))
    for split in splits.values():
        for x, y in zip(split.x, split.y, strict=True):
            text = decode(x)
            assert bool(y[0]) == ("AAAAAAAAC" in text or "GTTTTTTTT" in text)
    ids = np.concatenate([split.id for split in splits.values()])
    assert sorted(ids) == sorted(f"sequence-{number}".encode() for number in range(300))


def test_missing_motifs_are_all_named():
    with pytest.raises(CisflowError, match=r"database \(1 motifs\) has no motif MA0001.1, MA0002.1"):
        find_motifs([motif("MA0003.1", "ACGT")], ["MA0001.1", "MA0003.1", "MA0002.1"], "database")


def test_counts_that_are_no_probabilities_are_refused(tmp_path, root):
    tasks = yaml.safe_load((root / "config/tasks.yaml").read_text())
    tasks["tasks"]["task1"]["dataset"]["counts"] = {1: 0.5, 3: 0.4}
    (tmp_path / "tasks.yaml").write_text(yaml.safe_dump(tasks))
    config = {"tasks": [str(tmp_path / "tasks.yaml")], "command": "x"}
    with pytest.raises(CisflowError, match=r"counts: the numbers of motifs \[1, 3\] are not consecutive"):
        load_project(config, root)


def test_motifs_that_cannot_fit_are_refused_and_not_drawn_for_ever():
    with pytest.raises(CisflowError, match="2 motifs .* take at least 10 bases, and do not fit into sequences of 10"):
        plant(np.random.RandomState(0), [np.full((4, 5), 0.25)], 3, Planting(10, {2: 1.0}))
