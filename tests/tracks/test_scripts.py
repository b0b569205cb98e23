"""The stage's programs one after another, as the rules call them: from FASTA, BAM and BigWig files to a matrix."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import polars as pl
import pyBigWig
import pytest
from tests.tracks.signals import SIZES, bases, random_rows, settings, write_bam, write_bigwig
from tests.tracks.test_modified import REFERENCE, read

from cisflow.tables import REGIONS, TRACK_COUNTS, read_tsv, write_table
from cisflow.tracks.matrix import read_matrix


def script(root, program, **flags):
    """Run a program of the stage; return its log."""
    command = [sys.executable, root / f"workflow/scripts/tracks/{program}.py"]
    for flag, value in flags.items():
        command += [f"--{flag.replace('_', '-')}", *(value if isinstance(value, list) else [value])]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_from_files_to_a_matrix(root, tmp_path):
    rng = np.random.default_rng(0)
    sequences = {name: "".join(rng.choice(list("ACGT"), size)) for name, size in SIZES.items()}
    (tmp_path / "g.fa").write_text("".join(f">{name}\n{text}\n" for name, text in sequences.items()))
    genome, regions = tmp_path / "g/g.fa.gz", tmp_path / "regions.tsv"
    assert "2 contigs, 1,400 bases" in script(root, "index_genome", fasta=tmp_path / "g.fa", out=genome)
    starts = [0, 320, 700, 960]
    table = pl.DataFrame({"chrom": "chr1", "start": starts, "end": [s + 80 for s in starts], "split": "test"})
    write_table(regions, table.select(*REGIONS))
    rows = random_rows(1)
    path, parts = write_bigwig(tmp_path / "a.bw", rows), []
    for name, statistic in (("z", "mean"), ("a", "max")):
        track = json.dumps(settings(path, no_data="zero", statistic=statistic))
        for shard in range(2):
            out = tmp_path / f"tracks/{name}/{shard}.h5"
            told = script(root, "bin_track", name=name, track=track, regions=regions, genome=genome, bin=16,
                shard=shard, shards=2, out=out, counts=out.with_suffix(".tsv"))  # fmt: skip
            parts.append(out)
        assert f"{name}, shard 1: 7 of 10 bins measured" in told
    units = json.dumps({"z": "reads", "a": ""})
    script(root, "gather", regions=regions, units=units, shards=parts, counts=[p.with_suffix(".tsv") for p in parts],
        out=tmp_path / "tracks.h5", out_counts=tmp_path / "tracks.counts.tsv")  # fmt: skip
    truth = np.nan_to_num(bases(rows)["chr1"])
    with read_matrix(tmp_path / "tracks.h5") as matrix:
        assert matrix.tracks == ["z", "a"]
        values, mask = matrix.values[:], matrix.mask[:]
    for row, start in enumerate(starts[:3]):
        window = truth[start : start + 80].reshape(5, 16)
        np.testing.assert_allclose(values[row, :, 0], window.mean(1), rtol=1e-6)
        np.testing.assert_allclose(values[row, :, 1], window.max(1), rtol=1e-6)
    np.testing.assert_array_equal(mask[3, :, 0], [True, True, False, False, False])
    counts = read_tsv(tmp_path / "tracks.counts.tsv", TRACK_COUNTS)
    assert counts.filter(pl.col("what") == "off_contig")["bins"].sum() == 6


def test_modified_bases(root, tmp_path):
    (tmp_path / "g.fa").write_text(f">chr1\n{REFERENCE}\n")
    script(root, "index_genome", fasta=tmp_path / "g.fa", out=tmp_path / "g.fa.gz")
    bam = write_bam(tmp_path / "a.bam", [read(("A+a?,0;C+m?,0;", [200, 250]))], {"chr1": 40}, index=False)
    script(root, "index_bam", bam=bam, out=tmp_path / "a.bam.bai")
    files = {kind: [tmp_path / f"{what}{kind}.bw" for what in ("mod", "valid")] for kind in ("mA", "CpG")}
    told = script(root, "modified", bam=bam, genome=tmp_path / "g.fa.gz", counts=tmp_path / "c.tsv", **files)
    assert "1 used" in told
    with pyBigWig.open(str(files["CpG"][0])) as file:
        assert file.intervals("chr1") == ((3, 4, 1.0),)


# Dies as by the kernel's hand, when the genome is written and not yet indexed.
KILLED = """
import os, runpy, pysam
pysam.{call} = lambda *_: os.kill(os.getpid(), 9)
runpy.run_path({program!r}, run_name="__main__")
"""


@pytest.mark.parametrize(
    ("program", "call", "flags", "made"),
    [
        ("index_genome", "faidx", {"fasta": "g.fa", "out": "out/g.fa.gz"}, ("g.fa.gz", "g.fa.gz.fai", "g.fa.gz.gzi")),
        (
            "index_genome",
            "faidx",
            {"fasta": "r.fa", "out": "out/g.fa.gz", "records": "{}"},
            ("g.fa.gz", "g.fa.gz.fai", "g.fa.gz.gzi"),
        ),
        ("index_bam", "index", {"bam": "a.bam", "out": "out/a.bam.bai"}, ("a.bam.bai",)),
    ],
    ids=["genome", "genome of records", "BAM file"],
)
def test_an_indexing_that_is_killed_leaves_nothing_once_it_is_run_again(root, tmp_path, program, call, flags, made):
    (tmp_path / "g.fa").write_text(">chr1\nACGT\n")
    (tmp_path / "r.fa").write_text(">chr1:1-4\nACGT\n")
    write_bam(tmp_path / "a.bam", [], index=False)
    out = tmp_path / "out"
    paths = {flag: value if value == "{}" else tmp_path / value for flag, value in flags.items()}
    paths |= {"log": tmp_path / "logs/a.log", "writes": [out / name for name in made]}
    path = str(root / f"workflow/scripts/tracks/{program}.py")
    command = [sys.executable, "-c", KILLED.format(call=call, program=path)]
    for flag, value in paths.items():
        command += [f"--{flag}", *(value if isinstance(value, list) else [value])]
    assert subprocess.run(list(map(str, command)), check=False).returncode == -signal.SIGKILL
    assert [name.endswith(".partial") for name in os.listdir(out)] == [True] * (1 + ("records" in flags))
    script(root, program, **paths)
    assert sorted(os.listdir(out)) == sorted(made)
