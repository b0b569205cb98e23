"""MATLAB 5 files are unpacked to what scipy reads from them, in little memory, and damage is said."""

import struct
import tracemalloc

import h5py
import numpy as np
import pytest
import scipy.io

from cisflow.datasets import mat5
from cisflow.errors import CisflowError

RNG = np.random.default_rng(0)
VARIABLES = {
    "bytes": RNG.integers(0, 255, (50, 4, 30), np.uint8),
    "bits": RNG.random((7, 3)) < 0.5,
    "doubles": RNG.random((5, 11)),
    "singles": RNG.random((5, 11)).astype(np.float32),
    "shorts": RNG.integers(-9, 9, (6, 2, 2, 3)).astype(np.int16),
    "longs": RNG.integers(-(2**40), 2**40, (3, 2)),
    "one": np.array([[7]], np.uint8),
    "row": np.arange(3, dtype=np.int8)[None],
    "an_odd_length_of_name": np.arange(9, dtype=np.uint32)[:, None],
    "empty": np.zeros((0, 3)),
}


def save(path, variables, compress=True):
    scipy.io.savemat(path, variables, do_compression=compress)
    return path


def unpacked(path):
    with h5py.File.in_memory() as h5:
        mat5.unpack(path, h5)
        return {name: array[()].T for name, array in h5.items()}


@pytest.mark.parametrize("block", [mat5.BLOCK, 64])
@pytest.mark.parametrize("compress", [True, False])
def test_every_number_is_what_scipy_reads(tmp_path, monkeypatch, compress, block):
    monkeypatch.setattr(mat5, "BLOCK", block)
    path = save(tmp_path / "a.mat", VARIABLES, compress)
    read = scipy.io.loadmat(path)
    found = unpacked(path)
    assert set(found) == set(VARIABLES)
    for name, array in found.items():
        assert array.shape == VARIABLES[name].shape
        assert np.array_equal(array, read[name])
        assert np.array_equal(array, VARIABLES[name])


@pytest.mark.parametrize("compress", [True, False])
def test_what_is_not_an_array_of_numbers_is_left_out(tmp_path, compress):
    others = {"text": "ACGT", "cell": np.array([1, "a"], object), "struct": {"a": 1}, "complex": np.ones((2, 2)) * 1j}
    path = save(tmp_path / "a.mat", others | {"x": np.arange(4)[None]}, compress)
    assert list(unpacked(path)) == ["x"]


def test_numbers_stored_in_fewer_bytes_than_their_type(tmp_path):
    """MATLAB itself stores doubles that are small integers as bytes; scipy.io.savemat does not."""

    def element(kind, data):
        return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)

    array = np.arange(12).reshape(3, 4)
    content = (
        element(6, struct.pack("<II", 6, 0))  # class double
        + element(5, struct.pack("<ii", 3, 4))
        + element(1, b"x")
        + element(2, array.astype(np.uint8).tobytes(order="F"))
    )
    path = tmp_path / "a.mat"
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + element(14, content))
    assert np.array_equal(unpacked(path)["x"], array)
    assert np.array_equal(scipy.io.loadmat(path)["x"], array)


@pytest.mark.parametrize("compress", [True, False])
def test_a_large_array_is_never_in_memory(tmp_path, compress):
    rows = 15_000
    path = save(tmp_path / "a.mat", {"x": np.tile(RNG.integers(0, 2, (rows, 1), np.uint8), (1, 2000))}, compress)
    with h5py.File(tmp_path / "a.h5", "w") as h5:
        tracemalloc.start()
        mat5.unpack(path, h5)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    # Some blocks (inflated, joined, as an array), where the array has thirty megabytes.
    assert peak < 5 * mat5.BLOCK < rows * 2000


@pytest.mark.parametrize("compress", [True, False])
def test_a_truncated_file_is_said_wherever_it_ends(tmp_path, compress):
    path = save(tmp_path / "a.mat", {"x": VARIABLES["bytes"]}, compress)
    whole = path.read_bytes()
    for size in (130, 140, 170, 190, len(whole) // 2, len(whole) - 8, len(whole) - 1):
        if not compress and size == len(whole) - 1:
            continue  # nothing but padding is missing
        path.write_bytes(whole[:size])
        with pytest.raises(CisflowError, match=r"a.mat: the MATLAB file is truncated or damaged \(.+\). Fetch it"):
            unpacked(path)


def test_damage_is_said(tmp_path):
    path = save(tmp_path / "a.mat", {"x": VARIABLES["bytes"]})
    whole = bytearray(path.read_bytes())
    for place in (140, len(whole) // 2, len(whole) - 2):
        damaged = whole.copy()
        damaged[place] ^= 0x55
        path.write_bytes(damaged)
        with pytest.raises(CisflowError, match="truncated or damaged"):
            unpacked(path)


def test_matlab_5_files_are_known_by_their_name_and_beginning(tmp_path):
    path = save(tmp_path / "a.mat", {"x": np.arange(3)})
    assert mat5.is_mat5(path)
    assert not mat5.is_mat5(tmp_path / "none.mat")
    path.with_suffix(".h5").write_bytes(path.read_bytes())
    assert not mat5.is_mat5(path.with_suffix(".h5"))
    path.write_bytes(b"<html>not found</html>")
    assert not mat5.is_mat5(path)
