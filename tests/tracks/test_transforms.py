"""Value rules against cases worked by hand."""

import numpy as np
import pytest
from tests.tracks.signals import SIZES, settings, write_bigwig

from cisflow.errors import CisflowError
from cisflow.tracks.binning import Source
from cisflow.tracks.transforms import calm, fill, finish, pool

N = np.nan


@pytest.mark.parametrize(
    ("policy", "bins", "wanted"),
    [
        ("zero", 8, [0, 4, 0, 8, 6, 0]),
        ("nan", 8, [N, 4, N, 8, 6, N]),
        ("median", 8, [6, 4, 6, 8, 6, 6]),
        ("median", 7, [0, 4, 0, 8, 6, 0]),
        ("interpolate", 8, [4, 4, 6, 8, 6, 6]),
    ],
)
def test_bases_without_data(policy, bins, wanted):
    np.testing.assert_array_equal(fill(np.array([N, 4, N, 8, 6, N]), policy, bins), wanted)


@pytest.mark.parametrize("policy", ["median", "interpolate"])
def test_a_window_without_any_data_stays_so(policy):
    assert np.isnan(fill(np.full(4, N), policy, 8)).all()


def test_blacklisted_bases_are_clipped_to_the_median():
    values = np.array([1.0, -9, 2, 50, 3])
    black = np.array([1, 1, 0, 1, 0], bool)
    # The median of 1, -9, 2, 50, 3 is 2.
    np.testing.assert_array_equal(calm(values, black, 8), [1, -2, 2, 2, 3])
    np.testing.assert_array_equal(calm(values, black, 7), [0, 0, 2, 0, 3])
    np.testing.assert_array_equal(calm(values, ~black & black, 8), values)


def test_pooling():
    values = np.array([1, 2, 6, N, 4, N, N, N, N], float)
    for summary, wanted in (
        ("sum", [9, 4, N]), ("mean", [3, 4, N]), ("max", [6, 4, N]), ("min", [1, 4, N]), ("median", [2, 4, N])
    ):  # fmt: skip
        np.testing.assert_array_equal(pool(values, 3, summary), wanted)


@pytest.mark.parametrize(
    ("statistic", "keys", "value", "wanted"),
    [
        ("sum", {}, 15, 15),
        ("sum_sqrt", {}, 15, 3),  # sqrt(16) - 1
        ("mean_sqrt", {"scale": 2}, 12, 4),  # sqrt(1 + 24) - 1: the factor is before the root
        ("peak", {}, 0.04, 0.4),  # sqrt(0.16)
        ("peak", {}, 7, 1),
        ("mean", {"soft_clip": 10}, 25, 13),  # 10 - 1 + sqrt(25 - 10 + 1)
        ("mean", {"soft_clip": 10}, 10, 10),
        ("mean", {"soft_clip": 10, "clip": 12}, 25, 12),
        ("mean", {"clip": 12}, -25, -12),
        ("sum_sqrt", {"scale": 5, "soft_clip": 6, "clip": 7.5}, 16, 7),  # sqrt(81) - 1 = 8 -> 5 + sqrt(3) = 6.73
    ],
)
def test_roots_and_clipping(statistic, keys, value, wanted):
    if statistic == "sum_sqrt" and keys:
        wanted = 5 + np.sqrt(3)
    np.testing.assert_allclose(finish(np.array([value, N], float), statistic, **keys).values, [wanted, N], rtol=1e-12)


def test_clipped_values_are_counted():
    done = finish(np.array([1, 30, 400, -50, N]), "mean", soft_clip=20, clip=25)
    assert (done.soft_clipped, done.clipped) == (2, 2)


@pytest.mark.parametrize(("statistic", "value"), [("sum_sqrt", -1.5), ("mean_sqrt", -2), ("peak", -0.1)])
def test_roots_of_negative_numbers_are_refused(statistic, value):
    with pytest.raises(CisflowError, match=f"{statistic} has a root of negative numbers"):
        finish(np.array([1, value]), statistic)


def of_track(path, bins=2, width=4, start=0, **keys):
    with Source(settings(path, **keys), SIZES, "toy.fa") as source:
        values, mask = source.bins(np.array([0]), np.array([start]), bins, width)
    return np.where(mask, values, N)[0].tolist(), source.counts


def test_logarithms_become_ratios_before_they_are_pooled(tmp_path):
    path = write_bigwig(tmp_path / "a.bw", [("chr1", 0, 2, 1.0), ("chr1", 2, 3, 3.0)])
    # 2 + 2 + 8; a base without data is left out, or is the logarithm 0, that is 1.
    assert of_track(path, no_data="nan", statistic="sum", exp2=True, bins=1)[0] == [12]
    assert of_track(path, no_data="zero", statistic="sum", exp2=True)[0] == [13, 4]
    assert of_track(path, no_data="nan", exp2=True, bins=1)[0] == [4]


def test_ratio_of_sums(tmp_path):
    above = write_bigwig(tmp_path / "mod.bw", [("chr1", 0, 1, 1.0), ("chr1", 5, 6, 0.0)])
    below = write_bigwig(tmp_path / "valid.bw", [("chr1", 0, 1, 3.0), ("chr1", 2, 3, 1.0), ("chr1", 5, 6, 2.0)])
    keys = {"numerator": str(above), "denominator": str(below), "scale": 500}
    found, counts = of_track(None, bins=3, **keys)
    np.testing.assert_array_equal(found, [125, 0, N])
    assert counts["no_data", ""] == 1
    keys = {"numerator": str(below), "denominator": str(above)}
    with pytest.raises(CisflowError, match=r"valid.bw: its sum over chr1:4-8 is 2, and that of .*mod.bw.* is 0"):
        of_track(None, **keys)


def test_blacklist(tmp_path):
    path = write_bigwig(tmp_path / "a.bw", [("chr1", 0, 100, 1.0), ("chr1", 100, 200, 9.0)])
    (tmp_path / "b.bed").write_text("chr1\t120\t130\nchr2\t1\t5\nchr1\t125\t127\n")
    black = {"file": str(tmp_path / "b.bed"), "buffer": 20}
    found, counts = of_track(path, no_data="nan", blacklist=black, bins=10, width=20)
    np.testing.assert_array_equal(found, [1] * 5 + [N] * 3 + [9] * 2)
    assert counts["blacklisted", ""] == 3
    # The median of 150 bases of 1 and 100 of 9 is 1; the places are 100 to 150.
    found, counts = of_track(path, no_data="nan", blacklist={**black, "rule": "clip"}, bins=10, width=18)
    np.testing.assert_allclose(found, [1, 1, 1, 1, 1, 1, 1, 1, (6 + 12 * 9) / 18, 9], rtol=1e-6)
    assert counts["blacklisted", ""] == 0


def test_a_blacklist_that_goes_beyond_its_contig_is_cut_if_that_is_asked(tmp_path):
    path = write_bigwig(tmp_path / "a.bw", [("chr1", 0, 1000, 1.0), ("chr2", 0, 400, 1.0)])
    # A table of UCSC serves as well.
    (tmp_path / "gap.txt").write_text("585\tchr1\t150\t1001\t1\tN\n")
    keys = {"no_data": "nan", "bins": 10, "width": 20, "blacklist": {"file": str(tmp_path / "gap.txt"), "buffer": 0}}
    with pytest.raises(CisflowError, match=r"gap.txt, line 1: chr1:150-1001 ends beyond the contig"):
        of_track(path, **keys)
    found, counts = of_track(path, **keys, rows_beyond_contig="drop")
    np.testing.assert_array_equal(found, [1] * 7 + [N] * 3)
    assert counts["blacklisted", ""] == 3
