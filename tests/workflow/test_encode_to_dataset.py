"""From a query to ENCODE to a trained model, against a server on the loopback interface: pinned, fetched, counted."""

import hashlib
import json
import os
import re
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from cisflow.io import h5_reader, md5, sha256
from cisflow.sources.manifest import read_manifest
from cisflow.tables import ACCOUNTING, METRICS, TARGETS, read_tsv
from tests.portal import serving
from tests.workflow import public
from tests.workflow.conftest import cisflow, copy_of_repository, snakemake, succeed

TASKS = """
  bound:
    title: Where CTCF and others bind
    dataset:
      kind: peaks
      genome: data/mini.fa
      encode:
        assay: TF ChIP-seq
        biosample: [K562, HepG2]
        target: CTCF
        assembly: mini1
        replicates: ['1, 2', '1']
        output_type: [IDR thresholded peaks, pseudoreplicated peaks]
      endpoints:
        - {{file: data/mine.bed, factor: ATAC, biosample: my cells}}
        - {{file: {{url: {url}/cloud/elsewhere.bed.gz, sha256: {sha256}}}, factor: H3K27ac, biosample: K562}}
        - {{file: ENCFF031AAA, factor: ATAC, biosample: K562}}
      replicates: {{at_least: 2}}
      slop: {{H3K27ac: 100}}
      regions: {{use: without, without: [ATAC], background: 0.2}}
      blacklist: [data/blacklist.bed]
      split: {{valid: [chr2], test: [chr3]}}
    model: {{name: cnn-50}}
    trials: 1
    training: {{epochs: 1, device: any}}
    filters: null
    attribution: {{galleries: {{best: null}}}}
  listed:
    dataset:
      kind: peaks
      genome: data/mini.fa
      encode: {{accessions: [ENCFF001AAA, ENCFF002AAA]}}
      split: {{valid: [chr2], test: [chr3]}}
    model: null
  signal:
    dataset:
      kind: matrix
      genome: data/mini.fa
      regions: {{contigs: {{}}, split: {{valid: [chr2], test: [chr3]}}}}
      length: 1024
      crop: 256
      bin: 128
      tracks:
        pvalue: {{file: ENCFF004AAA, no_data: zero}}
        reads: {{file: ENCFF003AAA, no_data: zero}}
    model: null
"""
pytestmark = pytest.mark.slow

NAMES = ("bound", "listed", "signal")
TARGETS_OF_RUN = (
    "results/tasks/bound/report.html",
    "results/tasks/listed/dataset.h5",
    "results/tasks/signal/dataset.h5",
)
LOCAL = ("--profile", "profiles/local", "--cores", "2")
# Files of each label, in the order of the columns.
LABELS = {
    "my_cells_atac": [public.MINE],
    "k562_h3k27ac": [[(c, max(a - 100, 0), min(b + 100, public.SIZES.get(c, b))) for c, a, b in public.ELSEWHERE]],
    "k562_atac": [public.AT_ENCODE["ENCFF031AAA"]],
    "k562_ctcf": [public.AT_ENCODE["ENCFF001AAA"]],
    "hepg2_ctcf": [public.AT_ENCODE["ENCFF011AAA"], public.AT_ENCODE["ENCFF012AAA"]],
}


class World:
    """A portal, and a clone of the repository whose tasks take files from it."""

    def __init__(self, portal, clone: Path):
        self.portal, self.clone = portal, clone
        self.letters = public.write_genome(clone / "data/mini.fa")
        for name, rows in (("mine", public.MINE), ("blacklist", public.BLACKLIST)):
            (clone / f"data/{name}.bed").write_text("".join(f"{c}\t{a}\t{b}\n" for c, a, b in rows))
        known = hashlib.sha256(portal.contents["elsewhere.bed.gz"]).hexdigest()
        with (clone / "config/tasks.yaml").open("a") as file:
            file.write(TASKS.format(url=portal.url, sha256=known))
        self.outputs: dict[str, str] = {}

    def encode(self, *arguments: str) -> tuple[int, str]:
        """Run `cisflow encode`; return its exit status and what it printed."""
        done = cisflow(self.clone, "encode", *arguments, CISFLOW_ENCODE=self.portal.url, COLUMNS="200")
        return done.returncode, done.stdout

    def refused(self, *arguments: str) -> str:
        """Run snakemake, which is to fail before its first job; return what it printed."""
        done = snakemake(self.clone, *LOCAL, *arguments)
        assert done.returncode != 0
        assert "Finished jobid" not in done.stdout
        return done.stdout

    @contextmanager
    def tasks(self, old: str, new: str):
        """Change the tasks for a while."""
        path = self.clone / "config/tasks.yaml"
        before = path.read_text()
        assert old in before
        path.write_text(before.replace(old, new))
        yield
        path.write_text(before)

    @contextmanager
    def changed_portal(self):
        """Let the portal be changed for a while."""
        before = deepcopy(self.portal.experiments), dict(self.portal.contents)
        yield self.portal
        self.portal.experiments, self.portal.contents = before

    def account(self, task: str, unit: str) -> dict[tuple[str, str, str], int]:
        """Return the rows of an account by input, step and reason."""
        table = read_tsv(self.clone / f"results/tasks/{task}/dataset.accounting.tsv", ACCOUNTING)
        own = table.filter(pl.col("unit") == unit).with_columns(pl.col("input", "reason").fill_null(""))
        return {tuple(row[:3]): row[3] for row in own.select("input", "step", "reason", "rows").rows()}


@pytest.fixture(scope="module")
def world(root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("encode")
    with serving() as portal:
        public.fill(portal, folder / "made")
        yield World(portal, copy_of_repository(root, folder / "clone"))


@pytest.fixture(scope="module")
def pinned(world):
    """All tasks are pinned; the portal fails twice on the way."""
    world.portal.faults = [503, "truncated"]
    for name in NAMES:
        status, world.outputs[name] = world.encode("pin", name)
        assert status == 0, world.outputs[name]
    return world


@pytest.fixture(scope="module")
def done(pinned):
    """Everything is fetched and made; the server fails twice on the way."""
    pinned.portal.requests.clear()
    pinned.portal.faults = [503, 503]
    pinned.outputs["run"] = succeed(pinned.clone, *LOCAL, *TARGETS_OF_RUN)
    return pinned


def spread(rows: public.Peaks) -> dict[str, np.ndarray]:
    """Return which bases peaks cover, contig by contig."""
    found = {name: np.zeros(size, bool) for name, size in public.SIZES.items()}
    for chrom, start, end in rows:
        if chrom in found:
            found[chrom][start:end] = True
    return found


def labels_by_hand(files: list[public.Peaks]) -> dict[tuple[str, int], bool]:
    """Return for each bin, whole or not, whether half of 200 bases are in peaks that two files share (or the only)."""
    covered = [spread(rows) for rows in files]
    found = {}
    for chrom, size in public.SIZES.items():
        depth = sum(one[chrom].astype(int) for one in covered)
        good = np.zeros(size, bool)
        start = 0
        while start < size:
            end = start
            while end < size and (depth[end] > 0) == (depth[start] > 0):
                end += 1
            good[start:end] = depth[start:end].max() >= min(2, len(files))
            start = end
        found |= {(chrom, at): bool(good[at : at + 200].sum() >= 100) for at in range(0, size, 200)}
    return found


def rows_by_hand(labels: dict[str, dict]) -> dict[str, set[tuple[str, int]]]:
    """Return the bins that each step of the recipe takes out, and those that are kept."""
    black = spread(public.BLACKLIST)
    every = {bin for own in labels.values() for bin, is_there in own.items() if is_there}
    cut = {(chrom, at) for chrom, at in every if at + 200 > public.SIZES[chrom]}
    wanted = {bin for name, own in labels.items() if "atac" not in name for bin in every - cut if own[bin]}
    beyond = {(chrom, at) for chrom, at in wanted if at < 400 or at + 600 > public.SIZES[chrom]}
    listed = {(chrom, at) for chrom, at in wanted - beyond if black[chrom][at - 400 : at + 600].any()}
    unknown = {bin for bin in wanted - beyond - listed if bin[0] == "chr1" and 900 - (bin[1] - 400) > 500}
    return {
        "labelled": every, "cut": cut, "only_without": every - cut - wanted, "beyond": beyond, "blacklist": listed,
        "unknown": unknown, "kept": wanted - beyond - listed - unknown,
    }  # fmt: skip


def place_of(name: bytes) -> tuple[str, int, int]:
    """Return the place that an id tells; a padded window begins before its contig (chr1:-256-768)."""
    chrom, start, end = re.fullmatch(r"(.+):(-?\d+)-(\d+)", name.decode()).groups()
    return chrom, int(start), int(end)


@pytest.fixture(scope="module")
def rows(done):
    """The rows of the data set: for each bin, its split, sequence and labels."""
    found = {}
    with h5_reader(done.clone / "results/tasks/bound/dataset.h5", "dataset/1") as h5:
        assert list(h5.attrs["targets"]) == list(LABELS)
        for split in ("train", "valid", "test"):
            for x, y, name in zip(h5[split]["x"], h5[split]["y"], h5[split]["id"], strict=True):
                chrom, start, end = place_of(name)
                assert end - start == 1000
                found[chrom, start + 400] = split, x, y
    return found


@pytest.fixture(scope="module")
def by_hand():
    return {name: labels_by_hand(files) for name, files in LABELS.items()}


def test_a_search_shows_what_a_query_would_take(world):
    query = ("--assay", "TF ChIP-seq", "--target", "CTCF", "--assembly", "mini1")
    status, output = world.encode("search", *query, "--biosample", "HepG2")
    assert status == 0
    assert "ENCFF011AAA" in output
    assert "2 files are taken" in output
    assert "ENCFF002AAA" in world.encode("search", *query, "--replicates", "1")[1]


def test_what_is_not_pinned_is_refused_before_the_first_job(world):
    """Tracks are read by jobs that come after others; they are refused as early."""
    output = world.refused("--config", "encode=nowhere", "--", "results/tasks/signal/dataset.h5")
    assert "task 'signal': its files of ENCODE are not pinned; there is no nowhere/signal.tsv" in output
    assert "Run: cisflow encode pin signal" in output
    assert "src/cisflow" not in output, "no traceback through the package"


def test_the_manifest_is_the_choice_that_the_query_describes(pinned):
    assert "4 files, 0.0 MB; commit it" in pinned.outputs["bound"]
    assert "trying again" in pinned.outputs["bound"]
    found = read_manifest(pinned.clone / "config/encode/bound.tsv")
    assert [row["accession"] for row in found.rows] == ["ENCFF001AAA", "ENCFF011AAA", "ENCFF012AAA", "ENCFF031AAA"]
    assert found.left_out == {
        "Biosample treatments is not empty": 1, "another assembly": 1, "another file type": 2,
        "replicates: another file is preferred": 1,
    }  # fmt: skip
    listed = read_manifest(pinned.clone / "config/encode/listed.tsv")
    assert [row["accession"] for row in listed.rows] == ["ENCFF001AAA", "ENCFF002AAA"]


def test_pinned_files_are_fetched_through_redirects_and_checked(done):
    assert done.outputs["run"].count("503 Service Unavailable; trying again") == 2
    for name in NAMES:
        for row in read_manifest(done.clone / f"config/encode/{name}.tsv").rows:
            path = done.clone / "resources/encode" / row["file"]
            assert (md5(path), path.stat().st_size) == (row["md5"], int(row["size"]))
            assert f"/files/{row['accession']}/@@download/{row['file']}" in done.portal.requests
            assert f"/cloud/{row['file']}?Signature=x" in done.portal.requests
    assert not any(path.startswith("/search/") for path in done.portal.requests), "ENCODE is asked by 'pin' alone"
    assert (done.clone / "resources/encode/ENCFF003AAA.bam.bai").is_file(), "an index is made"


def test_labels_are_those_of_a_count_by_hand(rows, by_hand):
    """At least half of a bin in peaks; of two replicates, peaks that have a base in both."""
    assert len(rows) > 100
    for bin, (_, _, y) in rows.items():
        assert y.tolist() == [own[bin] for own in by_hand.values()], bin
    for name, column in zip(LABELS, np.array([y for *_, y in rows.values()]).T, strict=True):
        assert 0 < column.mean() < 1, name
    k562 = by_hand["k562_ctcf"]
    assert (k562["chr2", 5000], k562["chr2", 6000]) == (True, False), "100 bases are half of 200, 99 are not"


def test_rows_are_those_of_a_count_by_hand_and_the_account_adds_up(done, rows, by_hand):
    steps = rows_by_hand(by_hand)
    assert all(steps.values()), "every step has something to do"
    wanted = {bin for bin in rows if bin in steps["kept"]}
    assert wanted == steps["kept"]
    background = set(rows) - wanted
    assert not any(own[bin] for own in by_hand.values() for bin in background)
    account = done.account("bound", "windows")
    before = len(steps["labelled"] - steps["cut"] - steps["only_without"])
    assert account["", "labelled", ""] == len(steps["labelled"])
    assert account["", "bins", "cut_by_contig_end"] == -len(steps["cut"])
    assert account["", "regions", "only_without"] == -len(steps["only_without"])
    assert account["", "background", "without_label"] == round(0.2 * before)
    # What is left out of the background is the rest.
    left_out = [-account["", step, why] for step, why in
        (("edges", "beyond_contig"), ("blacklist", "overlaps"), ("unknown", "unknown_bases"))]  # fmt: skip
    own = [len(steps[step]) for step in ("beyond", "blacklist", "unknown")]
    assert all(total >= part for total, part in zip(left_out, own, strict=True))
    assert sum(left_out) - sum(own) == round(0.2 * before) - len(background)
    kept = {split: account["", "kept", split] for split in ("train", "valid", "test")}
    assert kept == {split: sum(found == split for found, *_ in rows.values()) for split in kept}
    assert sum(kept.values()) == sum(number for key, number in account.items() if key[1] != "kept")


def test_every_peak_is_in_the_account(done):
    account = done.account("bound", "peaks")
    files = {"data/mine.bed": public.MINE, "resources/urls/elsewhere.bed.gz": public.ELSEWHERE} | {
        f"resources/encode/{name}.bed.gz": public.AT_ENCODE[name]
        for name in ("ENCFF001AAA", "ENCFF011AAA", "ENCFF012AAA", "ENCFF031AAA")
    }
    for path, rows in files.items():
        assert account[path, "read", ""] == len(rows)
        assert account[path, "contig", "not_in_genome"] == -sum(chrom == "chrUn_1" for chrom, *_ in rows)
    assert account["", "kept", ""] == sum(chrom != "chrUn_1" for rows in files.values() for chrom, *_ in rows)
    clipped = sum(c in public.SIZES and (a < 100 or b + 100 > public.SIZES[c]) for c, a, b in public.ELSEWHERE)
    assert done.account("bound", "clipped peaks")["", "kept", ""] == clipped > 0


def test_sequences_and_splits_are_those_of_the_genome(done, rows):
    for (chrom, at), (split, x, _) in rows.items():
        assert split == {"chr1": "train", "chr2": "valid", "chr3": "test"}[chrom]
        assert "".join("ACGTN"[base] for base in x) == done.letters[chrom][at - 400 : at + 600]


def test_labels_know_their_files(done):
    table = read_tsv(done.clone / "results/tasks/bound/dataset.targets.tsv", TARGETS)
    assert table["target"].to_list() == list(LABELS)
    last = table.row(-1, named=True)
    assert (last["factor"], last["biosample"], last["biosample_type"]) == ("CTCF", "HepG2", "cell line")
    assert last["files"] == "ENCFF011AAA.bed.gz, ENCFF012AAA.bed.gz"


def test_a_model_is_trained_and_the_data_are_drawn(done):
    task = done.clone / "results/tasks/bound"
    metrics = read_tsv(task / "metrics.tsv", METRICS)
    assert set(metrics["target"]) == {*LABELS, "mean"}
    page = (task / "report.html").read_text()
    assert "Where CTCF and others bind" in page
    assert "background" in page
    assert page.count("data:image/png;base64,") == 3, "data set, performance, training"


def test_every_result_says_what_it_was_made_from(done):
    record = json.loads((done.clone / "results/tasks/bound/dataset.provenance.json").read_text())
    for path, known in record["inputs"].items():
        assert sha256(done.clone / path) == known
    row = read_manifest(done.clone / "config/encode/bound.tsv").rows[0]
    assert f"resources/encode/{row['file']}" in record["inputs"]
    with h5_reader(done.clone / "results/tasks/bound/dataset.h5", "dataset/1") as h5:
        assert record["inputs"]["data/mine.bed"] in str(dict(h5.attrs))


def test_a_list_of_accessions_is_a_data_set_too(done):
    with h5_reader(done.clone / "results/tasks/listed/dataset.h5", "dataset/1") as h5:
        assert list(h5.attrs["targets"]) == ["k562_ctcf"], "both files are of one label: their union"
        rows = sum(len(h5[split]["y"]) for split in ("train", "valid", "test"))
    both = public.AT_ENCODE["ENCFF001AAA"] + public.AT_ENCODE["ENCFF002AAA"]
    account = done.account("listed", "windows")
    own = labels_by_hand([both])
    assert account["", "labelled", ""] == sum(own.values())
    assert rows == sum(number for key, number in account.items() if key[1] != "kept")


def test_signal_and_reads_are_means_over_their_bases(done):
    value = {name: np.zeros((2, size)) for name, size in public.SIZES.items()}
    for chrom, start, end, height in public.SPANS:
        value[chrom][0, start:end] = height
    for read in public.READS:
        value[list(public.SIZES)[read["contig"]]][1, read["start"] : read["start"] + 50] += 1
    seen = 0
    with h5_reader(done.clone / "results/tasks/signal/dataset.h5", "dataset/1") as h5:
        assert list(h5.attrs["targets"]) == ["pvalue", "reads"]
        for split in ("train", "valid", "test"):
            for y, mask, name in zip(h5[split]["y"], h5[split]["mask"], h5[split]["id"], strict=True):
                chrom, start, end = place_of(name)
                assert mask.all()
                assert y == pytest.approx(value[chrom][:, start + 256 : end - 256].mean(axis=1), rel=1e-5)
                seen += 1
    assert seen == sum(number for key, number in done.account("signal", "windows").items() if key[1] != "kept")
    assert seen > 60


def test_a_second_run_has_nothing_to_do(done):
    assert "Nothing to be done" in succeed(done.clone, *LOCAL, *TARGETS_OF_RUN)


def test_a_changed_query_is_refused_with_what_mends_it(done):
    with done.tasks("biosample: [K562, HepG2]", "biosample: [K562]"):
        output = done.refused("results/tasks/bound/dataset.h5")
        assert "task 'bound': its query to ENCODE, or its accessions, have changed since config/encode" in output
        assert ": biosample: K562, HepG2 -> K562. Run: cisflow encode pin bound --force" in output


def test_a_changed_portal_is_told_and_pinned_by_force(done):
    manifest = done.clone / "config/encode/bound.tsv"
    before = manifest.read_bytes()
    with done.changed_portal() as portal:
        assert done.encode("diff", "bound")[0] == 0
        new = public.bed(public.peaks(99))
        portal.contents["ENCFF001AAA.bed.gz"] = new
        of_k562, of_hepg2 = portal.experiments[:2]
        of_k562["files"][0] |= {"md5sum": hashlib.md5(new).hexdigest(), "file_size": len(new)}
        of_hepg2["files"][0]["status"] = "revoked"
        text = json.dumps(of_hepg2["files"][1])
        of_hepg2["files"].append(json.loads(text.replace("ENCFF012AAA", "ENCFF013AAA")))
        status, output = done.encode("diff", "bound")
        assert status == 1
        assert "gone     ENCFF011AAA  CTCF, HepG2: status: revoked" in output
        assert "added    ENCFF013AAA  CTCF, HepG2" in output
        assert f"changed  ENCFF001AAA  md5: {read_manifest(manifest).rows[0]['md5']} -> " in output
        status, output = done.encode("pin", "bound")
        assert (status, "--force replaces it" in output) == (1, True)
        assert manifest.read_bytes() == before
        assert done.encode("pin", "bound", "--force")[0] == 0
        planned = succeed(done.clone, *LOCAL, "-n", "results/tasks/bound/dataset.h5")
        assert sorted(re.findall(r"output: resources/encode/(\w+)", planned)) == ["ENCFF001AAA", "ENCFF013AAA"]
        assert "rule make_dataset" in planned
    manifest.write_bytes(before)


def test_a_file_that_was_changed_after_it_was_fetched_is_no_data(done):
    """Snakemake takes it for a newer one, and makes the data set again."""
    path = done.clone / "resources/encode/ENCFF002AAA.bed.gz"
    before, date = path.read_bytes(), path.stat().st_mtime_ns
    path.write_bytes(public.bed(public.peaks(98)))
    output = snakemake(done.clone, *LOCAL, "results/tasks/listed/dataset.h5").stdout
    assert "error: resources/encode/ENCFF002AAA.bed.gz: its md5 is " in output
    assert "Delete the file, and it is fetched again." in output
    path.write_bytes(before)
    os.utime(path, ns=(date, date))


def test_bytes_that_are_not_the_pinned_ones_are_kept_aside(done):
    target = "elsewhere/encode/ENCFF001AAA.bed.gz"
    other = ("--config", "resources=elsewhere", "--", target)
    with done.changed_portal() as portal:
        content = portal.contents["ENCFF001AAA.bed.gz"]
        portal.contents["ENCFF001AAA.bed.gz"] = content[:4] + b"\1" + content[5:]  # the date of the gzip header
        output = snakemake(done.clone, *LOCAL, *other).stdout
    assert "ENCFF001AAA.bed.gz: what was fetched is not the wanted file: its md5 is" in output
    assert f"It is kept as {target}.rejected." in output
    assert (done.clone / f"{target}.rejected").is_file()
    assert not (done.clone / target).exists()
    succeed(done.clone, *LOCAL, *other)
    assert md5(done.clone / target) == read_manifest(done.clone / "config/encode/bound.tsv").rows[0]["md5"]
