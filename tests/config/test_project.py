"""The configuration is checked as a whole: every problem at once, with its file, its line and what to do."""

import json
import re
import shutil
import time
from pathlib import Path

import h5py
import jsonschema
import numpy as np
import pytest
import yaml
from scipy.io import savemat

from cisflow.config import schemas
from cisflow.config.figures import KINDS
from cisflow.config.preflight import check_files, file_problems
from cisflow.config.project import load_project
from cisflow.config.sources import Sources
from cisflow.config.strict import validate
from cisflow.config.yaml import load
from cisflow.errors import CisflowError
from cisflow.io import sha256
from tests.config.conftest import problems, project
from tests.limits import CPU_LIMIT

MINIMAL = """
tasks:
  mine:
    dataset: {kind: hdf5, file: data/mine.h5}
    model: {name: cnn-2}
"""
SCALES = ("config/config.yaml", "config/demo/config.yaml", "config/two-core/config.yaml")


@pytest.mark.parametrize("scale", SCALES)
def test_the_shipped_configurations_are_valid(root, scale):
    loaded = load_project(scale, root)
    assert set(loaded.tasks) >= {"task1", "task3", "task5", "task6"}
    assert (
        loaded.settings.results
        == {"config": "results", "demo": "results/demo", "two-core": "results/two-core"}[scale.split("/")[-2]]
    )


def test_the_papers_grid_of_task_1(root):
    project = load_project("config/config.yaml", root)
    task = project.task("task1")
    runs = task.runs()
    assert len(runs) == 3 * 7
    assert len(project.task("task1_modified").runs()) == 3 * 10
    assert task.trials == 10
    assert runs["cnn-deep_exponential"] == {
        "name": "cnn-deep", "activation": "exponential", "width": 1.0, "initializer": "glorot_uniform", "l2": 1e-6,
    }  # fmt: skip
    settings = task.training_settings()
    assert settings["optimizer"] == {"name": "adam", "lr": 1e-3, "eps": 1e-7}
    assert (settings["monitor"], settings["mode"], settings["weights"]) == ("aupr", "max", "last")
    assert settings["plateau"] == {"factor": 0.2, "patience": 5, "min_lr": 1e-7, "min_delta": 1e-4}
    assert settings["early_stop"] == {"patience": 20, "min_delta": 0.0}


def test_a_task_needs_no_more_than_data_and_a_model(root, tmp_path):
    task = project(root, tmp_path, MINIMAL).task("mine")
    assert list(task.runs()) == ["cnn-2_relu"]
    assert task.training_settings()["monitor"] == "auroc"


def test_a_list_is_a_grid_and_names_the_runs(root, tmp_path):
    text = MINIMAL.replace("name: cnn-2", "name: cnn-2, activation: [relu, exp], l2: [0, 1.0e-4], width: 2")
    runs = project(root, tmp_path, text).task("mine").runs()
    assert list(runs) == [
        "cnn-2_relu_l2-0", "cnn-2_relu_l2-0.0001", "cnn-2_exponential_l2-0", "cnn-2_exponential_l2-0.0001",
    ]  # fmt: skip
    assert {spec["width"] for spec in runs.values()} == {2.0}


def test_numbers_without_a_point_are_numbers(root, tmp_path):
    # YAML 1.1 reads 1e-4 as text; people write it all the same.
    text = MINIMAL + "    training: {optimizer: {lr: 1e-4}}\n"
    assert project(root, tmp_path, text).task("mine").training.optimizer.lr == 1e-4


def test_defaults_lie_below_every_task_and_overrides_above(root, tmp_path):
    text = "defaults:\n  training: {epochs: 7, batch_size: 5}\n" + MINIMAL + "    training: {batch_size: 6}\n"
    more = "tasks:\n  mine:\n    trials: 9\n    model: {activation: [relu, exp]}\n"
    task = project(root, tmp_path, text, more).task("mine")
    assert (task.training.epochs, task.training.batch_size, task.trials) == (7, 6, 9)
    assert list(task.runs()) == ["cnn-2_relu", "cnn-2_exponential"]


def test_every_problem_is_reported_at_once_with_its_place(root, tmp_path):
    text = """
tasks:
  mine:
    dataset: {kind: hdf5, file: a.h5, hue: red}
    model: {name: cnn-3, activation: [relu, expp]}
    trails: 3
    training:
      optimizer: {lr: fast}
      precision: 16
  other:
    dataset: {kind: synthetic_motif}
    tomtom: {database: jaspar2061}
"""
    found = problems(root, tmp_path, text)
    for line in (
        "tasks0.yaml:4: tasks.mine.dataset.hue: unknown key. Known here:",
        "tasks0.yaml:5: tasks.mine.model.name: 'cnn-3' is not one of cnn-2, cnn-50, cnn-deep, cnn-local, cnn-dist, "
        "residualbind, basset. Did you mean 'cnn-2'?",
        "tasks0.yaml:5: tasks.mine.model.activation.1: 'expp' is not one of relu, exponential,",
        "log_relu, exp. Did you mean 'exp'?",
        "tasks0.yaml:6: tasks.mine.trails: unknown key. Did you mean 'trials'?",
        "tasks0.yaml:8: tasks.mine.training.optimizer.lr: 'fast': input should be a valid number",
        "tasks0.yaml:9: tasks.mine.training.precision: 16 is not one of 32-true, bf16-mixed, auto.",
        "tasks0.yaml:11: tasks.other.dataset.kind: 'synthetic_motif' is not one of synthetic_motifs, "
        "synthetic_grammar, hdf5, ",
        " Did you mean 'synthetic_motifs'?",
        "tasks0.yaml:10: tasks.other.model: this key is needed and is not given.",
        # A name that points to nothing is reported with the others, though its task is not valid.
        "tasks0.yaml:12: tasks.other.tomtom.database: there is no source of motifs 'jaspar2061'.",
    ):
        assert line in found, f"{line}\n\nis not in\n\n{found}"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "tomtom: {database: jaspar2061}",
            "tasks.mine.tomtom.database: there is no source of motifs 'jaspar2061'. Did you mean 'jas",
        ),
        ("model: {name: cnn-2, activation: [relu, relu]}", "activation: a value stands in the list twice: relu, relu"),
        ("model: {name: []}", "should have at least 1 item"),
        ("trials: 0", "tasks.mine.trials: 0: input should be greater than 0"),
        (
            "training: {monitor: pearson}",
            "monitor: 'pearson' needs other labels; for binary ones take loss, auroc, aupr",
        ),
        ("training: {optimizer: {name: sgd, betas: [0.9, 0.99]}}", "betas: not an argument of sgd"),
        ("filters: {threshold: 1.5}", "tasks.mine.filters.threshold: 1.5: input should be less than 1"),
        ("dataset: {kind: hdf5, file: a.h5, keys: {x: X}}", "keys.x: 'X' must contain {split}"),
        ("dataset: {kind: hdf5, file: a.h5, channels: ACGG}", "'ACGG' has not each of A, C, G, T once"),
        ("dataset: {kind: hdf5, file: a.h5, columns: [3, 1, 3]}", "columns: a column stands in the list twice"),
        ("dataset: {kind: hdf5, file: a.h5, columns: [-1]}", "dataset.columns.0: -1: input should be greater than or"),
        (
            "dataset: {kind: hdf5, file: a.h5, columns: [3, 1], targets: [a]}",
            "targets: 1 names are given for 2 columns",
        ),
        (
            "dataset: {kind: hdf5, file: a.h5, keep: any_positive, target: real}",
            "keep: any_positive needs binary labels",
        ),
        ("dataset: {kind: hdf5, file: a.h5, keep: positive}", "'positive' is not one of all, any_positive."),
        (
            "dataset: {kind: hdf5, source: deepsea, file: 'deepsee_{split}.mat'}",
            "there is no file of the source 'deepsea' called 'deepsee_valid.mat'. Did you mean 'deepsea_valid.mat'",
        ),
        (
            "dataset: {kind: hdf5, source: nowhere, file: a.h5}",
            "tasks.mine.dataset.source: there is no source 'nowhere'",
        ),
        (
            "dataset: {kind: hdf5, source: exponential-activations, file: ZBED.h5}",
            "there is no file of the source 'exponential-activations' called 'ZBED.h5'. Did you mean 'ZBED2_400",
        ),
        ("dataset: {file: a.h5}", "tasks.mine.dataset: the key 'kind' is needed and is not given"),
        ("dataset: {kind: hdf5, file: a.h5, channels: ACGU}", "'ACGU' does not match the pattern ^[ACGT]{4}$"),
        ("dataset: {kind: hdf5, file: a.h5, targets: [a, a]}", "targets: each name must be there once, and 'mean'"),
        ("dataset: {kind: hdf5, file: a.h5, targets: [mean]}", "targets: each name must be there once, and 'mean'"),
        ("tomtom: {database: deepsea}", "tomtom.database: there is no source of motifs 'deepsea'"),
        ("model: {name: cnn-2, width: 0.001}", "width: 0.001 leaves a layer of cnn-2 without filters"),
        ("training: {batch_size: 1}", "tasks.mine.training.batch_size: 1: input should be greater than or equal to 2"),
        ("training: {optimizer: {name: sgd, nesterov: true}}", "nesterov: needs a momentum above 0"),
        ("filters: {layer: frist}", "filters.layer: 'frist' has not one value a base in cnn-2. Did you mean 'first'?"),
        ("scan: {layer: frist}", "scan.layer: 'frist' has not one value a base in cnn-2. Did you mean 'first'?"),
        ("scan: {layer: pool1}", "scan.layer: 'pool1' has not one value a base in cnn-2."),
        ("scan: {buffers: [0]}", "scan.buffers.0: 0: input should be greater than 0"),
        ("attribution: {reference_counts: []}", "attribution.reference_counts: []: list should have at least 1 item"),
        ("filters: {layer: conv2}", "filters.layer: 'conv2' has not one value a base in cnn-2."),
        (
            "dataset: {kind: synthetic_motifs, classes: {A: MA0083.3}, length: 20, sequences: 9, counts: {1: 1}, "
            "seed: 1}",
            "filters.window: 20 bases need sequences of 22 or more, not 20",
        ),
        ("dataset: [1, 2]", "tasks.mine.dataset"),
    ],
)
def test_messages_name_the_key_and_what_to_do(root, tmp_path, change, message):
    key = change.split(":")[0]
    lines = [line for line in MINIMAL.splitlines() if not line.strip().startswith(f"{key}:")]
    found = problems(root, tmp_path, "\n".join([*lines, f"    {change}"]))
    assert message in found
    assert re.search(r"tasks0\.yaml:\d+: ", found)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("{method: saliency}", "tasks.mine.modisco.method: the task does not compute saliency (attribution.methods: "),
        ("{method: deep_lift_shap}", "tasks.mine.modisco.method: the task stores deep_lift_shap times the difference"),
        ("{method: deeplift}", "'deeplift' is not one of saliency, mutagenesis, integrated_gradients, deep_lift_shap"),
        ("{trial: 3}", "tasks.mine.modisco.trial: there is no trial 3; they are 0 to 2"),
        ("{window: 40}", "tasks.mine.modisco: seqlets and patterns need 50 bases, and there are 40 (size: 20, seqlet_"),
        ("{seqlet_flank_size: 0}", "tasks.mine.modisco.seqlet_flank_size: 0: input should be greater than 0"),
    ],
)
def test_patterns_are_not_asked_of_maps_that_have_none(root, tmp_path, settings, message):
    text = MINIMAL + "    attribution: {preset: paper-2021, methods: [mutagenesis, deep_lift_shap]}\n"
    assert project(root, tmp_path, text).task("mine").modisco_method() == "mutagenesis"
    assert message in problems(root, tmp_path, text + f"    modisco: {settings}\n")


@pytest.mark.parametrize("name", ["../escape", "a/b", "-flag", ".hidden", "a b", "x" * 65, "a;rm"])
def test_names_that_could_be_paths_or_flags_are_refused(root, tmp_path, name):
    found = problems(root, tmp_path, MINIMAL.replace("mine:", f'"{name}":'))
    assert f"'{name}' cannot be a name" in found


def test_a_key_given_twice_is_an_error(root, tmp_path):
    found = problems(root, tmp_path, MINIMAL + "    model: {name: basset}\n")
    assert "tasks0.yaml:6: the key 'model' stands here again; it was first given at" in found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tasks: [", "not valid YAML"),
        ("- a\n- b\n", "the top level must be a mapping"),
        ("", "tasks: this key is needed"),
    ],
)
def test_files_that_are_no_configuration(root, tmp_path, text, message):
    found = problems(root, tmp_path, text)
    assert message in found
    assert "there is no task" not in found, "names that point to what cannot be read would hide the reason"


def test_tasks_that_are_no_yaml_are_one_problem(root, tmp_path):
    """Figures and claims point to tasks that nobody could read; nothing is said of them."""
    (tmp_path / "tasks.yaml").write_text("tasks:\n    a:\n  b: 1\n c: 2\n")
    with pytest.raises(CisflowError) as error:
        load_project({"tasks": [str(tmp_path / "tasks.yaml")], "command": "x"}, root)
    assert len(str(error.value).splitlines()) == 2
    assert "tasks.yaml:3: not valid YAML: while parsing a block mapping, expected <block end>" in str(error.value)


def test_merge_keys_work_and_a_mistake_has_the_line_of_the_anchor(root, tmp_path):
    text = """
common: &common
  model: {name: cnn-2, activation: [relu, exp]}
  trails: 3
tasks:
  mine:
    <<: *common
    dataset: {kind: hdf5, file: data/mine.h5}
"""
    found = problems(root, tmp_path, text)
    assert "tasks0.yaml:4: tasks.mine.trails: unknown key. Did you mean 'trials'?" in found
    assert "tasks0.yaml:2: common: unknown key" in found
    text = text.replace("trails: 3", "trials: 5").replace("common: &common", "defaults: &common")
    task = project(root, tmp_path, text).task("mine")
    assert (list(task.runs()), task.trials) == (["cnn-2_relu", "cnn-2_exponential"], 5)


@pytest.mark.parametrize(
    ("given", "folder"),
    [
        ("results/", "results"),
        ("./results//demo/", "results/demo"),
        ("/scratch/me/", "/scratch/me"),
        ("~/cisflow-results", "/home/me/cisflow-results"),
    ],
)
def test_folders_have_one_name_however_they_are_written(root, monkeypatch, given, folder):
    monkeypatch.setenv("HOME", "/home/me")
    config = {"tasks": ["config/tasks.yaml"], "command": "x", "results": given, "resources": given, "mirror": ["~/m"]}
    settings = load_project(config, root).settings
    assert (settings.results, settings.resources, settings.mirror) == (folder, folder, ["/home/me/m"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("out{x}", "'out{x}': Snakemake takes curly brackets in a path for a wildcard"),
        ("out<x>", "'out<x>': Snakemake takes '<' and '>' in this path for a variable"),
        ("~nobody-of-this-name/x", "there is no home folder '~nobody-of-this-name'"),
        ("", "'' is no path"),
        ("./", "name a folder of its own, as 'results'"),
    ],
)
def test_folders_that_cannot_be_written_to_are_refused(root, given, message):
    with pytest.raises(CisflowError, match=re.escape(message)):
        load_project({"tasks": ["config/tasks.yaml"], "command": "x", "results": given}, root)


def test_paths_of_data_begin_at_home_and_have_no_brackets(root, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    text = MINIMAL.replace("data/mine.h5", "'~/data/{split}.h5'")
    assert project(root, tmp_path, text).dataset_inputs("mine") == [
        f"/home/me/data/{split}.h5" for split in ("train", "valid", "test")
    ]
    found = problems(root, tmp_path, MINIMAL.replace("data/mine.h5", "'data/{plate}_{split}.h5'"))
    assert "tasks0.yaml:4: tasks.mine.dataset: 'data/{plate}_{split}.h5': Snakemake takes curly brackets" in found
    windows = "{kind: windows, genome: ~/hg38.fa, sets: [{bed: data/a.bed, target: 1}], length: 60, split: {test: [a]}}"
    text = MINIMAL.replace("{kind: hdf5, file: data/mine.h5}", windows.replace("{test", "{valid: [b], test"))
    assert project(root, tmp_path, text).genome_source("hg38") == "/home/me/hg38.fa"
    found = problems(root, tmp_path, text.replace("data/a.bed", "'data/{a}.bed'"))
    assert "tasks.mine.dataset.sets.0.bed: 'data/{a}.bed': Snakemake takes curly brackets" in found


@pytest.mark.parametrize(
    ("title", "message"),
    [
        ("a < b", "tasks.mine.title: 'a < b': a title is one line without '<'"),
        ('"a\\nb"', "a title is one line"),
        ("<b>x</b>", "tasks0.yaml:4: '<b>x</b>' looks like HTML"),
        ('"x\\e[31m"', "tasks0.yaml:4: 'x\\x1b[31m' has the control character '\\x1b'"),
    ],
)
def test_titles_that_a_report_or_a_terminal_would_take_for_more_are_refused(root, tmp_path, title, message):
    assert message in problems(root, tmp_path, MINIMAL.replace("  mine:\n", f"  mine:\n    title: {title}\n"))


def test_thousands_of_mistakes_are_summed_up(root, tmp_path):
    one = "  many{0}:\n    dataset: {{kind: hdf5, file: a.h5}}\n    model: {{name: cnn-2}}\n    trails: 3\n"
    lines = problems(root, tmp_path, "tasks:\n" + "".join(one.format(n) for n in range(5000))).splitlines()
    assert len(lines) == 52
    assert "tasks0.yaml:5: tasks.many0.trails: unknown key. Did you mean 'trials'?" in lines[1]
    assert lines[-1] == "... and 4,950 more problems."


def test_thousands_of_tasks_are_loaded_and_checked_in_seconds(root, tmp_path):
    """5 s is what the user waits for; CPU time, since other processes may be at work here."""
    one = (
        "  many{0}:\n    dataset: {{kind: hdf5, file: data/m{0}.h5}}\n"
        "    model: {{name: cnn-50, activation: [relu, exponential], width: 0.25}}\n    training: {{epochs: 1}}\n"
    )
    text = "tasks:\n" + "".join(one.format(n) for n in range(5000))
    started = time.process_time()
    check_files(project(root, tmp_path, text))
    # 2 s on the machine on which it was written.
    assert time.process_time() - started < CPU_LIMIT


def test_missing_files_are_all_named(root):
    config = {"tasks": ["none.yaml"], "sources": "neither.yaml", "command": "x"}
    with pytest.raises(
        CisflowError, match=r"(?s)none.yaml: there is no such file.*neither.yaml: there is no such file"
    ):
        load_project(config, root)


def test_unknown_keys_of_the_settings_are_refused(root):
    with pytest.raises(CisflowError, match="config: result: unknown key. Did you mean 'results'?"):
        load_project({"result": "x", "tasks": ["config/tasks.yaml"], "command": "x"}, root)


def test_figures_and_claims_must_point_to_tasks(root, tmp_path):
    for name in ("figures", "claims"):
        text = (
            (root / f"config/{name}.yaml").read_text().replace("task1/", "task9/").replace("task: task1", "task: task9")
        )
        (tmp_path / f"{name}.yaml").write_text(text)
    config = {"tasks": ["config/tasks.yaml"], "command": "x"} | {
        name: str(tmp_path / f"{name}.yaml") for name in ("figures", "claims")
    }
    with pytest.raises(CisflowError) as error:
        load_project(config, root)
    assert "figures.fig1.tables.matches: there is no task 'task9'. Did you mean 'task" in str(error.value)
    assert ".task: there is no task 'task9'" in str(error.value)


def test_only_known_tasks_can_be_reproduced(root):
    config = {"tasks": ["config/tasks.yaml"], "command": "x", "reproduce": ["task1", "task33"]}
    with pytest.raises(CisflowError, match=r"config: reproduce.1: there is no task 'task33'. Did you mean 'task3'?"):
        load_project(config, root)


def test_an_unknown_task_is_refused_with_a_suggestion(root):
    with pytest.raises(CisflowError, match="there is no task 'task11'. Did you mean 'task1'?"):
        load_project("config/config.yaml", root).task("task11")


def test_the_committed_schemas_are_those_of_the_models(root, tmp_path):
    schemas.write(tmp_path)
    committed = {path.name: json.loads(path.read_text()) for path in (root / "config" / "schemas").glob("*.json")}
    assert committed == {path.name: json.loads(path.read_text()) for path in tmp_path.glob("*.json")}, (
        "run 'cisflow schema' and commit the result"
    )


def test_every_key_of_a_task_is_described_or_plain(root):
    """An editor shows the schema: it forbids unknown keys and lists the allowed names."""
    schema = json.loads((root / "config/schemas/tasks.schema.json").read_text())
    assert schema["$defs"]["Task"]["additionalProperties"] is False
    assert "exponential" in json.dumps(schema["$defs"]["Model"]["properties"]["activation"])


def test_shipped_files_name_their_schema(root):
    for path in root.glob("config/**/*.yaml"):
        first = path.read_text().splitlines()[0]
        match = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
        assert match, f"{path} does not name its schema in the first line"
        assert (path.parent / match[1]).exists()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ("a.mat: {archive: b.tar}", "'archive' and 'member' belong together"),
        (
            "a.mat: {archive: b.tar, member: a.mat}",
            "'archive' is 'b.tar', which is no file that this source fetches",
        ),
        ("a.mat: {archive: b.tar, member: a.mat, size: 5}", "url, checksum and size are those of the archive"),
    ],
)
def test_a_file_in_an_archive_is_declared_whole(root, tmp_path, files, message):
    text = "sources:\n  x:\n    title: X\n    homepage: http://x\n    licence: MIT\n    used_for: x\n    files:\n"
    (tmp_path / "sources.yaml").write_text(f"{text}      {files}\n")
    with pytest.raises(CisflowError, match="sources.yaml:") as error:
        validate(Sources, load(tmp_path / "sources.yaml"))
    assert message in str(error.value)


def test_the_tasks_that_need_gigabytes_are_those_of_the_paper(root):
    project = load_project("config/config.yaml", root)
    task2, task4 = project.task("task2"), project.task("task4")
    assert list(task2.runs()) == list(project.task("task1").runs())
    assert {spec["width"] for spec in task2.runs().values()} == {2.0}
    assert (task2.trials, task2.training_settings()["monitor"], task2.training.data) == (10, "aupr", "memory")
    assert dict(zip(task2.dataset.targets, task2.dataset.columns, strict=True)) == {
        "ARID3A": 592, "CEBPB": 602, "FOSL1": 344, "GABPA": 345, "MAFK": 635, "MAX": 636, "MEF2A": 349, "NFYB": 642,
        "SP1": 359, "SRF": 361, "STAT1": 661, "YY1": 369,
    }  # fmt: skip
    assert task2.ground_truth == project.task("task1").ground_truth
    assert list(task2.ground_truth) == task2.dataset.targets
    folder = "resources/deepsea/deepsea_"
    assert project.dataset_inputs("task2") == [f"{folder}{split}.mat" for split in ("train", "valid", "test")]
    assert list(task4.runs()) == ["basset_relu", "basset_exponential"]
    assert (task4.trials, task4.training_settings()["monitor"], task4.training.data) == (1, "auroc", "stream")
    assert task4.dataset.reverse_complement == ["train", "valid", "test"]
    assert project.dataset_inputs("task4") == ["resources/basset-er/er.h5"]


def test_file_names_of_sources_are_unique(root):
    """A mirror is searched by file name, so no two sources may have a file of the same name."""
    names = [file for source in load_project("config/config.yaml", root).sources.values() for file in source.files]
    assert len(names) == len(set(names))


@pytest.mark.real_data
def test_declared_checksums_are_those_of_the_real_files(root, real_data):
    declared = {
        name: file
        for source in load_project("config/config.yaml", root).sources.values()
        for name, file in source.files.items()
    }
    found = [path for path in real_data.rglob("*") if path.name in declared]
    assert len(found) >= 10
    for path in found:
        file = declared[path.name]
        assert file.size == path.stat().st_size
        assert file.sha256 == sha256(path)


def test_lines_are_remembered_through_merging(tmp_path, root):
    (tmp_path / "a.yaml").write_text("x:\n  y: 1\n")
    section = load(tmp_path / "a.yaml")
    assert section.lines["x"].endswith("a.yaml:1")
    assert section["x"].lines["y"].endswith("a.yaml:2")
    assert section["x"].path == ("x",)


def test_demo_results_cannot_be_taken_for_paper_ones(root, tmp_path):
    shutil.copytree(root / "config", tmp_path / "config")
    for scale in SCALES[1:]:
        settings = yaml.safe_load((tmp_path / scale).read_text())
        assert settings["results"].startswith("results/")


def test_users_own_files_are_opened_before_anything_runs(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dataset = "{kind: hdf5, file: 'mine_{split}.h5', keys: {x: x, y: '{split}/y'}}"
    loaded = project(root, tmp_path, MINIMAL.replace("{kind: hdf5, file: data/mine.h5}", dataset))
    check_files(loaded)  # nothing is there: left to Snakemake
    for split in ("train", "valid"):
        with h5py.File(tmp_path / f"mine_{split}.h5", "w") as h5:
            h5["x"], h5["train/y"] = [0], [0]
    (tmp_path / "mine_test.h5").write_bytes(b"<html>")
    with pytest.raises(CisflowError) as error:
        check_files(loaded)
    lines = str(error.value).splitlines()[1:]
    assert lines[0].endswith("mine_valid.h5: there is no array valid/y; name the arrays with 'keys'.")
    assert "mine_test.h5: it is an HTML or XML page" in lines[1]
    assert len(lines) == 2
    # The arrays of a MATLAB 5 file cannot be seen without unpacking it.
    loaded = project(root, tmp_path, MINIMAL.replace("data/mine.h5", "mine.mat"))
    savemat(tmp_path / "mine.mat", {"a": [0]})
    check_files(loaded)


@pytest.mark.parametrize(
    ("keys", "lines"),
    [
        ("filters: {window: 18}", []),
        ("", ["filters.window: 20 bases need sequences of 22 or more, not 20 (mine.h5)."]),
        (
            "filters: {window: 9}\n    modisco: {window: 21, size: 6, seqlet_flank_size: 1, trim_size: 6, "
            "initial_flank_to_add: 1}",
            ["modisco.window: 21 bases do not fit into sequences of 20 (mine.h5)."],
        ),
        (
            "filters: {window: 9}\n    modisco: {size: 11}",
            ["modisco: seqlets and patterns need 50 bases, and there are 20 (size: 11,"],
        ),
        (
            "filters: {window: 9}\n    attribution: {galleries: {a: {rows: [0], window: [3, 21]}}}",
            ["attribution.galleries.a.window: it ends at 21, and the sequences have 20 bases (mine.h5)."],
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_into_the_sequences_of_a_file_is_said_before_anything_runs(
    root, tmp_path, monkeypatch, keys, lines
):
    monkeypatch.chdir(tmp_path)
    with h5py.File(tmp_path / "mine.h5", "w") as h5:
        for split in ("train", "valid", "test"):
            h5[f"X_{split}"], h5[f"Y_{split}"] = np.zeros((3, 4, 1, 20), np.int8), np.zeros((3, 1), np.int8)
    text = MINIMAL.replace("data/mine.h5", "mine.h5") + f"    {keys}\n"
    found = [line for problems in file_problems(project(root, tmp_path, text)).values() for line in problems]
    assert len(found) == len(lines)
    for line, expected in zip(found, lines, strict=True):
        assert line.startswith(f"tasks.mine.{expected}")


def test_a_task_without_a_model_has_no_windows_that_could_not_fit(root, tmp_path):
    dataset = "{kind: synthetic_motifs, classes: {A: MA0083.3}, length: 20, sequences: 9, counts: {1: 1}, seed: 1}"
    loaded = project(root, tmp_path, f"tasks:\n  plain:\n    dataset: {dataset}\n    model: null\n")
    assert loaded.tasks["plain"].model is None


def test_baselines_need_classes(root, tmp_path):
    text = MINIMAL.replace("file: data/mine.h5", "file: data/mine.h5, target: real")
    found = problems(root, tmp_path, text + "    evaluation: {baselines: [gc_content]}\n")
    assert "tasks.mine.evaluation.baselines: gc_content needs binary labels" in found


def test_motifs_that_the_database_lacks_are_named_before_any_job(root, tmp_path):
    text = (
        MINIMAL
        + """    tomtom: {database: jaspar2016, exclude: [MA0615.1, NOPE]}
    ground_truth: {SRF: [MA0083.1, MA0083.3], CTCF: [MA9999.1]}
  other:
    dataset: {kind: synthetic_motifs, classes: {A: MA0083.9}, sequences: 9, counts: {1: 1}, seed: 1}
    model: {name: cnn-2}
"""
    )
    with pytest.raises(CisflowError) as error:
        check_files(project(root, tmp_path, text))
    # SRF has one of its two matrices in the release, and that is enough.
    assert str(error.value).splitlines()[1:] == [
        "tasks.mine.tomtom.exclude: jaspar2016 has no motif NOPE.",
        "tasks.mine.ground_truth.CTCF: jaspar2016 has no motif MA9999.1.",
        "tasks.other.dataset.classes: jaspar2016 has no motif MA0083.9.",
    ]


def test_any_database_serves_a_users_task(root, tmp_path):
    for database in ("jaspar2016", "jaspar2026"):
        check_files(project(root, tmp_path, MINIMAL + f"    tomtom: {{database: {database}}}\n"))


def test_a_configuration_is_laid_on_the_base(root, tmp_path):
    (tmp_path / "mine.yaml").write_text("results: elsewhere\n")
    loaded = load_project(tmp_path / "mine.yaml", root)
    assert loaded.settings.results == "elsewhere"
    assert loaded.settings.estimates == load_project("config/config.yaml", root).settings.estimates


def test_problems_of_the_configuration_itself_have_their_line(root, tmp_path):
    (tmp_path / "mine.yaml").write_text("resources: here\nresult: elsewhere\n")
    merged = {"resources": "here", "result": "elsewhere", "trials": 3}
    with pytest.raises(CisflowError) as error:
        load_project(merged, root, [tmp_path / "mine.yaml"])
    assert f"{tmp_path}/mine.yaml:2: result: unknown key. Did you mean 'results'?" in str(error.value)
    assert "--config: trials: unknown key" in str(error.value)


@pytest.mark.parametrize(
    "file", ["config/tasks.yaml", "config/demo/tasks.yaml", "config/two-core/tasks.yaml", "config/claims.yaml",
             "config/figures.yaml", "config/sources.yaml", "config/config.yaml", "config/demo/config.yaml"],
)  # fmt: skip
def test_an_editor_finds_nothing_wrong_with_the_shipped_files(root, file):
    name = Path(file).stem
    schema = json.loads((root / f"config/schemas/{name}.schema.json").read_text())
    assert list(jsonschema.Draft202012Validator(schema).iter_errors(json.loads(json.dumps(load(root / file))))) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("metric: aurok", "metric: 'aurok' is not known. Did you mean 'auroc'?"),
        ("expected: {cnn-22: {relu: 1}}", "expected: 'cnn-22' is not known. Did you mean 'cnn-2'?"),
        ("expected: {cnn-2: {rellu: 1}}", "expected: 'rellu' is not known. Did you mean 'relu'?"),
        ("versus: {relu: expp}", "versus: 'expp' is not known."),
    ],
)
def test_a_misspelt_claim_is_a_problem_and_not_a_number_not_yet_run(root, tmp_path, change, message):
    (tmp_path / "tasks.yaml").write_text(MINIMAL)
    (tmp_path / "figures.yaml").write_text("figures: {}\n")
    keys = {"title": "t", "source": "s", "task": "mine", "table": "metrics", "metric": "auroc", "tolerance": "0.1",
            "reason": "r", "expected": "{cnn-2: {relu: 1}}"}  # fmt: skip
    key, _, value = change.partition(": ")
    lines = [f"    {name}: {text}" for name, text in (keys | {key: value}).items()]
    (tmp_path / "claims.yaml").write_text("claims:\n  mine:\n" + "\n".join(lines) + "\n")
    files = {name: str(tmp_path / f"{name}.yaml") for name in ("figures", "claims")}
    with pytest.raises(CisflowError) as error:
        load_project({"tasks": [str(tmp_path / "tasks.yaml")], "command": "x", **files}, root)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("logos_model:", "logo_model:"), "figures.fig1.settings.logo_model: unknown key. Did you mean 'logos_model'?"),
        (
            ("      logos_model: cnn-deep\n", ""),
            "figures.fig1.settings.logos_model: this key is needed and is",
        ),
        (("kind: fig2", "kind: fig3x"), "figures.fig2.kind: 'fig3x' is not one of "),
        (("      metrics: task1/metrics.tsv\n", ""), "figures.fig1.tables: metrics: needed and not given"),
        (("logos_activations: [relu, ", "logos_activations: [rellu, "), "'rellu' is not one of relu, "),
        (("values: [match_fraction]", "values: [match]"), "values: 'match' is not known. Did you mean 'match_any'?"),
        (("[train_loss, ", "[train_los, "), "settings.columns.0: 'train_los' is not one of train_loss, valid_loss, "),
        (("history: gradients/history.tsv", "histories: gradients/history.tsv"), "Did you mean 'history'?"),
        (
            ("      history: task1/history.tsv\n      modified: task1_modified/history.tsv\n", "      {}\n"),
            "figures.s3.tables: at least one is needed",
        ),
        (("tables: [log]", "tables: [logs]"), "settings.last.tables: 'logs' is not known. Did you mean 'log'?"),
        (
            ("log: task1_log/motifs/matches.tsv", "log: task1_log/motifs/meme"),
            "tables: they must be of one kind: ",
        ),
    ],
)
def test_a_mistake_in_a_figure_is_said_before_anything_runs(root, tmp_path, change, message):
    text = (root / "config/figures.yaml").read_text()
    assert change[0] in text
    (tmp_path / "figures.yaml").write_text(text.replace(*change, 1))
    with pytest.raises(CisflowError) as error:
        load_project({**load(root / "config/config.yaml"), "figures": str(tmp_path / "figures.yaml")}, root)
    assert re.search(rf"figures.yaml:\d+: .*{re.escape(message)}", str(error.value)), str(error.value)


def test_every_kind_of_figure_reads_the_settings_and_tables_that_it_declares(root):
    kinds = {figure.kind for figure in load_project("config/config.yaml", root).figures.values()}
    # Those of heads are standard figures of tasks, too.
    assert kinds | {"prediction_scatter", "genome_tracks", "roc", "heads_table"} == set(KINDS)
    for kind, (settings, tables, optional) in KINDS.items():
        code = (root / f"src/cisflow/figures/{kind}.py").read_text()
        read = set(re.findall(r"""settings\[['"](\w+)['"]\]""", code))
        assert read == set(settings.model_fields), kind
        if tables is not None:
            named = re.findall(r"""tables(?:\[|\.get\()['"](\w+)['"]""", code)
            assert set(tables) <= set(named) <= {*tables, *optional}, kind


MODEL = {"name": "cnn-2", "activation": "relu", "width": 1.0, "initializer": "glorot_uniform", "l2": 1e-6}
LEARNING = {
    "loss": "binary_cross_entropy",
    "batch_size": 100,
    "epochs": 100,
    "monitor": "aupr",
    "mode": "max",
    "plateau": {"factor": 0.2, "patience": 5, "min_lr": 1e-7, "min_delta": 1e-4},
    "early_stop": {"patience": 20, "min_delta": 0.0},
    "diverged": "fail",
    "optimizer": {"eps": 1e-7, "name": "adam", "lr": 1e-3},
}


def test_the_settings_of_a_training_get_no_new_keys(root):
    """A key that is added later is absent while it has its default: a training that has ended is not made again."""
    project = load_project("config/config.yaml", root)
    task1, mine = project.task("task1"), project.task("fly_ctcf")
    assert task1.runs()["cnn-2_relu"] == MODEL
    assert task1.learning_settings("cnn-2_relu") == LEARNING
    expected = LEARNING | {"monitor": "auroc", "epochs": 60, "early_stop": {"patience": 15, "min_delta": 0.0}}
    assert mine.learning_settings("cnn-deep_relu") == expected | {"norm_statistics": "recomputed"}
