"""Galleries: the sequences that are asked for, and the table of their scores."""

import gzip

import numpy as np
import pytest
import torch
from tests.attribution.test_mutagenesis import network, sequences

from cisflow.attribution.choose import find_target
from cisflow.attribution.explained import Explained
from cisflow.attribution.gallery import from_genome, from_split, gallery_rows, kept
from cisflow.attribution.maps import reduce
from cisflow.attribution.methods import attribute
from cisflow.attribution.presets import PRESETS
from cisflow.errors import CisflowError
from cisflow.evaluation.predict import predict
from cisflow.sequence import decode, reverse_complement
from cisflow.tables import GALLERY

PAPER = PRESETS["paper-2021"]
ABOUT = {"task": "t", "run": "cnn-50_relu", "model": "cnn-50", "activation": "relu", "trial": 0, "target": "YY1",
         "output": "probability"}  # fmt: skip
CHOICE = {"rows": None, "best": None, "among": "all"}


@pytest.fixture(scope="module")
def models():
    return [network("cnn-50", activation) for activation in ("relu", "exponential")]


@pytest.fixture
def arrays(models):
    """Ten sequences, every second positive; those of the rows 2 and 4 have an unknown base."""
    x = sequences(models[0].length, 10)
    x[[2, 4], 0] = 4
    y = (np.arange(10) % 2 == 0).astype(np.float32)[:, None]
    return {"x": x, "y": np.hstack([1 - y, y]), "id": np.array([f"s-{n}" for n in range(10)], np.bytes_)}


def test_rows_are_those_of_the_split_or_of_its_positives_in_the_order_given(arrays):
    found = from_split(arrays, 1, CHOICE | {"rows": [7, 0]}, [])
    assert (found.names, found.labels.tolist()) == (["s-7", "s-0"], [0, 1])
    np.testing.assert_array_equal(found.x, arrays["x"][[7, 0]])
    positives = from_split(arrays, 1, CHOICE | {"rows": [4, 3], "among": "positives"}, [])
    assert positives.names == ["s-8", "s-6"], "unknown bases do not shift the count of positives"


def test_rows_with_unknown_bases_are_left_out_and_said(arrays, caplog):
    caplog.set_level("INFO")
    found = from_split(arrays, 1, CHOICE | {"rows": [1, 2, 3, 4]}, [])
    assert (found.names, found.left_out) == (["s-1", "s-3"], 2)
    assert "left out for unknown bases: 2 of 4 (s-2, s-4)" in caplog.text
    with pytest.raises(CisflowError, match="all rows that are listed have unknown bases"):
        from_split(arrays, 1, CHOICE | {"rows": [2, 4]}, [])


def test_labels_that_were_not_measured_are_neither_positive_nor_shown(arrays):
    arrays["mask"] = np.ones((10, 2), bool)
    arrays["mask"][0, 1] = False
    assert np.isnan(from_split(arrays, 1, CHOICE | {"rows": [0]}, []).labels[0])
    assert from_split(arrays, 1, CHOICE | {"rows": [2], "among": "positives"}, []).names == ["s-6"]


@pytest.mark.parametrize(
    ("choice", "text"),
    [
        ({"rows": [3, 10, 12]}, "no row 10, 12: the split has 10 sequences"),
        ({"rows": [5], "among": "positives"}, "no row 5: the split has 5 positive sequences of the target"),
    ],
)
def test_rows_beyond_the_list_are_refused(arrays, choice, text):
    with pytest.raises(CisflowError, match=text):
        from_split(arrays, 1, CHOICE | choice, [])


def test_the_best_have_the_highest_output_in_the_mean_over_models(arrays, models):
    known = [row for row in range(10) if row not in (2, 4)]
    outputs = np.mean([predict(model, arrays["x"][known], "real")[:, 1] for model in models], axis=0)
    expected = [f"s-{known[place]}" for place in np.argsort(-outputs)[:3]]
    found = from_split(arrays, 1, CHOICE | {"best": 3}, models)
    assert found.names == expected
    assert found.left_out == 2
    positives = from_split(arrays, 1, CHOICE | {"best": 20, "among": "positives"}, models)
    assert sorted(positives.names) == ["s-0", "s-6", "s-8"], "all, if there are fewer"


def test_the_best_are_shown_on_one_strand(arrays, models):
    ids = [name.decode() for name in arrays["id"]]
    arrays["id"] = np.array([*ids[:5], *(f"{name}-rc" for name in ids[:5])], np.bytes_)
    arrays["x"][5:] = reverse_complement(arrays["x"][:5])
    found = from_split(arrays, 1, CHOICE | {"best": 9}, models).names
    assert sorted(name.removesuffix("-rc") for name in found) == ["s-0", "s-1", "s-3"]


def test_a_model_whose_output_is_no_number_has_no_say(arrays, models):
    diverged = network("cnn-50")
    with torch.no_grad():
        for parameter in diverged.parameters():
            parameter.fill_(float("nan"))
    choice = CHOICE | {"best": 3}
    assert from_split(arrays, 1, choice, [*models, diverged]).names == from_split(arrays, 1, choice, models).names
    alone = from_split(arrays, 1, choice, [diverged])
    assert alone.names == ["s-0", "s-1", "s-3"]
    rows = list(gallery_rows(ABOUT, Explained(diverged, 1), alone, "saliency", range(5), PAPER, 0, "binary"))
    assert {(row["score"], row["prediction"]) for row in rows} == {(None, None)}, "undefined is empty, never zero"


def test_a_split_without_a_known_sequence_gives_an_empty_table(arrays, models):
    arrays["x"][:, 0] = 4
    found = from_split(arrays, 1, CHOICE | {"best": 3}, models)
    assert (found.names, found.left_out) == ([], 10)
    assert list(gallery_rows(ABOUT, Explained(models[0], 1), found, "saliency", range(5), PAPER, 0, "binary")) == []


@pytest.mark.parametrize("method", ["saliency", "mutagenesis"])
def test_the_scores_are_those_of_the_maps(arrays, models, method):
    selected = from_split(arrays, 1, CHOICE | {"rows": [9, 0]}, [])
    explained = Explained.by(PAPER, models[0], 1, "binary")
    rows = list(gallery_rows(ABOUT, explained, selected, method, range(20, 50), PAPER, 0, "binary"))
    scores = reduce(attribute(explained, selected.x, method, PAPER).scores, selected.x, method, PAPER)
    assert set(rows[0]) == set(GALLERY)
    assert [row["score"] for row in rows] == scores[:, 20:50].ravel().tolist()
    assert "".join(row["base"] for row in rows[:30]) == decode(arrays["x"][9, 20:50])
    assert [row["position"] for row in rows[30:]] == list(range(20, 50))
    assert {(row["example"], row["sequence"], row["label"]) for row in rows} == {(0, "s-9", 0.0), (1, "s-0", 1.0)}
    assert rows[0]["prediction"] == predict(models[0], selected.x, "binary")[0, 1]


def test_a_preset_explains_its_output_of_binary_targets_only(models):
    paper, recommended, real = (
        type(Explained.by(PRESETS[preset], models[0], 1, kind).link).__name__
        for preset, kind in (("paper-2021", "binary"), ("recommended", "binary"), ("paper-2021", "real"))
    )
    assert (paper, recommended, real) == ("Sigmoid", "Identity", "Identity")


def test_a_region_of_a_genome(tmp_path):
    path = tmp_path / "g.fa.gz"
    path.write_bytes(gzip.compress(b">chr9\nACGTACGTAC\nGTNACGT\n"))
    region = {"chrom": "chr9", "start": 2, "end": 10}
    found = from_genome(path, region, 8)
    assert (decode(found.x[0]), found.names) == ("GTACGTAC", ["chr9:2-10"])
    assert np.isnan(found.labels[0])
    with pytest.raises(CisflowError, match="chr9:2-10 has 8 bases, and the models take sequences of 600"):
        from_genome(path, region, 600)
    with pytest.raises(CisflowError, match="chr9:8-16 has 1 unknown bases"):
        from_genome(path, region | {"start": 8, "end": 16}, 8)
    with pytest.raises(CisflowError, match="chr9 has 17 bases, and chr9:10-18 goes beyond them"):
        from_genome(path, region | {"start": 10, "end": 18}, 8)


def test_positions_that_are_kept_lie_within_the_sequences():
    assert kept(None, 60) == range(60)
    assert kept([10, 60], 60) == range(10, 60)
    with pytest.raises(CisflowError, match="the window ends at 61, and the sequences have 60 bases"):
        kept([10, 61], 60)


def test_targets_are_found_by_name_and_by_number():
    targets = [f"target-{n}" for n in range(164)]
    assert find_target(targets, None, "d.h5") == 0
    assert find_target(targets, 113, "d.h5") == 113
    assert find_target(targets, "target-4", "d.h5") == 4
    with pytest.raises(CisflowError, match=r"no target number 164, counted from 0; .*target-11, ... \(164 in all\)"):
        find_target(targets, 164, "d.h5")
    with pytest.raises(CisflowError, match="no target 'Fibrobl'"):
        find_target(targets, "Fibrobl", "d.h5")
