"""Readers of signal: the same answers from every format, checked by counting base by base."""

import numpy as np
import pyBigWig
import pysam
import pytest
from tests.tracks.signals import (
    GENOME,
    SIZES,
    WRITERS,
    bases,
    opened,
    random_rows,
    reads_of,
    settings,
    write_bam,
    write_bed,
    write_bigwig,
)

from cisflow.config.tracks import Reads
from cisflow.errors import CisflowError
from cisflow.tracks.bam import Bam
from cisflow.tracks.binning import Source
from cisflow.tracks.signal import Assembly
from cisflow.tracks.spans import covering

WINDOWS = [
    ("chr1", 0, 1000, 10),
    ("chr1", 130, 770, 64),
    ("chr2", 0, 400, 1),
    ("chr2", 399, 400, 1),
    ("chr1", 5, 95, 3),
]


def counted(values, bins, summary, uncovered):
    """The summary of each bin, base by base."""
    found = []
    for part in values.reshape(bins, -1):
        there = part[~np.isnan(part)]
        if summary == "covered":
            found.append(len(there))
            continue
        if uncovered is not None:
            there = np.where(np.isnan(part), uncovered, part)
        found.append(
            {"sum": np.sum, "mean": np.mean, "min": np.min, "max": np.max}[summary](there) if len(there) else np.nan
        )
    return np.array(found)


@pytest.mark.parametrize("name", WRITERS)
def test_summaries_and_bases_equal_counting(tmp_path, name):
    rows = random_rows()
    truth = bases(rows)
    with opened(WRITERS[name](tmp_path / name, rows) or tmp_path / name) as signal:
        for chrom, start, end, bins in WINDOWS:
            np.testing.assert_array_equal(signal.values(chrom, start, end), truth[chrom][start:end])
            for summary in ("sum", "mean", "min", "max", "covered"):
                for uncovered in (None, 0.0):
                    out = np.empty(bins)
                    signal.read(chrom, start, end, out, summary, uncovered)
                    wanted = counted(truth[chrom][start:end], bins, summary, uncovered)
                    np.testing.assert_allclose(out, wanted, rtol=1e-12, err_msg=f"{name} {summary} {uncovered}")


@pytest.mark.parametrize("policy", ["zero", "nan", "mask", "median", "interpolate"])
@pytest.mark.parametrize("statistic", ["mean", "sum", "max", "min", "median", "sum_sqrt", "mean_sqrt", "peak"])
def test_a_policy_is_the_same_in_every_format(tmp_path, policy, statistic):
    rows = random_rows(3, gap=0.5)
    answers = []
    for name, write in WRITERS.items():
        path = write(tmp_path / name, rows)
        track = settings(path, no_data=policy, statistic=statistic, clip=40)
        with Source(track, SIZES, "toy.fa") as source:
            answers.append(source.bins(np.array([0, 0, 1]), np.array([-40, 300, 380]), 8, 20))
    for values, mask in answers[1:]:
        np.testing.assert_array_equal(mask, answers[0][1])
        np.testing.assert_allclose(values, answers[0][0], rtol=1e-6)
    values, mask = answers[0]
    np.testing.assert_array_equal(mask[0, :2], False)
    np.testing.assert_array_equal(mask[2], [True] + [False] * 7 if mask[2, 0] else False)
    np.testing.assert_array_equal(np.isnan(values), ~mask)


def test_what_the_policies_mean(tmp_path):
    """Bins of 10 bases: full, 6 of 10, 4 of 10, none."""
    path = write_bigwig(tmp_path / "a.bw", [("chr1", 0, 10, 2.0), ("chr1", 14, 20, 4.0), ("chr1", 20, 24, 6.0)])
    wanted = {
        "zero": ([2, 2.4, 2.4, 0], [1, 1, 1, 1]),
        "nan": ([2, 4, 6, np.nan], [1, 1, 1, 0]),
        "mask": ([2, 4, np.nan, np.nan], [1, 1, 0, 0]),
        "median": ([2, 2.4, 2.4, 0], [1, 1, 1, 1]),
    }
    for policy, (values, mask) in wanted.items():
        with Source(settings(path, no_data=policy), SIZES, "toy.fa") as source:
            found = source.bins(np.array([0]), np.array([0]), 4, 10)
        np.testing.assert_allclose(found[0][0], np.float32(values), err_msg=policy)
        np.testing.assert_array_equal(found[1][0], np.array(mask, bool), err_msg=policy)
        counts = {key: n for key, n in source.counts.items() if n}
        assert counts[("total", "")] == 4 == counts[("measured", "")] + counts.get(("no_data", ""), 0)


def test_bigwig_means_equal_pybigwig(tmp_path):
    path = write_bigwig(tmp_path / "a.bw", random_rows(5))
    peer = pyBigWig.open(str(path))
    with opened(path) as signal:
        out = np.empty(20)
        signal.read("chr1", 200, 800, out, "mean")
    wanted = np.array(peer.stats("chr1", 200, 800, nBins=20, exact=True), float)
    np.testing.assert_allclose(out, wanted, rtol=1e-6)


def test_windows_off_the_contig(tmp_path):
    path = write_bigwig(tmp_path / "a.bw", [("chr1", 0, 1000, 1.0), ("chr2", 0, 400, 3.0)])
    with Source(settings(path, no_data="nan"), SIZES, "toy.fa") as source:
        values, mask = source.bins(np.array([0, 0, 1, 1]), np.array([-25, 985, 500, -900]), 5, 10)
    np.testing.assert_array_equal(mask, [[0, 0, 0, 1, 1], [1, 0, 0, 0, 0], [0] * 5, [0] * 5])
    np.testing.assert_array_equal(values[mask], [1, 1, 1])
    assert source.counts["off_contig", ""] == 17


def test_values_of_intervals_add_up(tmp_path):
    (tmp_path / "a.narrowPeak").write_text(
        "chr1\t0\t10\tp\t0\t.\t2.5\t1\t1\t3\nchr1\t5\t20\tq\t0\t.\t1\t1\t1\t3\nscaffold\t1\t2\tz\t0\t.\t9\t1\t1\t1\n"
    )
    with opened(tmp_path / "a.narrowPeak", column=7) as signal:
        np.testing.assert_allclose(signal.values("chr1", 0, 21), [2.5] * 5 + [3.5] * 5 + [1] * 10 + [np.nan])
        assert "1 rows left out" in signal.notes[0]
    with opened(tmp_path / "a.narrowPeak") as signal:
        np.testing.assert_array_equal(signal.values("chr1", 0, 20), [1] * 5 + [2] * 5 + [1] * 10)


def test_covering_equals_counting():
    rng = np.random.default_rng(1)
    start = rng.integers(0, 200, 100)
    end = start + rng.integers(1, 40, 100)
    spans = covering(start, end)
    wanted = np.zeros(250)
    for a, b in zip(start, end, strict=True):
        wanted[a:b] += 1
    np.testing.assert_array_equal(np.nan_to_num(spans.within(0, 250).values(250)), wanted)
    assert (spans.start[1:] >= spans.end[:-1]).all()


def test_names_with_and_without_chr(tmp_path):
    path = write_bigwig(tmp_path / "a.bw", [("1", 0, 10, 2.0)], {"1": 1000, "2": 400})
    with opened(path) as signal:
        assert np.nansum(signal.values("chr1", 0, 20)) == 20


def test_a_contig_that_a_file_does_not_have(tmp_path):
    path = write_bigwig(tmp_path / "a.bw", [("chr1", 0, 10, 2.0)])
    for policy, measured in (("zero", True), ("nan", False)):
        track = settings(path, no_data=policy, absent_contigs="no_data")
        with Source(track, SIZES, "toy.fa") as source:
            values, mask = source.bins(np.array([1]), np.array([0]), 4, 10)
        assert (mask == measured).all()
        np.testing.assert_array_equal(values, 0 if measured else np.nan)


READS = [
    {"contig": 0, "start": 100, "cigar": "20M"},
    {"contig": 0, "start": 110, "cigar": "10M5D10M"},
    {"contig": 0, "start": 110, "cigar": "5S10M100N10M", "flag": 16},
    {"contig": 0, "start": 150, "cigar": "20M", "flag": 1024},
    {"contig": 0, "start": 160, "cigar": "20M", "quality": 3},
    {"contig": 0, "start": 990, "cigar": "10M"},
]


def of_bam(tmp_path, start, end, reads=READS, **keys):
    with Bam(write_bam(tmp_path / "a.bam", reads), GENOME, Reads(**keys).model_dump()) as bam:
        return np.nan_to_num(bam.values("chr1", start, end)), bam


def test_aligned_bases_equal_pysam(tmp_path):
    found, _ = of_bam(tmp_path, 90, 300, exclude_flags=1024)
    with pysam.AlignmentFile(str(tmp_path / "a.bam")) as file:
        counts = file.count_coverage("chr1", 90, 300, quality_threshold=0, read_callback=lambda r: not r.flag & 1024)
    np.testing.assert_array_equal(found, np.sum(counts, 0))


def test_which_reads_count(tmp_path):
    found, bam = of_bam(tmp_path, 100, 200, min_mapping_quality=10, strand="plus")
    assert found.sum() == 40
    told = " ".join(bam.notes)
    for what in (
        "2 reads counted",
        "1 reads left out by their flags",
        "1 reads left out by their mapping",
        "1 reads of the other",
    ):
        assert what in told


def test_ends_are_shifted(tmp_path):
    found, _ = of_bam(tmp_path, 90, 240, count="ends", shift=(4, -5), exclude_flags=1024)
    # The reverse read ends at base 110 + 10 + 100 + 10 - 1.
    wanted = np.zeros(150)
    for base in (104, 114, 164, 229 - 5):
        wanted[base - 90] += 1
    np.testing.assert_array_equal(found, wanted)


def test_extension_reaches_into_a_window(tmp_path):
    reads = [{"contig": 0, "start": 100, "cigar": "10M"}, {"contig": 0, "start": 290, "cigar": "10M", "flag": 16}]
    found, _ = of_bam(tmp_path, 180, 220, reads, extend=100)
    np.testing.assert_array_equal(found, [1] * 40)
    assert of_bam(tmp_path, 190, 200, reads, extend=50)[0].sum() == 0


def test_fragments_count_once(tmp_path):
    pair = [
        {"contig": 0, "start": 100, "cigar": "10M", "flag": 99, "mate": 290, "length": 200},
        {"contig": 0, "start": 290, "cigar": "10M", "flag": 147, "mate": 100, "length": -200},
        {"contig": 0, "start": 120, "cigar": "10M", "flag": 65, "mate": 500, "length": 390},
        {"contig": 0, "start": 130, "cigar": "10M", "flag": 99, "mate": 800, "length": 680},
    ]
    found, bam = of_bam(tmp_path, 190, 320, pair, count="fragments", max_fragment=500)
    np.testing.assert_array_equal(found, [1] * 110 + [0] * 20)
    assert any("1 reads of fragments that are too long" in note for note in bam.notes)


@pytest.mark.parametrize(("count", "total"), [("reads", 20), ("ends", 2), ("fragments", 200)])
def test_reads_without_a_cigar_string_are_left_out_where_their_bases_count(tmp_path, count, total):
    reads = [
        {"contig": 0, "start": 100, "cigar": "10M", "flag": 99, "mate": 290, "length": 200},
        {"contig": 0, "start": 110, "cigar": None, "flag": 99, "mate": 200, "length": 0},
        {"contig": 0, "start": 115, "cigar": None, "flag": 16},
        {"contig": 0, "start": 290, "cigar": "10M", "flag": 147, "mate": 100, "length": -200},
    ]
    found, bam = of_bam(tmp_path, 0, 400, reads, count=count)
    assert found.sum() == total
    told = f"{tmp_path / 'a.bam'}: 2 reads left out, without a CIGAR string"
    assert (told in bam.notes) == (count != "fragments")


def test_a_contig_of_another_size_is_an_error_only_for_a_region_on_it(tmp_path):
    """As chrM of hg19, which has 16,571 bases at UCSC and 16,569 elsewhere."""
    sizes = {"chr1": 1000, "chr2": 400, "chrM": 21}
    rows = [("chr1", 0, 10, 2.0), ("chrM", 0, 5, 1.0)]
    write_bigwig(tmp_path / "a.bw", rows, sizes)
    write_bam(tmp_path / "a.bam", reads_of(rows, sizes), sizes)
    genome = Assembly("toy.fa", {"chr2": 400, "MT": 19, "chr1": 1000, "chrM": 19}, absent=True)
    for name in ("a.bw", "a.bam"):
        with opened(tmp_path / name, genome) as signal:
            assert np.nansum(signal.values("chr1", 0, 20)) == 20
            with pytest.raises(
                CisflowError, match=r"'chrM' has 21 bases in it, and 19 in toy.fa. [12] of [23] contigs"
            ):
                signal.values("chrM", 0, 10)
            assert signal.notes == [
                f"{tmp_path / name}: 1 contigs have another size than in toy.fa and are not used: chrM"
            ]


@pytest.mark.parametrize(("sizes", "verdict"), [((1001, 400, 19), "2 of 3 contigs have the same size in both"),
    ((1001, 401, 19), "It is of another assembly")])  # fmt: skip
def test_a_message_about_sizes_is_as_certain_as_their_number_allows(tmp_path, sizes, verdict):
    names = ("chr1", "chr2", "chr3")
    path = write_bigwig(tmp_path / "a.bw", [(name, 0, 5, 1.0) for name in names], dict(zip(names, sizes, strict=True)))
    with opened(path, Assembly("toy.fa", {**SIZES, "chr3": 19})) as signal, pytest.raises(CisflowError, match=verdict):
        signal.values("chr1", 0, 10)


def test_bed_counts_equal_bam(tmp_path):
    rows = [("chr1", 3, 50, 2.0), ("chr1", 40, 90, 1.0), ("chr2", 0, 400, 1.0)]
    write_bed(tmp_path / "a.bed", rows)
    write_bam(tmp_path / "a.bam", reads_of(rows))
    with opened(tmp_path / "a.bed") as bed, opened(tmp_path / "a.bam") as bam:
        for window in (("chr1", 0, 100), ("chr2", 100, 400)):
            np.testing.assert_array_equal(bed.values(*window), bam.values(*window))


@pytest.mark.real_data
def test_cage_of_the_mini_genome(real_data):
    path = real_data / "genome/cage0.bw"
    peer = pyBigWig.open(str(path))
    with opened(path, Assembly("mini.fa", dict(peer.chroms()))) as signal:
        out = np.empty(1024)
        signal.read("chrB", 262144, 393216, out, "mean", 0.0)
    values = np.nan_to_num(peer.values("chrB", 262144, 393216, numpy=True)).reshape(1024, 128).mean(1)
    np.testing.assert_allclose(out, values, rtol=1e-6, atol=1e-9)
