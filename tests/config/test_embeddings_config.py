"""Settings of data sets of embeddings: what they share, and how mistakes are answered before any job."""

import json

import pytest

from cisflow.config.embeddings import PUBLISHED, geometry_of
from cisflow.config.preflight import check_files
from cisflow.errors import CisflowError
from cisflow.models.basenji import CROSS2020, Basenji
from tests.basenji import SMALL
from tests.config.conftest import problems, project

MATRIX = {"kind": "matrix", "genome": "g.fa", "regions": {"bed": "r.bed", "split": {"column": 3}},
    "tracks": {"a": {"file": "a.bw", "no_data": "zero"}}}  # fmt: skip


def text(a=None, b=None, **keys):
    """Tasks a (labels of windows), b (of bins) and c (embeddings), with changed keys."""
    dataset = {"kind": "embeddings", "labels": "a", "bins": "b", "trunk": {"weights": "w.h5"}} | keys
    sets = {"a": MATRIX | (a or {}), "b": MATRIX | {"labels": "bins"} | (b or {}), "c": dataset}
    return json.dumps({"tasks": {name: {"dataset": own, "model": None} for name, own in sets.items()}}, indent=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": "aa"}, "tasks.c.dataset.labels: there is no task 'aa'. Did you mean 'a'?"),
        ({"bins": "x"}, "tasks.c.dataset.bins: there is no task 'x'"),
        ({"labels": "c", "bins": None}, "tasks.c.dataset.labels: 'c' has a data set of the kind embeddings;"),
        ({"labels": "b", "bins": None}, "labels: 'b' has labels: bins; name a task with labels: window"),
        ({"bins": "a"}, "tasks.c.dataset.bins: 'a' has labels: window; name a task with labels: bins"),
        ({"trunk": {"weights": "w.h5", "keep": "mean"}}, "labels of bins need all bins, and trunk.keep is mean"),
        ({"trunk": {"weights": "w.h5", "keep": [3, 3]}}, "numbers of bins rise, and each is there once"),
        ({"trunk": {"weights": "w.h5", "keep": [3, 896]}, "bins": None}, "trunk.keep: there is no bin 896; they are"),
        ({"trunk": {"weights": "w.h5", "gelu": "relu"}}, "tasks.c.dataset.trunk.gelu: 'relu' is not one of auto"),
        ({"trunk": {"weight": "w.h5"}}, "tasks.c.dataset.trunk.weight: unknown key. Did you mean 'weights'?"),
        ({"trunk": {"weights": {"source": "basenji", "file": "m.h5"}}}, "there is no source 'basenji'"),
        ({"shards": 0}, "tasks.c.dataset.shards"),
    ],
)  # fmt: skip
def test_settings_that_are_refused(root, tmp_path, change, message):
    assert message in problems(root, tmp_path, text(**change))


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ({"b": {"genome": "h.fa"}}, "tasks.c.dataset.bins: 'b' has other genome than 'a'; give both the same"),
        ({"b": {"edges": "drop"}}, "'b' has other edges than 'a'"),
        ({"b": {"regions": MATRIX["regions"] | {"bed": "s.bed"}}}, "'b' has other regions than 'a'"),
        ({"a": {"reverse_complement": ["train"]}}, "'a' has the other strand of train, and embeddings have not"),
        (
            {"a": {"length": 65536}, "b": {"length": 65536}},
            "the windows of 'a' have length 65536 and crop 8192, and the model takes length 131072 and crop 8192",
        ),
        ({"b": {"bin": 256}}, "tasks.c.dataset.bins: the bins of 'b' have 256 bases, and the model's 128"),
    ],
)
def test_labels_of_other_windows_are_refused(root, tmp_path, tasks, message):
    found = problems(root, tmp_path, text(**tasks))
    assert message in found
    assert "tasks0.yaml:" in found


def names(root, tmp_path, *changes):
    """The name of the embeddings of task c, with each change of its settings."""
    found = []
    for change in changes:
        loaded = project(root, tmp_path, text(**change))
        assert list(loaded.embeddings) == [loaded.embedding("c")]
        found.append(loaded.embedding("c"))
    return found


def test_settings_that_change_embeddings_change_their_name_and_others_do_not(root, tmp_path):
    trunk = {"weights": "w.h5"}
    others = [
        {"trunk": trunk | {key: value}, "bins": None}
        for key, value in {
            "weights": "v/w.h5", "gelu": "tanh", "keep": "mean", "dtype": "bfloat16", "precision": "bf16-mixed",
            "compression": "bitshuffle",
        }.items()
    ]  # fmt: skip
    first, *other = names(root, tmp_path, {}, *others, {"shards": 63})
    assert first.startswith("w-")
    assert len({first, *other}) == 8
    same = names(root, tmp_path, {"bins": None}, {"trunk": trunk | {"batch": 9, "device": "any"}})
    assert set(same) == {first}


def test_a_name_needs_no_file_that_is_not_pinned_yet(root, tmp_path):
    own = {"genome": {"accession": "ENCFF001AAA"}, "regions": MATRIX["regions"] | {"bed": "ENCFF002BBB"}}
    loaded = project(root, tmp_path, text(a=own, b=own))
    assert list(loaded.embeddings) == [loaded.embedding("c")]


def test_tasks_with_the_same_settings_share_their_embeddings(root, tmp_path):
    document = json.loads(text())
    document["tasks"]["d"] = {"dataset": document["tasks"]["c"]["dataset"] | {"bins": None}, "model": None}
    loaded = project(root, tmp_path, json.dumps(document))
    assert list(loaded.embeddings) == [loaded.embedding("d")]
    assert loaded.embeddings[loaded.embedding("d")].bins == "b"
    name = loaded.embedding("c")
    assert loaded.dataset_inputs("c") == [
        f"results/embeddings/{name}.h5", "results/tasks/a/dataset.h5", "results/tasks/a/dataset.targets.tsv",
        "results/tasks/a/regions.accounting.tsv", "results/tasks/b/dataset.h5",
    ]  # fmt: skip
    assert loaded.data_files("c") == ["w.h5", "g.fa", "r.bed", "a.bw"]


def test_geometry_is_that_of_the_model():
    for settings in (SMALL, CROSS2020):
        # A head would be large, and has nothing to do with it.
        model = Basenji(settings, None)
        assert geometry_of({"model": settings}) == (model.length, model.bin, model.crop)
    assert geometry_of({"model": CROSS2020}) == PUBLISHED


def test_a_settings_file_that_is_there_is_held_against_the_labels(root, tmp_path):
    params = tmp_path / "p.json"
    loaded = project(root, tmp_path, text(trunk={"weights": "w.h5", "params": str(params)}))
    check_files(loaded)
    params.write_text(json.dumps({"model": SMALL}))
    with pytest.raises(CisflowError, match="the windows of 'a' have length 131072 and crop 8192, and the model takes"):
        check_files(loaded)
    for broken in ("{", "[]", '{"model": {"trunk": []}}'):
        params.write_text(broken)
        with pytest.raises(
            CisflowError, match=r"tasks.c.dataset.trunk.params: .*p.json is no settings file of Basenji2"
        ):
            check_files(loaded)
