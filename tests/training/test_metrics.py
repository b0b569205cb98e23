"""The metrics of an epoch equal scikit-learn's on the same numbers, ties and masks included."""

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn import metrics as sk

from cisflow.errors import CisflowError
from cisflow.training.metrics import check_labels, epoch_metrics


@pytest.mark.parametrize("decimals", [8, 1])
def test_auroc_and_aupr_equal_scikit_learn(decimals):
    rng = np.random.default_rng(0)
    y = (rng.random((300, 4)) < 0.2).astype(np.float32)
    # One decimal makes many ties.
    scores = np.round(rng.normal(size=y.shape) + y, decimals)
    found = epoch_metrics("binary", torch.from_numpy(scores), torch.from_numpy(y))
    precision, recall, _ = sk.precision_recall_curve(y.ravel(), scores.ravel())
    assert found["auroc"] == pytest.approx(sk.roc_auc_score(y.ravel(), scores.ravel()), abs=1e-6)
    assert found["aupr"] == pytest.approx(sk.auc(recall, precision), abs=1e-6)


def test_large_logits_keep_their_ranks():
    """The sigmoid of each but the last is 1, or so near to it that float64 cannot tell."""
    outputs, y = torch.tensor([[60.0], [50], [55], [40]]), torch.tensor([[1.0], [0], [1], [0]])
    assert epoch_metrics("binary", outputs, y) == {"auroc": 1.0, "aupr": 1.0}
    assert epoch_metrics("binary", torch.zeros(4, 1), y)["auroc"] == 0.5


def test_outputs_that_are_no_numbers_have_no_metrics():
    outputs, y = torch.tensor([[0.1], [float("nan")], [2.0]]), torch.tensor([[0.0], [1], [1]])
    assert all(np.isnan(value) for value in epoch_metrics("binary", outputs, y).values())
    assert np.isnan(epoch_metrics("real", outputs, y)["pearson"])


def test_pearson_equals_scipy():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(200, 3)).astype(np.float32)
    p = (y + rng.normal(size=y.shape)).astype(np.float32)
    found = epoch_metrics("real", torch.from_numpy(p), torch.from_numpy(y))
    assert found["pearson"] == pytest.approx(stats.pearsonr(y.ravel(), p.ravel()).statistic, abs=1e-6)


def test_masked_labels_are_left_out():
    y = torch.tensor([[1.0], [0.0], [1.0], [0.0]])
    scores = torch.tensor([[2.0], [1.0], [-9.0], [9.0]])
    mask = torch.tensor([[True], [True], [False], [False]])
    assert epoch_metrics("binary", scores, y, mask)["auroc"] == 1.0
    assert epoch_metrics("binary", scores, y)["auroc"] == 0.25


def test_labels_of_one_kind_are_refused():
    with pytest.raises(CisflowError, match="the split 'valid' has only labels 1: AUROC and AUPR are undefined"):
        check_labels("binary", torch.ones(5, 2), "valid")
    with pytest.raises(CisflowError, match="'train' are all equal"):
        check_labels("real", torch.ones(5, 2), "train")
