"""Tasks of windows and peaks in a project: their files become paths, and pinned files of ENCODE endpoints."""

import json

import pytest

from cisflow.config import project as module
from cisflow.errors import CisflowError
from tests.config.standin import SOURCES
from tests.config.test_places import pin, row

PEAKS = """
tasks:
  a:
    dataset:
      kind: peaks
      genome: hg38
      endpoints:
        - {{file: ENCFF001AAA, factor: CTCF, biosample: K562}}
        - {{file: mine.bed, factor: ATAC, biosample: K562}}
      encode: {{assay: ATAC-seq}}
      blacklist: [ENCFF003AAA]
      replicates: {{at_least: {least}}}
      split: {{valid: [chr6], test: [chr8]}}
    model: {{name: cnn-2}}
"""
WINDOWS = """
tasks:
  a:
    dataset:
      kind: windows
      genome: hg38
      length: 200
      sets: [{{bed: a.bed, target: {{column: 4}}}}, {{fasta: {fasta}, target: 0, split: train}}]
      negatives: {{pool: pool.bed}}
      split: {{valid: [chr6], test: [chr8]}}
    model: {{name: cnn-2}}
"""


@pytest.fixture
def load(root, tmp_path):
    def loaded(tasks, **values):
        files = {"tasks": tasks.format(**values), "sources": SOURCES, "figures": "figures: {}", "claims": "claims: {}"}
        for name, text in files.items():
            (tmp_path / f"{name}.yaml").write_text(text + "\n")
        settings = {name: str(tmp_path / f"{name}.yaml") for name in files}
        config = settings | {"tasks": [settings["tasks"]], "command": "x", "encode": str(tmp_path / "pins")}
        (tmp_path / "config.yaml").write_text(json.dumps(config))
        return module.load_project(config, root)

    return loaded


def test_pinned_files_of_a_query_are_endpoints_and_those_named_are_not_twice(load):
    pin(load(PEAKS, least=2), "a", [row(f"ENCFF00{n}AAA") for n in (1, 2, 3)])
    spec = load(PEAKS, least=2).dataset_spec("a")
    assert spec["genome"] == "resources/genomes/hg38/hg38.fa.gz"
    assert spec["blacklist"] == ["resources/encode/ENCFF003AAA.bed.gz"]
    assert [endpoint["file"] for endpoint in spec["endpoints"]] == [
        "resources/encode/ENCFF001AAA.bed.gz",
        "mine.bed",
        "resources/encode/ENCFF002AAA.bed.gz",
    ]
    keys = set(spec["endpoints"][0])
    assert all(set(endpoint) == keys for endpoint in spec["endpoints"])


def test_windows_have_paths_for_places(load):
    project = load(WINDOWS, fasta="b.fa")
    spec = project.dataset_spec("a")
    assert [spec["sets"][0]["bed"], spec["sets"][1]["fasta"]] == ["a.bed", "b.fa"]
    assert spec["negatives"]["pool"] == "pool.bed"
    assert project.dataset_inputs("a") == ["resources/genomes/hg38/hg38.fa.gz", "a.bed", "b.fa", "pool.bed"]


def test_problems_have_file_and_line(load):
    with pytest.raises(CisflowError, match=r"tasks.yaml:12: tasks.a.dataset.replicates.at_least: 0: input should be"):
        load(PEAKS, least=0)
    with pytest.raises(CisflowError, match=r"tasks.yaml:8: tasks.a.dataset.sets.1.fasta: there is no source 'nine'"):
        load(WINDOWS, fasta="{source: nine, file: x}")
