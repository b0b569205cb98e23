"""HDF5 files in the papers' layouts and users' own are read exactly, and every fault in them is said."""

import h5py
import numpy as np
import pytest
from tests.conftest import convert

from cisflow.datasets import hdf5
from cisflow.datasets import quality as quality_of
from cisflow.errors import CisflowError
from cisflow.io import h5_reader
from cisflow.sequence import reverse_complement

LENGTH = 12


def write(path, change=None, layout="NCL"):
    """Write a file with three splits; `change` may alter its arrays before they are written."""
    rng = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", 6), ("valid", 2), ("test", 3)):
        x = rng.integers(0, 4, (count, LENGTH))
        one_hot = np.eye(4, dtype=np.float32)[x]
        arrays[f"X_{split}"] = {
            "NCL": one_hot.transpose(0, 2, 1),
            "NLC": one_hot,
            "NC1L": one_hot.transpose(0, 2, 1)[:, :, None],
            "NCL1": one_hot.transpose(0, 2, 1)[..., None],
            "indices": x.astype(np.uint8),
            "text": np.array(["".join("ACGT"[b] for b in row) for row in x], dtype="S"),
        }[layout]
        arrays[f"Y_{split}"] = (np.arange(count) % 2).astype(np.int8)[:, None]
    if change:
        change(arrays)
    with h5py.File(path, "w") as h5:
        for name, array in arrays.items():
            h5.create_dataset(name, data=array, compression="gzip" if array.ndim > 1 else None)
    return path


@pytest.mark.parametrize("layout", ["NLC", "NC1L", "NCL1", "indices", "text"])
def test_every_layout_gives_the_same_sequences(tmp_path, layout):
    reference = convert(tmp_path, write(tmp_path / "reference.h5"))
    found = convert(tmp_path, write(tmp_path / "other.h5", layout=layout))
    for split in reference:
        assert np.array_equal(reference[split].x, found[split].x)
        assert np.array_equal(reference[split].y, found[split].y)


def test_channels_can_be_in_another_order(tmp_path):
    def swap(arrays):
        for name in arrays:
            if name.startswith("X"):
                arrays[name] = arrays[name][:, [0, 2, 1, 3]]

    reference = convert(tmp_path, write(tmp_path / "reference.h5"))
    swapped = convert(tmp_path, write(tmp_path / "swapped.h5", swap), channels="AGCT")
    assert np.array_equal(reference["train"].x, swapped["train"].x)


def test_unknown_bases_are_zeros_or_quarters(tmp_path):
    def unknown(arrays):
        arrays["X_train"] = arrays["X_train"].copy()
        arrays["X_train"][0, :, 3] = 0
        arrays["X_train"][1, :, 4] = 0.25

    x = convert(tmp_path, write(tmp_path / "unknown.h5", unknown))["train"].x
    assert np.argwhere(x == 4).tolist() == [[0, 3], [1, 4]]


def test_the_other_strand_is_appended_after_all_rows(tmp_path):
    plain = convert(tmp_path, write(tmp_path / "a.h5"))
    both = convert(tmp_path, tmp_path / "a.h5", reverse_complement=["train"])
    assert np.array_equal(both["train"].x, np.concatenate([plain["train"].x, reverse_complement(plain["train"].x)]))
    assert np.array_equal(both["train"].y, np.concatenate([plain["train"].y] * 2))
    assert both["train"].id[6] == b"train-0-rc"
    assert np.array_equal(both["test"].x, plain["test"].x)


def put(name, value):
    return lambda arrays: arrays.__setitem__(name, value)


def edit(name, index, value):
    def change(arrays):
        arrays[name] = arrays[name].astype(np.float32)
        arrays[name][index] = value

    return change


BAD = {
    "a split is missing": (lambda a: a.pop("X_valid"), r"there is no array 'X_valid'. There are: X_test, X_train"),
    "a split is empty": (put("X_test", np.zeros((0, 4, LENGTH))), "'X_test' is empty"),
    "more labels than sequences": (put("Y_train", np.zeros((7, 1))), "'train' has 6 sequences and 7 rows of labels"),
    "a label of 2": (
        edit("Y_train", (2, 0), 2),
        r"row 2, column 0 is 2 and must be 0 or 1 .*target: real.*1 such label",
    ),
    "a label that is no number": (edit("Y_test", (1, 0), np.nan), "row 1, column 0 is nan and must be 0 or 1"),
    "two bases in one place": (edit("X_train", (3, slice(None), 5), [1, 1, 0, 0]), "row 3, position 5 has the values"),
    "a half base": (edit("X_train", (3, slice(None), 5), [0.5, 0, 0, 0]), "neither a one-hot base nor an unknown one"),
    "splits of unequal length": (put("X_test", np.zeros((3, 4, 9))), 'unequal sequence lengths: {"train": 12'),
    "splits of unequal targets": (put("Y_test", np.zeros((3, 2))), "unequal numbers of targets"),
    "no axis of four": (put("X_train", np.zeros((6, 5, LENGTH))), r"rows of the shape \(5, 12\)"),
    "text as labels": (
        put("Y_train", np.array([b"a"] * 6)),
        r"'Y_train' is an array of type \|S1, and numbers are needed",
    ),
    "letters other than bases": (
        put("X_train", np.array([b"ACGTACGTACGX"] * 6)),
        "row 0: the letter 'X' at position 12",
    ),
    "text of unequal length": (
        put("X_train", np.array([b"ACGT" * 3, b"AC"] * 3)),
        "unequal length, from 2 to 12 bases",
    ),
    "labels of three axes": (put("Y_train", np.zeros((6, 3, 2))), r"rows of the shape \(3, 2\); labels are \(n,\)"),
    "sequences without bases": (
        lambda a: a.update(
            {f"X_{split}": np.array([b""] * len(a[f"X_{split}"])) for split in ("train", "valid", "test")}
        ),
        "its sequences have no bases",
    ),
    "text in another encoding": (
        put("X_train", np.array(["ACGTACGTACGÄ".encode("latin-1")] * 6)),
        "row 0: the letter 'Ä' at position 12",
    ),
    "indices that count from 1": (
        put("X_train", np.tile(np.arange(1, 5, dtype=np.uint8), (6, 3))),
        r"'X_train': 25.0% of its bases are 4 \(unknown\), and 0.0% of the others 0 \(A\). They seem to be 1 to 4",
    ),
    "indices that count from 1, and unknown bases are 0": (
        lambda a: a.update(X_train=np.repeat([[0] * 12, [1, 2, 3, 4] * 3], [2, 498], 0), Y_train=np.zeros(500)),
        "They seem to be 1 to 4",
    ),
    "indices out of range": (
        put("X_train", np.full((6, LENGTH), 7, np.uint8)),
        "row 0, position 0 is 7; base indices are from 0 to 4",
    ),
}


@pytest.mark.parametrize("fault", BAD)
def test_bad_input_is_said_and_leaves_nothing(tmp_path, fault):
    change, message = BAD[fault]
    path = write(tmp_path / "bad.h5", change)
    with pytest.raises(CisflowError, match=message) as error:
        convert(tmp_path / "out", path)
    assert "bad.h5" in str(error.value)
    assert list((tmp_path / "out").glob("*")) == []


def test_bases_that_a_sequence_lacks_are_no_sign_of_another_count(tmp_path):
    """Unknown bases, or sequences without A, are not enough."""
    for own in ([1, 2, 3], [0, 1, 2, 3, 4, 4, 4, 4], [4]):
        rows = np.tile(np.array(own, np.uint8), (6, LENGTH))[:, :LENGTH]
        found = convert(tmp_path, write(tmp_path / "a.h5", put("X_train", rows)))
        assert np.array_equal(found["train"].x, rows)


@pytest.mark.parametrize("layout", ["indices", "text"])
def test_channels_are_those_of_one_hot_sequences(tmp_path, layout):
    with pytest.raises(CisflowError, match="dataset.channels is the order of one-hot channels, and there are none"):
        convert(tmp_path, write(tmp_path / "a.h5", layout=layout), channels="AGCT")


def test_numbers_must_be_finite(tmp_path):
    path = write(tmp_path / "real.h5", edit("Y_train", (2, 0), np.inf))
    with pytest.raises(CisflowError, match="row 2, column 0 is inf and must be finite"):
        convert(tmp_path, path, target="real")


def test_names_of_targets_must_fit(tmp_path):
    path = write(tmp_path / "a.h5")
    with pytest.raises(CisflowError, match="targets: 2 names are given, and the labels have 1 columns"):
        convert(tmp_path, path, targets=["a", "b"])


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "train", "positives"), [("ZBED2", (3431, 1729), (490, 255)), ("IRF1", (2724, 1372), (389, 200))]
)
def test_the_papers_chip_seq_sets(real_data, tmp_path, name, train, positives):
    path = real_data / "exponential_activations" / f"{name}_400_h3k27ac.h5"
    splits = convert(tmp_path, path, reverse_complement=["train"])
    assert (len(splits["train"].x), int(splits["train"].y.sum())) == (2 * train[0], 2 * train[1])
    assert (len(splits["valid"].x), int(splits["valid"].y.sum())) == positives
    assert splits["train"].x.max() == 3


def test_the_data_set_says_what_it_holds_and_can_be_memory_mapped(tmp_path):
    convert(tmp_path, write(tmp_path / "a.h5"))
    with h5_reader(tmp_path / "dataset.h5", "dataset/1") as h5:
        assert h5.attrs["length"] == LENGTH
        assert list(h5.attrs["targets"]) == ["target-0"]
        assert h5["train/x"].id.get_offset() is not None, "x must be contiguous, to be memory-mapped"


@pytest.mark.parametrize("layout", ["NCL", "indices", "text"])
def test_blocks_make_no_difference(tmp_path, monkeypatch, layout):
    path = write(tmp_path / "a.h5", layout=layout)
    whole = convert(tmp_path, path, keep="any_positive", reverse_complement=["test"])
    monkeypatch.setattr(hdf5, "BLOCK_ROWS", 4)
    monkeypatch.setattr(hdf5, "PIECE", 1)
    monkeypatch.setattr(quality_of, "BLOCK_BYTES", 2)
    quality = (tmp_path / "dataset.quality.tsv").read_text()
    parts = convert(tmp_path, path, keep="any_positive", reverse_complement=["test"])
    for name, split in whole.items():
        for key in ("x", "y", "id"):
            assert np.array_equal(getattr(split, key), getattr(parts[name], key))
    # Sums of GC content in another order: the last digits.
    assert [row.split("\t")[:3] for row in quality.splitlines()] == [
        row.split("\t")[:3] for row in (tmp_path / "dataset.quality.tsv").read_text().splitlines()
    ]


def test_the_table_of_quality_counts_by_hand(tmp_path):
    def few_known(arrays):
        arrays["X_train"] = arrays["X_train"].copy()
        arrays["X_train"][1] = 0  # the first row that is kept: nothing known
        arrays["X_train"][3] = np.eye(4)[[1] * 9 + [3] * 3].T  # nine C, three T
        arrays["X_train"][5] = np.eye(4)[[2] * 3 + [0] * 9].T

    convert(tmp_path, write(tmp_path / "a.h5", few_known), keep="any_positive", targets=["bound"])
    rows = [row.split("\t") for row in (tmp_path / "dataset.quality.tsv").read_text().splitlines()[1:]]
    found = {(target, quantity): float(value) for split, target, quantity, value in rows if split == "train"}
    assert found == {
        ("all", "sequences"): 3, ("all", "dropped_sequences"): 3, ("all", "gc_content"): (9 / 12 + 3 / 12) / 2,
        ("all", "unknown_bases"): 12, ("all", "without_known_base"): 1, ("all", "unmeasured_labels"): 0,
        ("all", "labels_not_finite"): 0,
        ("bound", "positives"): 3, ("bound", "masked_fraction"): 0,
    }  # fmt: skip
