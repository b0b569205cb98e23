"""A task on a genome and its signal goes from files to a trained model and a drawn figure; nothing is lost."""

import re
import shutil

import h5py
import numpy as np
import polars as pl
import pyBigWig
import pysam
import pytest

from cisflow.io import h5_reader
from cisflow.tables import ACCOUNTING, INPUT_REGIONS, METRICS, TRACK_COUNTS, read_tsv
from cisflow.tracks.matrix import read_matrix
from tests.workflow.conftest import copy_of_repository, snakemake, succeed

SPLITS = ("train", "valid", "test")
FIGURES = ("dataset", "performance", "training", "filters", "matches", "sequences")
LOCAL = ("--profile", "profiles/local")
MODEL = """
    model: {name: cnn-50, activation: exponential, width: 0.25}
    trials: 1
    training: {epochs: 2, device: cpu}
"""
# The rules are those of targets.txt in the folder of the data.
CAGE = f"""
  cage:
    title: CAGE along a genome
    dataset:
      kind: matrix
      genome: data/mini.fa.gz
      length: 3072
      crop: 512
      bin: 128
      shards: 3
      regions:
        contigs: {{gaps: data/gaps.bed, break_above: 65536, stride_train: 0.5}}
        split: {{fractions: [0.7, 0.15, 0.15]}}
      blacklist: {{file: data/black.bed}}
      tracks:
        cage0: {{file: data/cage0.bw, no_data: zero, statistic: sum, scale: 2, soft_clip: 32, clip: 384}}
        cage3: {{file: data/cage3.bw, no_data: zero, statistic: sum_sqrt, soft_clip: 8, clip: 384}}
{MODEL}"""
TILES = f"""
  tiles:
    title: The windows that the genome is made of
    dataset:
      kind: tfrecord
      files: [data/cage10-train-00000-of-00100.tfrecord, data/cage10-train-00001-of-00100.tfrecord]
      targets: [t0, t1, t2, t3, t4, t5, t6, t7, t8, t9]
      columns: [0, 3]
      length: 8192
      records: {{train: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15], valid: [16, 17], test: [18, 19]}}
{MODEL}"""
MADE = f"""
  made:
    dataset:
      kind: matrix
      genome: data/made.fa
      length: 384
      crop: 64
      bin: 32
      shards: 2
      regions:
        contigs: {{gaps: data/gaps.bed, break_above: 1500}}
        split: {{fractions: [0.6, 0.2, 0.2]}}
      blacklist: {{file: data/black.bed}}
      tracks:
        cage0: {{file: data/cage0.bw, no_data: zero, statistic: sum, scale: 2, soft_clip: 32, clip: 384}}
        cage3: {{file: data/cage3.bw, no_data: zero, statistic: sum_sqrt, soft_clip: 8, clip: 384}}
{MODEL}"""


def a_clone(root, folder, tasks, fill):
    """Return a clone with further tasks, whose folder `data` is filled by a function."""
    clone = copy_of_repository(root, folder)
    (clone / "data").mkdir(exist_ok=True)
    fill(clone / "data")
    with (clone / "config/tasks.yaml").open("a") as file:
        file.write(tasks)
    return clone


def write_made(folder):
    """Write a genome of two contigs with steps of signal, a gap, and a place that is not trusted."""
    rng, sizes = np.random.default_rng(0), {"one": 30_000, "two": 20_000}
    texts = {name: "".join(rng.choice(list("ACGTacgt"), size)) for name, size in sizes.items()}
    (folder / "made.fa").write_text("".join(f">{name}\n{text}\n" for name, text in texts.items()))
    (folder / "gaps.bed").write_text("one\t9000\t9500\n")
    (folder / "black.bed").write_text("two\t5000\t5400\n")
    for name, highest in (("cage0", 2), ("cage3", 5)):
        with pyBigWig.open(str(folder / f"{name}.bw"), "w") as file:
            file.addHeader(list(sizes.items()))
            for contig, size in sizes.items():
                starts = np.arange(0, size - 1000, 50)
                values = highest * rng.random(len(starts)) ** 8
                file.addEntries([contig] * len(starts), starts.tolist(), ends=(starts + 40).tolist(), values=values)


@pytest.fixture(scope="module")
def real(root, real_data, tmp_path_factory):
    """Two tasks on real files, asked for by one call: their reports, with two workers."""

    def fill(folder):
        shutil.copytree(real_data / "genome", folder, dirs_exist_ok=True)

    clone = a_clone(root, tmp_path_factory.mktemp("real") / "clone", CAGE + TILES, fill)
    succeed(clone, *LOCAL, "--cores", "2", *(f"results/tasks/{name}/report.html" for name in ("cage", "tiles")))
    return clone


@pytest.fixture(scope="module")
def made(root, tmp_path_factory):
    """A smaller task on files that the test makes: its metrics and the figure of its data."""
    clone = a_clone(root, tmp_path_factory.mktemp("made") / "clone", MADE, write_made)
    succeed(clone, *LOCAL, "--cores", "2", *wanted("made"))
    return clone


def wanted(task):
    return [f"results/tasks/{task}/{name}" for name in ("metrics.tsv", "figures/dataset.png")]


def check_account(task):
    """Hold the accounts of a data set of kind matrix against its regions, bins and rows, counted anew."""
    regions = read_tsv(task / "regions.tsv", INPUT_REGIONS)
    account = read_tsv(task / "dataset.accounting.tsv", ACCOUNTING)
    assert account.equals(read_tsv(task / "regions.accounting.tsv", ACCOUNTING)), "nothing is lost after the regions"
    for _, own in account.group_by("unit"):
        kept = pl.col("step") == "kept"
        assert own.filter(kept)["rows"].sum() == own.filter(~kept)["rows"].sum()
    rows = dict(account.filter(unit="windows", step="kept").select("reason", "rows").iter_rows())
    with h5_reader(task / "dataset.h5", "dataset/1") as h5:
        for split in SPLITS:
            own = regions.filter(split=split)
            ids = [f"{chrom}:{start}-{end}" for chrom, _, _, _, start, end in own.iter_rows()]
            assert [name.decode() for name in h5[split]["id"]] == ids, "a row for each region, in their order"
            assert len(ids) == rows[split] > 10
    # The bases that are kept are those of the windows, each once.
    covered = {}
    for chrom, start, end in regions.select("chrom", "start", "end").iter_rows():
        covered.setdefault(chrom, set()).update(range(start, end))
    assert account.filter(unit="bases", step="kept")["rows"].item() == sum(map(len, covered.values()))
    return regions


def check_counts(task, shards):
    """Hold the counts of each track and shard against the bins of the matrix."""
    counts = read_tsv(task / "tracks.counts.tsv", TRACK_COUNTS).filter(pl.col("detail").is_null())
    with read_matrix(task / "tracks.h5") as matrix:
        for number, name in enumerate(matrix.tracks):
            own = counts.filter(track=name).group_by("what").agg(pl.col("bins").sum(), pl.col("shard").n_unique())
            found, parts = (dict(own.select("what", key).iter_rows()) for key in ("bins", "shard"))
            mask = matrix.mask[:, :, number]
            assert parts["total"] == shards
            assert (found["total"], found["measured"]) == (mask.size, mask.sum())
            assert found["off_contig"] + found["blacklisted"] + found["no_data"] == mask.size - mask.sum()
            assert found["blacklisted"] > 0


def expected(signal, row, crop, bin, how):
    """Return the labels of bins of a row by the words of targets.txt, from the bases of a BigWig file."""
    chrom, _, _, _, start, end = row
    bases = np.nan_to_num(signal.values(chrom, start + crop, end - crop, numpy=True)).astype(float)
    sums = bases.reshape(-1, bin).sum(1)
    values, limit = (2 * sums, 32) if how == "sum" else (np.sqrt(1 + sums) - 1, 8)
    over = values > limit
    values[over] = limit - 1 + np.sqrt(values[over] - limit + 1)
    return values.clip(max=384)


def check_labels(task, data, regions, fasta, crop, bin, black):
    """Compute all sequences and labels anew, with other programs, and compare."""
    chrom, first, last = black
    signals = [(pyBigWig.open(str(data / f"{name}.bw")), how) for name, how in (("cage0", "sum"), ("cage3", "root"))]
    masked = 0
    with h5_reader(task / "dataset.h5", "dataset/1") as h5, pysam.FastaFile(str(fasta)) as genome:
        for split in SPLITS:
            part = {key: h5[split][key][:] for key in ("x", "y", "mask")}
            for number, row in enumerate(regions.filter(split=split).iter_rows()):
                name, start, end = row[0], row[4], row[5]
                text = "N" * max(-start, 0) + genome.fetch(name, max(start, 0), end).upper()
                assert "".join(np.array(list("ACGTN"))[part["x"][number]]) == text.ljust(end - start, "N")
                # A bin is not measured if it touches the place that is not trusted, widened by 20 bases.
                bins = np.arange(start + crop, end - crop, bin)
                trusted = (name != chrom) | (bins + bin <= first - 20) | (bins >= last + 20)
                for column, (signal, how) in enumerate(signals):
                    values = expected(signal, (name, 0, 0, 0, start, end), crop, bin, how)[trusted]
                    known = trusted.mean() >= 0.5
                    masked += not known
                    assert part["mask"][number, column] == known
                    assert part["y"][number, column] == pytest.approx(values.mean() if known else 0, rel=1e-5, abs=1e-6)
    for signal, _ in signals:
        signal.close()
    return masked


def check_another_way(clone, other, task):
    """Run a task again with one worker and other shards; compare bytes, but those that say how it was divided."""
    succeed(other, *LOCAL, "--cores", "1", *wanted(task))
    folders = [folder / f"results/tasks/{task}" for folder in (clone, other)]
    for name in ("dataset.h5", "dataset.quality.tsv", "dataset.distributions.tsv", "dataset.accounting.tsv",
                 "dataset.targets.tsv", "regions.tsv", "runs/cnn-50_exponential/trial-0/best.safetensors",
                 "metrics.tsv", "figures/dataset.png", "figures/dataset.pdf", "figures/dataset.tsv"):  # fmt: skip
        first, second = ((folder / name).read_bytes() for folder in folders)
        assert first == second, name
    with read_matrix(folders[0] / "tracks.h5") as first, read_matrix(folders[1] / "tracks.h5") as second:
        assert len(h5_files(folders[0])) != len(h5_files(folders[1]))
        assert np.array_equal(first.values[:], second.values[:], equal_nan=True)
        assert np.array_equal(first.mask[:], second.mask[:])


def h5_files(task):
    return sorted((task / "tracks").rglob("*.h5"))


def test_files_made_here_become_a_model_and_a_figure(made):
    task = made / "results/tasks/made"
    metrics = read_tsv(task / "metrics.tsv", METRICS)
    assert {"pearson", "spearman", "mse"} <= set(metrics["metric"])
    assert metrics["value"].is_finite().all()
    assert (task / "figures/dataset.png").stat().st_size > 0
    with h5py.File(task / "tracks.h5") as h5:
        assert h5["values"].is_virtual


def test_the_account_of_files_made_here(made):
    task, data = made / "results/tasks/made", made / "data"
    regions = check_account(task)
    check_counts(task, shards=2)
    in_gap = regions.filter(chrom="one").filter((pl.col("start") < 9500) & (pl.col("end") > 9000))
    assert in_gap.is_empty()
    pysam.faidx(str(data / "made.fa"))
    assert check_labels(task, data, regions, data / "made.fa", 64, 32, ("two", 5000, 5400)) > 0


def test_neither_workers_nor_shards_change_a_byte(made, root, tmp_path):
    other = a_clone(root, tmp_path / "clone", MADE.replace("shards: 2", "shards: 5"), write_made)
    check_another_way(made, other, "made")


def test_kernels_of_figures_use_no_ports(made):
    """Ports that two kernels choose at once made one figure fail, now and then."""
    log = (made / "results/logs/figures/made/dataset.log").read_text()
    assert "Executing notebook" in log
    assert "TCP" not in log


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("no_data: zero, ", "", "no_data: this key is needed; it is one of zero"),
        ("data/cage3.bw", "data/cage4.bw", r"data/cage4\.bw: there is no such file; the data set is of another one"),
        ("data/made.fa", "mm99", "there is no source 'mm99'"),
        ("bin: 32", "bin: 33", "do not divide the target window, length 384 less twice the crop 64, which is 256"),
        ("statistic: sum,", "statistics: sum,", "did you mean 'statistic'"),
        ("data/cage3.bw", "data/cage3.dat", "the end of the name 'data/cage3.dat' does not tell it"),
    ],
)
def test_mistakes_are_said_before_the_first_job(made, old, new, message):
    tasks = made / "config/tasks.yaml"
    before = tasks.read_text()
    try:
        tasks.write_text(before.replace(MADE, MADE.replace(old, new)))
        done = snakemake(made, *LOCAL, "-n", *wanted("made"))
    finally:
        tasks.write_text(before)
    assert done.returncode != 0, done.stdout
    assert re.search(message, done.stdout, re.IGNORECASE), done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["cage", "tiles"])
def test_real_files_become_a_report(real, name):
    task = real / "results/tasks" / name
    page = (task / "report.html").read_text()
    assert page.count("data:image/png;base64,") == len(FIGURES)
    assert "Not computed" in page
    for figure in FIGURES:
        assert (task / f"figures/{figure}.png").stat().st_size > 5000
    metrics = read_tsv(task / "metrics.tsv", METRICS).filter(metric="pearson", target="mean")
    assert metrics["value"].is_between(-1, 1).all()
    assert len(metrics) == 1


@pytest.mark.real_data
def test_the_account_of_real_files(real):
    task, data = real / "results/tasks/cage", real / "data"
    regions = check_account(task)
    check_counts(task, shards=3)
    genome = real / "resources/genomes/mini/mini.fa.gz"
    assert check_labels(task, data, regions, genome, 512, 128, ("chrB", 60_000, 61_000)) > 0, (
        "9 of the 16 bins of a window"
    )


@pytest.mark.real_data
def test_windows_of_records_are_those_of_the_genome_with_its_signal(real):
    """The mini genome is made of the first six records; its BigWigs are their targets 0 and 3, a base."""
    task, data = real / "results/tasks/tiles", real / "data"
    account = read_tsv(task / "dataset.accounting.tsv", ACCOUNTING)
    assert account.filter(unit="records", step="kept")["rows"].item() == 20
    kept = account.filter(unit="windows", step="kept")["rows"]
    assert kept.to_list() == [16 * 32, 2 * 32, 2 * 32]
    signals = [pyBigWig.open(str(data / f"{name}.bw")) for name in ("cage0", "cage3")]
    compared, records = 0, [("chrA", at) for at in range(3)] + [("chrB", at) for at in range(2)] + [("chrC", 0)]
    with (
        h5_reader(task / "dataset.h5", "dataset/1") as h5,
        pysam.FastaFile(str(real / "resources/genomes/mini/mini.fa.gz")) as genome,
    ):
        names = [name.decode() for name in h5["train/id"]]
        for number, (chrom, part) in enumerate(records):
            for at in range(0, 262_144, 8192):
                row = names.index(f"record-{number}:{at}-{at + 8192}")
                start = 262_144 * part + at
                letters = "".join(np.array(list("ACGTN"))[h5["train/x"][row]])
                assert letters == genome.fetch(chrom, start, start + 8192).upper()
                bases = np.stack([signal.values(chrom, start, start + 8192, numpy=True) for signal in signals])
                if not np.isnan(bases).any():
                    assert h5["train/y"][row] == pytest.approx(128 * bases.mean(1, dtype=float), rel=1e-4, abs=1e-6)
                    compared += 1
    assert compared > 150


@pytest.mark.real_data
def test_real_files_give_the_same_bytes_with_one_worker(real, root, tmp_path, real_data):
    def fill(folder):
        shutil.copytree(real_data / "genome", folder, dirs_exist_ok=True)

    other = a_clone(root, tmp_path / "clone", CAGE.replace("shards: 3", "shards: 4"), fill)
    check_another_way(real, other, "cage")
