"""Choice of sequences, files of maps, scores against ground truth, quality and its gate."""

import dataclasses

import h5py
import numpy as np
import polars as pl
import pytest
from sklearn.metrics import auc, precision_recall_curve, roc_auc_score
from tests.attribution.test_mutagenesis import network
from tests.attribution.test_mutagenesis import sequences as sequences_of

from cisflow.attribution.choose import choose
from cisflow.attribution.explained import Explained
from cisflow.attribution.maps import Map, reduce
from cisflow.attribution.methods import attribute
from cisflow.attribution.presets import PRESETS
from cisflow.attribution.quality import check_limits, correlations, quality_rows
from cisflow.attribution.score import clearest, example_rows, localisation, score_row, truth_rows
from cisflow.attribution.store import Sequences, read_map, write_map
from cisflow.attribution.sweep import reference_rows
from cisflow.datasets.store import Split, write_dataset
from cisflow.datasets.truth import bits, read_truth
from cisflow.errors import CisflowError
from cisflow.tables import ATTRIBUTION_EXAMPLES, ATTRIBUTION_QUALITY, ATTRIBUTION_REFERENCES, ATTRIBUTION_SCORES

ABOUT = {"task": "t", "run": "cnn-2_relu", "model": "cnn-2", "activation": "relu", "trial": 0}


@pytest.fixture
def with_truth(tmp_path):
    """Ten sequences of 6 bases, every second positive; sequence 4 has an unknown base; motifs at positions 1 and 2."""
    x = np.random.default_rng(0).integers(0, 4, (10, 6), dtype=np.uint8)
    x[4, 0] = 4
    truth = np.full((10, 6, 4), 0.25, np.float32)
    truth[:, 1:3] = [0.97, 0.01, 0.01, 0.01]
    y = (np.arange(10) % 2 == 0).astype(np.float32)[:, None]
    ids = np.array([f"s-{n}" for n in range(10)], dtype=np.bytes_)
    path = tmp_path / "dataset.h5"
    write_dataset(path, {"test": Split(x, y, ids, truth=truth)}, ["YY1"], "binary")
    return path


def test_the_first_positive_sequences_without_unknown_bases_are_taken(with_truth, caplog):
    caplog.set_level("INFO")
    found, target, kind = choose(with_truth, "test", None, 3)
    assert found.rows.tolist() == [0, 2, 6]
    assert found.id.tolist() == [b"s-0", b"s-2", b"s-6"]
    assert (target, kind) == (0, "binary")
    assert "explaining 3 of 5 sequences (left out for unknown bases: 1)" in caplog.text


def test_sequences_whose_shuffles_are_all_themselves_are_left_out_and_counted(tmp_path, caplog):
    x = np.random.default_rng(0).integers(0, 4, (6, 40), dtype=np.uint8)
    x[1], x[4] = np.resize([1, 0], 40), 3
    ids = np.array([f"s-{n}" for n in range(6)], dtype=np.bytes_)
    write_dataset(tmp_path / "d.h5", {"test": Split(x, np.ones((6, 1), np.float32), ids)}, ["YY1"], "binary")
    found, _, _ = choose(tmp_path / "d.h5", "test", None, 9, "dinucleotide")
    assert found.rows.tolist() == [0, 2, 3, 5]
    assert found.left_out == {"unknown_bases": 0, "low_complexity": 2}
    assert "left out, since all their shuffles are themselves: 2 sequences" in caplog.text
    assert choose(tmp_path / "d.h5", "test", None, 9)[0].rows.tolist() == [0, 1, 2, 3, 4, 5]
    write_dataset(tmp_path / "r.h5", {"test": Split(x[4:5], np.ones((1, 1), np.float32), ids[:1])}, ["A"], "binary")
    with pytest.raises(CisflowError, match="no plain repeat"):
        choose(tmp_path / "r.h5", "test", None, 9, "permuted")


def test_targets_and_sequences_that_are_not_there_are_said(with_truth):
    with pytest.raises(CisflowError, match="there is no target 'SRF'; there are YY1"):
        choose(with_truth, "test", "SRF", 3)
    with h5py.File(with_truth, "r+") as h5:
        h5["test/y"][:] = 0
    with pytest.raises(CisflowError, match="no sequence of the split 'test' is positive for 'YY1'"):
        choose(with_truth, "test", None, 3)


def test_a_map_is_read_as_it_was_written(tmp_path):
    rng = np.random.default_rng(0)
    x, scores = rng.integers(0, 4, (3, 6), dtype=np.uint8), rng.normal(size=(3, 6, 4)).astype(np.float32)
    sequences = Sequences(x, np.array([b"a", b"b", b"c"]), np.arange(3))
    write_map(tmp_path / "m.h5", Map(scores, np.ones(3)), sequences, "saliency", "YY1", PRESETS["paper-2021"])
    found = read_map(tmp_path / "m.h5")
    np.testing.assert_array_equal(found.scores, np.take_along_axis(scores, x[..., None].astype(int), 2)[..., 0])
    assert found.method == "saliency"
    assert found.id.tolist() == [b"a", b"b", b"c"]
    with pytest.raises(CisflowError, match="The rule 'attribute' makes it"):
        read_map(tmp_path / "none.h5")


def test_scores_equal_scikit_learn_sequence_by_sequence():
    rng = np.random.default_rng(1)
    scores, motif = rng.normal(size=(5, 40)).astype(np.float32).round(1), rng.random((5, 40)) < 0.3
    motif[3], motif[4] = True, False
    auroc, aupr = localisation(scores, motif)
    for row in range(3):
        precision, recall, _ = precision_recall_curve(motif[row], scores[row])
        assert auroc[row] == pytest.approx(roc_auc_score(motif[row], scores[row]), abs=1e-12)
        assert aupr[row] == pytest.approx(auc(recall, precision), abs=1e-12)
    assert np.isnan(auroc[3:]).all(), "a sequence that is all motif, or has none, has no score"


def test_truth_is_found_by_identity_and_counted_in_bits(with_truth):
    truth = read_truth(with_truth, "test", np.array([b"s-7", b"s-2"]))
    height = bits(truth)
    assert height.shape == (2, 6)
    assert height[:, [0, 3, 4, 5]] == pytest.approx(0, abs=1e-6)
    assert height[0, 1] == pytest.approx(2 + 0.97 * np.log2(0.97) + 3 * 0.01 * np.log2(0.01), abs=1e-5)
    with pytest.raises(CisflowError, match="there is no sequence other in 'test'"):
        read_truth(with_truth, "test", np.array([b"other"]))


def test_a_data_set_without_truth_says_so(dataset):
    with pytest.raises(CisflowError, match="no ground truth .*only synthetic"):
        read_truth(dataset, "test", np.array([b"test-0"]))


def test_rows_of_the_tables_have_their_columns(tmp_path, with_truth):
    sequences, *_ = choose(with_truth, "test", None, 4)
    scores = np.zeros((4, 6, 4), np.float32)
    scores[:, 1:3] = 1
    write_map(tmp_path / "m.h5", Map(scores), sequences, "saliency", "YY1", PRESETS["paper-2021"])
    stored, truth = read_map(tmp_path / "m.h5"), read_truth(with_truth, "test", sequences.id)
    auroc, aupr = localisation(stored.scores, bits(truth) > 0.01)
    row = score_row(ABOUT | {"method": "saliency"}, auroc, aupr)
    assert list(row) == list(ATTRIBUTION_SCORES)
    assert (row["auroc"], row["aupr"], row["sequences"]) == (1.0, 1.0, 4)
    examples = list(example_rows(ABOUT, stored, auroc, aupr, np.array([2])))
    assert [e["score"] for e in examples] == [0, 1, 1, 0, 0, 0]
    assert {e["sequence"] for e in examples} == {"s-6"}
    assert set(examples[0]) == set(ATTRIBUTION_EXAMPLES)
    heights = list(truth_rows("t", truth, sequences.id, np.array([2])))
    assert sum(h["score"] for h in heights if h["position"] == 1) == pytest.approx(bits(truth)[2, 1])


def test_the_example_is_the_best_in_the_median_of_all_maps():
    aurocs = [np.array([0.9, 0.6, 0.7]), np.array([0.5, 0.6, 0.8]), np.array([0.5, 0.6, np.nan])]
    assert clearest(aurocs, 2).tolist() == [1, 0]


def test_correlations_equal_numpy_and_are_undefined_for_constants():
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(3, 20)), rng.normal(size=(3, 20))
    a[2] = 1
    found = correlations(a, b)
    assert found[:2] == pytest.approx([np.corrcoef(a[row], b[row])[0, 1] for row in range(2)])
    assert np.isnan(found[2])


def test_quality_is_measured_for_every_method():
    rng = np.random.default_rng(3)
    reduced = {method: rng.normal(size=(6, 30)) for method in ("saliency", "mutagenesis", "deep_lift_shap")}
    reduced["saliency"] = 2 * reduced["mutagenesis"] + 1
    maps = {method: Map(np.zeros((6, 30, 4), np.float32)) for method in reduced}
    maps["deep_lift_shap"] = Map(np.zeros((6, 30, 4), np.float32), np.arange(6.0), np.full(6, 0.5))
    rows = list(quality_rows(ABOUT, maps, reduced, {method: r[:4] for method, r in reduced.items()}))
    assert all(list(row) == list(ATTRIBUTION_QUALITY) for row in rows)
    found = {(row["method"], row["quantity"]): row["value"] for row in rows}
    assert found["saliency", "mutagenesis_correlation"] == pytest.approx(1)
    assert found["deep_lift_shap", "convergence_error"] == 2.5
    assert found["deep_lift_shap", "spread_over_references"] == 0.5
    assert found["mutagenesis", "reverse_complement_correlation"] == pytest.approx(1)
    assert ("saliency", "convergence_error") not in found


@pytest.mark.parametrize(("value", "text"), [(0.2, "0.2"), (None, "undefined")])
def test_maps_that_do_not_add_up_do_not_pass_the_gate(value, text):
    row = ABOUT | {"method": "deep_lift_shap", "quantity": "convergence_error", "value": value, "n": 3}
    table = pl.DataFrame([row | {"value": 1e-6}, row], schema_overrides={"value": pl.Float64})
    check_limits(table[:1], {"deep_lift_shap": 0.01})
    check_limits(table, {"integrated_gradients": 0.01})
    with pytest.raises(CisflowError, match=rf"cnn-2_relu trial 0, deep_lift_shap: {text} \(limit 0.01\)"):
        check_limits(table, {"deep_lift_shap": 0.01})


def test_a_trial_that_has_diverged_does_not_stop_the_others(caplog):
    quality = ABOUT | {"method": "deep_lift_shap", "quantity": "convergence_error", "n": 3}
    rows = [quality | {"trial": 0, "value": 1e-6}, quality | {"trial": 1, "value": None, "n": 0}]
    check_limits(pl.DataFrame(rows, schema=ATTRIBUTION_QUALITY), {"deep_lift_shap": 0.01})
    assert "cnn-2_relu trial 1: no attribution of it is finite" in caplog.text


def test_scores_are_computed_for_every_number_of_references(with_truth):
    network_ = network("cnn-local")
    x = sequences_of(network_.length, 4)
    motif = np.zeros(x.shape, bool)
    motif[:, 50:60] = True
    settings = dataclasses.replace(PRESETS["paper-2021"], steps=2)
    rows, quality = reference_rows(
        ABOUT, Explained(network_), x, motif, "integrated_gradients", settings, [1, 4], seed=3
    )
    assert all(list(row) == list(ATTRIBUTION_REFERENCES) for row in rows)
    assert [(row["references"], row["sequences"]) for row in rows] == [(1, 4), (4, 4)]
    map_ = attribute(Explained(network_), x, "integrated_gradients", dataclasses.replace(settings, references=4), 3)
    auroc, _ = localisation(reduce(map_.scores, x, "integrated_gradients", settings), motif)
    assert rows[1]["auroc"] == pytest.approx(auroc.mean(), abs=1e-6)
    assert list(quality) == list(ATTRIBUTION_QUALITY)
    assert quality["quantity"] == "convergence_error"


def test_maps_with_numbers_that_are_none_have_no_score():
    scores, motif = np.ones((2, 10), np.float32), np.arange(10)[None].repeat(2, 0) < 3
    scores[1, 4] = np.nan
    assert localisation(scores, motif)[0].tolist()[0] == 0.5
    assert np.isnan(localisation(scores, motif)[0][1])
