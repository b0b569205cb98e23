"""Tracks predicted over windows: ensembles, tracks, BigWig files, and the commands `embed` and `predict`."""

import h5py
import numpy as np
import pyBigWig
import pytest
import torch
from tests.basenji import TARGETS, random_basenji, random_sequences
from tests.datasets.genomes import write_bed
from tests.embeddings.made import BINS, CROP, LENGTH, make
from typer.testing import CliRunner

from cisflow.cli import app
from cisflow.cli.embed import parse_keep, parse_shifts
from cisflow.embeddings.keras import write_keras
from cisflow.embeddings.predict import Ensemble, choose_tracks, read_targets, shifted
from cisflow.embeddings.store import read_embeddings
from cisflow.errors import CisflowError
from cisflow.sequence import decode

runner = CliRunner()
# Begin of sequences, apart without their crop; the first begins before its contig, the last ends beyond it.
APART = [("chr1", -40), ("chr1", 4100), ("chr2", 100), ("chr2", 5000)]
# The folded network's order of sums is another: some last digits of float32, of values up to about ten.
CLOSE = {"rtol": 1e-4, "atol": 1e-4}


@pytest.fixture
def made(tmp_path):
    found = make(tmp_path)
    rows = [(chrom, max(at, 0), at + LENGTH + min(at, 0)) for chrom, at in APART]
    write_bed(tmp_path / "r.bed", rows)
    return found


def run(made, command, *arguments, **options):
    """Run a command on the files of `made`, and return what it prints; its errors are raised."""
    given = {
        "weights": "small.h5", "params": "small.json", "fasta": "genome.fa.gz", "regions": "r.bed", "out": "out.h5",
    } | options  # fmt: skip
    paths = {"weights", "params", "fasta", "regions", "out", "targets", "bigwig"}
    flags = []
    for key, value in given.items():
        if value is not None:
            flags += [f"--{key}", str(made.folder / value) if key in paths else str(value)]
    done = runner.invoke(app, [command, *flags, *arguments])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def direct(made, places=APART):
    with torch.no_grad():
        return made.model(made.x(places)).numpy()


def predictions(made, name="out.h5"):
    with h5py.File(made.folder / name) as h5:
        return h5["predictions"][:]


def letters(x):
    """Sequences of one-hot codes, (batch, 4, length)."""
    codes = torch.where(x.any(1), x.argmax(1), 4).numpy().astype(np.uint8)
    return [decode(row) for row in codes]


def test_a_shift_moves_a_sequence():
    x = random_sequences(2, 20)
    (first, second), count = letters(x), 3
    assert letters(shifted(x, count)) == ["NNN" + first[:-3], "NNN" + second[:-3]]
    assert letters(shifted(x, -count)) == [first[3:] + "NNN", second[3:] + "NNN"]
    assert letters(shifted(x, 0)) == [first, second]


def test_an_ensemble_is_the_mean_of_what_is_predicted_for_each_version():
    """A model that counts letters in bins of 5 tells strands and shifts apart."""
    x = random_sequences(2, 20)
    other = [text[::-1].translate(str.maketrans("ACGT", "TGCA")) for text in letters(x)]

    def count(x):
        return x.reshape(len(x), 4, 4, 5).sum(3).transpose(1, 2)

    def counted(texts):
        return np.array(
            [[[text[at : at + 5].count(base) for base in "ACGT"] for at in range(0, 20, 5)] for text in texts]
        )

    versions = [counted([("N" * 2 + t)[:20] for t in letters(x)]), counted([t[1:] + "N" for t in letters(x)])]
    versions += [counted([("N" * 2 + t)[:20] for t in other])[:, ::-1], counted([t[1:] + "N" for t in other])[:, ::-1]]
    np.testing.assert_allclose(Ensemble(True, (2, -1))(count, x).numpy(), np.mean(versions, 0), rtol=1e-6)
    np.testing.assert_allclose(Ensemble(False, (2, -1))(count, x).numpy(), np.mean(versions[:2], 0), rtol=1e-6)


def test_predictions_are_those_of_the_model_and_the_windows_are_counted(made):
    output = run(made, "predict")
    np.testing.assert_allclose(predictions(made), direct(made), **CLOSE)
    beyond = 5000 + LENGTH - 9000
    assert f"2 windows reach beyond their contig and are filled with N ({40 + beyond} bases)" in output
    assert f"{40 + beyond} unknown bases were given as no base at all" in output
    assert "1 of 4 regions have another length than 4,096" in output
    with h5py.File(made.folder / "out.h5") as h5:
        assert h5["regions/start"][:].tolist() == [at + CROP for _, at in APART]
        assert h5["tracks/name"][:].astype(str).tolist() == [f"track-{number}" for number in range(TARGETS)]
        assert (h5.attrs["rc"], h5.attrs["shifts"]) == (False, "[0]")


def test_an_ensemble_of_tracks(made):
    (made.folder / "t.txt").write_text(
        "index\tidentifier\tdescription\n" + "".join(f"{n}\tENC{n}\tCAGE:cell {n}\n" for n in range(TARGETS))
    )
    run(made, "predict", "--rc", shifts="1,0,-1", targets="t.txt", tracks="ENC5,0-2")
    x = made.x(APART)
    with torch.no_grad():
        wanted = Ensemble(True, (1, 0, -1))(made.model, x).numpy()[:, :, [5, 0, 1, 2]]
    np.testing.assert_allclose(predictions(made), wanted, **CLOSE)
    with h5py.File(made.folder / "out.h5") as h5:
        assert h5["tracks/number"][:].tolist() == [5, 0, 1, 2]
        assert h5["tracks/name"][:].astype(str).tolist() == ["ENC5", "ENC0", "ENC1", "ENC2"]
        assert h5["tracks/description"][0] == b"CAGE:cell 5"
    run(made, "predict", out="half.h5", dtype="float16", tracks="0")
    assert predictions(made, "half.h5").dtype == np.float16
    np.testing.assert_allclose(predictions(made, "half.h5")[..., 0], direct(made)[..., 0], rtol=2**-10, atol=1e-3)


def test_bigwig_files_have_the_predictions_and_nothing_beyond_a_contig(made):
    output = run(made, "predict", bigwig="bw", tracks="3,1")
    assert "2 BigWig files" in output
    values = predictions(made)
    for number, name in enumerate(("track-3", "track-1")):
        with pyBigWig.open(str(made.folder / "bw" / f"{name}.bw")) as file:
            assert file.chroms() == made.sizes
            wanted = {chrom: np.full(size, np.nan) for chrom, size in made.sizes.items()}
            for (chrom, at), row in zip(APART, values[:, :, number], strict=True):
                bases = np.repeat(row, 16)[: made.sizes[chrom] - at - CROP]
                wanted[chrom][at + CROP : at + CROP + len(bases)] = bases
            for chrom, size in made.sizes.items():
                np.testing.assert_array_equal(file.values(chrom, 0, size, numpy=True), wanted[chrom].astype(np.float32))


def test_windows_that_overlap_make_no_bigwig_file(made):
    write_bed(made.folder / "r.bed", [("chr1", 0, LENGTH), ("chr1", LENGTH - 2 * CROP - 1, 2 * LENGTH - 2 * CROP - 1)])
    with pytest.raises(CisflowError, match=r"--bigwig: chr1:64-4032 and chr1:4031-7999, which two.*overlap \(1 such"):
        run(made, "predict", bigwig="bw")
    assert not (made.folder / "out.h5").exists()
    write_bed(made.folder / "r.bed", [("chr1", 0, LENGTH), ("chr1", LENGTH - 2 * CROP, 2 * LENGTH - 2 * CROP)])
    run(made, "predict", bigwig="bw", tracks="0")


def test_embeddings_of_a_bed_file(made):
    output = run(made, "embed", keep="max", shards=2)
    assert "out.h5: embeddings (4, 1, 24), tanh GELU" in output
    with torch.no_grad():
        wanted = made.model.embed(made.x(APART)).amax(1, keepdim=True).numpy()
    with read_embeddings(made.folder / "out.h5") as found:
        np.testing.assert_allclose(found[:], wanted, rtol=2**-11, atol=2e-4)
    assert "2 of 2 shards were there already" in run(made, "embed", keep="max", shards=2)
    with pytest.raises(CisflowError, match='out/0.h5: it was made with keep "max", not "mean"'):
        run(made, "embed", keep="mean", shards=2)


def test_a_fasta_file_without_an_index_is_indexed_for_the_run(made):
    run(made, "embed", out="indexed.h5")
    output = run(made, "embed", fasta="genome.fa")
    assert "genome.fa: it is indexed for this run alone" in output
    with read_embeddings(made.folder / "out.h5") as one, read_embeddings(made.folder / "indexed.h5") as other:
        np.testing.assert_array_equal(one[:], other[:])
        assert one.about["genome_sha256"] != other.about["genome_sha256"]
    assert not list(made.folder.glob(".genome*"))


def test_a_trunk_alone_gives_embeddings(made):
    write_keras(made.folder / "trunk.h5", random_basenji("tanh", targets=None))
    run(made, "embed", weights="trunk.h5")
    with pytest.raises(CisflowError, match=r"trunk.h5: it has no head"):
        run(made, "predict", weights="trunk.h5")


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([("chr1", 10, 4000)], ["--exact"], "r.bed, line 1: the region has 3,990 bases, and the model reads 4,096"),
        ([("chr1", 0, 90)], ["--edges", "fail"], r"the window chr1:-2003-2093 reaches beyond its contig.*16,000 bases"),
        ([("chr1", 0, 90), ("chr3", 0, 9)], [], "r.bed, line 2: the genome has no contig 'chr3', as it has chr1,"),
        ([("chrX", 0, 90)], [], r"r.bed: none of its contigs \(chrX\) is in .*genome.fa.gz \(chr1, chr2\), with 'chr'"),
        ([("chr1", 15_990, 16_020)], [], "line 1: chr1:15990-16020 has its middle beyond the contig, which has 16,"),
        ([("chr1", 90, 10)], [], "r.bed, line 1"),
        ([("chr1", 0, 90)], ["--shards", "2"], "shard 0 of 2: it is from 0, and 1 regions make as many shards at most"),
        ([("chr1", 0, 90)], ["--keep", "middle"], "--keep middle: say all, mean, max, or numbers of bins, each once"),
        ([("chr1", 0, 90)], ["--keep", "3,248"], "keep: there is no bin 248; the model has bins 0 to 247"),
    ],
)  # fmt: skip
def test_windows_that_are_refused(made, rows, options, message):
    write_bed(made.folder / "r.bed", rows)
    with pytest.raises(CisflowError, match=message):
        run(made, "embed", *options)
    assert not (made.folder / "out.h5").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tracks": "0,7"}, "--tracks: there is no track '7'; they are 0 to 6, or their names"),
        ({"tracks": "0-3,2"}, "--tracks: a track is there twice"),
        ({"targets": "few.txt"}, "few.txt: it has 1 tracks, and the model 7. Is it of the model of the other species"),
        ({"targets": "gone.txt"}, "gone.txt: there is no such file"),
        ({"targets": "small.json"}, "a table with the columns identifier and description is expected"),
        ({"shifts": "1,1"}, "--shifts 1,1: a shift is there twice"),
        ({"shifts": "x"}, "--shifts x: say whole numbers"),
        ({"shifts": "4096"}, "--shifts: a shift moves all 4,096 bases out of the window"),
        ({"regions": None}, "give checkpoint folders; or, for Basenji2, its weights and windows"),
        ({"weights": "gone.h5"}, "gone.h5: there is no such file"),
    ],
)
def test_predictions_that_are_refused(made, options, message):
    (made.folder / "few.txt").write_text("index\tidentifier\tdescription\n0\ta\tb\n")
    with pytest.raises(CisflowError, match=message):
        run(made, "predict", **options)


def test_options_of_basenji2_do_not_go_with_checkpoints(made):
    arguments = ["predict", "x/trial-0", "--fasta", "a.fa", "--out", "a.tsv"]
    for more, message in (
        (["--weights", "w.h5"], "say best or last"),
        (["--regions", "r.bed", "--rc"], "--regions, --rc: these belong to Basenji2"),
        (["--shifts", "0"], "--shifts: these"),
    ):
        done = runner.invoke(app, [*arguments, *more])
        assert isinstance(done.exception, CisflowError)
        assert message in str(done.exception)


def test_words_of_options():
    assert (parse_keep("all"), parse_keep("7, 3")) == ("all", [3, 7])
    assert parse_shifts("1,0,-1") == (1, 0, -1)
    tracks = read_targets(None, 4)
    assert [track.number for track in choose_tracks(tracks, ["track-2", "0-1"])] == [2, 0, 1]


@pytest.mark.real_data
def test_predictions_of_tensorflow(real_data, tmp_path):
    """The tracks of the scaled-down model have no table; rows of the golden file are bins 0, 447 and 895."""
    data = real_data / "basenji2"
    arguments = ["predict", "--out", str(tmp_path / "p.h5"), "--batch", "1"]
    for flag, name in (
        ("weights", "model_small.h5"), ("params", "params_small.json"), ("fasta", "gata4.fa"), ("regions", "gata4.bed"),
    ):  # fmt: skip
        arguments += [f"--{flag}", str(data / name)]
    done = runner.invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    with h5py.File(tmp_path / "p.h5") as h5:
        wanted = np.load(data / "prediction_tanh_rows0_447_895_f32.npy")
        np.testing.assert_allclose(h5["predictions"][0, [0, 447, 895]], wanted, atol=1e-3, rtol=0)
        assert h5["predictions"].shape[1] == 896 != BINS


@pytest.mark.real_data
def test_the_table_of_published_tracks(real_data):
    tracks = read_targets(real_data / "basenji2" / "targets_human.txt", 5313)
    assert tracks[0].name == "ENCFF833POA"
    assert len({track.name for track in tracks}) == 5313
    assert tracks[-1].description.startswith("CAGE:")
