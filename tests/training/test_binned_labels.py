"""Labels for bins: data sets may have them, and training and evaluation refuse them until models predict them."""

import numpy as np
import pytest

from cisflow.datasets.store import Split, write_dataset
from cisflow.errors import CisflowError
from cisflow.evaluation.evaluate import read_sets
from cisflow.training.data import load


@pytest.fixture
def binned(tmp_path):
    rng = np.random.default_rng(0)
    rows = Split(rng.integers(0, 4, (6, 20), dtype=np.uint8), rng.random((6, 5, 2), np.float32), np.array([b"a"] * 6))
    write_dataset(tmp_path / "d.h5", dict.fromkeys(("train", "valid", "test"), rows), ["a", "b"], "real")
    return tmp_path / "d.h5"


def test_training_refuses_labels_for_bins(binned):
    with pytest.raises(CisflowError, match=r"the shape \(6, 5, 2\), .*Make it with 'labels: window'"):
        load(binned, ["train"], "cpu", True)


@pytest.mark.parametrize(("kind", "label"), [("binary", 1), ("real", 0.5)])
def test_equal_labels_are_refused_of_a_split_that_is_evaluated(tmp_path, caplog, kind, label):
    """Metrics are of the split valid; train may have what it has."""
    rng = np.random.default_rng(0)
    x, ids = rng.integers(0, 4, (6, 20), dtype=np.uint8), np.array([b"a"] * 6)
    mixed, equal = (Split(x, y.astype(np.float32)[:, None], ids) for y in (np.arange(6) % 2, np.full(6, label)))
    for name, train, valid in (("train", equal, mixed), ("valid", mixed, equal)):
        write_dataset(tmp_path / f"{name}.h5", {"train": train, "valid": valid, "test": mixed}, ["a"], kind)
    _, (rows, _) = load(tmp_path / "train.h5", ["train", "valid"], "cpu", True)
    assert rows.count == 6
    assert f"the labels of the split 'train' are all {label:g}" in caplog.text
    with pytest.raises(CisflowError, match="'valid'"):
        load(tmp_path / "valid.h5", ["train", "valid"], "cpu", True)


def test_evaluation_refuses_labels_for_bins(binned):
    with pytest.raises(CisflowError, match="the split 'test' has labels for bins, .*Make it with 'labels: window'"):
        read_sets(binned, ["test"])
