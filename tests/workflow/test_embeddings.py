"""A task of embeddings, end to end: genome, BigWig and weights made here; labels of two tasks; embeddings in shards."""

import json

import numpy as np
import pybigtools
import pytest
import torch

from cisflow.embeddings.keras import write_keras
from cisflow.embeddings.store import as_float32
from cisflow.io import h5_reader
from cisflow.models.convnet import one_hot
from cisflow.sequence import encode
from cisflow.tables import ACCOUNTING, DATASET_QUALITY, METRICS, TARGETS, read_tsv
from tests.basenji import SMALL, random_basenji
from tests.datasets.genomes import make_genome, write_bed
from tests.workflow.conftest import snakemake, succeed
from tests.workflow.test_plan import jobs

SIZES = {"chr1": 30_000, "chr2": 25_000}
CROP, TARGET = 64, 4096 - 2 * 64
SPLITS = {"train": 5, "valid": 2, "test": 3}
LABELS = """
      kind: matrix
      genome: data/genome.fa
      regions: {bed: data/windows.bed, window: target, split: {column: 3}}
      length: 4096
      crop: 64
      bin: 16
      tracks:
        signal: {file: data/signal.bw, no_data: zero, unit: reads}
        other: {file: data/signal.bw, no_data: mask}"""
TASKS = f"""
  windows_of_mine:
    dataset: {LABELS}
      labels: window
    model: null
  bins_of_mine:
    dataset: {LABELS}
      labels: bins
    model: null
  mine:
    dataset:
      kind: embeddings
      labels: windows_of_mine
      bins: bins_of_mine
      trunk: {{weights: data/small.h5, params: data/small.json, device: cpu, batch: 2}}
      shards: 2
    model: null
  pooled:
    dataset:
      kind: embeddings
      labels: windows_of_mine
      trunk: {{weights: data/small.h5, params: data/small.json, device: cpu, keep: mean, dtype: bfloat16}}
      shards: 2
    model: null
"""
PROFILE = ("--profile", "profiles/local")


@pytest.fixture
def mine(clone):
    """A clone with the tasks, and their files; the letters of the genome and the windows."""
    data = clone / "data"
    data.mkdir()
    letters = make_genome(data, SIZES)
    for name in ("genome.fa.gz", "genome.fa.gz.fai", "genome.fa.gz.gzi"):
        (data / name).unlink()
    rng = np.random.default_rng(0)
    rows = [
        (chrom, at, at + 50, float(rng.integers(1, 9))) for chrom, size in SIZES.items() for at in range(0, size, 50)
    ]
    pybigtools.open(str(data / "signal.bw"), "w").write(SIZES, iter(rows))
    # The first window of each contig begins before it, by the crop.
    places = [(chrom, at) for chrom in SIZES for at in range(0, SIZES[chrom] - TARGET - CROP, 4100)]
    splits = [name for name, count in SPLITS.items() for _ in range(count)]
    windows = [(chrom, at, at + TARGET, split) for (chrom, at), split in zip(places, splits, strict=False)]
    write_bed(data / "windows.bed", windows)
    write_keras(data / "small.h5", random_basenji("tanh"))
    (data / "small.json").write_text(json.dumps({"model": SMALL}))
    with (clone / "config/tasks.yaml").open("a") as file:
        file.write(TASKS)
    return clone, letters, windows


def x_of(letters, windows):
    """One-hot sequences of windows, N beyond the contig."""
    rows = []
    for chrom, start, end, _ in windows:
        text = "N" * CROP + letters[chrom] + "N" * CROP
        rows.append(encode(text[start : end + 2 * CROP]))
    return one_hot(torch.from_numpy(np.stack(rows)))


def test_from_genome_and_weights_to_a_data_set(mine):
    clone, letters, windows = mine
    targets = [f"results/tasks/{name}/dataset.h5" for name in ("mine", "pooled")]
    assert jobs(succeed(clone, *PROFILE, "-n", *targets)) == {
        "index_genome": 1, "make_regions": 2, "bin_track": 4, "gather_tracks": 2, "make_dataset": 4, "embed_shard": 4,
        "gather_embeddings": 2, "total": 19,
    }  # fmt: skip
    succeed(clone, *PROFILE, *targets)
    with torch.no_grad():
        wanted = random_basenji("tanh").embed(x_of(letters, windows)).numpy()
    first = 0
    folder = clone / "results/tasks"
    with (
        h5_reader(folder / "mine/dataset.h5", "dataset/1") as mine,
        h5_reader(folder / "pooled/dataset.h5", "dataset/1") as pooled,
        h5_reader(folder / "windows_of_mine/dataset.h5", "dataset/1") as of_windows,
        h5_reader(folder / "bins_of_mine/dataset.h5", "dataset/1") as of_bins,
    ):
        assert mine.attrs["input"] == "embeddings"
        assert list(mine.attrs["targets"]) == ["signal", "other"]
        for name, count in SPLITS.items():
            rows = slice(first, first + count)
            # Half of float16's last digit at values below 16.
            np.testing.assert_allclose(mine[name]["x"][:], wanted[rows], atol=0.005, rtol=0)
            assert mine[name]["x"].is_virtual
            values = as_float32(pooled[name]["x"][:], "bfloat16")
            np.testing.assert_allclose(values, wanted[rows].mean(1, keepdims=True), atol=0.002, rtol=1 / 256)
            for key in ("y", "mask", "id"):
                np.testing.assert_array_equal(mine[name][key], of_windows[name][key])
            np.testing.assert_array_equal(mine[name]["bases"], of_windows[name]["x"])
            for key in ("y", "mask"):
                np.testing.assert_array_equal(mine[name][f"bins/{key}"], of_bins[name][key])
            assert mine[name]["bins/y"].shape == (count, 248, 2)
            first += count
        # The file of the labels has the bases; the data set of embeddings has neither them nor embeddings.
        assert (folder / "mine/dataset.h5").stat().st_size < 100_000
    quality = read_tsv(folder / "mine/dataset.quality.tsv", DATASET_QUALITY)
    padded = dict(quality.filter(quality["quantity"] == "padded_bases").select("split", "value").rows())
    assert padded == {"train": CROP, "valid": 0, "test": CROP}
    labels = read_tsv(folder / "windows_of_mine/dataset.quality.tsv", DATASET_QUALITY)
    for quantity in ("gc_content", "unknown_bases", "mean"):
        own, other = (table.filter(table["quantity"] == quantity)["value"].to_list() for table in (quality, labels))
        assert own == other
    kept = read_tsv(folder / "mine/dataset.accounting.tsv", ACCOUNTING)
    assert dict(kept.filter(kept["step"] == "kept").select("reason", "rows").rows()) == SPLITS
    assert read_tsv(folder / "mine/dataset.targets.tsv", TARGETS)["unit"].to_list() == ["reads", None]

    # A shard that is lost is no empty values; it is told, and made again alone.
    lost = sorted((clone / "results/embeddings").glob("*/1.h5"))[0].relative_to(clone)
    (clone / lost).unlink()
    for target in targets:
        (clone / target).unlink()
    done = snakemake(clone, *PROFILE, "--keep-going", *targets)
    assert f"{lost}: there is no such file" in done.stdout
    assert "run 'embed_shard' again" in done.stdout
    assert sum((clone / target).exists() for target in targets) == 1
    assert jobs(succeed(clone, *PROFILE, "-n", str(lost)))["total"] == 1
    succeed(clone, *PROFILE, str(lost))
    succeed(clone, *PROFILE, *targets)


def test_embeddings_of_cs282a_are_planned_in_shards_that_want_a_gpu(clone):
    output = succeed(clone, *PROFILE, "-n", "results/tasks/cs282a/dataset.h5")
    plan = jobs(output)
    assert {key: plan[key] for key in ("embed_shard", "gather_embeddings", "make_regions", "make_dataset")} == {
        "embed_shard": 64, "gather_embeddings": 1, "make_regions": 2, "make_dataset": 3,
    }  # fmt: skip


@pytest.mark.real_data
def test_the_demo_of_cs282a_goes_from_real_dna_and_tracks_to_all_figures(clone, real_data):
    folder = "results/demo/tasks/cs282a"
    succeed(clone, "--profile", "profiles/demo", f"{folder}/report.html", CISFLOW_MIRROR=str(real_data))
    with h5_reader(clone / folder / "dataset.h5", "dataset/1") as h5:
        assert {name: h5[name]["x"].shape for name in SPLITS} == {
            "train": (42, 896, 192), "valid": (26, 896, 192), "test": (10, 896, 192),
        }  # fmt: skip
        # Not what HDF5 shows where a shard is missing.
        assert h5["test"]["x"][:].astype(np.float32).std() > 0.1
        assert h5["test"]["bins/y"].shape == (10, 896, 2)
        assert h5["test"]["bins/y"][:].max() > 1
    figures = {"dataset", "performance", "training", "heads", "predictions", "chromosomes", "roc"}
    assert {path.stem for path in (clone / folder / "figures").glob("*.pdf")} == figures
    page = (clone / folder / "report.html").read_text()
    assert page.count("data:image/png;base64,") == len(figures)
    assert "attribution/quality.tsv" not in page, "heads have no attributions to ask for"
    metrics = read_tsv(clone / folder / "metrics.tsv", METRICS).filter(metric="pearson", target="pooled")
    assert metrics.group_by("model", "set").len()["len"].to_list() == [2] * 4 * 3, "trials of each head in each split"
    assert metrics["value"].is_between(-1, 1).all()
