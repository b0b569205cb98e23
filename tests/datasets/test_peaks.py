"""Labels of bins from peaks: against counting base by base; regions, endpoints, replicates, and the account."""

import re

import numpy as np
import pytest
from tests.datasets.genomes import BY_CHROMOSOME, SIZES, SPLITS, account, made, make_genome, quality, table, write_bed

from cisflow.config.windows import Peaks
from cisflow.datasets import rows
from cisflow.errors import CisflowError
from cisflow.sequence import encode

WINDOW = {"length": 100, "label": 20, "overlap": 0.5}
FILES = [("K562", "CTCF"), ("K562", "CTCF"), ("GM12878 cell", "H3K27me3"), ("K562", "DNase"), ("K562", "CTCF")]


@pytest.fixture
def contigs(tmp_path):
    return make_genome(tmp_path)


def random_peaks(seed, count=25):
    rng = np.random.default_rng(seed)
    found = []
    for contig, size in SIZES.items():
        start = rng.integers(0, size - 61, count)
        found += [(contig, a, a + width) for a, width in zip(start, rng.integers(1, 60, count), strict=True)]
    return found


def spec(folder, files=FILES, peaks=random_peaks, **settings):
    endpoints = [
        {"file": write_bed(folder / f"{n}.bed", peaks(n)), "factor": factor, "biosample": biosample}
        for n, (biosample, factor) in enumerate(files)
    ]
    base = {"kind": "peaks", "genome": str(folder / "genome.fa.gz"), "window": WINDOW, "split": BY_CHROMOSOME}
    return base | {"endpoints": endpoints} | settings


def bases(peaks, contig, slop=0):
    found = np.zeros(SIZES[contig], bool)
    for chrom, start, end in peaks:
        if chrom == contig:
            found[max(start - slop, 0) : end + slop] = True
    return found


def runs(flags):
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(int), [0]])))
    return list(zip(edges[::2], edges[1::2], strict=True))


def brute_force(groups, contig, least, overlap, slop):
    """Return {bin: labels}, counting base by base; `groups` has (factor, peaks of each file)."""
    labels = []
    for (factor, files), needed in zip(groups, least, strict=True):
        depth = sum(bases(peaks, contig, slop.get(factor, 0)).astype(int) for peaks in files)
        merged = np.zeros(SIZES[contig], bool)
        for a, b in runs(depth > 0):
            merged[a:b] = depth[a:b].max() >= needed
        whole = merged[: len(merged) // 20 * 20].reshape(-1, 20)
        labels.append(whole.sum(axis=1) >= overlap * 20)
    labels = np.stack(labels, axis=1)
    return {number: row for number, row in enumerate(labels) if row.any()}


REPLICATES = {"union": (1, 1, 1), "all": (3, 1, 1), "two": (2, 1, 1)}


@pytest.mark.parametrize("overlap", [0.05, 0.5, 1.0])
@pytest.mark.parametrize("replicates", REPLICATES)
@pytest.mark.parametrize("block", [7, 4096])
def test_labels_are_those_of_counting_bases(tmp_path, contigs, overlap, replicates, block, monkeypatch):
    monkeypatch.setattr(rows, "BLOCK", block)
    slop = {"H3K27me3": 30}
    files = [random_peaks(n) for n in range(5)]
    groups = [("CTCF", [files[0], files[1], files[4]]), ("H3K27me3", [files[2]]), ("DNase", [files[3]])]
    rule = {"at_least": 2} if replicates == "two" else replicates
    found = made(
        tmp_path, spec(tmp_path, window=WINDOW | {"overlap": overlap}, replicates=rule, slop=slop, edges="pad")
    )
    names = [row["target"] for row in table(tmp_path, "targets")]
    assert names == ["k562_ctcf", "gm12878_cell_h3k27me3", "k562_dnase"]
    count = 0
    for split, on in zip(SPLITS, (("chr1", "chr4"), ("chr2",), ("chr3",)), strict=True):
        wanted = {
            f"{contig}:{number * 20 - 40}-{number * 20 + 60}": labels
            for contig in on
            for number, labels in brute_force(groups, contig, REPLICATES[replicates], overlap, slop).items()
        }
        assert found[split].id.astype(str).tolist() == list(wanted)
        assert np.array_equal(found[split].y, np.array(list(wanted.values()), np.float32))
        count += len(wanted)
        for name, x in zip(found[split].id.astype(str), found[split].x, strict=True):
            chrom, a, b = re.match(r"(\w+):(-?\d+)-(\d+)", name).groups()
            a, b = int(a), int(b)
            text = "N" * -min(a, 0) + contigs[chrom][max(a, 0) : b]
            assert np.array_equal(x, encode(text.ljust(100, "N")))
    moved = account(tmp_path)
    assert sum(n for key, n in moved.items() if not key.startswith("kept")) == count


def test_what_is_known_of_labels_is_in_the_table_of_targets(tmp_path, contigs):
    settings = spec(tmp_path)
    settings["endpoints"][3] |= {"name": "open-chromatin", "biosample_type": "cell line"}
    made(tmp_path, settings)
    rows = {row["target"]: row for row in table(tmp_path, "targets")}
    assert rows["k562_ctcf"]["files"] == "0.bed, 1.bed, 4.bed"
    assert rows["open-chromatin"]["biosample_type"] == "cell line"
    assert (
        rows["gm12878_cell_h3k27me3"] | {"factor": "H3K27me3", "biosample": "GM12878 cell"}
        == rows["gm12878_cell_h3k27me3"]
    )
    moved = account(tmp_path, "peaks")
    assert moved == {"read": 500, "kept": 500}


def test_files_can_be_grouped_by_factor_alone(tmp_path, contigs):
    files = [("K562", "CTCF"), ("HepG2", "CTCF"), ("K562", "DNase")]
    made(tmp_path, spec(tmp_path, files, group_by=["factor"]))
    assert [row["target"] for row in table(tmp_path, "targets")] == ["ctcf", "dnase"]
    assert table(tmp_path, "targets")[0]["biosample"] == "K562, HepG2"


def test_a_copy_is_no_replicate(tmp_path, contigs, caplog):
    """One file may be of two labels, and two files of a label may have the same peaks in another order."""
    settings = spec(tmp_path, [("K562", "CTCF"), ("K562", "CTCF"), ("HepG2", "CTCF")], lambda n: random_peaks(0))
    made(tmp_path, settings)
    with pytest.raises(
        CisflowError, match=r"0.bed and .*1.bed of the label 'k562_ctcf' have the same peaks in the same"
    ):
        made(tmp_path, settings | {"replicates": {"at_least": 2}})
    write_bed(tmp_path / "1.bed", random_peaks(0)[::-1])
    settings["endpoints"][2]["file"] = settings["endpoints"][0]["file"]
    made(tmp_path, settings | {"replicates": "all"})
    assert "replicates: 1 of 2 labels have fewer than 2 files (hepg2_ctcf)" in caplog.text


def bins(split):
    return set(split.id.astype(str))


def test_regions_without_a_factor_and_balanced(tmp_path, contigs):
    every = made(tmp_path, spec(tmp_path))
    without = made(tmp_path, spec(tmp_path, regions={"use": "without", "without": ["DNase"]}))
    lost = account(tmp_path)["regions:only_without"]
    for name in SPLITS:
        marked = every[name].y[:, :2].any(axis=1)
        assert bins(without[name]) == set(every[name].id[marked].astype(str))
        assert np.array_equal(without[name].y, every[name].y[marked])
    assert lost < 0
    two = [("K562", "CTCF"), ("K562", "DNase")]
    narrow = spec(tmp_path, two, lambda n: random_peaks(n)[:: 5 if n == 0 else 1])
    both = made(tmp_path, narrow | {"regions": {"use": "balanced", "without": ["DNase"]}})
    y = np.concatenate([both[name].y for name in SPLITS])
    moved = account(tmp_path)
    # As many of each before windows beyond the ends are left out.
    assert abs(int(y[:, 0].sum()) - int((y[:, 0] == 0).sum())) <= -moved.get("edges:beyond_contig", 0)
    assert moved["regions:only_without"] < 0


def test_background_has_no_label_and_is_the_same_again(tmp_path, contigs):
    settings = spec(tmp_path, regions={"background": 0.5, "seed": 4}, edges="pad")
    first, plain = made(tmp_path, settings), made(tmp_path, spec(tmp_path, edges="pad"))
    again = made(tmp_path, settings)
    more = account(tmp_path)["background:without_label"]
    count = sum(len(plain[name].x) for name in SPLITS)
    assert more == round(count / 2)
    assert sum(int((~first[name].y.any(axis=1)).sum()) for name in SPLITS) == more
    for name in SPLITS:
        assert np.array_equal(first[name].id, again[name].id)
        assert bins(plain[name]) <= bins(first[name])


def test_slop_is_clipped_at_the_ends_of_contigs_and_counted(tmp_path, contigs):
    peaks = [[("chr1", 0, 5), ("chr4", 770, 777), ("chr1", 500, 540), ("chr2", 500, 540), ("chr3", 500, 540)]]
    made(tmp_path, spec(tmp_path, [("K562", "H3K36me3")], peaks.__getitem__, slop={"H3K36me3": 50}, edges="pad"))
    assert account(tmp_path, "clipped peaks") == {"slop:clipped_at_contig": 2, "kept": 2}
    # The last bin of chr4 that is whole is 760 to 780; there is none, and the last 17 bases are in no row.
    assert account(tmp_path)["bins:cut_by_contig_end"] == -1


def test_negatives_touch_no_peak(tmp_path, contigs):
    settings = spec(tmp_path, peaks=lambda n: random_peaks(n, 3), edges="pad")
    found = made(tmp_path, settings | {"negatives": {"ratio": 0.5, "step": 0.2}})
    moved = account(tmp_path)
    drawn = sum(int((~found[name].y.any(axis=1)).sum()) for name in SPLITS)
    assert drawn == moved["negatives:drawn"] > 10
    every = [peak for n in range(5) for peak in random_peaks(n, 3)]
    for name in SPLITS:
        for text in found[name].id[~found[name].y.any(axis=1)].astype(str):
            chrom, a, b = re.match(r"(\w+):(\d+)-(\d+)", text).groups()
            assert not bases(every, chrom)[int(a) : int(b)].any()
    assert quality(tmp_path, "negatives")["train", "gc_overlap"] > 0.5


def test_random_splits_share_no_base(tmp_path, contigs):
    found = made(tmp_path, spec(tmp_path, peaks=lambda n: random_peaks(n, 5), split={"fractions": [0.5, 0.25, 0.25]}))
    places = [(name, *re.match(r"(\w+):(\d+)", text).groups()) for name in SPLITS for text in bins(found[name])]
    for name, chrom, start in places:
        assert not any(n != name and c == chrom and abs(int(s) - int(start)) < 100 for n, c, s in places)


def test_the_order_of_rows_in_a_file_does_not_matter(tmp_path, contigs):
    one = made(tmp_path, spec(tmp_path))
    other = made(tmp_path, spec(tmp_path, peaks=lambda n: random_peaks(n)[::-1]))
    assert all(np.array_equal(one[name].y, other[name].y) for name in SPLITS)


def test_peaks_beyond_their_contig_are_left_out_if_that_is_asked(tmp_path, contigs):
    peaks = random_peaks(0)
    sound = made(tmp_path, spec(tmp_path, [("K562", "CTCF")], lambda n: peaks))
    more = spec(tmp_path, [("K562", "CTCF")], lambda n: [*peaks, ("chr4", 700, 778)], rows_beyond_contig="drop")
    found = made(tmp_path, more)
    assert account(tmp_path, "peaks")["contig:row_beyond_contig"] == -1
    for name in SPLITS:
        np.testing.assert_array_equal(found[name].id, sound[name].id)
        np.testing.assert_array_equal(found[name].y, sound[name].y)


BAD_FILES = {
    "no peak covers enough": ([("chr1", 5, 6)], {}, "no bin of the genome has a label"),
    "peaks beyond the contig": ([("chr4", 770, 778)], {}, "ends beyond the contig"),
    "no peaks of a split": ([("chr1", 500, 560)], {}, "no row is in valid, test"),
    "a start after its end": ([("chr1", 560, 500)], {}, "line 1"),
}


@pytest.mark.parametrize(("peaks", "settings", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_bad_input_is_refused(tmp_path, contigs, peaks, settings, message):
    with pytest.raises(CisflowError, match=message):
        made(tmp_path, spec(tmp_path, [("K562", "CTCF")], lambda n: peaks, **settings))
    assert list((tmp_path / "out").glob("*")) == []


def test_labels_of_one_name_and_mixed_groups_are_refused(tmp_path, contigs):
    with pytest.raises(CisflowError, match="two labels have the name 'k562_ctcf'"):
        made(tmp_path, spec(tmp_path, [("K562", "CTCF"), ("k562", "ctcf")]))
    mixed = spec(tmp_path, [("K562", "CTCF"), ("K562", "DNase")], group_by=["biosample"])
    with pytest.raises(CisflowError, match="'k562' is of the factors CTCF, DNase, some of them named"):
        made(tmp_path, mixed | {"regions": {"use": "without", "without": ["DNase"]}})


BAD_SETTINGS = {
    "slop of a factor that is not there": ({"slop": {"H3K27ac": 10}}, "slop: no endpoint has the factor 'H3K27ac'"),
    "a factor left out that is not there": (
        {"regions": {"use": "without", "without": ["ATAC"]}},
        "no endpoint has the factor 'ATAC'. Known here: CTCF",
    ),
    "nothing left out": ({"regions": {"use": "without"}}, "it names factors if use is"),
    "a bin longer than the window": ({"window": {"length": 100, "label": 200}}, "must be even and not negative"),
    "a bin that has no middle": ({"window": {"length": 101, "label": 20}}, "must be even"),
    "a file that is its own replicate": (
        {"endpoints": [{"file": f"{file}0.bed", "factor": "CTCF", "biosample": "K562"} for file in ("a/", "./a//")]},
        "the label has './a//0.bed' twice; a file is no replicate of itself",
    ),
    "a column as split": ({"split": {"column": 3}}, "bins have no column"),
}


@pytest.mark.parametrize(("change", "message"), BAD_SETTINGS.values(), ids=BAD_SETTINGS)
def test_bad_settings_are_refused(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        Peaks(**(spec(tmp_path) | change))
