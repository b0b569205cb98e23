"""From the originals' own files, fetched over HTTP, to the data sets of Tasks 2 and 4: equal to a plain conversion."""

import os

import h5py
import numpy as np
import pytest
from scipy.io import savemat
from tests.conftest import convert
from tests.originals import SPLITS, basset_file, deepsea_bundle, naive_deepsea

from cisflow.config.project import load_project
from cisflow.datasets import hdf5
from cisflow.datasets.make import make_dataset
from cisflow.errors import CisflowError
from cisflow.sources.extract import extract
from cisflow.sources.fetch import Wanted, fetch

ROWS = {"train": 61, "valid": 40, "test": 53}


@pytest.fixture(scope="module")
def project(root):
    return load_project("config/config.yaml", root)


def fetched_deepsea(project, server, archive, folder):
    """Fetch the bundle and take its files out, as the rules do; return the files that the data set is made from."""
    files = project.sources["deepsea"].files
    server.data = archive.read_bytes()
    fetch(Wanted(archive.name, server.url), folder / archive.name)
    inputs = [folder / os.path.basename(path) for path in project.dataset_inputs("task2")]
    for path in inputs:
        extract(folder / files[path.name].archive, files[path.name].member, path)
    return list(map(str, inputs))


def make(project, name, inputs, folder):
    spec = project.task(name).dataset.model_dump()
    return make_dataset(spec, inputs, folder / "dataset.h5")


def quality(folder, split, quantity):
    rows = [row.split("\t") for row in (folder / "dataset.quality.tsv").read_text().splitlines()]
    return {target: float(value) for name, target, what, value in rows if (name, what) == (split, quantity)}


@pytest.mark.parametrize("block", [1 << 15, 20, 9])
def test_task_2_equals_the_plain_conversion(project, server, tmp_path, monkeypatch, block):
    monkeypatch.setattr(hdf5, "BLOCK_ROWS", block)
    archive, arrays = deepsea_bundle(tmp_path / "original", ROWS)
    inputs = fetched_deepsea(project, server, archive, tmp_path / "resources")
    counts = make(project, "task2", inputs, tmp_path / "out")
    dataset = project.task("task2").dataset
    with h5py.File(tmp_path / "out" / "dataset.h5") as h5:
        assert list(h5.attrs["targets"]) == dataset.targets
        for split in SPLITS:
            x, y, rows = naive_deepsea(arrays, split, dataset.columns)
            assert 0 < len(rows) < ROWS[split]
            assert np.array_equal(h5[split]["x"][:], x)
            assert np.array_equal(h5[split]["y"][:], y)
            assert h5[split]["id"][:].tolist() == [f"{split}-{row}".encode() for row in rows]
            assert h5[split]["x"].dtype == np.uint8
            assert h5[split]["y"].dtype == np.float32
            assert counts[split] == len(rows)
            assert quality(tmp_path / "out", split, "dropped_sequences") == {"all": ROWS[split] - len(rows)}
            assert quality(tmp_path / "out", split, "positives") == dict(
                zip(dataset.targets, y.sum(axis=0), strict=True)
            )
    names = ["accounting.tsv", "distributions.tsv", "h5", "quality.tsv", "targets.tsv"]
    assert sorted(os.listdir(tmp_path / "out")) == [f"dataset.{name}" for name in names]


def test_task_4_equals_the_plain_conversion(project, server, tmp_path):
    arrays = basset_file(tmp_path / "original" / "er.h5", ROWS)
    server.data = (tmp_path / "original" / "er.h5").read_bytes()
    fetch(Wanted("er.h5", server.url), tmp_path / "er.h5")
    counts = make(project, "task4", [str(tmp_path / "er.h5")], tmp_path / "out")
    assert counts == {split: 2 * count for split, count in ROWS.items()}
    with h5py.File(tmp_path / "out" / "dataset.h5") as h5:
        for split in SPLITS:
            one_hot = arrays[f"{split}_in"][:, :, 0]
            both = np.concatenate([one_hot, one_hot[:, ::-1, ::-1]])
            x = np.where((both == 0.25).all(axis=1), 4, both.argmax(axis=1))
            assert (x == 4).sum() == 2
            assert np.array_equal(h5[split]["x"][:], x)
            assert np.array_equal(h5[split]["y"][:], np.concatenate([arrays[f"{split}_out"]] * 2))
            last = ROWS[split] - 1
            assert h5[split]["id"][[last, last + 1]].tolist() == [f"{split}-{last}".encode(), f"{split}-0-rc".encode()]
            assert h5[split]["x"].id.get_offset() is not None, "training maps it into memory"


def test_a_users_own_matlab_file_holds_all_splits(tmp_path):
    rng = np.random.default_rng(0)
    x = {split: rng.integers(0, 4, (count, 30)) for split, count in ROWS.items()}
    y = {split: rng.integers(0, 2, (count, 1)) for split, count in ROWS.items()}
    one_hot = {f"X_{split}": np.eye(4)[x[split]] for split in SPLITS}
    savemat(tmp_path / "mine.mat", one_hot | {f"Y_{split}": y[split] for split in SPLITS})
    found = convert(tmp_path, tmp_path / "mine.mat")
    for split in SPLITS:
        assert np.array_equal(found[split].x, x[split])
        assert np.array_equal(found[split].y, y[split])


def rename(split, old, new):
    return lambda arrays: arrays[split].update({new: arrays[split].pop(old)})


def alter(split, key, function):
    return lambda arrays: arrays[split].update({key: function(arrays[split][key])})


def put(index, value):
    def change(array):
        array = array.copy()
        array[index] = value
        return array

    return change


def first_wanted(array):
    """Give the second row a positive label in column 592, so that it is kept."""
    return put((1, 592), 1)(array)


def both(*changes):
    return lambda arrays: [change(arrays) for change in changes]


BAD = {
    "a missing key in MATLAB 7.3": (
        rename("train", "trainxdata", "x"),
        "deepsea_train.mat: there is no array 'trainxdata'. There are: traindata, x",
    ),
    "a missing key in MATLAB 5": (
        rename("test", "testdata", "y"),
        "deepsea_test.mat: there is no array 'testdata'. There are: testxdata, y",
    ),
    "rows without four channels": (
        alter("valid", "validxdata", lambda x: x[:, :3]),
        r"deepsea_valid.mat: 'validxdata' has rows of the shape \(3, 1000\)",
    ),
    "sequences of another length": (
        alter("valid", "validxdata", lambda x: x[:, :, :999]),
        'the splits have unequal sequence lengths: {"train": 1000, "valid": 999, "test": 1000}',
    ),
    "too few labels": (
        alter("test", "testdata", lambda y: y[:, :640]),
        "'testdata' has 640 columns, 0 to 639, and dataset.columns asks for 661",
    ),
    "fewer labels than sequences": (
        alter("test", "testdata", lambda y: y[:-1]),
        "the split 'test' has 53 sequences and 52 rows of labels",
    ),
    "two bases in one place": (
        both(alter("train", "traindata", first_wanted), alter("train", "trainxdata", put((1, slice(None), 7), 1))),
        r"'trainxdata': row 1, position 7 has the values \[1, 1, 1, 1\]",
    ),
    "a label of 3": (
        alter("test", "testdata", put((2, 345), 3)),
        "'testdata': the label in row 2, column 345 is 3 and must be 0 or 1",
    ),
    "no row that is wanted": (
        alter("valid", "validdata", np.zeros_like),
        "'validdata': no row has a positive label among dataset.columns",
    ),
    "text": (
        alter("valid", "validdata", lambda y: np.array(["a"] * len(y))),
        "there is no array 'validdata'. There are: validxdata",
    ),
}


@pytest.mark.parametrize("fault", BAD)
def test_bad_input_is_said_and_leaves_nothing(project, server, tmp_path, fault):
    change, message = BAD[fault]
    archive, _ = deepsea_bundle(tmp_path / "original", ROWS, change)
    inputs = fetched_deepsea(project, server, archive, tmp_path / "resources")
    with pytest.raises(CisflowError, match=message):
        make(project, "task2", inputs, tmp_path / "out")
    assert list((tmp_path / "out").glob("*")) == []


def test_a_label_that_is_not_taken_does_not_matter(project, server, tmp_path):
    archive, _ = deepsea_bundle(tmp_path / "original", ROWS, alter("test", "testdata", put((2, 0), 3)))
    rows = make(project, "task2", fetched_deepsea(project, server, archive, tmp_path / "resources"), tmp_path / "out")
    assert set(rows) == {"train", "valid", "test"}
    assert quality(tmp_path / "out", "test", "sequences") == {"all": rows["test"]}


@pytest.mark.parametrize("name", ["deepsea_train.mat", "deepsea_test.mat"])
def test_a_truncated_file_is_said_and_leaves_nothing(project, server, tmp_path, name):
    archive, _ = deepsea_bundle(tmp_path / "original", ROWS)
    inputs = fetched_deepsea(project, server, archive, tmp_path / "resources")
    path = tmp_path / "resources" / name
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(CisflowError, match=f"{name}: the (HDF5|MATLAB) file is truncated"):
        make(project, "task2", inputs, tmp_path / "out")
    assert list((tmp_path / "out").glob("*")) == []


def test_a_bundle_that_is_not_whole_is_not_taken(project, server, tmp_path):
    archive, _ = deepsea_bundle(tmp_path / "original", ROWS)
    archive.write_bytes(archive.read_bytes()[:-3000])
    with pytest.raises(CisflowError, match="it is not a whole tar archive"):
        fetched_deepsea(project, server, archive, tmp_path / "resources")
    assert os.listdir(tmp_path / "resources") == [f"{archive.name}.rejected"]


def test_a_matlab_file_is_unpacked_beside_the_output_and_gone_afterwards(project, server, tmp_path, monkeypatch):
    """The scratch file has no name, so even a killed process leaves nothing."""
    archive, _ = deepsea_bundle(tmp_path / "original", ROWS)
    inputs = fetched_deepsea(project, server, archive, tmp_path / "resources")
    seen = []
    monkeypatch.setattr(hdf5, "unpack", lambda path, h5: seen.append(os.listdir(tmp_path / "out")))
    with pytest.raises(CisflowError, match="There are: none"):
        make(project, "task2", inputs, tmp_path / "out")
    assert seen == [[], []]
