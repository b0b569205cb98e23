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


def test_evaluation_refuses_labels_for_bins(binned):
    with pytest.raises(CisflowError, match="the split 'test' has labels for bins, .*Make it with 'labels: window'"):
        read_sets(binned, ["test"])
