"""Data sets of signal from files: regions, tracks, sequences, labels and masks, and the preset cs282a in both ways."""

import numpy as np
import pybigtools
import pytest

from cisflow.config.cs282a import cs282a
from cisflow.config.matrix import Matrix
from cisflow.config.places import with_paths
from cisflow.datasets.make import make_dataset
from cisflow.datasets.matrix import pooled
from cisflow.datasets.regions import make_regions
from cisflow.errors import CisflowError
from cisflow.io import h5_reader
from cisflow.sequence import UNKNOWN
from cisflow.tables import ACCOUNTING, DATASET_QUALITY, read_tsv, write_table
from cisflow.tracks.genome import Genome, index_genome
from cisflow.tracks.matrix import bin_track, gather

ROWS = ["chr1 0 40 train", "chr1 40 80 train", "chr1 90 130 valid", "chr1 150 190 test", "chr1 170 210 test"]


def write_genome(folder, sizes):
    rng = np.random.default_rng(0)
    texts = {name: "".join(rng.choice(list("ACGT"), size)) for name, size in sizes.items()}
    (folder / "g.fa").write_text("".join(f">{name}\n{text}\n" for name, text in texts.items()))
    index_genome(folder / "g.fa", folder / "g.fa.gz")
    return texts


def write_bigwig(path, rows, sizes):
    pybigtools.open(str(path), "w").write(dict(sizes), rows)
    return str(path)


def build(folder, shards=1, **keys):
    """Go the way of the rules, from files to a data set; return its splits and the rows of its account."""
    spec = with_paths(Matrix(kind="matrix", **keys), lambda place: place.file)
    genome, regions, matrix = folder / "g.fa.gz", folder / "regions.tsv", folder / "tracks.h5"
    with Genome(genome) as fasta:
        sizes = dict(fasta.sizes)
    table, account = make_regions(spec, sizes, "g.fa")
    write_table(regions, table)
    account.write(folder / "regions.accounting.tsv")
    parts = {
        name: [(folder / f"{name}.{shard}.h5", folder / f"{name}.{shard}.tsv") for shard in range(shards)]
        for name in spec["tracks"]
    }
    for name, track in spec["tracks"].items():
        for shard, (out, counts) in enumerate(parts[name]):
            bin_track(regions, name, track, sizes, "g.fa", spec["bin"], shard, shards, out, counts)
    gather(regions, {name: [out for out, _ in own] for name, own in parts.items()}, {}, matrix)
    inputs = [genome, regions, folder / "regions.accounting.tsv", matrix]
    make_dataset(spec, list(map(str, inputs)), folder / "dataset.h5")
    with h5_reader(folder / "dataset.h5", "dataset/1") as h5:
        found = {name: {key: h5[name][key][:] for key in h5[name]} for name in ("train", "valid", "test")}
        assert list(h5.attrs["targets"]) == list(spec["tracks"])
    return found, read_tsv(folder / "dataset.accounting.tsv", ACCOUNTING).select("step", "reason", "rows").rows()


@pytest.fixture
def made(tmp_path):
    """A genome of 200 bases, a track with a value a base, and one with a gap."""
    sizes = {"chr1": 200}
    texts = write_genome(tmp_path, sizes)
    (tmp_path / "r.bed").write_text("".join("\t".join(row.split()) + "\n" for row in ROWS))
    rising = [("chr1", at, at + 1, float(at)) for at in range(200)]
    tracks = {
        "whole": {"file": write_bigwig(tmp_path / "w.bw", rising, sizes),
            "no_data": "zero", "unit": "bases"},
        "gap": {"file": write_bigwig(tmp_path / "g.bw", [("chr1", 0, 55, 2.0), ("chr1", 60, 200, 4.0)], sizes),
            "no_data": "mask", "min_covered": 1.0},
    }  # fmt: skip
    return tmp_path, texts["chr1"], {"genome": {"file": "g.fa"}, "length": 40, "crop": 10, "bin": 5, "tracks": tracks,
        "regions": {"bed": {"file": str(tmp_path / "r.bed")}, "split": {"column": 3}}}  # fmt: skip


def test_labels_of_bins_with_their_mask_and_sequences(made):
    folder, text, keys = made
    found, account = build(folder, labels="bins", shards=2, **keys)
    train, test = found["train"], found["test"]
    assert train["id"].tolist() == [b"chr1:0-40", b"chr1:40-80"]
    letters = np.array(list("ACGTN"))
    assert "".join(letters[train["x"][1]]) == text[40:80]
    # Target windows: 10 to 30 and 50 to 70, in bins of 5; the mean of the bases of a bin is its middle.
    assert train["y"][..., 0].tolist() == [[12, 17, 22, 27], [52, 57, 62, 67]]
    assert train["y"][..., 1].tolist() == [[2, 2, 2, 2], [2, 0, 4, 4]]
    assert train["mask"][..., 1].tolist() == [[True] * 4, [True, False, True, True]]
    # The last window ends 10 bases beyond the contig, and its bins at the contig's end.
    assert "".join(letters[test["x"][1]]) == text[170:] + "N" * 10
    assert (test["x"] == UNKNOWN).sum() == 10
    assert test["mask"][1].all()
    assert test["y"][1, :, 0].tolist() == [182, 187, 192, 197]
    assert account == [("read", None, 5), ("kept", "train", 2), ("kept", "valid", 1), ("kept", "test", 2)]


def test_labels_of_windows_are_pooled_over_measured_bins(made):
    folder, _, keys = made
    found, _ = build(folder, **keys)
    assert found["train"]["y"].tolist() == [[19.5, 2], [59.5, pytest.approx(10 / 3)]]
    assert found["train"]["mask"].all()
    strict, _ = build(folder, **keys, min_measured=1.0)
    assert strict["train"]["mask"].tolist() == [[True, True], [True, False]]
    assert strict["train"]["y"][1].tolist() == [59.5, 0]


def test_the_other_strand_has_its_bins_turned(made):
    folder, _, keys = made
    found, account = build(folder, labels="bins", reverse_complement=["train"], **keys)
    train = found["train"]
    assert np.array_equal(train["y"][2:], train["y"][:2, ::-1])
    assert np.array_equal(train["mask"][2:], train["mask"][:2, ::-1])
    assert ("reverse_complement", "train", 2) in account


def test_unmeasured_bins_and_padding_are_in_the_table_of_quality(made):
    folder, _, keys = made
    build(folder, **keys)
    rows = read_tsv(folder / "dataset.quality.tsv", DATASET_QUALITY)
    found = {row[:3]: row[3] for row in rows.select("split", "target", "quantity", "value").rows()}
    assert found["test", "all", "padded_bases"] == 10
    assert found["test", "whole", "unmeasured_bins"] == 0
    assert found["train", "gap", "unmeasured_bins"] == 1
    assert found["train", "whole", "unmeasured_bins"] == 0


def test_a_blacklist_of_all_tracks_masks_bins(made):
    folder, _, keys = made
    (folder / "b.bed").write_text("chr1\t16\t17\n")
    black = {"file": {"file": str(folder / "b.bed")}, "buffer": 0}
    found, _ = build(folder, labels="bins", blacklist=black, **keys)
    assert found["train"]["mask"][0].tolist() == [[True, True], [False, False], [True, True], [True, True]]


def test_shards_change_no_byte(made):
    folder, _, keys = made
    contents = []
    for shards in (1, 3):
        build(folder, shards=shards, **keys)
        contents.append((folder / "dataset.h5").read_bytes())
    assert contents[0] == contents[1]


def test_a_matrix_over_other_regions_is_refused(made):
    folder, _, keys = made
    build(folder, **keys)
    spec = with_paths(Matrix(kind="matrix", **keys), lambda place: place.file)
    lines = (folder / "regions.tsv").read_text().splitlines(keepends=True)
    inputs = [str(folder / name) for name in ("g.fa.gz", "regions.tsv", "regions.accounting.tsv", "tracks.h5")]
    (folder / "regions.tsv").write_text("".join([lines[0], lines[2], lines[1], *lines[3:]]))
    with pytest.raises(CisflowError, match="it is over other regions"):
        make_dataset(spec, inputs, folder / "d.h5")
    (folder / "regions.tsv").write_text("".join(lines))
    with pytest.raises(CisflowError, match="it has the tracks whole, gap, and the data set gap"):
        make_dataset(spec | {"tracks": {"gap": spec["tracks"]["gap"]}}, inputs, folder / "d.h5")
    with pytest.raises(CisflowError, match="it has 4 bins a region, and the data set 2"):
        make_dataset(spec | {"bin": 10}, inputs, folder / "d.h5")
    assert not (folder / "d.h5").exists()


@pytest.mark.parametrize(("pool", "value"), [("mean", 3.0), ("sum", 12.0), ("max", 5.0)])
def test_pooling_passes_over_what_was_not_measured(pool, value):
    values, mask = np.float32([[[1], [0], [5], [0]]]), np.array([[[1], [0], [1], [0]]], bool)
    assert [part.tolist() for part in pooled(values, mask, pool, 0.5)] == [[[value]], [[True]]]
    assert [part.tolist() for part in pooled(values, mask, pool, 0.51)] == [[[0]], [[False]]]
    assert [part.tolist() for part in pooled(values * 0, mask & False, pool, 0.5)] == [[[0]], [[False]]]


# --- the preset, on a genome of two target windows, the second one of which does not reach CHM13's contig

HG38, CHM13 = {"chr1": 400_000}, {"chr1": 399_000}
FIRST, SECOND = (400_000, 399_500), (399_500, 399_000)
WINDOWS = {"train": 1000, "valid": 150_000, "test": 268_000}
LENGTH, CROP = 131_072, 8192


def chain(sizes, first, last, shift):
    """A chain of one block between chromosomes of two sizes: its bases are `shift` further on in the second."""
    here, there = sizes
    return (f"chain 100 chr1 {here} + {first} {last} chr1 {there} + {first + shift} {last + shift} {first + 1}\n"
        f"{last - first}\n\n")  # fmt: skip


@pytest.fixture
def preset(tmp_path):
    """The files of the preset with a few of its tracks, in small."""
    write_genome(tmp_path, HG38)
    rows = [f"chr1\t{start}\t{start + LENGTH}\t{split}\n" for split, start in WINDOWS.items()]
    (tmp_path / "sequences.bed").write_text("".join(rows))
    # The first target window starts at 9192. ChIP: log2 1 (2) in its first bin, nothing in the second, then log2 2 (4).
    first = WINDOWS["train"] + CROP
    chip = [("chr1", first, first + 128, 1.0), ("chr1", first + 256, 400_000, 2.0)]
    write_bigwig(tmp_path / "chip.bw", chip, HG38)
    (tmp_path / "v1.0.chain").write_text(chain(FIRST, 0, 386_000, 0))
    (tmp_path / "v1.1.chain").write_text(chain(SECOND, 0, 386_000, 1000))
    valid = [("chr1", at, at + 1, 4.0) for at in range(first + 1000, CHM13["chr1"], 64)]
    mod = [("chr1", at, at + 1, 1.0) for at in range(first + 1000, CHM13["chr1"], 128)]
    write_bigwig(tmp_path / "valid.bw", valid, CHM13)
    write_bigwig(tmp_path / "mod.bw", mod, CHM13)
    return tmp_path


def of_preset(folder, bin, compat):
    """Return the preset's settings with the paths of `preset`, and one track of each kind."""
    settings = cs282a(bin, compat)
    tracks = {name: settings["tracks"][name] for name in ("LMNB1_APS", "CpG_HEK293", "CpG_valid_HEK293")}
    files = {"LMNB1_APS": {"file": "chip.bw"}, "CpG_valid_HEK293": {"file": "valid.bw"},
        "CpG_HEK293": {"numerator": "mod.bw", "denominator": "valid.bw"}}  # fmt: skip
    for name, own in files.items():
        tracks[name] |= {key: str(folder / file) for key, file in own.items()}
        if "lift" in tracks[name]:
            tracks[name] |= {"lift": [str(folder / file) for file in ("v1.0.chain", "v1.1.chain")]}
    regions = settings["regions"] | {"bed": {"file": str(folder / "sequences.bed")}}
    return settings | {"tracks": tracks, "regions": regions, "genome": {"file": "g.fa"}, "shards": 1}


@pytest.mark.parametrize("compat", [False, True])
def test_the_labels_of_128_bases(preset, compat):
    found, _ = build(preset, **of_preset(preset, 128, compat))
    y, mask = found["train"]["y"][0], found["train"]["mask"][0]
    assert y.shape == (896, 3)
    # Sums of 2^v: 128 times 2; the second bin has no data, of which the original makes 128 times 2^0; then 128 times 4.
    assert y[:3, 0].tolist() == [256, 128 if compat else 0, 512]
    assert mask[:3, 0].tolist() == [True, compat, True]
    # Each lifted bin has two CpG with 4 valid calls each and one methylated: 500 * 1 / 8, and 10 * 8.
    assert y[:, 1].tolist() == [62.5] * 896
    assert y[:, 2].tolist() == [80] * 896
    assert mask[:, 1:].all()
    # The last window: its bins from 386,000 on have no chain.
    y, mask = found["test"]["y"][0], found["test"]["mask"][0]
    start = WINDOWS["test"] + CROP
    lifted = (386_000 - start) // 128
    assert 0 < lifted < 896
    if compat:
        # Only the first base is lifted: the rest is read straight on, over the end of the chain.
        assert mask.all()
        assert (y[1:, 2] == 80).all()
    else:
        assert mask[:, 1].tolist() == [True] * lifted + [False] * (896 - lifted)
        assert mask[:, 2].tolist() == mask[:, 1].tolist()
        assert mask[:, 0].all()
        assert (y[lifted:, 1:] == 0).all()


@pytest.mark.parametrize("compat", [False, True])
def test_the_labels_of_whole_windows(preset, compat):
    found, _ = build(preset, **of_preset(preset, 114_688, compat))
    (y,), (mask,) = found["train"]["y"], found["train"]["mask"]
    # The mean of 896 sums; the second one as above, or left out.
    sums = [256, *([128] if compat else []), *[512] * 894]
    assert y.tolist() == [pytest.approx(sum(sums) / len(sums), rel=1e-6), 62.5, pytest.approx(0.01 * 8 * 896)]
    assert mask.all()


def test_a_region_whose_first_base_is_not_lifted(preset):
    (preset / "v1.0.chain").write_text(chain(FIRST, 0, 9000, 0) + chain(FIRST, 10_000, 386_000, 0))
    corrected, _ = build(preset, **of_preset(preset, 128, False))
    original, _ = build(preset, **of_preset(preset, 128, True))
    # The window's first base, 9192, is on no chain: the original has zeros, and nothing says that they are none.
    assert (original["train"]["y"][0, :, 1:] == 0).all()
    assert original["train"]["mask"][0].all()
    # From hg38 10,000 on it can be read: of bins from 9192 by 128, the seventh begins at 10,088.
    assert corrected["train"]["mask"][0, :, 1].tolist() == [False] * 7 + [True] * 889
    assert corrected["train"]["y"][0, 7:, 1].tolist() == [62.5] * 889


def test_a_lifted_window_that_passes_the_end_of_its_contig(preset):
    # Everything is 10,000 further on: the last window's end, 390,880, comes to 400,880, beyond the 399,000 bases.
    (preset / "v1.1.chain").write_text(chain(SECOND, 0, 386_000, 10_000))
    small, _ = build(preset, **of_preset(preset, 128, True))
    assert (small["test"]["y"][0, :, 1:] == 0).all()
    large, _ = build(preset, **of_preset(preset, 114_688, True))
    # Ratios are 0; the single sum is NaN in the original, which spoils a loss: here it is the one label without a mask.
    assert large["test"]["y"][0, 1:].tolist() == [0, 0]
    assert large["test"]["mask"][0].tolist() == [True, True, False]
