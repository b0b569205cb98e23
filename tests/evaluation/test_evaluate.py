"""Metrics equal scikit-learn's by hand, and tables have every trial, set and target."""

import json
import shutil

import numpy as np
import polars as pl
import pytest
import torch
from scipy import stats
from sklearn import metrics as sk
from tests.conftest import convert

from cisflow.errors import CisflowError
from cisflow.evaluation.baselines import gc_baseline
from cisflow.evaluation.evaluate import Sets, evaluate_baseline, evaluate_run, histories, read_sets
from cisflow.evaluation.metrics import METRICS, metric_rows
from cisflow.evaluation.predict import predict
from cisflow.models.convnet import ConvNet, one_hot
from cisflow.tables import METRICS as METRICS_TABLE
from cisflow.training import checkpoint


def find(rows, target, metric):
    return next(row for row in rows if (row["target"], row["metric"]) == (target, metric))


def test_binary_metrics_target_by_target_and_their_mean():
    rng = np.random.default_rng(0)
    y = (rng.random((80, 3)) < 0.4).astype(float)
    y[:, 2] = 1
    p = rng.normal(size=(80, 3))
    rows = metric_rows("binary", y, p, ["a", "b", "c"])
    for column, target in enumerate("ab"):
        precision, recall, _ = sk.precision_recall_curve(y[:, column], p[:, column])
        assert find(rows, target, "auroc")["value"] == sk.roc_auc_score(y[:, column], p[:, column])
        assert find(rows, target, "aupr")["value"] == pytest.approx(np.trapezoid(precision[::-1], recall[::-1]))
        assert find(rows, target, "accuracy")["value"] == np.mean((p[:, column] >= 0) == y[:, column])
        assert find(rows, target, "f1")["value"] == sk.f1_score(y[:, column], p[:, column] >= 0)
    # Target c has positives only: its metrics are undefined, and the mean is of the other two.
    assert find(rows, "c", "auroc")["value"] is None
    mean = find(rows, "mean", "auroc")
    assert mean["n"] == 2
    assert mean["value"] == pytest.approx((find(rows, "a", "auroc")["value"] + find(rows, "b", "auroc")["value"]) / 2)


def test_the_area_is_trapezoidal_and_not_average_precision():
    y, p = np.array([[0], [1], [1], [0], [1]]), np.array([[0.1], [0.2], [0.7], [0.8], [0.9]])
    area = find(metric_rows("binary", y, p, ["a"]), "a", "aupr")["value"]
    assert area == pytest.approx(sk.auc(*sk.precision_recall_curve(y[:, 0], p[:, 0])[1::-1]))
    assert area != pytest.approx(sk.average_precision_score(y[:, 0], p[:, 0]))


def test_correlations_of_numbers():
    rng = np.random.default_rng(0)
    y, p = rng.normal(size=(50, 1)), rng.normal(size=(50, 1))
    rows = metric_rows("real", y, p, ["a"])
    assert find(rows, "a", "pearson")["value"] == pytest.approx(stats.pearsonr(y[:, 0], p[:, 0])[0])
    assert find(rows, "a", "spearman")["value"] == pytest.approx(stats.spearmanr(y[:, 0], p[:, 0])[0])
    assert find(rows, "a", "mse")["value"] == pytest.approx(np.mean((y - p) ** 2))
    constant = metric_rows("real", y, np.zeros((50, 1)), ["a"])
    assert find(constant, "a", "pearson")["value"] is None


def test_masked_labels_are_left_out_and_counted():
    y, p = np.array([[0.0], [1], [1], [0]]), np.array([[0.1], [0.9], [0.0], [1.0]])
    rows = metric_rows("binary", y, p, ["a"], np.array([[True], [True], [False], [False]]))
    assert (find(rows, "a", "auroc")["value"], find(rows, "a", "auroc")["n"]) == (1.0, 2)


@pytest.mark.parametrize("kind", METRICS)
def test_predictions_that_are_no_numbers_have_no_metrics(kind):
    """They are left out of the mean, which tells so by its n."""
    y, p = np.array([[0.0, 0], [1, 1], [0, 1]]), np.array([[0.1, 0.2], [0.9, np.nan], [0.3, 0.4]])
    rows = metric_rows(kind, y, p, ["a", "b"])
    assert {row["value"] for row in rows if row["target"] == "b"} == {None}
    assert {row["n"] for row in rows if row["target"] == "mean"} == {1}


def test_large_and_infinite_logits_are_ranked():
    """Their probabilities are 1, or 0, in float32 or in any other precision."""
    y, p = np.array([[1.0], [0], [1], [0], [0]]), np.array([[60.0], [50], [np.inf], [-120], [-np.inf]], np.float32)
    rows = metric_rows("binary", y, p, ["a"])
    assert {row["metric"]: row["value"] for row in rows if row["target"] == "a"} == pytest.approx(
        {"auroc": 1.0, "aupr": 1.0, "accuracy": 0.8, "f1": 0.8}
    )


def checkpoint_folder(folder, seed, length=60, logits=1.0, targets=("has-motif",)):
    model = ConvNet({"name": "cnn-50", "activation": "exponential"}, length, len(targets))
    model.reset([seed])
    model.layers.logits.weight.data.mul_(logits)
    state = checkpoint.replicate_state(model, 0)
    about = {"model": model.spec, "length": length, "targets": list(targets), "kind": "binary"}
    for name in ("best", "last"):
        checkpoint.write_weights(folder / f"{name}.safetensors", state, about)
    checkpoint.write_history(
        folder, [{"epoch": 1, "lr": 1e-3, "train_loss": 0.7, "valid_loss": 0.6, "valid_auroc": 0.5}]
    )
    checkpoint.write_description(folder, about | {"weights": "last", "epochs": 1})
    return model.eval()


@pytest.fixture
def run(tmp_path):
    """A run of eleven trials, so that their order by name and by number differ."""
    models = [checkpoint_folder(tmp_path / "cnn-50_exponential" / f"trial-{seed}", seed) for seed in range(11)]
    return tmp_path / "cnn-50_exponential", models


def test_every_trial_and_sequence_has_its_prediction(dataset, run):
    folder, models = run
    sets = read_sets(dataset, ["valid", "test"])
    table, rows = evaluate_run("t", folder, sets)
    assert len(table) == 11 * 200
    own = table.filter((pl.col("trial") == 10) & (pl.col("set") == "test"))
    expected = torch.sigmoid(models[10](one_hot(torch.from_numpy(sets.splits["test"]["x"])))).detach().numpy()
    np.testing.assert_allclose(own["p.has-motif"].to_numpy(), expected[:, 0], rtol=1e-6)
    assert own["y.has-motif"].to_list() == sets.splits["test"]["y"][:, 0].tolist()
    assert own["id"].to_list() == [f"test-{number}" for number in range(100)]
    assert list(rows[0]) == list(METRICS_TABLE)
    assert len(rows) == 11 * 2 * 2 * len(METRICS["binary"])


def test_metrics_are_those_of_logits_not_of_probabilities(dataset, tmp_path):
    model = checkpoint_folder(tmp_path / "run" / "trial-0", 0, logits=1e6)
    sets = read_sets(dataset, ["test"])
    table, rows = evaluate_run("t", tmp_path / "run", sets)
    assert set(table["p.has-motif"]) == {0.0, 1.0}
    logits = model(one_hot(torch.from_numpy(sets.splits["test"]["x"]))).detach().numpy()[:, 0]
    expected = sk.roc_auc_score(sets.splits["test"]["y"][:, 0], logits)
    assert find(rows, "has-motif", "auroc")["value"] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("removed", ["trial-10", "trial-3"])
def test_a_missing_trial_is_an_error(dataset, run, removed):
    """Whether it is the last one, or there are others behind it."""
    folder, _ = run
    seeds = {f"trial-{number}": number for number in range(11)}
    (folder / "provenance.json").write_text(json.dumps({"seeds": seeds}))
    assert len(histories("t", folder)) == 11
    shutil.rmtree(folder / removed)
    message = f"{folder}: 1 of its 11 trials is missing: {removed}. .*rm -r {folder}"
    with pytest.raises(CisflowError, match=message):
        evaluate_run("t", folder, read_sets(dataset, ["test"]))
    with pytest.raises(CisflowError, match=message):
        histories("t", folder)


def test_histories_are_gathered(run):
    table = histories("t", run[0])
    assert table["trial"].to_list() == list(range(11))
    assert table.columns[:5] == ["task", "run", "model", "activation", "trial"]
    assert table["valid_auroc"].to_list() == [0.5] * 11


def test_a_history_without_numbers_stands_beside_others(run):
    folder, _ = run
    nothing = {"lr": 1e-3, "train_loss": np.nan, "valid_loss": np.nan, "valid_auroc": np.nan}
    checkpoint.write_history(folder / "trial-3", [{"epoch": 1, **nothing}])
    table = histories("t", folder)
    assert table["valid_auroc"].null_count() == 1
    assert table.filter(pl.col("trial") == 3)["train_loss"].to_list() == [None]


def test_the_gc_baseline_takes_its_sign_from_the_training_split():
    rich, poor = np.full((20, 30), 1, np.uint8), np.full((20, 30), 0, np.uint8)
    x, y = np.concatenate([rich, poor]), np.repeat([[1.0], [0.0]], 20, axis=0)
    assert gc_baseline(x, y, x)[:, 0].tolist() == [0.5] * 20 + [-0.5] * 20
    assert gc_baseline(x, 1 - y, x)[:, 0].tolist() == [-0.5] * 20 + [0.5] * 20


def test_the_baseline_has_rows_like_a_model(dataset):
    sets = read_sets(dataset, ["train", "test"])
    rows = evaluate_baseline("t", "gc_content", sets.splits["train"], sets)
    assert {(row["run"], row["model"], row["trial"]) for row in rows} == {("baseline_gc_content", "gc_content", None)}
    assert list(rows[0]) == list(METRICS_TABLE)


@pytest.mark.real_data
@pytest.mark.parametrize(("name", "auroc"), [("ZBED2", 0.713), ("IRF1", 0.636)])
def test_gc_alone_on_the_papers_sets(real_data, tmp_path, name, auroc):
    path = real_data / "exponential_activations" / f"{name}_400_h3k27ac.h5"
    splits = convert(tmp_path, path)
    score = gc_baseline(splits["train"].x, splits["train"].y, splits["test"].x)
    # Measured once on these files, to three digits.
    assert sk.roc_auc_score(splits["test"].y[:, 0], score[:, 0]) == pytest.approx(auroc, abs=5e-4)


def test_sequences_of_another_length_are_refused(run):
    with pytest.raises(CisflowError, match="the model takes sequences of 60 bases, and these have 59"):
        predict(run[1][0], np.zeros((2, 59), np.uint8), "binary")


def test_a_checkpoint_of_another_model_is_refused(run, tmp_path):
    description = checkpoint.read_description(run[0] / "trial-0")
    description["model"]["width"] = 2
    checkpoint.write_description(run[0] / "trial-0", description)
    with pytest.raises(
        CisflowError,
        match=r"(?s)not the weights of the cnn-50.*layers.conv1.weight: expected \(64, 4, 19\), found \(32, 4, 19\)",
    ):
        checkpoint.load_model(run[0] / "trial-0")
    description["model"]["name"], description["length"] = "cnn-local", 20
    checkpoint.write_description(run[0] / "trial-0", description)
    with pytest.raises(CisflowError, match="no model that can be built .*20 bases are too short for cnn-local"):
        checkpoint.load_model(run[0] / "trial-0")


def test_weights_of_another_model_of_the_same_shape_are_refused(run):
    """relu and exponential networks have the same weights to the eye."""
    description = run[0] / "trial-0/model.json"
    found = json.loads(description.read_text())
    found["model"]["activation"] = "relu"
    description.write_text(json.dumps(found))
    with pytest.raises(CisflowError, match=r"another model than .*model.json describes \(cnn-50, relu\)"):
        checkpoint.load_model(description.parent)


def test_a_description_that_lacks_something_is_said(run):
    description = run[0] / "trial-0/model.json"
    found = json.loads(description.read_text())
    del found["length"], found["kind"]
    description.write_text(json.dumps(found))
    with pytest.raises(CisflowError, match="it lacks length, kind. Train again"):
        checkpoint.load_model(description.parent)


def test_a_baseline_does_not_see_labels_that_were_not_measured():
    x = np.array([[1, 1, 2], [0, 0, 3], [2, 1, 2], [0, 3, 0]], np.uint8)
    y = np.array([[1.0], [0], [0], [1]])
    mask = np.array([[True], [True], [False], [False]])
    sets = Sets("binary", ["a"], {"test": {"x": x, "y": y, "mask": mask}})
    rows = evaluate_baseline("t", "gc_content", sets.splits["test"], sets)
    assert find(rows, "a", "auroc")["value"] == 1.0


def test_damaged_and_missing_checkpoints_are_said(run, tmp_path):
    weights = run[0] / "trial-1" / "last.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(CisflowError, match="last.safetensors: not a whole safetensors file"):
        checkpoint.load_model(run[0] / "trial-1")
    with pytest.raises(CisflowError, match="not a checkpoint folder"):
        checkpoint.load_model(tmp_path)
    with pytest.raises(CisflowError, match="there are no checkpoints"):
        evaluate_run("t", tmp_path / "nothing", None)


def test_a_pickle_in_place_of_weights_is_not_executed(run, tmp_path):
    import pickle

    class Malicious:
        def __reduce__(self):
            return (open, (str(tmp_path / "executed"), "w"))

    (run[0] / "trial-2" / "last.safetensors").write_bytes(pickle.dumps(Malicious()))
    with pytest.raises(CisflowError, match="not a whole safetensors file"):
        checkpoint.load_model(run[0] / "trial-2")
    assert not (tmp_path / "executed").exists()


def test_a_missing_split_is_said(dataset):
    with pytest.raises(CisflowError, match="there is no split holdout; there are test, train, valid"):
        read_sets(dataset, ["holdout"])
