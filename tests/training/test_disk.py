"""Rows that are read past HDF5 are those that it reads; what stands in files in another way is left to it."""

import h5py
import hdf5plugin
import numpy as np
import pytest

from cisflow.errors import CisflowError
from cisflow.training.disk import OnDisk

X = np.random.default_rng(0).normal(size=(11, 4, 3)).astype(np.float16)


def shards(folder, **options):
    for number, part in enumerate(np.split(X, [5])):
        with h5py.File(folder / f"{number}.h5", "w") as h5:
            h5.create_dataset("inner/x", data=part, **options)


def virtual(folder, name, parts, shape=X.shape, dtype=np.float16):
    """Write a virtual array of (rows here, file, array, its shape, rows there)."""
    layout = h5py.VirtualLayout(shape, dtype)
    for here, file, inner, whole, there in parts:
        source = h5py.VirtualSource(file, inner, whole)
        layout[here] = source if there is None else source[there]
    with h5py.File(folder / name, "w") as h5:
        h5.create_virtual_dataset("x", layout)
    return folder / name


def gathered(folder, name="all.h5", dtype=np.float16):
    parts = [(np.s_[:5], "0.h5", "inner/x", (5, 4, 3), None), (np.s_[5:], "1.h5", "inner/x", (6, 4, 3), None)]
    return virtual(folder, name, parts, dtype=dtype)


def plain(folder):
    with h5py.File(folder / "x.h5", "w") as h5:
        h5["x"] = X
    return folder / "x.h5"


def nested(folder):
    """As a data set over the array that is gathered over shards: a split is a part of its rows."""
    shards(folder)
    gathered(folder)
    parts = [(np.s_[:7], "all.h5", "x", X.shape, np.s_[3:10]), (np.s_[7:], "all.h5", "x", X.shape, np.s_[:2])]
    return virtual(folder, "split.h5", parts, (9, 4, 3))


def over(folder, **options):
    shards(folder, **options)
    return gathered(folder)


def every_other(folder):
    shards(folder)
    gathered(folder)
    return virtual(folder, "some.h5", [(np.s_[:], "all.h5", "x", X.shape, np.s_[::2])], (6, 4, 3))


def part_of_rows(folder):
    shards(folder)
    gathered(folder)
    return virtual(folder, "some.h5", [(np.s_[:], "all.h5", "x", X.shape, np.s_[:, 1:3])], (11, 2, 3))


def of_other_numbers(folder):
    shards(folder)
    return gathered(folder, dtype=np.float32)


@pytest.mark.parametrize(
    ("make", "past"),
    [
        (plain, True),
        (over, True),
        (nested, True),
        (lambda folder: over(folder, chunks=(1, 4, 3)), False),
        (lambda folder: over(folder, compression="gzip"), False),
        (lambda folder: over(folder, chunks=(1, 4, 3), **hdf5plugin.Bitshuffle(cname="lz4")), False),
        (every_other, False),
        (part_of_rows, False),
        (of_other_numbers, False),
    ],
    ids=["plain", "virtual", "nested", "chunks", "gzip", "bitshuffle", "every other", "part of rows", "other numbers"],
)
def test_rows_are_those_that_hdf5_reads(tmp_path, make, past):
    path = make(tmp_path)
    array = OnDisk(path, "x")
    assert (array._firsts is not None) == past
    with h5py.File(path) as h5:
        expected = h5["x"][:]
    assert expected.any((1, 2)).all(), "HDF5 itself would read zeros where it finds nothing"
    rows = np.random.default_rng(1).permutation(len(array))
    np.testing.assert_array_equal(array[rows], expected[rows])
    np.testing.assert_array_equal(array[1:3], expected[1:3])
    assert array[rows].dtype == expected.dtype


def test_a_shard_that_became_shorter_is_told(tmp_path):
    array = OnDisk(over(tmp_path), "x")
    with (tmp_path / "1.h5").open("r+b") as file:
        file.truncate(array._stretches[1].offset + 30)
    with pytest.raises(CisflowError, match=r"1\.h5: the file ends before its row 1"):
        array[np.array([6])]
