"""TF-MoDISco: what can be hypothetical contributions, planted patterns, and what is said when there is none."""

import dataclasses
import json
import subprocess
import sys

import h5py
import numpy as np
import pytest
import torch
from tangermeme.saturation_mutagenesis import saturation_mutagenesis
from tests.attribution.modisco_maps import FACTORS, RECOMMENDED, motifs, planted, write_run
from tests.attribution.test_mutagenesis import network, sequences

from cisflow.attribution.contributions import choose_method, hypothetical, shortest
from cisflow.attribution.explained import Explained
from cisflow.attribution.methods import attribute
from cisflow.attribution.modisco import Search, discover, middle, read_contributions, save
from cisflow.attribution.patterns import base_rows, pattern_rows, read_patterns, sign_rows, trim
from cisflow.attribution.presets import METHODS, PRESETS
from cisflow.errors import CisflowError
from cisflow.models.convnet import one_hot
from cisflow.motifs.tomtom import tomtom
from cisflow.pwm import write_meme
from cisflow.sequence import reverse_complement
from cisflow.tables import MODISCO_BASES, MODISCO_PATTERNS, MODISCO_SIGNS

PAPER = PRESETS["paper-2021"]
SEARCH = Search(
    window=None, max_seqlets=20000, min_seqlets=100, min_pattern_seqlets=20, n_leiden=2, size=20, seqlet_flank_size=5,
    trim_size=30, initial_flank_to_add=10,
)  # fmt: skip
SMALL = dataclasses.replace(SEARCH, size=11, seqlet_flank_size=3, trim_size=11, initial_flank_to_add=3)
ABOUT = {"task": "t", "run": "cnn-2_relu", "method": "deep_lift_shap"}


def test_the_maps_of_a_model_that_adds_up_become_the_same_contributions():
    """Of f(x) = sum of w[position, base] all methods should say w less its mean over the bases."""
    rng = np.random.default_rng(0)
    weights, x = rng.normal(size=(30, 4)), rng.integers(0, 4, (5, 30))
    expected = np.broadcast_to(weights - weights.mean(1, keepdims=True), (5, 30, 4))
    effects = weights - np.take_along_axis(np.broadcast_to(weights, (5, 30, 4)), x[..., None], 2)
    gradient = np.broadcast_to(weights, (5, 30, 4))
    np.testing.assert_allclose(hypothetical(effects, "mutagenesis", RECOMMENDED), expected, atol=1e-12)
    np.testing.assert_allclose(hypothetical(gradient, "saliency", PAPER), expected, atol=1e-12)
    np.testing.assert_allclose(hypothetical(gradient, "integrated_gradients", PAPER), expected, atol=1e-12)
    # The presets centre what they call hypothetical when it is computed; it is passed on.
    np.testing.assert_array_equal(hypothetical(expected, "deep_lift_shap", RECOMMENDED), expected)


def test_mutagenesis_becomes_what_tangermeme_calls_hypothetical():
    model = network("cnn-2")
    explained, x = Explained(model), sequences(model.length, 3)
    ours = hypothetical(attribute(explained, x, "mutagenesis", RECOMMENDED).scores, "mutagenesis", RECOMMENDED)
    theirs = saturation_mutagenesis(explained, one_hot(torch.from_numpy(x)), hypothetical=True, device="cpu")
    np.testing.assert_allclose(ours, theirs.transpose(1, 2).numpy(), atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_contributions_of_the_bases_that_are_there_are_the_scores_of_the_preset(method):
    """Mutagenesis is scored by the mean loss over three bases, of which the contribution is three quarters."""
    model = network("cnn-2")
    x = sequences(model.length, 3)
    scores = attribute(Explained(model), x, method, RECOMMENDED).scores
    there = np.take_along_axis(hypothetical(scores, method, RECOMMENDED), x[..., None].astype(int), 2)[..., 0]
    if method == "mutagenesis":
        np.testing.assert_allclose(there, 0.75 * -scores.sum(2) / 3, atol=1e-5)
    else:
        np.testing.assert_allclose(there, np.take_along_axis(scores, x[..., None].astype(int), 2)[..., 0], atol=1e-5)


def test_differences_are_refused_and_the_default_is_the_first_that_serves():
    assert choose_method(None, METHODS, RECOMMENDED) == "deep_lift_shap"
    assert choose_method(None, METHODS, PAPER) == "integrated_gradients"
    assert choose_method(None, ["saliency"], PAPER) == "saliency"
    with pytest.raises(ValueError, match="deep_lift_shap times the difference .* attribution.preset: recommended"):
        choose_method("deep_lift_shap", METHODS, PAPER)
    with pytest.raises(ValueError, match=r"does not compute deep_lift_shap \(attribution.methods: saliency\)"):
        choose_method("deep_lift_shap", ["saliency"], RECOMMENDED)
    with pytest.raises(ValueError, match="^the task stores deep_lift_shap times the difference[^;]*; take[^;]*$"):
        choose_method(None, ["deep_lift_shap"], PAPER)
    with pytest.raises(ValueError, match="difference"):
        hypothetical(np.zeros((1, 2, 4), np.float32), "deep_lift_shap", PAPER)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What is found in 300 sequences with one of two motifs each, as written and read again."""
    folder = tmp_path_factory.mktemp("modisco")
    x, scores = planted(300)
    read = read_contributions(write_run(folder / "maps" / "cnn-2_relu", x, {0: scores}), "deep_lift_shap", None)
    signs = discover(read.x, read.scores, SEARCH)
    save(folder / "modisco.h5", signs, read, 0, 100, {"a": "b"})
    return folder / "modisco.h5", signs, read


def test_planted_motifs_are_found_and_matched(found):
    path, signs, _ = found
    patterns = read_patterns(path)
    hits = tomtom([pattern.motif() for pattern in patterns], motifs(), 0.1)
    rows = list(pattern_rows(ABOUT, patterns, hits))
    assert {row["best"]: row["best_name"] for row in rows} == {value: key for key, value in FACTORS.items()}
    assert all(row["e_value"] < 1e-3 and row["sign"] == "positive" for row in rows)
    by_name = {row["best_name"]: row["consensus"] for row in rows}
    assert "ATATGG" in by_name["SRF"] or "CCATAT" in by_name["SRF"]
    assert "ATGG" in by_name["YY1"] or "CCAT" in by_name["YY1"]
    assert all(set(row) == set(MODISCO_PATTERNS) for row in rows)
    counts = {"target": "bound", "trials": 1, "left_out": 0, "sequences": 300, "window": 100}
    table = list(sign_rows(ABOUT | counts, signs))
    assert all(set(row) == set(MODISCO_SIGNS) for row in table)
    assert [row["patterns"] for row in table] == [2, 0]
    # A motif in each sequence, of which the odd one may not stand out.
    assert 280 <= table[0]["seqlets"] <= 310
    assert table[0]["in_patterns"] == sum(row["seqlets"] for row in rows)
    assert table[1]["note"] == "too few seqlets: more than 100 are needed (modisco.min_seqlets)"


def test_the_file_is_in_the_format_of_modisco_lite_and_says_where_seqlets_are(found):
    path, _, read = found
    with h5py.File(path) as h5:
        assert (h5.attrs["schema"], h5.attrs["window_size"], h5.attrs["window_start"]) == ("modisco/1", 100, 0)
        seqlets = h5["pos_patterns/pattern_0/seqlets"]
        keys = ("example_idx", "start", "end", "is_revcomp", "sequence")
        for example, start, end, turned, letters in zip(*(seqlets[key][:] for key in keys), strict=True):
            x = read.x[example, start:end]
            np.testing.assert_array_equal(letters.argmax(1), reverse_complement(x) if turned else x)
        assert h5["id"][:].tolist() == read.id.tolist()


def test_matrices_are_those_of_the_seqlets(found):
    pattern = read_patterns(found[0])[0]
    with h5py.File(found[0]) as h5:
        seqlets = h5["pos_patterns/pattern_0/seqlets"]
        np.testing.assert_allclose(pattern.ppm, seqlets["sequence"][:].mean(0).T, atol=1e-6)
        np.testing.assert_allclose(pattern.contributions, seqlets["contrib_scores"][:].mean(0).T, atol=1e-5)
    rows = list(base_rows([pattern]))
    assert set(rows[0]) == set(MODISCO_BASES)
    assert sum(row["kept"] for row in rows) == 4 * pattern.motif().width
    assert sum(row["probability"] for row in rows) == pytest.approx(pattern.ppm.shape[1])


def test_the_same_input_gives_the_same_bytes(found, tmp_path):
    path, _, read = found
    save(tmp_path / "again.h5", discover(read.x, read.scores, SEARCH), read, 0, 100, {"a": "b"})
    assert (tmp_path / "again.h5").read_bytes() == path.read_bytes()


def test_negative_contributions_have_patterns_of_their_own_and_sizes_can_be_small():
    x, scores = planted(300, 60)
    signs = discover(x, -scores, SMALL)
    assert signs["negative"].patterns
    assert not signs["positive"].patterns
    assert discover(x, scores, SEARCH)["positive"].note.startswith("none of 20 or more seqlets"), (
        "too wide for 60 bases"
    )


@pytest.mark.parametrize(
    ("scores", "note"),
    [
        (np.zeros((20, 100, 4)), "all contributions are zero"),
        (np.ones((20, 100, 4)), "the contributions of all windows of 20 bases have the same sign"),
        (-np.ones((20, 100, 4)), "the contributions of all windows of 20 bases have the same sign"),
        (np.random.default_rng(0).normal(size=(20, 100, 4)), "too few seqlets: more than 100 are needed"),
    ],
)
def test_what_has_no_pattern_says_why(tmp_path, scores, note):
    x = np.random.default_rng(1).integers(0, 4, (20, 100), dtype=np.uint8)
    read = read_contributions(write_run(tmp_path / "run", x, {0: scores}), "deep_lift_shap", None)
    signs = discover(x, scores.astype(np.float32), SEARCH)
    assert all(sign.note.startswith(note) and not sign.patterns for sign in signs.values())
    save(tmp_path / "m.h5", signs, read, 0, 100, {})
    assert read_patterns(tmp_path / "m.h5") == []


def test_only_as_many_seqlets_as_are_allowed_are_clustered():
    x, scores = planted(300)
    sign = discover(x, scores, dataclasses.replace(SEARCH, max_seqlets=150))["positive"]
    assert sign.used == 150 < sign.seqlets
    assert sum(len(pattern.seqlets) for pattern in sign.patterns) <= 150


def test_maps_are_averaged_and_one_that_is_not_finite_is_left_out(tmp_path, caplog):
    caplog.set_level("INFO")
    rng = np.random.default_rng(0)
    x, maps = rng.integers(0, 4, (3, 8), dtype=np.uint8), {trial: rng.normal(size=(3, 8, 4)) for trial in range(3)}
    maps[1][0, 0, 0] = np.nan
    run = write_run(tmp_path / "run", x, maps, "saliency")
    found = read_contributions(run, "saliency", None)
    expected = (maps[0] + maps[2]) / 2
    np.testing.assert_allclose(found.scores, expected - expected.mean(2, keepdims=True), atol=1e-6)
    assert (found.trials, found.left_out, found.target) == ([0, 2], [1], "bound")
    assert "left out, since their maps are not finite: trial 1" in caplog.text
    assert read_contributions(run, "saliency", 2).trials == [2]
    with pytest.raises(CisflowError, match=r"the saliency map of trial 1 is not finite"):
        read_contributions(run, "saliency", 1)
    with pytest.raises(CisflowError, match=r"there is no map trial-3.saliency.h5. The rule 'attribute' makes it"):
        read_contributions(run, "saliency", 3)
    with pytest.raises(CisflowError, match=r"there is no map trial-0.mutagenesis.h5"):
        read_contributions(run, "mutagenesis", None)


def test_maps_that_cannot_be_used_are_refused(tmp_path):
    x, scores = np.zeros((3, 8), np.uint8), np.zeros((3, 8, 4))
    write_run(tmp_path / "run", x, {0: scores})
    write_run(tmp_path / "run", x + 1, {1: scores})
    with pytest.raises(CisflowError, match="trial-1.*not the sequences of trial 0"):
        read_contributions(tmp_path / "run", "deep_lift_shap", None)
    write_run(tmp_path / "paper", x, {0: scores}, how=PAPER)
    with pytest.raises(CisflowError, match="trial-0.deep_lift_shap.h5: the task stores .* the difference"):
        read_contributions(tmp_path / "paper", "deep_lift_shap", None)


def test_the_middle_is_searched_and_sizes_have_to_fit():
    assert shortest(20, 5, 30, 10) == 50
    assert middle(200, SEARCH) == (0, 200)
    assert middle(201, dataclasses.replace(SEARCH, window=100)) == (50, 150)
    with pytest.raises(CisflowError, match="modisco.window: 300 bases do not fit into sequences of 200"):
        middle(200, dataclasses.replace(SEARCH, window=300))
    with pytest.raises(CisflowError, match=r"patterns of 30 \+ 2 x 10 do not fit into 41. .*size: 11"):
        middle(41, SEARCH)
    assert middle(41, SMALL) == (0, 41)


def test_a_pattern_is_cut_to_what_contributes():
    contributions = np.zeros((4, 10))
    contributions[1, 3], contributions[2, 6], contributions[0, 8] = 1, -0.5, 0.29
    assert trim(contributions) == (3, 7)


def test_maps_that_do_not_add_up_are_refused_by_the_script(root, tmp_path):
    x = np.zeros((3, 100), np.uint8)
    run = write_run(tmp_path / "cnn-2_relu", x, {0: np.zeros((3, 100, 4))}, error=0.2)
    write_meme(tmp_path / "known.meme", motifs()[:2])
    flags = {
        "task": "t", "maps": run, "method": "deep_lift_shap", "limits": '{"deep_lift_shap": 0.01}',
        "settings": json.dumps(dataclasses.asdict(SEARCH)), "database": tmp_path / "known.meme", "engine": "memelite",
        "e-value": 0.1, "out": tmp_path / "out",
    }  # fmt: skip
    command = [sys.executable, root / "workflow/scripts/attribution/modisco.py"]
    command += [str(part) for key, value in flags.items() for part in (f"--{key}", value)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "cnn-2_relu trial 0, deep_lift_shap: 0.2 (limit 0.01)" in done.stderr
    assert not (tmp_path / "out").exists()
