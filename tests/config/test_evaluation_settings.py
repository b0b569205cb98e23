"""Settings of the statistics of heads: what they mean, and how mistakes are answered."""

from types import SimpleNamespace

import pytest

from cisflow.config.project import labels_of
from tests.config.conftest import problems, project

TASK = """
tasks:
  signal:
    dataset:
      kind: matrix
      genome: g.fa
      regions: {{bed: r.bed, split: {{column: 3}}}}
      tracks: {{LMNB1_Liver: {{file: a.bw, no_data: zero}}, LMNB1_APS: {{file: b.bw, no_data: zero}}}}
    model: {{name: cnn-2}}
    filters: null
    evaluation: {evaluation}
"""
LAD = "{{bed: lads.bed.gz, track: {track}{more}}}"


def task(evaluation):
    return TASK.format(evaluation=evaluation)


def lad(track="LMNB1_Liver", more=""):
    return "{domains: {lad: " + LAD.format(track=track, more=more) + "}}"


def difference(keys, splits="[train, test]"):
    return f"{{splits: {splits}, differences: {{d: {{track: LMNB1_Liver, {keys}}}}}}}"


def test_what_is_given_and_what_is_not(root, tmp_path):
    found = project(root, tmp_path, task(lad(more=", names: ['T1LAD*'], above: 0.5")))
    evaluation = found.task("signal").evaluation
    assert found.evaluation_files("signal") == ["lads.bed.gz"]
    assert found.labels_of("signal") is found.task("signal").dataset
    assert evaluation.domains["lad"].names == ["T1LAD*"]
    assert evaluation.bootstrap.model_dump() == {"resamples": 1000, "block": 2_000_000, "level": 0.95}
    assert evaluation.drawn.split == "test"


@pytest.mark.parametrize(
    ("evaluation", "message"),
    [
        (lad("LMNB1_Livr"), "domains.lad.track: there is no track 'LMNB1_Livr'. Did you mean 'LMNB1_Liver'?"),
        (difference("minus: LMNB1_AP"), "evaluation.differences.d.minus: there is no track 'LMNB1_AP'. Did you mean"),
        ("{drawn: {along: [LMNB1_APS, x]}}", "evaluation.drawn.along: there is no track 'x'. Known here: LMNB1_APS"),
        ("{drawn: {tracks: [LMNB1_liver]}}", "evaluation.drawn.tracks: there is no track 'LMNB1_liver'. Did you mean"),
        (difference("minus: LMNB1_Liver"), "evaluation.differences.d.minus: 'LMNB1_Liver' is the track itself"),
        (difference("minus: LMNB1_APS, zscore: true", "[test]"), "zscore: predictions are scaled by those of"),
        ("{drawn: {split: valid}}", "evaluation.drawn.split: 'valid' is not among evaluation.splits"),
        (lad(more=", above: 1"), "evaluation.domains.lad.above: 1: input should be less than 1"),
        (lad(more=", tracks: a"), "evaluation.domains.lad.tracks: unknown key. Did you mean 'track'?"),
        ("{domains: {lad: {bed: ENCFF001ABC, track: LMNB1_APS}}}", "domains are a BED file in a source, at a path"),
        ("{domains: {lad: {bed: {source: nowhere, file: a.bed}, track: LMNB1_APS}}}", "there is no source 'nowhere'"),
        ("{bootstrap: {resamples: 5}}", "bootstrap.resamples: 5: input should be greater than or equal to 20"),
        ("{bootstrap: {block: 0}}", "evaluation.bootstrap.block: 0: input should be greater than 0"),
        ("{units: {'LMNB1_*': {divide_by: 128}}}", "evaluation.units.LMNB1_*.unit: this key is needed"),
        (
            "{splits: [train], domains: {d: {bed: a.bed, track: LMNB1_APS}}, "
            "differences: {d: {track: LMNB1_Liver, minus: LMNB1_APS}}}",
            "evaluation.differences.d: 'd' is the name of domains, too",
        ),
    ],
)  # fmt: skip
def test_settings_that_are_refused(root, tmp_path, evaluation, message):
    said = problems(root, tmp_path, task(evaluation))
    assert message in said
    assert "tasks0.yaml:" in said


def test_binary_labels_have_no_signal(root, tmp_path):
    text = task(lad("x")).replace("kind: matrix", "kind: hdf5").replace("      genome: g.fa\n", "      file: x.h5\n")
    text = "\n".join(line for line in text.splitlines() if "regions:" not in line and "tracks:" not in line)
    assert "evaluation.domains: they are told from signal, and the labels are binary" in problems(root, tmp_path, text)


EMBEDDED = """
  embedded:
    dataset: {{kind: embeddings, labels: signal, trunk: {{weights: w.h5}}}}
    model: null
    evaluation: {evaluation}
"""


def test_the_tracks_of_embeddings_are_those_of_their_labels(root, tmp_path):
    right, wrong = (EMBEDDED.format(evaluation=lad(track)) for track in ("LMNB1_APS", "LMNB1_AP"))
    found = project(root, tmp_path, task("{}") + right)
    assert found.labels_of("embedded") is found.task("signal").dataset
    said = problems(root, tmp_path, task("{}") + wrong)
    assert "embedded.evaluation.domains.lad.track: there is no track 'LMNB1_AP'. Did you mean 'LMNB1_APS'?" in said


def test_the_labels_of_embeddings_are_those_of_another_task():
    embeddings = SimpleNamespace(dataset=SimpleNamespace(kind="embeddings", labels="signal"))
    signal = SimpleNamespace(dataset=SimpleNamespace(kind="matrix"))
    assert labels_of(embeddings, {"signal": signal}) is signal.dataset
    assert labels_of(embeddings, {}) is None
