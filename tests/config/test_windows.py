"""Tasks of windows and peaks in a project: their files become paths, and pinned files of ENCODE endpoints."""

import json
import re

import pytest
from rich.console import Console

from cisflow.cli.explain import explain
from cisflow.cli.planning.plan import Plan
from cisflow.config import project as module
from cisflow.config.preflight import _missing_chromosomes
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


QUERY = """
tasks:
  a:
    dataset:
      kind: peaks
      genome: {genome}
      encode: {encode}
      {more}
      split: {{valid: [chr6], test: chr8}}
    model: {{name: cnn-2}}
"""


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"genome": "data/hg19.fa"},
            "tasks.yaml:7: tasks.a.dataset.encode.assembly: the files would be of GRCh38",
        ),
        (
            {"encode": "{assay: CAGE, file_type: bigWig}"},
            "encode.file_type: peaks are read from BED files",
        ),
        ({"encode": "[ENCFF001AAA, ENCSR000AAA]"}, "'ENCSR000AAA' is no accession of a file at ENCODE"),
        ({"more": "blacklist: {file: a.bed, sorce: x}"}, "sorce: unknown key. Did you mean 'source'?"),
        ({"more": "slop: 100"}, "tasks.yaml:8: tasks.a.dataset.slop: 100 is not a section of keys (key: value)."),
        ({"more": "endpoints: data/a.bed"}, "endpoints: data/a.bed is not a list; write [data/a.bed]."),
        (
            {"more": "endpoints: [{file: a.bed, factor: x, biosample: y},\n        {file: b.bed, factor: x}]"},
            "tasks.yaml:9: tasks.a.dataset.endpoints.1.biosample: this key is needed and is not given.",
        ),
    ],
)
def test_mistakes_of_a_first_task_are_said_with_their_line(load, settings, message):
    with pytest.raises(CisflowError) as error:
        load(QUERY, **{"genome": "hg38", "encode": "{assay: CAGE}", "more": "blacklist: []"} | settings)
    assert message in str(error.value)


def test_accessions_alone_are_a_query_too(load):
    project = load(QUERY, genome="hg38", encode="[ENCFF001AAA, ENCFF002AAA]", more="blacklist: a.bed")
    (query,) = project.task("a").dataset.encode
    assert query.accessions == ["ENCFF001AAA", "ENCFF002AAA"]
    assert project.task("a").dataset.split.test == ["chr8"]
    assert [place.file for place in project.task("a").dataset.blacklist] == ["a.bed"]


@pytest.mark.parametrize(
    ("more", "file", "message"),
    [
        (
            "slop: {{CTCf: 3}}",
            "ENCFF001AAA.bed.gz",
            "task 'a': dataset.slop: no endpoint has the factor 'CTCf'.",
        ),
        (
            "regions: {{use: without, without: [ATAC]}}",
            "ENCFF001AAA.bed.gz",
            "regions.without: no endpoint has",
        ),
        (
            "endpoints: [{{file: a.bed, factor: x, biosample: K562}}, {{file: b.bed, factor: X, biosample: K562}}]",
            "ENCFF001AAA.bed.gz",
            "task 'a': dataset.endpoints: two labels have the name 'k562_x'",
        ),
        (
            "endpoints: [{{file: a.bed, factor: x, biosample: K562, name: mine}},\n"
            "        {{file: b.bed, factor: CTCF, biosample: K562, name: mine}}]\n"
            "      regions: {{use: without, without: [x]}}",
            "ENCFF001AAA.bed.gz",
            "the label 'mine' is of the factors x, CTCF, some of them named there and some not",
        ),
        (
            "blacklist: []",
            "ENCFF001AAA.bigWig",
            "from BED files, and resources/encode/ENCFF001AAA.bigWig",
        ),
    ],
)
def test_what_is_known_when_it_is_pinned_is_refused_before_any_job(load, more, file, message):
    settings = {"genome": "hg38", "encode": "[ENCFF001AAA]", "more": more.format()}
    pin(load(QUERY, **settings), "a", [row("ENCFF001AAA", factor="CTCF", file=file)])
    with pytest.raises(CisflowError) as error:
        load(QUERY, **settings).dataset_spec("a")
    assert message in str(error.value)


SIGNAL = """
tasks:
  a:
    dataset:
      kind: matrix
      genome: hg38
      regions: {{bed: a.bed, split: {{column: 3}}}}
      tracks: {{signal: {{file: ENCFF001AAA, no_data: zero}}}}
    model: {{name: cnn-2}}
"""


def test_a_pinned_file_that_no_track_is_read_from_is_refused_before_any_job(load):
    for ending, refused in (("bigWig", False), ("bigBed", True)):
        pin(load(SIGNAL), "a", [row("ENCFF001AAA", file=f"ENCFF001AAA.{ending}")])
        project = load(SIGNAL)
        if not refused:
            assert "results/tasks/a/tracks.h5" in project.dataset_inputs("a")
            continue
        with pytest.raises(CisflowError, match=r"task 'a': dataset.tracks.signal: .* 'ENCFF001AAA.bigBed' is of none"):
            project.dataset_inputs("a")


def test_chromosomes_that_an_indexed_genome_lacks_are_said_before_any_job(load, tmp_path, monkeypatch):
    project = load(QUERY, genome="hg38", encode="{assay: CAGE}", more="blacklist: []")
    monkeypatch.setattr(type(project), "path", lambda self, place: str(tmp_path / "genome.fa.gz"))
    assert list(_missing_chromosomes(project, "a")) == []
    (tmp_path / "genome.fa.gz.fai").write_text("6\t100\t0\t1\t1\nchr8\t100\t0\t1\t1\n")
    assert list(_missing_chromosomes(project, "a")) == []
    (tmp_path / "genome.fa.gz.fai").write_text("chr1\t100\t0\t1\t1\nchr8\t100\t0\t1\t1\n")
    assert list(_missing_chromosomes(project, "a")) == ["dataset.split: the genome has no chr6, but chr1, chr8."]


def test_explain_shows_files_as_they_were_written(load, monkeypatch):
    project = load(PEAKS, least=2)
    monkeypatch.setattr("cisflow.cli.explain._planned", lambda *arguments: Plan({}, {}))
    monkeypatch.setattr("cisflow.cli.explain.show", lambda *arguments: None)
    monkeypatch.setattr("cisflow.cli.explain.Forecast", lambda *arguments: None)
    with (out := Console(width=300, highlight=False)).capture() as shown:
        explain(project, ["a"], out)
    lines = [" ".join(line.split()) for line in shown.get().splitlines()]
    assert any(re.match(r"dataset.genome \{file: \*.fa\*, source: hg38\} \S+tasks.yaml:6", line) for line in lines)
    (endpoints,) = (line for line in lines if line.startswith("dataset.endpoints"))
    assert "{file: ENCFF001AAA, factor: CTCF, biosample: K562}, {file: mine.bed, factor: ATAC, " in endpoints
    assert any(line.startswith("dataset.blacklist ENCFF003AAA ") for line in lines)


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
