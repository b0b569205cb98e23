"""TFRecord files without TensorFlow: real ones, made ones in both layouts, and broken ones."""

import gzip
import struct
import zlib

import google_crc32c
import numpy as np
import pytest

from cisflow.config.matrix import TfRecord
from cisflow.config.places import with_paths
from cisflow.datasets.make import make_dataset
from cisflow.datasets.tfrecord import Shape, Tiles, masked_crc, read_example, read_records, window_of
from cisflow.errors import CisflowError
from cisflow.io import h5_reader
from cisflow.sequence import UNKNOWN
from cisflow.tables import ACCOUNTING, read_tsv

SHAPE = Shape(targets=3, bin=4, crop=2)


def varint(value):
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def delimited(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def feature(values, packed=True):
    if isinstance(values, bytes):
        return delimited(1, delimited(1, values))
    if values.dtype.kind == "i":
        return delimited(3, delimited(1, b"".join(map(varint, values.tolist()))))
    raw = values.astype("<f4").tobytes()
    if packed:
        return delimited(2, delimited(1, raw))
    return delimited(2, b"".join(varint(1 << 3 | 5) + raw[at : at + 4] for at in range(0, len(raw), 4)))


def example(features, packed=True):
    entries = [
        delimited(1, delimited(1, name.encode()) + delimited(2, feature(values, packed)))
        for name, values in features.items()
    ]
    return delimited(1, b"".join(entries))


def framed(record):
    head = struct.pack("<Q", len(record))
    return head + struct.pack("<I", masked_crc(head)) + record + struct.pack("<I", masked_crc(record))


def write(path, records, pack=zlib.compress):
    path.write_bytes(pack(b"".join(map(framed, records))))
    return path


def rows(count=5, bins=6, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 5, (count, bins * SHAPE.bin + 2 * SHAPE.crop), dtype=np.uint8)
    return x, rng.integers(0, 64, (count, bins, SHAPE.targets)).astype(np.float32) / 8


def one_hot(x):
    return np.r_[np.eye(4, dtype=np.uint8), np.zeros((1, 4), np.uint8)][x].tobytes()


LAYOUTS = {
    "older": lambda x, y: example({"sequence": one_hot(x), "target": y.ravel()}),
    "floats one by one": lambda x, y: example({"sequence": one_hot(x), "target": y.ravel()}, packed=False),
    "newer": lambda x, y: example({"sequence": x.tobytes(), "target": y.astype("<f2").tobytes()}),
    "with more": lambda x, y: example(
        {"umap": b"\x01", "n": np.arange(300), "target": y.astype("<f2").tobytes(), "sequence": x.tobytes()}
    ),
}


def test_the_checksum_is_that_of_the_castagnoli_polynomial():
    assert google_crc32c.value(b"123456789") == 0xE3069283
    # ((crc >> 15) | (crc << 17)) + 0xa282ead8, of 0xe3069283, in 32 bits.
    assert masked_crc(b"123456789") == ((0xE3069283 >> 15 | 0x9283 << 17) + 0xA282EAD8) % 2**32


@pytest.mark.parametrize("pack", [zlib.compress, gzip.compress, bytes], ids=["zlib", "gzip", "plain"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_both_layouts_are_read_however_they_are_packed(tmp_path, layout, pack):
    x, y = rows()
    path = write(tmp_path / "a.tfr", [LAYOUTS[layout](*row) for row in zip(x, y, strict=True)], pack)
    found = [window_of(record, SHAPE, "here") for record in read_records(path)]
    assert np.array_equal([window.x for window in found], x)
    assert np.array_equal([window.y for window in found], y)
    assert {window.y.dtype for window in found} == {np.dtype(np.float32)}
    assert UNKNOWN in x


def test_features_that_are_no_windows_are_passed_over():
    found = read_example(example({"umap": b"\x01\x02", "n": np.arange(300), "t": np.float32([0.5])}), "here")
    assert set(found) == {"umap", "t"}
    assert found["umap"].tolist() == [1, 2]


def broken(raw, at):
    return raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]


WHOLE = framed(b"x" * 100) + framed(b"y" * 50)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "there is no record in it"),
        (zlib.compress(b""), "there is no record in it"),
        (zlib.compress(WHOLE)[:-6], "the compressed data are truncated|damaged"),
        (gzip.compress(WHOLE, mtime=0)[:-4], "the compressed data are truncated"),
        (zlib.compress(WHOLE) + b"more", "there are data after the end of the compressed ones"),
        (broken(zlib.compress(WHOLE), 12), "damaged|checksum"),
        (zlib.compress(WHOLE[:-10]), r"record 1: the file ends within it \(44 of 54 bytes are there\)"),
        (zlib.compress(WHOLE[:120]), r"record 1: the file ends within it \(4 of 12 bytes are there\)"),
        (zlib.compress(broken(WHOLE, 2)), "record 0: it is no TFRecord file"),
        (zlib.compress(broken(WHOLE, 118)), "record 1: the checksum of its length is wrong"),
        (zlib.compress(broken(WHOLE, 40)), "record 0: the checksum of its data is wrong"),
        (b"<html><body>Not found</body></html>", "it is no TFRecord file but an HTML or XML page"),
        (b"chr1\t0\t100\ttrain\n", "it is no TFRecord file"),
    ],
)
def test_broken_files_are_refused(tmp_path, content, message):
    path = tmp_path / "a.tfr"
    path.write_bytes(content)
    with pytest.raises(CisflowError, match=message):
        list(read_records(path))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CisflowError, match=r"a\.tfr: there is no such file"):
        list(read_records(tmp_path / "a.tfr"))


X, Y = rows(1)
NAN = np.where(np.arange(18) == 4, np.nan, 1).astype(np.float32)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (b"\x0a\xff", r"it is no tf\.train\.Example"),
        (b"\x0b", r"it is no tf\.train\.Example \(a field is of the unknown kind 3\)"),
        (delimited(1, delimited(1, delimited(1, b"a"))), "field 2 of a feature is missing"),
        (example({"x": b"abc"}), "there is no feature sequence, target; there are: x"),
        (example({"sequence": X[0].tobytes(), "target": b"abc"}), "the target has 3 bytes, which are no float16"),
        (example({"sequence": X[0].tobytes(), "target": Y[0].ravel()[:-1]}), "17 values, which is no number of bins"),
        (example({"sequence": X[0].tobytes()[:-1], "target": Y[0].ravel()}), "the sequence has 27 values"),
        (example({"sequence": Y[0].ravel(), "target": Y[0].ravel()}), "the sequence has 18 values"),
        (example({"sequence": bytes([5, *X[0][1:]]), "target": Y[0].ravel()}), "position 0 of the seq"),
        (example({"sequence": bytes([1, 1]) + one_hot(X[0])[2:], "target": Y[0].ravel()}), "position 0 of the"),
        (example({"sequence": X[0].tobytes(), "target": NAN}), "the label in bin 1, target 1 is nan"),
    ],
)  # fmt: skip
def test_broken_records_are_refused(record, message):
    with pytest.raises(CisflowError, match=f"here.*{message}"):
        window_of(record, SHAPE, "here")


@pytest.mark.parametrize(
    ("take", "length", "starts"), [("tiles", 8, [0, 2, 4]), ("tiles", 16, [0]), ("centre", 8, [2]), ("centre", 12, [1])]
)
def test_windows_are_cut_from_records(take, length, starts):
    x, y = rows(1)
    window = window_of(LAYOUTS["newer"](x[0], y[0]), SHAPE, "here")
    found, labels = Tiles(length, take, "sum", columns=(2, 0)).cut(window, SHAPE)
    for row, first in enumerate(starts):
        at = SHAPE.crop + first * SHAPE.bin
        assert np.array_equal(found[row], x[0, at : at + length])
        assert np.array_equal(labels[row], y[0, first : first + length // SHAPE.bin, [2, 0]].sum(1))
    assert len(found) == len(starts)


def make(folder, files, **keys):
    """Make a data set of files as a task with these settings would; return its splits."""
    names = {"targets": ["a", "b", "c"], "bin": 4, "crop": 2, "length": 8} | keys
    model = TfRecord(kind="tfrecord", files=list(map(str, files)), **names)
    spec = with_paths(model, lambda place: place.file)
    make_dataset(spec, list(map(str, files)), folder / "dataset.h5")
    with h5_reader(folder / "dataset.h5", "dataset/1") as h5:
        return {name: {key: h5[name][key][:] for key in h5[name]} for name in ("train", "valid", "test")}


@pytest.fixture
def files(tmp_path):
    x, y = rows(7)
    records = [LAYOUTS["newer"](*row) for row in zip(x, y, strict=True)]
    return x, y, [write(tmp_path / "a.tfr", records[:4]), write(tmp_path / "b.tfr", records[4:])]


def test_a_data_set_of_numbered_records(tmp_path, files):
    x, y, paths = files
    found = make(tmp_path, paths, records={"train": [4, 0], "valid": [6], "test": [2, 1]}, transform="log1p")
    assert found["train"]["id"].tolist() == [f"record-{n}:{a}-{a + 8}".encode() for n in (0, 4) for a in (2, 10, 18)]
    assert np.array_equal(found["test"]["x"][4], x[2, 10:18])
    expected = np.log1p(y[6].astype(float).reshape(3, 2, 3).mean(1)).astype(np.float32)
    assert np.array_equal(found["valid"]["y"], expected)
    account = read_tsv(tmp_path / "dataset.accounting.tsv", ACCOUNTING).select("unit", "step", "reason", "rows").rows()
    assert ("records", "cut", "left_out", -2) in account
    assert ("bases", "cut", "without_window", -20) in account
    assert ("windows", "kept", "train", 6) in account


def test_windows_of_a_record_stay_together_by_chance_too(tmp_path, files):
    _, _, paths = files
    found = make(tmp_path, paths, split=(0.5, 0.2, 0.3), seed=3, reverse_complement=["train"])
    records = {name: {row.split(b":")[0] for row in arrays["id"]} for name, arrays in found.items()}
    assert sum(map(len, records.values())) == len(set().union(*records.values())) == 7
    assert len(found["train"]["x"]) == 2 * 3 * len(records["train"])
    again = make(tmp_path, paths, split=(0.5, 0.2, 0.3), seed=3, reverse_complement=["train"])
    assert all(np.array_equal(found[name][key], again[name][key]) for name in found for key in found[name])


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"records": {"train": [0], "valid": [1], "test": [7]}}, r"records\.test: there is no record 7; they are 0"),
        ({"split": (0.5, 0.25, 0.25), "length": 28}, "its records have 24 bases with labels, and dataset.length is 28"),
        ({"split": (0.98, 0.01, 0.01)}, "no row is in valid, test"),
        ({"split": (0.5, 0.25, 0.25), "crop": 0}, "Are bin, crop and targets right?"),
    ],
)  # fmt: skip
def test_settings_that_do_not_fit_the_files(tmp_path, files, keys, message):
    with pytest.raises(CisflowError, match=message):
        make(tmp_path, files[2], **keys)


def test_records_of_unequal_length_are_refused(tmp_path):
    records = [LAYOUTS["newer"](x[0], y[0]) for x, y in (rows(1), rows(1, bins=8))]
    with pytest.raises(CisflowError, match=r"a\.tfr: a record has 8 bins, and the first of .* 6"):
        make(tmp_path, [write(tmp_path / "a.tfr", records)], split=(0.5, 0.25, 0.25))


@pytest.mark.real_data
def test_the_real_windows_are_as_described(real_data):
    paths = [real_data / "genome" / f"cage10-train-0000{number}-of-00100.tfrecord" for number in (0, 1)]
    found = [window_of(record, Shape(10), str(path)) for path in paths for record in read_records(path)]
    assert [len(found), {window.x.shape for window in found}, {window.y.shape for window in found}] == [
        20, {(262_144,)}, {(2048, 10)},
    ]  # fmt: skip
    gc = [np.isin(window.x, (1, 2)).mean() for window in found]
    assert [round(min(gc), 2), round(max(gc), 2)] == [0.34, 0.48]
    assert [round(min(window.y.max() for window in found)), max(window.y.max() for window in found)] == [8, 100]
    assert [round(float(f(window.y.mean() for window in found)), 2) for f in (min, max)] == [0.08, 0.42]
    assert not any((window.x == UNKNOWN).any() for window in found)
