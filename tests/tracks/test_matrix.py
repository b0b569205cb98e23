"""Shards and matrices: values through liftover, accounts that add up, and what a missing or changed shard does."""

import os
import shutil
import time

import h5py
import numpy as np
import polars as pl
import pytest
from pyliftover import LiftOver
from tests.tracks.signals import bases, random_rows, settings, write_bigwig
from tests.tracks.test_liftover import chain_text

from cisflow.errors import CisflowError
from cisflow.tables import REGIONS, TRACK_COUNTS, read_tsv, write_table
from cisflow.tracks.binning import Source
from cisflow.tracks.matrix import bin_track, gather, gather_counts, read_matrix, rows_of

# Of the regions' assembly, and of the files'.
OLD = {"chr1": 5000, "chr2": 5000}
NEW = {"chr1": 6000, "chrX": 6000}


def read(track, chrom, start, bins, width, sizes=OLD):
    with Source(track, sizes, "old.fa") as source:
        values, mask = source.bins(np.array(chrom), np.array(start), bins, width)
    check_account(source.counts)
    return values, mask, source.counts


def check_account(counts):
    """All bins are measured or not, for one reason."""
    parts = sum(
        n
        for (what, _), n in counts.items()
        if what in ("measured", "off_contig", "blacklisted", "no_data", "not_lifted")
    )
    assert counts["total", ""] == parts > 0


def chain(tmp_path, *texts, name="a.chain"):
    (tmp_path / name).write_text("".join(texts))
    return str(tmp_path / name)


def test_a_region_that_moves_and_one_that_turns_round(tmp_path):
    rows = random_rows(1, NEW, gap=0)
    truth = bases(rows, NEW)
    path = write_bigwig(tmp_path / "a.bw", rows, NEW)
    there = chain(tmp_path, chain_text(9, "chr1", "chrX", [(2000, 0, 0)], at=0, there=700),
        chain_text(8, "chr2", "chr1", [(2000, 0, 0)], "-", at=0, there=0))  # fmt: skip
    values, mask, _ = read(settings(path, no_data="nan", lift=[there]), [0, 1], [100, 300], 10, 16)
    assert mask.all()
    np.testing.assert_allclose(values[0], truth["chrX"][800:960].reshape(10, 16).mean(1), rtol=1e-6)
    # Base x of chr2 is base 5999 - x of chr1.
    np.testing.assert_allclose(values[1], truth["chr1"][5999 - np.arange(300, 460)].reshape(10, 16).mean(1), rtol=1e-6)


def test_gaps_mask_bins_and_nothing_is_zero(tmp_path):
    path = write_bigwig(tmp_path / "a.bw", [("chrX", 0, 6000, 1.0)], NEW)
    # Bases 64 to 70 are deleted; after base 128 there are 2 more in the target.
    there = chain(tmp_path, chain_text(9, "chr1", "chrX", [(64, 6, 0), (58, 0, 2), (500, 0, 0)]))
    track = settings(path, no_data="nan", statistic="sum", lift=[there])
    values, mask, counts = read(track, [0, 0], [0, 4000], 10, 16)
    # Bin 4 (64 to 80) has 10 of 16 bases; no bin holds the insertion, which is between the seventh and the eighth.
    np.testing.assert_array_equal(mask[0], [True] * 4 + [False] + [True] * 5)
    np.testing.assert_array_equal(values[0, mask[0]], 16)
    assert np.isnan(values[~mask]).all()
    assert counts["not_lifted", "partial"] == 1
    assert counts["not_lifted", "deleted"] == 10


def test_a_bin_that_grows_is_read_whole(tmp_path):
    path = write_bigwig(tmp_path / "a.bw", [("chrX", 0, 6000, 1.0)], NEW)
    there = chain(tmp_path, chain_text(9, "chr1", "chrX", [(72, 0, 2), (500, 0, 0)]))
    track = settings(path, no_data="nan", statistic="sum", lift=[there], lift_rules={"max_length_change": 0.2})
    values, mask, _ = read(track, [0], [0], 10, 16)
    assert mask.all()
    np.testing.assert_array_equal(values[0], [16] * 4 + [18] + [16] * 5)


@pytest.mark.parametrize("seed", range(3))
def test_random_chains_against_pyliftover(tmp_path, seed):
    """Bins of one base are read where pyliftover puts them, or are masked."""
    rng = np.random.default_rng(seed)
    blocks = [tuple(map(int, row)) for row in np.c_[rng.integers(20, 60, 30), rng.integers(0, 3, (30, 2))]]
    text = chain_text(9, "chr1", "chrX", blocks, "+-"[seed % 2], at=40, there=100)
    rows = random_rows(seed, NEW, gap=0.3)
    path, truth = write_bigwig(tmp_path / "a.bw", rows, NEW), bases(rows, NEW)
    there = chain(tmp_path, text)
    track = settings(path, no_data="nan", lift=[there], lift_rules={"min_fraction": 0.5, "max_length_change": 1})
    values, mask, _ = read(track, [0, 0], [50, 400], 300, 1)
    peer = LiftOver(there)
    for row, start in enumerate((50, 400)):
        for number in range(300):
            hit = peer.convert_coordinate("chr1", start + number)
            wanted = truth["chrX"][hit[0][1]] if hit else np.nan
            np.testing.assert_equal(values[row, number], np.float32(wanted))
            assert mask[row, number] == ~np.isnan(wanted)


def test_two_chains_one_after_the_other(tmp_path):
    rows = random_rows(4, NEW, gap=0)
    path, truth = write_bigwig(tmp_path / "a.bw", rows, NEW), bases(rows, NEW)
    first = chain(tmp_path, chain_text(9, "chr1", "7", [(2000, 0, 0)], "-", at=0, there=0), name="1.chain")
    # The target of the first calls it 7, the source of the second chr7.
    second = chain(
        tmp_path, chain_text(9, "chr7", "chrX", [(5900, 0, 0)], "-", size=6000, at=50, there=0), name="2.chain"
    )
    values, mask, counts = read(settings(path, no_data="nan", lift=[first, second]), [0, 1], [100, 0], 10, 16)
    place = 5999 - (5999 - np.arange(100, 260)) + 0
    # Turned twice: base x is 5999 - x, and that is 5999 - (5999 - x - 50) of the second.
    np.testing.assert_allclose(values[0], truth["chrX"][place + 50].reshape(10, 16).mean(1), rtol=1e-6)
    assert mask[0].all()
    assert counts["not_lifted", "no_chain"] == 10


def test_compat_cs282a_has_the_defects_of_the_original(tmp_path):
    """The first base is lifted; contig and strand of the hit are ignored, and failures are 0 and not masked."""
    rows = [("chr1", 0, 6000, 3.0), ("chrX", 0, 6000, 5.0), ("chr2", 0, 6000, 7.0)]
    sizes = {"chr1": 6000, "chr2": 6000, "chrX": 6000}
    path = write_bigwig(tmp_path / "a.bw", rows, sizes)
    here = chain_text(8, "chr2", "chr2", [(2000, 0, 0)], there=3000)
    over = chain_text(1, "chr2", "chr1", [(9, 0, 0)], at=4000)
    there = chain(tmp_path, chain_text(9, "chr1", "chrX", [(2000, 0, 0)], "-"), here, over)
    keys = {"no_data": "zero", "statistic": "sum", "lift": [there], "compat": "cs282a"}
    chrom, start = [0, 0, 1, 1], [1000, 0, 100, 3000]
    values, mask, counts = read(settings(path, **keys), chrom, start, 10, 16)
    assert mask.all()
    # chrX:4999 is read on chr1; chrX:5999 passes its end; chr2 moves on; a failure is 0.
    np.testing.assert_array_equal(values, [[48] * 10, [0] * 10, [112] * 10, [0] * 10])
    assert counts["taken_as_0", "not_lifted"] == 10 == counts["taken_as_0", "off_contig"]
    values, mask, counts = read(settings(path, **keys), chrom, start, 1, 160)
    np.testing.assert_array_equal(values[:, 0], [480, np.nan, 1120, 0])
    assert mask.all()
    assert counts["taken_as_nan", "off_contig"] == 1
    strict = {**keys, "compat": None}
    values, mask, _ = read(settings(path, **strict), chrom, start, 10, 16)
    np.testing.assert_array_equal(values, [[80] * 10, [80] * 10, [112] * 10, [np.nan] * 10])


def test_compat_of_ratios_takes_nothing_over_nothing_as_zero(tmp_path):
    sizes = {"chr1": 6000}
    above = write_bigwig(tmp_path / "m.bw", [("chr1", 0, 20, 1.0)], sizes)
    below = write_bigwig(tmp_path / "v.bw", [("chr1", 0, 20, 4.0)], sizes)
    there = chain(tmp_path, chain_text(9, "chr1", "chr1", [(5000, 0, 0)]))
    keys = {"numerator": str(above), "denominator": str(below), "scale": 500, "lift": [there]}
    values, mask, counts = read(settings(**keys, compat="cs282a"), [0], [0], 4, 16, {"chr1": 5000})
    np.testing.assert_array_equal(values, [[125, 125, 0, 0]])
    assert mask.all()
    assert counts["taken_as_0", "no_data"] == 2
    values, mask, _ = read(settings(**keys), [0], [0], 4, 16, {"chr1": 5000})
    np.testing.assert_array_equal(mask, [[True, True, False, False]])


def test_chains_of_other_assemblies_are_refused(tmp_path):
    path = write_bigwig(tmp_path / "a.bw", [("chrX", 0, 6000, 1.0)], NEW)
    there = chain(tmp_path, chain_text(9, "chrX", "chr1", [(64, 0, 0)], size=6000, target_size=5000))
    with pytest.raises(CisflowError, match=r"none of its contigs \(chrX\) is in old.fa"):
        read(settings(path, no_data="nan", lift=[there]), [0], [0], 1, 16)
    there = chain(tmp_path, chain_text(9, "chr1", "chrX", [(64, 0, 0)], size=6000))
    message = "'chr1' has 6,000 bases in it, and 5,000 in old.fa. It is a chain of other assemblies, or of the other"
    with pytest.raises(CisflowError, match=message):
        read(settings(path, no_data="nan", lift=[there]), [0], [0], 1, 16)
    there = chain(tmp_path, chain_text(9, "chr1", "chrX", [(64, 0, 0)], target_size=5500))
    with pytest.raises(CisflowError, match="'chrX' has 6,000 bases in it, and 5,500 in the target of"):
        read(settings(path, no_data="nan", lift=[there]), [0], [0], 1, 16)


def test_a_contig_of_another_size_in_a_chain_is_an_error_only_for_a_region_on_it(tmp_path):
    path = write_bigwig(tmp_path / "a.bw", [("chrX", 0, 6000, 1.0)], NEW)
    texts = [chain_text(9, "chr1", "chrX", [(64, 0, 0)]), chain_text(9, "chrM", "chrX", [(9, 0, 0)], size=19)]
    track, sizes = settings(path, no_data="nan", lift=[chain(tmp_path, *texts)]), {"chrM": 21, "chr1": 5000}
    assert read(track, [1], [0], 1, 16, sizes)[1].all()
    with pytest.raises(CisflowError, match="'chrM' has 19 bases in it, and 21 in old.fa. 1 of 2 contigs have the same"):
        read(track, [1, 0], [0, 0], 1, 16, sizes)
    with Source(track, sizes, "old.fa") as source:
        assert source.notes[0].endswith("1 contigs have another size than in old.fa and are not used: chrM")


def regions_of(tmp_path, starts, length=160, chrom="chr1"):
    table = pl.DataFrame({"chrom": chrom, "start": starts, "end": [s + length for s in starts], "split": "train"})
    write_table(tmp_path / "regions.tsv", table.select(*REGIONS))
    return tmp_path / "regions.tsv"


def make(tmp_path, shards=3, starts=(0, 500, 4900, -20, 1200, 77, 3000)):
    """Two tracks in shards below a folder, and the matrix over them."""
    rows = random_rows(2, OLD, gap=0.2)
    path = write_bigwig(tmp_path / "a.bw", rows, OLD)
    regions, folder = regions_of(tmp_path, list(starts)), tmp_path / "set"
    parts = {}
    for name, policy in (("one", "nan"), ("two", "zero")):
        track = settings(path, no_data=policy, unit="reads")
        parts[name] = [folder / "tracks" / name / f"{shard}.h5" for shard in range(shards)]
        for shard, out in enumerate(parts[name]):
            bin_track(regions, name, track, OLD, "old.fa", 16, shard, shards, out, out.with_suffix(".tsv"))
    gather(regions, parts, {"one": "reads"}, folder / "tracks.h5")
    gather_counts([p.with_suffix(".tsv") for paths in parts.values() for p in paths], folder / "counts.tsv")
    return folder, bases(rows, OLD)["chr1"]


def wanted_of(truth, starts):
    padded = np.pad(truth, 200, constant_values=np.nan)
    return np.stack([padded[200 + s : 360 + s].reshape(10, 16) for s in starts])


def test_a_matrix_has_what_its_shards_have(tmp_path):
    starts = [0, 500, 4900, -20, 1200, 77, 3000]
    folder, truth = make(tmp_path, starts=starts)
    with read_matrix(folder / "tracks.h5") as matrix:
        assert matrix.values.shape == matrix.mask.shape == (7, 10, 2)
        assert (matrix.tracks, matrix.units, matrix.width) == (["one", "two"], ["reads", ""], 16)
        assert '"no_data": "zero"' in matrix.transforms[1]
        assert matrix.regions["start"].to_list() == starts
        values, mask = matrix.values[:], matrix.mask[:]
    parts = wanted_of(truth, starts)
    inside = np.array([[s + 16 * b >= 0 and s + 16 * b + 16 <= 5000 for b in range(10)] for s in starts])
    np.testing.assert_array_equal(mask[..., 1], inside)
    np.testing.assert_array_equal(mask[..., 0], inside & ~np.isnan(parts).all(2))
    np.testing.assert_allclose(values[mask[..., 0], 0], np.nanmean(parts[mask[..., 0]], 1), rtol=1e-6)
    np.testing.assert_allclose(values[inside, 1], np.nan_to_num(parts[inside]).mean(1), rtol=1e-6)
    assert np.isnan(values[~mask]).all()
    counts = read_tsv(folder / "counts.tsv", TRACK_COUNTS)
    of = dict(counts.filter(pl.col("track") == "one").group_by("what").agg(pl.col("bins").sum()).iter_rows())
    assert of["total"] == 70 == of["measured"] + of["off_contig"] + of["no_data"]
    assert of["measured"] == mask[..., 0].sum()


def test_shards_do_not_change_values_and_bytes_are_the_same(tmp_path):
    answers = []
    for name, shards in (("a", 1), ("b", 7), ("c", 7)):
        # Times are not part of a result; they would differ in the next second.
        time.sleep(1.1 * (name == "c"))
        (tmp_path / name).mkdir()
        folder, _ = make(tmp_path / name, shards)
        with read_matrix(folder / "tracks.h5") as matrix:
            answers.append((matrix.values[:].tobytes(), matrix.mask[:].tobytes()))
    assert answers[0] == answers[1] == answers[2]
    for path in ("tracks/one/3.h5", "tracks.h5", "counts.tsv"):
        assert (tmp_path / "b/set" / path).read_bytes() == (tmp_path / "c/set" / path).read_bytes()


def test_blocks_do_not_change_values(tmp_path, monkeypatch):
    make(tmp_path, 1)
    whole = (tmp_path / "set/tracks/one/0.h5").read_bytes()
    monkeypatch.setattr("cisflow.tracks.matrix.BLOCK", 20)
    monkeypatch.setattr("cisflow.tracks.matrix.CHUNK", 20)
    with read_matrix(tmp_path / "set/tracks.h5") as matrix:
        values = matrix.values[:]
    make(tmp_path, 1)
    with read_matrix(tmp_path / "set/tracks.h5") as matrix:
        np.testing.assert_array_equal(matrix.values[:], values)
    assert (tmp_path / "set/tracks/one/0.h5").read_bytes() != whole


def test_a_folder_that_is_moved_still_works(tmp_path, monkeypatch):
    folder, _ = make(tmp_path)
    with read_matrix(folder / "tracks.h5") as matrix:
        values = matrix.values[:]
    shutil.move(folder, tmp_path / "elsewhere")
    # A folder of the same names below the working directory is not what is read.
    shutil.copytree(tmp_path / "elsewhere/tracks", tmp_path / "decoy/tracks")
    for path in (tmp_path / "decoy").rglob("*.h5"):
        with h5py.File(path, "a") as h5:
            h5["values"][:] = 99
    monkeypatch.chdir(tmp_path / "decoy")
    with read_matrix(tmp_path / "elsewhere/tracks.h5") as matrix:
        np.testing.assert_array_equal(matrix.values[:], values)


def test_a_missing_or_changed_shard_is_named(tmp_path, monkeypatch):
    folder, _ = make(tmp_path)
    shard = folder / "tracks/two/1.h5"
    content = shard.read_bytes()

    def refused(message):
        with pytest.raises(CisflowError, match=message), read_matrix(folder / "tracks.h5"):
            pass

    shard.unlink()
    refused(r"tracks/two/1.h5: there is no such file, and .*tracks.h5 needs it")
    shard.write_bytes(content[:-100])
    refused(r"tracks/two/1.h5: the HDF5 file is truncated")
    shutil.copy(folder / "tracks/two/0.h5", shard)
    refused(r"tracks/two/1.h5: it has changed since")
    shard.write_bytes(content)
    monkeypatch.setenv("HDF5_VDS_PREFIX", os.fspath(tmp_path))
    refused("HDF5_VDS_PREFIX is set")


def test_shards_that_do_not_belong_are_refused(tmp_path):
    folder, _ = make(tmp_path)
    regions, one, two = tmp_path / "regions.tsv", *(
        [folder / f"tracks/{name}/{n}.h5" for n in range(3)] for name in ("one", "two")
    )  # fmt: skip
    for shards, message in (
        ({"one": two}, "it is of the track 'two', not of 'one'"),
        ({"one": one[:2]}, "the shards of 'one' have 4 of 7 regions"),
        ({"one": [one[0], one[2]]}, "it has the regions from 4"),
    ):
        with pytest.raises(CisflowError, match=message):
            gather(regions, shards, {}, folder / "new.h5")
    regions.write_text(regions.read_text().replace("train", "test"))
    with pytest.raises(CisflowError, match="it was made for other regions"):
        gather(regions, {"one": one}, {}, folder / "new.h5")
    assert not (folder / "new.h5").exists()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "there is no region in it"),
        (["chr1\t0\t160\ttrain", "chr9\t0\t160\ttrain"], "line 3: the genome has no contig 'chr9'"),
        (["chr1\t0\t160\ttrain", "chr1\t0\t161\ttrain"], "regions must have one length.* there are lengths 160, 161"),
        (["chr1\t0\t150\ttrain"], "a multiple of a bin's 16 bases; there are lengths 150"),
        (["chr1\t160\t0\ttrain"], "regions must have one length"),
    ],
)
def test_regions_that_are_refused(tmp_path, rows, message):
    (tmp_path / "regions.tsv").write_text("\n".join(["\t".join(REGIONS), *rows]) + "\n")
    track = settings(write_bigwig(tmp_path / "a.bw", [("chr1", 0, 9, 1.0)], OLD), no_data="nan")
    with pytest.raises(CisflowError, match=message):
        bin_track(tmp_path / "regions.tsv", "a", track, OLD, "g", 16, 0, 1, tmp_path / "o.h5", tmp_path / "o.tsv")
    assert not list(tmp_path.glob("o.*"))


def test_rows_of_shards():
    assert [rows_of(k, 3, 7) for k in range(3)] == [(0, 2), (2, 4), (4, 7)]
    with pytest.raises(CisflowError, match="7 regions make as many shards"):
        rows_of(0, 8, 7)
