"""Data sets of embeddings: labels of other data sets beside embeddings, and what does not belong together."""

import json
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
from tests.embeddings.made import BINS, LENGTH, SPLITS, STARTS, Made, make, write_regions

from cisflow.datasets.account import Account
from cisflow.datasets.make import make_dataset
from cisflow.datasets.store import Split, write_dataset
from cisflow.embeddings.embed import Kept
from cisflow.embeddings.store import as_float32, gather
from cisflow.errors import CisflowError
from cisflow.io import h5_reader, sha256, write_tsv
from cisflow.tables import ACCOUNTING, DATASET_QUALITY, TARGETS, read_tsv
from cisflow.tracks.shards import check_shards

NAMES = ("train", "valid", "test")
SPEC = {"kind": "embeddings"}


@dataclass
class Sets:
    """Files of a data set of embeddings, of a small genome."""

    made: Made
    embeddings: Path
    labels: Path
    bins: Path

    @property
    def folder(self) -> Path:
        return self.made.folder

    def inputs(self, bins: bool = True) -> list[str]:
        tables = [self.labels.with_suffix(".targets.tsv"), self.labels.with_name("regions.accounting.tsv")]
        return [str(path) for path in (self.embeddings, self.labels, *tables, *([self.bins] if bins else []))]

    def make(self, bins: bool = True) -> Path:
        out = self.folder / "mine" / "dataset.h5"
        make_dataset(SPEC, self.inputs(bins), out)
        return out


def write_labels(path: Path, made: Made, places, bins: int | None = None, seed: int = 0, targets=("a", "b")) -> Path:
    """A data set as make_dataset makes it of kind matrix, with its tables."""
    rng = np.random.default_rng(seed)
    x = np.where(made.x(places).numpy().any(1), made.x(places).numpy().argmax(1), 4).astype(np.uint8)
    ids = np.array([f"{chrom}:{at}-{at + LENGTH}".encode() for chrom, at in places])
    shape = (len(places), len(targets)) if bins is None else (len(places), bins, len(targets))
    y, mask = rng.random(shape, np.float32), rng.random(shape) < 0.8
    rows = {name: np.array(SPLITS) == name for name in NAMES}
    path.parent.mkdir(parents=True, exist_ok=True)
    splits = {name: Split(x[own], np.where(mask, y, 0)[own], ids[own], mask[own]) for name, own in rows.items()}
    write_dataset(path, splits, list(targets), "real")
    write_tsv(path.with_suffix(".targets.tsv"), TARGETS, [{"target": name, "unit": "reads"} for name in targets])
    account = Account("windows")
    account.enter(len(places) + 3, "read", input="r.bed")
    account.drop(3, "genome", "no_such_contig")
    for name, own in rows.items():
        account.keep(int(own.sum()), name)
    account.write(path.with_name("regions.accounting.tsv"))
    return path


@pytest.fixture
def sets(tmp_path):
    made = make(tmp_path)
    gather(made.shards(4), tmp_path / "e.h5")
    labels = write_labels(tmp_path / "windows" / "dataset.h5", made, STARTS)
    return Sets(made, tmp_path / "e.h5", labels, write_labels(tmp_path / "bins" / "dataset.h5", made, STARTS, BINS, 1))


def test_rows_are_those_of_the_model_beside_labels_that_are_not_copied(sets):
    out = sets.make()
    wanted = sets.made.embeddings()
    with h5_reader(out, "dataset/1") as h5, h5py.File(sets.labels) as labels, h5py.File(sets.bins) as bins:
        assert (h5.attrs["input"], h5.attrs["kind"], h5.attrs["length"]) == ("embeddings", "real", BINS)
        assert (h5.attrs["bin"], h5.attrs["crop"], h5.attrs["window"], h5.attrs["gelu"]) == (16, 64, 4096, "tanh")
        for name in NAMES:
            own = np.array(SPLITS) == name
            x = h5[name]["x"]
            assert (x.is_virtual, x.attrs["dtype"], x.dtype) == (True, "float16", np.float16)
            np.testing.assert_allclose(as_float32(x[:], "float16"), wanted[own], rtol=2**-11, atol=2e-4)
            for key in ("y", "mask", "id"):
                np.testing.assert_array_equal(h5[name][key], labels[name][key])
            for key in ("y", "mask"):
                np.testing.assert_array_equal(h5[name]["bins"][key], bins[name][key])
            np.testing.assert_array_equal(h5[name]["bases"], labels[name]["x"])
        check_shards(out, h5["shards"], None, ("embed_shard", "make_dataset"))
        assert json.loads(h5.attrs["inputs"])["bins/dataset.h5"] == sha256(sets.bins)
    assert out.stat().st_size < 60_000


def test_tables_tell_what_is_known(sets):
    out = sets.make()
    quality = read_tsv(out.with_suffix(".quality.tsv"), DATASET_QUALITY)
    found = {(row["split"], row["quantity"]): row["value"] for row in quality.iter_rows(named=True)}
    assert [found[name, "padded_windows"] for name in NAMES] == [1, 0, 1]
    beyond = 7000 + LENGTH - 9000
    assert [found[name, "padded_bases"] for name in NAMES] == [64, 0, beyond]
    assert [found[name, "unknown_bases"] for name in NAMES] == [64, 0, beyond]
    assert 0.2 < found["train", "gc_content"] < 0.8
    account = read_tsv(out.with_suffix(".accounting.tsv"), ACCOUNTING)
    assert account.select("step", "reason", "rows").rows() == [
        ("read", None, 9), ("genome", "no_such_contig", -3), ("kept", "train", 3), ("kept", "valid", 2),
        ("kept", "test", 1),
    ]  # fmt: skip
    assert read_tsv(out.with_suffix(".targets.tsv"), TARGETS)["unit"].to_list() == ["reads", "reads"]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_pooled_embeddings_of_one_file_need_no_labels_of_bins(sets, dtype):
    (path,) = sets.made.shards(1, "pooled", kept=Kept("mean", dtype, "bitshuffle"))
    sets.embeddings = path
    with h5_reader(sets.make(bins=False), "dataset/1") as h5:
        assert "bins" not in h5["train"]
        x = h5["valid"]["x"]
        values = as_float32(x[:], x.attrs["dtype"])
    np.testing.assert_allclose(values, sets.made.embeddings()[3:5].mean(1, keepdims=True), rtol=2**-8, atol=1e-3)


def test_the_same_files_give_the_same_bytes(sets):
    first = sets.make().read_bytes()
    assert sets.make().read_bytes() == first


def test_labels_of_other_windows_are_refused(sets):
    places = [*STARTS]
    places[3], places[4] = places[4], places[3]
    message = r"dataset.h5: it is of other windows than .*e.h5 \(row 0 of 'valid' is chr2:3000-7096 there, and chr2:0"
    write_labels(sets.labels, sets.made, places)
    with pytest.raises(CisflowError, match=message):
        sets.make()
    write_labels(sets.labels, sets.made, STARTS)
    write_labels(sets.bins, sets.made, places, BINS)
    with pytest.raises(CisflowError, match=f"bins/{message}"):
        sets.make()
    assert not (sets.folder / "mine" / "dataset.h5").exists()


def test_embeddings_of_fewer_or_more_windows_are_refused(sets):
    for places, splits in ((STARTS[:5], SPLITS[:5]), ([*STARTS, ("chr1", 9000)], [*SPLITS, "test"])):
        write_regions(sets.folder / "regions.tsv", places, splits)
        count = len(places)
        gather(sets.made.shards(2, f"e{count}"), sets.embeddings)
        with pytest.raises(CisflowError, match=rf"e.h5.*('test' has 1 rows, or|it has {count} windows, and)"):
            sets.make()


def test_other_targets_or_bins_are_refused(sets):
    write_labels(sets.bins, sets.made, STARTS, BINS, targets=("b", "a"))
    with pytest.raises(CisflowError, match=r"bins/dataset.h5: its targets are not those of .*windows/dataset.h5"):
        sets.make()
    write_labels(sets.bins, sets.made, STARTS, 124)
    with pytest.raises(CisflowError, match="bins/dataset.h5: it has labels for 124 bins, and the embeddings have 248"):
        sets.make()


def test_files_that_are_missing_are_told(sets):
    shard = sets.folder / "e" / "2.h5"
    content = shard.read_bytes()
    shard.unlink()
    with pytest.raises(CisflowError, match=r"e/2.h5: there is no such file, and .*e.h5 needs it"):
        sets.make()
    shard.write_bytes(content)
    out = sets.make()
    sets.bins.unlink()
    with (
        h5_reader(out, "dataset/1", check=False) as h5,
        pytest.raises(CisflowError, match=r"bins/dataset.h5: there is no such file, and .*mine/dataset.h5 needs it"),
    ):
        check_shards(out, h5["shards"], None, ("embed_shard", "make_dataset"))
