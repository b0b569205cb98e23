"""Predictions and metrics of heads: for windows and bins, in the labels' units, one batch in memory at a time."""

import h5py
import numpy as np
import pytest
import torch
from scipy import stats
from tests.training.embedded import BINS, CHANNELS, ROWS, TARGETS, arrays, write_embedded

from cisflow.errors import CisflowError
from cisflow.evaluation.evaluate import evaluate_run, read_sets
from cisflow.evaluation.predict import predict
from cisflow.models.convnet import ConvNet
from cisflow.models.heads import Head
from cisflow.models.zoo import HEADS
from cisflow.training import checkpoint, data
from cisflow.training.disk import OnDisk

SCALE = {"offset": [1.0, 900.0, -2.0], "factor": [0.5, 200.0, 3.0]}
SPECS = {
    "linear-probe": {},
    "conv-perceptron": {"units": 4},
    "max-pool-perceptron": {"units": 4},
    "self-attention": {"attention_heads": 2},
}


def write_run(folder, name, scale=SCALE, **keys):
    """Write two trials of a head with its initial weights, and return them."""
    heads = []
    for trial in range(2):
        head = Head({"name": name, **SPECS[name], **keys}, BINS, CHANNELS, len(TARGETS))
        head.reset([trial])
        description = {
            "model": head.spec, "length": 1000, "targets": list(TARGETS), "kind": "real", "bins": BINS,
            "channels": CHANNELS, "weights": "last", **({"scale": scale} if scale else {}),
        }  # fmt: skip
        path = folder / f"trial-{trial}"
        checkpoint.write_weights(path / "last.safetensors", checkpoint.replicate_state(head, 0), description)
        checkpoint.write_description(path, description)
        heads.append(head.eval())
    return heads


def outputs(head, x, scale=SCALE):
    with torch.inference_mode():
        found = head(torch.from_numpy(x).float()).numpy()
    return found * np.array(scale["factor"]) + np.array(scale["offset"])


@pytest.mark.parametrize("name", HEADS)
def test_predictions_and_metrics_of_windows(tmp_path, monkeypatch, name):
    monkeypatch.setattr(data, "EVALUATION_BYTES", 7 * 4 * BINS * CHANNELS)
    dataset, heads = write_embedded(tmp_path / "data", masked=0.2, wrong=np.nan), write_run(tmp_path / name, name)
    sets = read_sets(dataset, ["valid", "test"])
    table, rows = evaluate_run("task", tmp_path / name, sets, bins=tmp_path / "bins.h5")
    assert len(table) == 2 * (ROWS["valid"] + ROWS["test"])
    x, y, _ = arrays(ROWS["test"], 2)
    own = table.filter((table["trial"] == 1) & (table["set"] == "test"))
    p = outputs(heads[1], x)
    p = p.mean(1) if p.ndim == 3 else p
    mask = sets.splits["test"]["mask"]
    for column, target in enumerate(TARGETS):
        np.testing.assert_allclose(own[f"p.{target}"], p[:, column], rtol=1e-5, atol=1e-5)
        # A label that was not measured is null, not the number that stands there.
        assert (own[f"y.{target}"].is_null().to_numpy() == ~mask[:, column]).all()
        np.testing.assert_array_equal(own[f"y.{target}"].drop_nulls(), y[mask[:, column], column])
    found = {(row["target"], row["metric"]): row for row in rows if (row["set"], row["trial"]) == ("test", 1)}
    assert {row["activation"] for row in rows} == {"head"}
    for column, target in enumerate(TARGETS):
        labels, predicted = y[mask[:, column], column], p[mask[:, column], column]
        for metric, expected in (
            ("pearson", stats.pearsonr(labels, predicted).statistic),
            ("spearman", stats.spearmanr(labels, predicted).statistic),
            ("mse", np.mean((labels - predicted) ** 2)),
        ):
            assert found[target, metric]["value"] == pytest.approx(expected, rel=1e-4)
            assert found[target, metric]["n"] == mask[:, column].sum()
    pooled = found["pooled", "pearson"]
    assert pooled["value"] == pytest.approx(stats.pearsonr(y[mask], p[mask]).statistic, rel=1e-4)
    assert pooled["n"] == mask.sum()
    assert found["mean", "pearson"]["value"] == pytest.approx(
        np.mean([found[target, "pearson"]["value"] for target in TARGETS])
    )
    assert (tmp_path / "bins.h5").exists() == (name == "linear-probe")


def test_predictions_and_metrics_of_bins(tmp_path):
    dataset, heads = write_embedded(tmp_path / "data", masked=0.2), write_run(tmp_path / "run", "linear-probe")
    sets = read_sets(dataset, ["valid", "test"])
    _, rows = evaluate_run("task", tmp_path / "run", sets, bins=tmp_path / "bins.h5")
    x, _, y = arrays(ROWS["test"], 2)
    mask = sets.splits["test"]["bins/mask"][:]
    with h5py.File(tmp_path / "bins.h5") as h5:
        assert h5.attrs["schema"] == "predictions/1"
        assert list(h5.attrs["targets"]) == list(TARGETS)
        assert {split: h5["trial-0"][split].shape[0] for split in h5["trial-0"]} == {"valid": 24, "test": 20}
        for trial, head in enumerate(heads):
            p = h5[f"trial-{trial}/test"][:]
            np.testing.assert_allclose(p, outputs(head, x), rtol=1e-5, atol=1e-5)
            found = {
                (row["target"], row["metric"]): row for row in rows if (row["set"], row["trial"]) == ("test", trial)
            }
            for column, target in enumerate(TARGETS):
                own = mask[..., column]
                expected = stats.spearmanr(y[..., column][own], p[..., column][own]).statistic
                assert found[target, "spearman_bins"]["value"] == pytest.approx(expected, rel=1e-5)
                assert found[target, "spearman_bins"]["n"] == own.sum()
            assert ("pooled", "pearson_bins") not in found
            assert found["mean", "pearson_bins"]["n"] == 3


def test_without_labels_of_bins_the_probe_has_no_metrics_of_bins(tmp_path):
    dataset = write_embedded(tmp_path / "data", bins=False)
    write_run(tmp_path / "run", "linear-probe", scale=None)
    _, rows = evaluate_run("task", tmp_path / "run", read_sets(dataset, ["test"]), bins=tmp_path / "bins.h5")
    assert {row["metric"] for row in rows} == {"pearson", "spearman", "mse"}


def test_embeddings_stay_on_disk(tmp_path):
    arrays = read_sets(write_embedded(tmp_path), ["test"]).splits["test"]
    assert {key for key, array in arrays.items() if isinstance(array, OnDisk)} == {"x", "bins/y"}
    assert arrays["id"][0] == b"chr1:0-1"


def test_attention_along_the_batch_predicts_each_window_alone(tmp_path):
    (head, _), (x, _, _) = write_run(tmp_path, "self-attention", attention_axis="batch"), arrays(6, 0)
    alone = np.concatenate([outputs(head, row[None], {"factor": 1, "offset": 0}) for row in x])
    np.testing.assert_allclose(predict(head, x, "real"), alone, rtol=1e-5, atol=1e-6)


def test_models_get_only_what_they_take(tmp_path):
    head, _ = write_run(tmp_path, "linear-probe")
    network = ConvNet({"name": "cnn-2", "activation": "relu"}, 200, 1).eval()
    sequences, embeddings = np.zeros((2, 200), np.uint8), np.zeros((2, BINS, CHANNELS + 1), np.float16)
    with pytest.raises(CisflowError, match="linear-probe takes embeddings of 8 bins and 6 channels, not sequences"):
        predict(head, sequences, "real")
    with pytest.raises(CisflowError, match="embeddings of 8 bins and 6 channels, and these have 8 and 7"):
        predict(head, embeddings, "real")
    with pytest.raises(CisflowError, match="cnn-2 takes sequences, not embeddings"):
        predict(network, embeddings, "real")
