"""From a user's sequences with a planted motif to the page of its pattern, and what a run without patterns says."""

import json
import re

import h5py
import numpy as np
import pytest

from cisflow.pwm import read_meme
from cisflow.tables import MODISCO_PATTERNS, MODISCO_SIGNS, read_tsv
from tests.conftest import planted
from tests.workflow.conftest import copy_of_repository, succeed

LOCAL = ("--profile", "profiles/local", "--cores", "2")
RUNS = ("cnn-2_exponential", "cnn-2_relu")
TASK = """
  mine:
    title: My own binding sites
    dataset:
      kind: hdf5
      file: data/mine.h5
      keys: {x: "{split}/sequences", y: "{split}/bound"}
      targets: [bound]
    model: {name: cnn-2, activation: [exponential, relu]}
    trials: 1
    training: {epochs: 6, device: any, optimizer: {lr: 3.0e-3}}
    attribution: {methods: [deep_lift_shap, saliency], references: 5}
    modisco: {size: 11, seqlet_flank_size: 3, trim_size: 11, initial_flank_to_add: 3, min_seqlets: 50}
"""


@pytest.fixture(scope="module")
def done(root, tmp_path_factory):
    """The page of a run with patterns, and of another run when more seqlets are asked for than there are."""
    clone = copy_of_repository(root, tmp_path_factory.mktemp("modisco") / "clone")
    (clone / "data").mkdir()
    with h5py.File(clone / "data" / "mine.h5", "w") as h5:
        for number, (split, count) in enumerate((("train", 2000), ("valid", 200), ("test", 500))):
            x, y = planted(count, seed=number)
            h5[f"{split}/sequences"] = np.eye(4, dtype=np.int8)[x]
            h5[f"{split}/bound"] = y[:, 0].astype(np.int8)
    tasks = clone / "config/tasks.yaml"
    before = tasks.read_text()
    tasks.write_text(before + TASK)
    succeed(clone, *LOCAL, page(RUNS[0]))
    tasks.write_text(before + TASK.replace("min_seqlets: 50", "min_seqlets: 5000"))
    succeed(clone, *LOCAL, page(RUNS[1]))
    tasks.write_text(before + TASK)
    return clone


def page(run: str) -> str:
    return f"results/tasks/mine/modisco/{run}/report.html"


def test_the_planted_motif_is_found_and_named(done):
    folder = done / "results/tasks/mine/modisco/cnn-2_exponential"
    patterns = read_tsv(folder / "patterns.tsv", MODISCO_PATTERNS)
    # TGACTCA, the site of AP-1, on either strand.
    first = patterns.row(0, named=True)
    assert re.search("TGACTCA|TGAGTCA", first["consensus"])
    assert re.search("FOS|JUN|BATF|NFE2|BACH", first["best_name"])
    assert first["e_value"] < 0.1
    motifs = read_meme(folder / "patterns.meme")
    assert [motif.id for motif in motifs] == patterns["pattern"].to_list()
    assert [motif.sites for motif in motifs] == patterns["seqlets"].to_list()
    text = (done / page("cnn-2_exponential")).read_text()
    assert text.count("data:image/png;base64,") == len(patterns)
    assert first["best_name"] in text
    record = json.loads((folder / "provenance.json").read_text())
    assert record["parameters"]["method"] == "deep_lift_shap"
    assert record["libraries"]["modisco-lite"]


def test_too_few_seqlets_are_counted_on_the_page(done):
    signs = read_tsv(done / "results/tasks/mine/modisco/cnn-2_relu/signs.tsv", MODISCO_SIGNS)
    assert signs["seqlets"].sum() > 0
    text = (done / page("cnn-2_relu")).read_text()
    assert "No pattern was found" in text
    assert "too few seqlets: more than 5000 are needed" in text


def test_the_page_joins_the_report_of_snakemake(done):
    succeed(done, *LOCAL, "--report", "report.html", page("cnn-2_exponential"))
    assert "modisco/cnn-2_exponential/report.html" in (done / "report.html").read_text()
