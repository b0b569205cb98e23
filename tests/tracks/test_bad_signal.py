"""Broken files of signal, and what is said about each."""

import struct

import numpy as np
import pyBigWig
import pytest
from pydantic import ValidationError
from tests.tracks.signals import SIZES, opened, settings, write_bigwig

from cisflow.config.tracks import Track
from cisflow.errors import CisflowError
from cisflow.tracks.binning import Source

ROWS = [("chr1", n * 2, n * 2 + 1, float(n % 7)) for n in range(500)]


def values_of(path, start=0, length=1000, **keys):
    with Source(settings(path, **{"no_data": "nan", **keys}), SIZES, "toy.fa") as source:
        return source.bins(np.array([0]), np.array([start]), 10, length // 10)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(
    "keys", [{"no_data": "nan"}, {"no_data": "zero"}, {"no_data": "nan", "statistic": "max"}], ids=str
)
def test_values_that_are_no_numbers(tmp_path, value, keys):
    path = write_bigwig(tmp_path / "a.bw", [("chr1", 0, 10, 1.0), ("chr1", 10, 20, value)])
    with pytest.raises(CisflowError, match="there are NaN or infinite values in it"):
        values_of(path, **keys)
    # A file whose summary hides it.
    data = bytearray(path.read_bytes())
    (at,) = struct.unpack_from("<Q", data, 44)
    struct.pack_into("<Qdddd", data, at, 20, 0, 1, 1, 1)
    path.write_bytes(data)
    if keys.get("statistic") != "max" or np.isinf(value):
        with pytest.raises(CisflowError, match=r"a NaN or infinite value in chr1:0-1000, at 0"):
            values_of(path, **keys)


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
