"""A finished figure as an RO-Crate: what is in it, what is told of it, and that others accept it."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest
from rocrate.rocrate import ROCrate
from tests.records.conftest import RESULTS, write

from cisflow.cli.records import config_of
from cisflow.config.project import load_project
from cisflow.errors import CisflowError
from cisflow.io import sha256
from cisflow.records.crate import default_out, write_crate
from cisflow.records.places import Places

FIGURE = f"{RESULTS}/figures/fig1.pdf"


def make(finished, out, **more):
    project = load_project("config/demo/config.yaml", finished.root)
    notes = write_crate(project, FIGURE, out, **more)
    return ROCrate(out), notes


def ids(entities):
    return {entity.id for entity in (entities if isinstance(entities, list) else [entities])}


def test_the_chain_from_sources_to_the_figure_is_told(finished, tmp_path):
    crate, notes = make(finished, tmp_path / "crate")
    assert "5 jobs" in notes[-1]
    assert crate.name.endswith("(fig1)")
    jobs = {entity.id: entity for entity in crate.get_by_type("CreateAction")}
    assert set(jobs) == {
        "#run", "#job/sources/hg38/hg38.fa.gz", "#job/datasets/task1", "#job/training/task1/cnn_relu",
        "#job/evaluation/task1", "#job/figures/fig1",
    }  # fmt: skip
    drawn = jobs["#job/figures/fig1"]
    assert drawn["instrument"].id == "workflow/scripts/figures/draw.py"
    assert ids(drawn["result"]) == {f"{RESULTS}/figures/fig1.{ending}" for ending in ("pdf", "png", "tsv", "json")}
    assert ids(drawn["object"]) == ids(jobs["#job/evaluation/task1"]["result"])
    trained = jobs["#job/training/task1/cnn_relu"]
    usage = {entity["name"]: entity["value"] for entity in trained["resourceUsage"]}
    assert usage == {
        "wallClockTime": "60.0", "cpuTime": "90.0", "maximumMemory": "400.0", "maximumGpuMemory": "20.0",
    }  # fmt: skip
    told = {entity["name"]: entity["value"] for entity in trained["additionalProperty"]}
    assert told["device"] == "a GPU"
    assert told["attempts"] == "2"
    assert trained["startTime"].endswith("+01:00")
    assert crate.root_dataset["author"]["name"] == "The cisflow developers"


def test_a_source_is_told_by_address_licence_and_checksum_and_not_copied(finished, tmp_path):
    crate, _ = make(finished, tmp_path / "crate")
    project = load_project("config/demo/config.yaml", finished.root)
    source = project.sources["hg38"]
    (genome,) = [entity for entity in crate.get_by_type("File") if entity.id == source.files["hg38.fa.gz"].url]
    assert genome["sha256"] == sha256(finished.root / "resources/hg38/hg38.fa.gz")
    assert genome["license"]["name"] == source.licence
    motifs = crate.get("#data/resources/jaspar2016/jaspar2016.jaspar")
    assert motifs["license"]["name"] == "CC BY 4.0"
    assert "JASPAR2016" in motifs["description"]
    own = crate.get("#data/data/my%20peaks.bed")
    assert own["sha256"] == sha256(finished.root / "data/my peaks.bed")
    assert not (tmp_path / "crate/resources").exists()
    assert not (tmp_path / "crate/data").exists()


def test_the_workflow_is_in_it_and_the_figure_unchanged(finished, tmp_path):
    make(finished, tmp_path / "crate")
    for path in (FIGURE, "Snakefile", "workflow/rules/figures.smk", "config/tasks.yaml", "requirements.lock"):
        assert (tmp_path / "crate" / path).read_bytes() == (finished.root / path).read_bytes()
    assert not list((tmp_path / "crate").rglob("__pycache__"))
    lines = (tmp_path / "crate/records.jsonl").read_text().splitlines()
    # The training took two attempts, and the job that is none of the figure's is not there.
    assert [json.loads(line)["status"] for line in lines].count("stopped") == 1
    assert len(lines) == 6


def test_with_data_everything_is_in_it(finished, tmp_path):
    crate, _ = make(finished, tmp_path / "crate", with_data=True)
    inside = tmp_path / "crate" / RESULTS / "tasks/task1"
    assert (inside / "runs/cnn_relu/trial-0/model.json").is_file()
    assert not (inside / "runs/cnn_relu/.snakemake_timestamp").exists()
    assert (tmp_path / "crate/resources/hg38/hg38.fa.gz").is_file()
    assert (tmp_path / "crate/data/my peaks.bed").is_file()
    assert crate.get(f"{RESULTS}/tasks/task1/runs/cnn_relu/")["sha256"]


@pytest.fixture
def private(finished, tmp_path):
    """A figure of another machine's data: a user's folders, and a password, are in the records and in the settings."""
    home = tmp_path / "home/ada lovelace"
    genome, peaks, others = home / "ref/hg38.fa.gz", home / "mine/peaks.bed", home / "theirs/peaks.bed"
    for path in (genome, peaks, others):
        write(path.parent, path.name, str(path.parent.name))
    url = "https://ada:hunter2@x.org/a.bed?token=s3cret"
    tasks = finished.root / "config/tasks.yaml"
    text = tasks.read_text()
    # In the records as they were before they were masked.
    tasks.write_text(f"# {genome}\n# mirror: {home}/mirror/of/mine\n# {url}\n{text}")
    provenance = {"inputs": {str(genome): "0" * 64}, "parameters": {"bed": {"url": url}, "cwd": str(finished.root)}}
    figure = [f"{RESULTS}/figures/fig1.{ending}" for ending in ("pdf", "png", "tsv", "json")]
    write(finished.root, figure[-1], json.dumps(provenance))
    finished.path("figures/fig1").unlink()
    reads = [f"{RESULTS}/tasks/task1/metrics.tsv", *map(str, (genome, peaks, others))]
    command = ["workflow/scripts/figures/draw.py", f"--genome={genome}", json.dumps({"bed": url, "log": f"{home}/a/b"})]
    finished.add(
        "figures/fig1", "draw_figure", script=command[0], reads=reads, writes=figure, command=command
    )  # fmt: skip
    return finished


@pytest.mark.parametrize("with_data", [False, True])
def test_a_crate_has_no_passwords_and_no_absolute_paths(private, tmp_path, with_data):
    crate, notes = make(private, tmp_path / "crate", with_data=with_data)
    texts = {path: path.read_bytes() for path in (tmp_path / "crate").rglob("*") if path.is_file()}
    for word in (b"hunter2", b"s3cret", b"lovelace", bytes(tmp_path)):
        assert [path for path, text in texts.items() if word in text or word in bytes(path.relative_to(tmp_path))] == []
    drawn = crate.get("#job/figures/fig1")
    assert "--genome=data/hg38.fa.gz" in drawn["description"]
    assert '"https://***@x.org/a.bed?token=***"' in drawn["description"]
    # Two files of one name are two.
    assert len({entity["sha256"] for entity in drawn["object"] if "peaks.bed" in entity["name"]}) == 2
    told = json.loads((tmp_path / "crate" / RESULTS / "figures/fig1.json").read_text())
    assert told["inputs"] == {"data/hg38.fa.gz": "0" * 64}
    assert crate.get(f"{RESULTS}/figures/fig1.json")["sha256"] == sha256(
        tmp_path / f"crate/{RESULTS}/figures/fig1.json"
    )
    assert f"config/tasks.yaml, {RESULTS}/figures/fig1.json" in notes[-2]
    head = (tmp_path / "crate/config/tasks.yaml").read_text().splitlines()[:3]
    assert head == ["# data/hg38.fa.gz", "# mirror: .../mirror/of/mine", "# https://***@x.org/a.bed?token=***"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/ada/a.bed", ".../a.bed"),
        ("file:///home/ada/a.bed", ".../a.bed"),
        ("--x=/home/ada/a.bed:/scratch/b/c", "--x=.../a.bed:.../c"),
        ('{"a": ["/home/ada/a", "b/c/d"]}', '{"a": [".../a", "b/c/d"]}'),
        ("https://x.org/a/b and/or 3/4 /dev/null ../a/b ~/a/b {x}/a/b", None),
        ("/root of/the repository/data/a.bed", "data/a.bed"),
        ("/ref/hg38.fa and /ref/hg38.fa.fai", "data/hg38.fa and data/hg38.fa.fai"),
        ("/ref/of all/mine, /elsewhere/of all/mine", ".../of all/mine, .../of all/mine"),
        (f"{Path.home()}/of all/mine", ".../of all/mine"),
    ],
)
def test_places_of_a_machine_are_left_out_of_a_text(text, shown):
    places = Places(Path("/root of/the repository"), ["/ref/hg38.fa", "data/b.bed"])
    assert places.shown(text) == (text if shown is None else shown)


@pytest.mark.parametrize("with_data", [False, True])
def test_the_validator_accepts_it(finished, tmp_path, validate, with_data):
    make(finished, tmp_path / "crate", with_data=with_data)
    assert validate(tmp_path / "crate") == {"ro-crate-1.1": [], "provenance-run-crate-0.5": []}


def test_the_validator_accepts_one_whose_paths_were_shortened(private, tmp_path, validate):
    make(private, tmp_path / "crate", with_data=True)
    assert validate(tmp_path / "crate") == {"ro-crate-1.1": [], "provenance-run-crate-0.5": []}


def test_the_validator_has_little_to_recommend(finished, tmp_path, validate):
    """What remains: developers and workflow have no address, nobody is named as publisher, there is no network."""
    make(finished, tmp_path / "crate")
    known = (
        "`publisher`",
        "organization SHOULD have a URL",
        "Application SHOULD have a url",
        "is not available",
        "[http",
    )
    left = {issue for found in validate(tmp_path / "crate", "RECOMMENDED").values() for issue in found}
    assert {issue for issue in left if not any(word in issue for word in known)} == set()


def test_the_validator_finds_what_is_wrong(finished, tmp_path, validate):
    make(finished, tmp_path / "crate")
    path = tmp_path / "crate/ro-crate-metadata.json"
    document = json.loads(path.read_text())
    for entity in document["@graph"]:
        if entity["@type"] == "HowToStep":
            del entity["workExample"]
    path.write_text(json.dumps(document))
    found = validate(tmp_path / "crate")
    assert found["ro-crate-1.1"] == []
    assert all("must refer to its corresponding tool" in issue for issue in found["provenance-run-crate-0.5"])
    assert found["provenance-run-crate-0.5"]


def test_a_zip_file_has_the_same(finished, tmp_path):
    make(finished, tmp_path / "crate")
    make(finished, tmp_path / "crate.zip")
    with zipfile.ZipFile(tmp_path / "crate.zip") as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        assert sorted(names) == sorted(
            path.relative_to(tmp_path / "crate").as_posix()
            for path in (tmp_path / "crate").rglob("*")
            if path.is_file()
        )
    assert not list(tmp_path.glob(".crate*"))


def broken(finished, change) -> None:
    results = finished.root / RESULTS
    if change == "the figure was changed":
        write(finished.root, FIGURE, "other")
    elif change == "the figure is gone":
        (finished.root / FIGURE).unlink()
    elif change == "an input was made again":
        write(finished.root, f"{RESULTS}/tasks/task1/dataset.h5", "other")
        finished.add("datasets/task1", "make_dataset", writes=[f"{RESULTS}/tasks/task1/dataset.h5"])
    elif change == "a record is gone":
        (results / "logs/training/task1/cnn_relu.jsonl").unlink()
    elif change == "the figure has no record":
        (results / "logs/figures/fig1.jsonl").unlink()
    elif change == "there is no record":
        shutil.rmtree(results / "logs")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("the figure was changed", "fig1.pdf: it was changed after the job that is recorded"),
        ("the figure is gone", "fig1.pdf: it is gone"),
        (
            "an input was made again",
            "dataset.h5: it was made again by datasets/task1 after evaluation/task1 had read it",
        ),
        ("a record is gone", "runs/cnn_relu: there is no record of the job that made it, and evaluation/task1 read it"),
        ("the figure has no record", "fig1.pdf: there is no record of a job that made it"),
        ("there is no record", "logs: there is no record of a job"),
    ],
)
def test_what_is_not_sure_is_refused_and_leaves_nothing(finished, tmp_path, change, message):
    broken(finished, change)
    with pytest.raises(CisflowError, match=message):
        make(finished, tmp_path / "crate")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clone"]


def test_what_exists_is_not_overwritten(finished, tmp_path):
    (tmp_path / "crate").mkdir()
    with pytest.raises(CisflowError, match="exists: remove it, or give another name"):
        make(finished, tmp_path / "crate")


def test_the_configuration_is_that_of_the_folder(root, monkeypatch):
    monkeypatch.chdir(root)
    for folder, name in (("results", ""), ("results/demo", "demo/"), ("results/two-core", "two-core/")):
        assert config_of(root / folder / "figures/fig1.pdf").as_posix() == f"config/{name}config.yaml"
        assert config_of(root / folder / "figures/fig1.pdf") == config_of(type(root)(folder, "figures/fig1.pdf"))
    with pytest.raises(CisflowError, match="name its configuration by --config"):
        config_of(root / "elsewhere/fig1.pdf")


def test_what_is_wrong_at_another_scale_stops_no_crate(root, tmp_path, monkeypatch):
    shutil.copytree(root / "config", tmp_path / "config")
    # Its tasks cannot be read, and of another scale not even the settings.
    (tmp_path / "config/demo/tasks.yaml").write_text("tasks: [")
    (tmp_path / "config/two-core/config.yaml").write_text("results: {")
    monkeypatch.chdir(tmp_path)
    assert config_of(Path("results/figures/fig1.pdf")).as_posix() == "config/config.yaml"
    assert config_of(Path("results/demo/figures/fig1.pdf")).as_posix() == "config/demo/config.yaml"
    with pytest.raises(CisflowError, match=r"(?s)by --config.*two-core/config.yaml:1: not valid"):
        config_of(Path("elsewhere/fig1.pdf"))


def test_a_crate_is_called_as_its_result():
    for result, crate in (
        ("figures/fig1.pdf", "figures/fig1.crate.zip"),
        ("runs/cnn-50_relu_width-0.25", "runs/cnn-50_relu_width-0.25.crate.zip"),
        ("predictions/cnn-50_relu_width-0.25.parquet", "predictions/cnn-50_relu_width-0.25.crate.zip"),
    ):
        assert default_out(Path(result)) == Path(crate)
