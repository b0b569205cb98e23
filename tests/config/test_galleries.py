"""Galleries of sequences in a task's configuration: defaults, and every mistake that can be seen before a job."""

import pytest

from cisflow.config.project import load_project
from tests.config.conftest import problems, project

TASK = """
tasks:
  mine:
    dataset: {kind: synthetic_motifs, classes: {YY1: MA0095.2}, sequences: 100, length: 60, counts: {1: 1.0}, seed: 1}
    model: {name: cnn-50, activation: [relu, exponential]}
    attribution:
      split: valid
      target: YY1
      galleries:
        own: GALLERY
"""


def test_every_task_has_the_gallery_of_its_best_sequences(root, tmp_path):
    attribution = project(root, tmp_path, TASK.replace("GALLERY", "{rows: [1], target: 0}")).task("mine").attribution
    best, own = attribution.gallery("best"), attribution.gallery("own")
    assert (best.best, best.method, best.trial, best.split, best.target) == (4, "saliency", 0, "valid", "YY1")
    assert (own.rows, own.split, own.target) == ([1], "valid", 0)
    assert (best.output, own.output) == ("logit", None), "probabilities of the best are saturated"
    assert attribution.gallery("other") is None


def test_the_gallery_of_the_best_can_be_changed_or_left_out(root, tmp_path):
    for setting, wanted in (("{best: 2}", 2), ("null", None)):
        task = project(root, tmp_path, TASK.replace("own: GALLERY", f"best: {setting}")).task("mine")
        assert getattr(task.attribution.gallery("best"), "best", None) == wanted


@pytest.mark.parametrize(
    ("gallery", "text"),
    [
        ("{method: saliency}", "one of best, rows and region is needed; given: none"),
        ("{best: 2, rows: [1]}", "one of best, rows and region is needed; given: best, rows"),
        ("{rows: [1, 1]}", "rows: a row stands in the list twice"),
        ("{best: 2, window: [20, 20]}", "window: it ends at 20, which is not after its start, 20"),
        ("{best: 2, window: [20, 61]}", "mine.attribution.galleries.own.window: it ends at 61, and"),
        ("{best: 2, runs: [cnn-50_rleu]}", "own.runs: there is no run 'cnn-50_rleu'. Did you mean"),
        ("{best: 2, trial: 3}", "galleries.own.trial: there is no trial 3; trials are 0 to 2"),
        ("{best: 2, methd: saliency}", "galleries.own.methd: unknown key. Did you mean 'method'?"),
        ("{region: {source: hg19, file: chr9.fa.gz, chrom: chr9, start: 7, end: 7}}", "end: 7 is not after start, 7"),
        ("{region: {source: hg19, file: chr9.fa.gz, chrom: chr9, start: 0, end: 50}}", "it has 50 bases"),
        ("{region: {source: hg18, file: a.fa, chrom: c, start: 0, end: 60}}", "there is no source 'hg18'"),
        ("{region: {source: hg19, file: chr8.fa.gz, chrom: c, start: 0, end: 60}}", "Did you mean 'chr9.fa.gz'?"),
        ("{split: test, region: {source: hg19, file: chr9.fa.gz, chrom: c, start: 0, end: 60}}", "is of no split"),
    ],
)  # fmt: skip
def test_a_mistake_is_said_with_its_place(root, tmp_path, gallery, text):
    found = problems(root, tmp_path, TASK.replace("GALLERY", gallery))
    assert text in found
    assert found.count("tasks0.yaml:") == 1


def test_rows_among_positives_need_binary_labels(root, tmp_path):
    task = """
tasks:
  mine:
    dataset: {kind: hdf5, file: a.h5, target: real}
    model: {name: cnn-2}
    attribution: {galleries: {own: {rows: [1], among: positives}}}
"""
    assert "galleries.own.among: positives needs binary labels" in problems(root, tmp_path, task)


def test_the_papers_galleries_are_those_of_its_figures(root):
    loaded = load_project("config/config.yaml", root)
    for name in ("task5", "task6"):
        selected = loaded.task(name).attribution.gallery("selected")
        assert (len(selected.rows), selected.among, selected.window) == (12, "positives", (50, 350))
    locus = loaded.task("task4").attribution.gallery("locus")
    # In the paper 1-based and inclusive: chr9:118,434,976-118,435,175.
    assert locus.region.start + 200 == 118_434_976 - 1
    assert locus.region.end - 200 == 118_435_175
    assert loaded.genome(loaded.task("task4"), "locus") == "resources/hg19/chr9.fa.gz"
    assert loaded.genome(loaded.task("task4"), "fibroblast") is None
