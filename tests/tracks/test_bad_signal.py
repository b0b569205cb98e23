"""Broken files of signal, and what is said about each."""

import struct

import numpy as np
import pyBigWig
import pytest
from pydantic import ValidationError
from tests.tracks.signals import SIZES, opened, settings, write_bigwig

from cisflow.config.tracks import Track
from cisflow.errors import CisflowError
from cisflow.tracks.bigwig import write_bigwig as write_bigwig_of_stage
from cisflow.tracks.binning import Source
from cisflow.tracks.signal import Assembly

ROWS = [("chr1", n * 2, n * 2 + 1, float(n % 7)) for n in range(500)]


def values_of(path, start=0, length=1000, **keys):
    with Source(settings(path, **{"no_data": "nan", **keys}), SIZES, "toy.fa") as source:
        return source.bins(np.array([0]), np.array([start]), 10, length // 10)


def summary(path, total):
    """Write another sum of all values into the header's summary of a BigWig file."""
    data = bytearray(path.read_bytes())
    (at,) = struct.unpack_from("<Q", data, 44)
    struct.pack_into("<Qdddd", data, at, 20, 0, 1, total, total)
    path.write_bytes(data)


STATISTICS = [{"no_data": "nan"}, {"no_data": "zero"}, {"no_data": "nan", "statistic": "max"},
    {"no_data": "zero", "statistic": "min"}, {"no_data": "nan", "statistic": "median"}]  # fmt: skip


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("keys", STATISTICS, ids=str)
def test_values_that_are_not_finite(tmp_path, value, keys):
    path = write_bigwig(tmp_path / "a.bw", [("chr1", 0, 10, 1.0), ("chr1", 10, 20, value), ("chr1", 500, 510, 3.0)])
    with pytest.raises(CisflowError, match=r"a NaN or infinite value in chr1:0-1000, at (0|10) or soon"):
        values_of(path, **keys)
    # A region without them is read.
    assert values_of(path, 500, 100, **keys)[0][0, 0] == 3
    # A file whose summary hides them.
    summary(path, 1.0)
    if keys.get("statistic", "mean") == "mean":
        with pytest.raises(CisflowError, match=r"a NaN or infinite value in chr1:0-1000, at 0"):
            values_of(path, **keys)


@pytest.mark.parametrize("keys", STATISTICS, ids=str)
def test_a_summary_of_nan_says_nothing_about_finite_values(tmp_path, keys):
    wanted = values_of(write_bigwig(tmp_path / "a.bw", ROWS), **keys)
    summary(tmp_path / "a.bw", np.nan)
    for found, sound in zip(values_of(tmp_path / "a.bw", **keys), wanted, strict=True):
        np.testing.assert_array_equal(found, sound)


def mixed(path, forms):
    """Write entries of several forms with pyBigWig, which writes an empty block where the form changes."""
    with pyBigWig.open(str(path), "w") as file:
        file.addHeader(list(SIZES.items()))
        for form, (chrom, start) in zip(forms, (("chr1", 0), ("chr1", 500), ("chr2", 0)), strict=True):
            starts, values = list(range(start, start + 300, 10)), [float(n % 7 + 1) for n in range(30)]
            if form == "bedGraph":
                file.addEntries([chrom] * 30, starts, ends=[at + 10 for at in starts], values=values)
            elif form == "variableStep":
                file.addEntries(chrom, starts, values=values, span=10)
            else:
                file.addEntries(chrom, start, values=values, span=10, step=10)
    return path


@pytest.mark.parametrize("count", [3, 300, 1000])
@pytest.mark.parametrize("some", [False, True])
def test_a_bigwig_file_that_is_written_declares_all_contigs(tmp_path, count, some):
    """Pybigtools leaves out those without values, and writes no file at all where there is no value."""
    sizes = {f"c{n}_{'x' * (n % 5)}": 100 + n for n in range(count)}
    rows = [(name, 3, 5, 2.0) for name in sorted(sizes)[1:3]] * some
    write_bigwig_of_stage(tmp_path / "a.bw", sizes, iter(rows))
    with pyBigWig.open(str(tmp_path / "a.bw")) as peer, opened(tmp_path / "a.bw", Assembly("g", sizes)) as signal:
        assert peer.chroms() == sizes
        for name, size in sizes.items():
            values = signal.values(name, 0, size)
            np.testing.assert_array_equal(values, peer.values(name, 0, size, numpy=True))
            assert np.nansum(values) == 4 * (name in [row[0] for row in rows])


def index_rows(data):
    """Return where the rows of the only node of a BigWig file's index are, and how many."""
    (index,) = struct.unpack_from("<Q", data, 24)
    leaf, count = struct.unpack_from("<BxH", data, index + 48)
    assert leaf == 1
    return index + 52, count


@pytest.mark.parametrize("statistic", ["mean", "sum", "max"])
def test_blocks_of_a_bigwig_file_may_have_one_place_overlap_and_have_any_order(tmp_path, statistic):
    forms = ("bedGraph", "variableStep", "fixedStep")
    wanted = values_of(mixed(tmp_path / "one.bw", ["bedGraph"] * 3), statistic=statistic)
    path = mixed(tmp_path / "mixed.bw", forms)
    data = path.read_bytes()
    at, count = index_rows(data)
    rows = [data[at + 32 * n : at + 32 * (n + 1)] for n in range(count)]
    assert len({row[:16] for row in rows}) < count, "there is an empty block with the place of another"
    wider = [struct.pack("<4I", 0, 0, 0, 800) + rows[0][16:], *rows[1:]]
    for order in (rows, rows[::-1], wider):
        path.write_bytes(data[:at] + b"".join(order) + data[at + 32 * count :])
        for found, sound in zip(values_of(path, statistic=statistic), wanted, strict=True):
            np.testing.assert_array_equal(found, sound)


@pytest.mark.parametrize("name", ["a.BW", "a.BigWig", "a.BIGWIG", "ENCFF000ABC", "a.wig.data"])
def test_a_bigwig_file_is_one_whatever_its_name_ends_in(tmp_path, name):
    wanted = values_of(write_bigwig(tmp_path / "a.bw", ROWS))
    (tmp_path / "a.bw").rename(tmp_path / name)
    told = {} if name.lower().endswith(("bw", "bigwig")) else {"format": "bigwig"}
    for found, sound in zip(values_of(tmp_path / name, **told), wanted, strict=True):
        np.testing.assert_array_equal(found, sound)


def test_bases_of_a_file_that_cannot_be_read(tmp_path):
    path = write_bigwig(tmp_path / "a.bw", [("chr1", 0, 10, 1.0)])
    with opened(path) as signal:
        signal._file.close()
        with pytest.raises(CisflowError, match="chr1:0-20 cannot be read"):
            signal.values("chr1", 0, 20)


def test_pybigwig_files_are_whole_too(tmp_path):
    with pyBigWig.open(str(tmp_path / "a.bw"), "w") as file:
        file.addHeader(list(SIZES.items()))
        file.addEntries(["chr1"], [5], ends=[10], values=[2.0])
    values, mask = values_of(tmp_path / "a.bw")
    assert mask.sum() == 1
    assert values[0, 0] == 2


SETTINGS = {
    "no policy": ({"file": "a.bw"}, "no_data: this key is needed"),
    "a ratio of a file to itself": (
        {"numerator": "b.bw", "denominator": "./b.bw", "no_data": None},
        "it is the numerator, 'b.bw', so that every ratio",
    ),
    "two files": ({"file": "a.bw", "numerator": "b.bw", "denominator": "c.bw"}, "a track has a file, or a numerator"),
    "half a ratio": ({"numerator": "b.bw"}, "a track has a file, or a numerator"),
    "ratio of means": ({"numerator": "b.bw", "denominator": "c.bw", "statistic": "max"}, "a ratio is one of sums"),
    "format": ({"file": "a.txt", "no_data": "zero"}, "format: the end of the name 'a.txt' does not tell it"),
    "lifted median": ({"file": "a.bw", "no_data": "median", "lift": ["c.chain"]}, "what is of a whole window"),
    "compat": ({"file": "a.bw", "no_data": "zero", "compat": "cs282a"}, "'cs282a' is a way of lifting"),
    "extend": (
        {"file": "a.bam", "no_data": "zero", "reads": {"count": "ends", "extend": 5}},
        "extend: it makes fragments",
    ),
    "statistic": (
        {"file": "a.bw", "no_data": "zero", "statistic": "avg"},
        "statistic\n  Input should be 'mean', 'sum'",
    ),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_settings_that_make_no_sense(case):
    keys, message = SETTINGS[case]
    with pytest.raises(ValidationError, match=message):
        Track.model_validate(keys)
