"""Embeddings of windows: against direct calls of the model, in shards, with what is kept, refused and counted."""

import threading
import time

import h5py
import numpy as np
import pytest
import torch
from tests.basenji import random_basenji
from tests.embeddings.made import LENGTH, SPLITS, STARTS, make, write_regions
from tests.limits import LIMIT

from cisflow.embeddings.ahead import ahead
from cisflow.embeddings.embed import How, Kept, about_of, embed_shard, load_model
from cisflow.embeddings.keras import write_keras
from cisflow.embeddings.store import gather, read_embeddings
from cisflow.embeddings.windows import windows_of_bed, windows_of_task
from cisflow.errors import CisflowError
from cisflow.tracks.genome import Genome, index_genome

# Of float16 and bfloat16: half of the last digit, relative.
HALF, BRAIN = 2**-11, 2**-8


@pytest.fixture
def made(tmp_path):
    return make(tmp_path)


def read(path):
    with read_embeddings(path) as found:
        return found[:], found.regions, found.about


def test_embeddings_are_those_of_the_model_and_what_is_beyond_a_contig_is_counted(made):
    (path,) = made.shards(1)
    values, regions, about = read(path)
    np.testing.assert_allclose(values, made.embeddings(), rtol=HALF, atol=2e-4)
    assert regions["padded"].to_list() == [64, 0, 0, 0, 0, 7000 + LENGTH - 9000]
    assert regions["unknown"].to_list() == regions["padded"].to_list()
    assert regions["split"].to_list() == SPLITS
    assert regions["start"][0] == 0
    assert (about["gelu"], about["precision"], about["keep"]) == ("tanh", "32-true", "all")
    assert (about["bin"], about["crop"], about["length"]) == (16, 64, 4096)


@pytest.mark.parametrize(
    ("keep", "wanted"),
    [
        ("mean", lambda x: x.mean(1, keepdims=True)),
        ("max", lambda x: x.max(1, keepdims=True)),
        ([0, 7, 247], lambda x: x[:, [0, 7, 247]]),
    ],
    ids=["mean", "max", "chosen"],
)
def test_what_is_kept_of_the_bins(made, keep, wanted):
    (path,) = made.shards(1, kept=Kept(keep))
    values, _, about = read(path)
    np.testing.assert_allclose(values, wanted(made.embeddings()), rtol=HALF, atol=2e-4)
    assert about["keep"] == keep


def test_bfloat16_is_stored_as_its_bits(made):
    (path,) = made.shards(1, kept=Kept(dtype="bfloat16"))
    with h5py.File(path) as h5:
        assert h5["embeddings"].dtype == np.uint16
        bits = torch.from_numpy(h5["embeddings"][:]).view(torch.bfloat16).float().numpy()
    values, _, _ = read(path)
    np.testing.assert_array_equal(values, bits)
    np.testing.assert_allclose(values, made.embeddings(), rtol=BRAIN, atol=1e-4)


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true"])
def test_less_precision_gives_about_the_same(made, precision):
    (path,) = made.shards(1, how=How(precision, 2, "cpu"))
    values, _, about = read(path)
    wanted = made.embeddings()
    assert about["precision"] == precision
    # Seven binary digits through 19 layers, against a spread of one: some hundredths.
    assert 0 < np.sqrt(np.mean((values - wanted) ** 2)) < 0.1 * wanted.std()


@pytest.mark.parametrize("compression", ["none", "bitshuffle"])
def test_shards_give_the_values_of_one_run_and_are_not_copied(made, compression):
    (whole,) = made.shards(1, "whole")
    shards = made.shards(3, "parts", kept=Kept(compression=compression))
    out = made.folder / "parts.h5"
    regions = gather(shards, out)
    values, table, about = read(out)
    one, of_one, about_one = read(whole)
    np.testing.assert_array_equal(values, one)
    assert table.equals(of_one)
    assert regions.equals(table)
    assert about == about_one
    assert out.stat().st_size < 20_000
    with h5py.File(out) as h5, h5py.File(shards[0]) as shard:
        assert h5["embeddings"].is_virtual
        assert (shard["embeddings"].chunks is None) == (compression == "none")
    # Moved together, they are still one.
    moved = made.folder / "elsewhere"
    moved.mkdir()
    shards[0].parent.rename(moved / "parts")
    out.rename(moved / "parts.h5")
    np.testing.assert_array_equal(read(moved / "parts.h5")[0], one)


def test_the_same_input_gives_the_same_bytes(made):
    first, second = made.shards(2, "a"), made.shards(2, "b", how=How(batch=3, device="cpu"))
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    gather(first, made.folder / "a.h5")
    content = (made.folder / "a.h5").read_bytes()
    gather(first, made.folder / "a.h5")
    assert (made.folder / "a.h5").read_bytes() == content


def test_a_run_goes_on_with_the_shards_that_are_not_there(made):
    paths = made.shards(3)
    before = {path: path.stat().st_mtime_ns for path in paths}
    wanted = paths[1].read_bytes()
    paths[1].unlink()
    made.shards(3)
    assert paths[1].read_bytes() == wanted
    assert {path: path.stat().st_mtime_ns for path in (paths[0], paths[2])} == {
        path: before[path] for path in (paths[0], paths[2])
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gelu": "quick"}, "gelu tanh, not quick"),
        ({"kept": Kept("max")}, 'keep "all", not "max"'),
        ({"kept": Kept(dtype="bfloat16")}, "dtype float16, not bfloat16"),
        ({"how": How("bf16-mixed", 2, "cpu")}, "precision 32-true, not bf16-mixed"),
    ],
)
def test_a_run_with_other_settings_does_not_go_on_with_shards_that_are_there(made, change, message):
    paths = made.shards(2)
    paths[1].unlink()
    with pytest.raises(CisflowError, match=f"0.h5: it was made with {message}. Remove it, or give the result another"):
        made.shards(2, **change)
    assert not paths[1].exists()


def test_a_run_with_another_number_of_shards_does_not_go_on(made):
    made.shards(2)
    with pytest.raises(CisflowError, match="last 3, not 2"):
        made.shards(3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gelu": "quick"}, "it has gelu quick, not tanh"),
        ({"kept": Kept(dtype="bfloat16")}, "it has dtype bfloat16, not float16"),
        ({"kept": Kept("mean")}, r"it has keep \"mean\", not \"all\"; bins and channels \(1, 24\), not \(248, 24\)"),
        ({"how": How("bf16-true", 2, "cpu")}, "it has precision bf16-true, not 32-true"),
    ],
)
def test_shards_of_other_settings_are_not_mixed(made, change, message):
    first, second = made.shards(2, "a"), made.shards(2, "b", **change)
    with pytest.raises(CisflowError, match=f"b/1.h5: it was not made as .*a/0.h5 was: {message}"):
        gather([first[0], second[1]], made.folder / "mixed.h5")
    assert not (made.folder / "mixed.h5").exists()


def test_shards_of_other_weights_genome_or_regions_are_not_mixed(made, tmp_path):
    first = made.shards(2, "a")
    write_keras(tmp_path / "other.h5", random_basenji("tanh", seed=1))
    write_regions(tmp_path / "other.tsv", STARTS[::-1], SPLITS)
    for key, change in (("weights", "other.h5"), ("regions", "other.tsv")):
        second = made.shards(2, f"b{key}", **{key: tmp_path / change})
        with pytest.raises(CisflowError, match=rf"b{key}/1.h5: it was not made as .* it has {key}_sha256 \w{{8}}"):
            gather([first[0], second[1]], made.folder / "mixed.h5")


def test_missing_and_misplaced_shards_are_named(made):
    paths = made.shards(3)
    out = made.folder / "e.h5"
    with pytest.raises(CisflowError, match=r"1.h5: it has the regions from 2, and the shards before it end at 0"):
        gather(paths[1:], out)
    with pytest.raises(CisflowError, match="the shards have 4 of 6 regions; some are missing"):
        gather(paths[:2], out)
    gather(paths, out)
    content = paths[1].read_bytes()
    paths[1].unlink()
    with pytest.raises(CisflowError, match=r"1 of 3 shards are missing: .*/1.h5. The rule 'embed_shard' makes them"):
        gather(paths, out)
    with (
        pytest.raises(CisflowError, match="1.h5: there is no such file, and .*e.h5 needs it.* run 'embed_shard' again"),
        read_embeddings(out),
    ):
        pass
    paths[1].write_bytes(content[: len(content) // 2])
    with pytest.raises(CisflowError, match="1.h5: the HDF5 file is truncated"), read_embeddings(out):
        pass
    paths[1].write_bytes(paths[0].read_bytes())
    with (
        pytest.raises(CisflowError, match="1.h5: it has changed since .*e.h5 was made over it. Run 'gather_emb"),
        read_embeddings(out),
    ):
        pass


def loud(made, factor):
    """Weights whose embeddings are so many times as large."""
    norm = list(made.model.convolutions())[-1].norm
    with torch.no_grad():
        norm.weight *= factor
        norm.bias *= factor
    write_keras(made.folder / "small.h5", made.model)


def test_what_is_too_large_for_float16_is_no_infinity(made):
    loud(made, 1e5)
    with pytest.raises(
        CisflowError, match=r"chr1:-64-4032: [\d,]+ values are too large for float16, which ends at 655"
    ):
        made.shards(1)
    assert not list((made.folder / "e").glob("*"))
    (path,) = made.shards(1, "b", kept=Kept(dtype="bfloat16"))
    values, _, _ = read(path)
    assert np.isfinite(values).all()
    assert values.max() > 65504


def test_numbers_that_are_none_are_an_error(made):
    loud(made, 2e38)
    # Beyond float32 itself; and, times zero, no number.
    with pytest.raises(CisflowError, match="chr1:-64-4032: .* values are (no numbers|too large for bfloat16)"):
        made.shards(1, kept=Kept(dtype="bfloat16"))


def test_windows_of_a_task_must_be_the_models(made):
    model = load_model(made.folder / "small.h5", made.folder / "small.json", "auto", How(device="cpu"))
    path = made.folder / "r.tsv"
    table = (made.folder / "regions.tsv").read_text()
    path.write_text(table.replace("\t100\t", "\t101\t"))
    with pytest.raises(CisflowError, match=r"r.tsv, line 3: the window has 4,095 bases and labels for 3,968, and"):
        windows_of_task(path, model, made.sizes)
    path.write_text(table.replace("chr2", "chr3"))
    with pytest.raises(CisflowError, match=r"r.tsv, line 5: the genome has no contig 'chr3', as it has chr1, chr2 \(3"):
        windows_of_task(path, model, made.sizes)
    with pytest.raises(CisflowError, match=r"the window chr1:-64-4032 reaches beyond its contig.*16,000 bases \(2"):
        windows_of_task(made.folder / "regions.tsv", model, made.sizes, "fail")
    path.write_text(table.splitlines()[0] + "\n")
    with pytest.raises(CisflowError, match="there is no region in it"):
        windows_of_task(path, model, made.sizes)


def test_a_bin_that_there_is_not_and_a_device_that_there_is_not(made):
    with pytest.raises(CisflowError, match="keep: there is no bin 248; the model has bins 0 to 247"):
        made.shards(1, kept=Kept([3, 248]))
    if not torch.cuda.is_available():
        with pytest.raises(CisflowError, match="no GPU is visible here.*'trunk'"):
            made.shards(1, how=How(device="gpu"))


def test_more_shards_than_windows_are_refused(made):
    with pytest.raises(CisflowError, match="shard 0 of 7: it is from 0, and 6 regions make as many shards at most"):
        made.shards(7)


def test_work_ahead_is_bounded_and_ends_with_who_takes_it():
    taken, closed = [], threading.Event()

    def items():
        try:
            for number in range(100):
                taken.append(number)
                yield number
        finally:
            closed.set()

    results = ahead(items(), 3)
    assert [next(results) for _ in range(2)] == [0, 1]
    time.sleep(0.3)
    # Two were taken, three wait, and one is in hand.
    assert len(taken) <= 6
    results.close()
    assert closed.wait(LIMIT)
    assert list(ahead(range(10), 2)) == list(range(10))


def test_an_error_of_work_ahead_is_raised_where_it_is_wanted():
    def items():
        yield 1
        raise CisflowError("the disk is gone")

    results = ahead(items(), 3)
    assert next(results) == 1
    with pytest.raises(CisflowError, match="the disk is gone"):
        next(results)


@pytest.mark.real_data
@pytest.mark.parametrize(("file", "gelu"), [("model_small.h5", "tanh"), ("model_small_2020style.h5", "quick")])
def test_embeddings_of_tensorflow(real_data, tmp_path, file, gelu):
    data, how, kept = real_data / "basenji2", How(batch=1, device="cpu"), Kept()
    index_genome(data / "gata4.fa", tmp_path / "g.fa.gz")
    model = load_model(data / file, data / "params_small.json", "auto", how)
    with Genome(tmp_path / "g.fa.gz") as genome:
        windows, moved = windows_of_bed(data / "gata4.bed", model, genome.sizes, "gata4.fa", exact=True)
    assert moved == 0
    about = about_of(model, how, kept, data / file, data / "params_small.json", data / "gata4.fa", data / "gata4.bed")
    assert embed_shard(model, tmp_path / "g.fa.gz", windows, about, how, kept, 0, 1, tmp_path / "e.h5")
    wanted = np.load(data / f"embedding_{gelu}.npy")
    with read_embeddings(tmp_path / "e.h5") as found:
        # TensorFlow's within 1e-3, then rounded to float16.
        np.testing.assert_allclose(found[0], wanted, atol=1e-3, rtol=HALF)
        assert found.about["gelu"] == gelu
