"""Indices of genomes that are of an earlier version of the file."""

import gzip
import os
import shutil

import numpy as np
import pysam
import pytest
from tests.datasets.genomes import make_genome

from cisflow.errors import CisflowError
from cisflow.tracks.genome import Genome
from cisflow.tracks.genome_index import LOOKED_UP, wrong_indices

ENDINGS = (".fai", ".gzi")
# Several blocks, and lines of one contig that end with a whole line.
SIZES = {"chr1": 200_000, "chr2": 70_000, "chrEmpty": 0, "chr3": 600, "chr4": 61}


def letters(sizes, seed=0):
    rng = np.random.default_rng(seed)
    return {name: "".join(rng.choice(list("ACGTacgtN"), size)) for name, size in sizes.items()}


def fasta(contigs, width=60, about=" a description", blank="\n", end="\n"):
    lines = (
        f">{name}{about}\n" + "".join(f"{text[at : at + width]}\n" for at in range(0, len(text), width)) + blank
        for name, text in contigs.items()
    )
    return "".join(lines).rstrip("\n") + end


def write(path, text):
    """Write a genome and its indices, as bgzip and samtools do."""
    with pysam.BGZFile(str(path), "wb") as file:
        file.write(text.encode())
    for ending in ENDINGS:
        path.with_name(path.name + ending).unlink(missing_ok=True)
    pysam.faidx(str(path))
    return path


@pytest.mark.parametrize("about", ["", " a description"])
@pytest.mark.parametrize("blank", ["", "\n"])
@pytest.mark.parametrize("end", ["", "\n", "\n\n"])
def test_the_indices_of_a_genome_fit_it_whatever_their_time(tmp_path, about, blank, end):
    contigs = letters(SIZES)
    path = write(tmp_path / "g.fa.gz", fasta(contigs, about=about, blank=blank, end=end))
    for ending in ENDINGS:
        os.utime(f"{path}{ending}", (1, 1))
    with Genome(path) as genome:
        # htslib leaves out a contig without bases.
        assert genome.sizes == {name: size for name, size in SIZES.items() if size}
        for name, text in contigs.items():
            if not text:
                continue
            assert genome.letters(np.array([name]), np.array([0]), len(text)).tobytes() == text.encode()


def test_the_genomes_of_the_workflow_fit_their_indices(tmp_path):
    make_genome(tmp_path, {"chr1": 300_000, "chr2": 61})
    assert wrong_indices(tmp_path / "genome.fa.gz") is None


TEXTS = letters(SIZES)
# The file as it was when its indices were made, and now.
CHANGES = {
    "a contig less": (TEXTS, {name: TEXTS[name] for name in ("chr1", "chr2", "chr3")}),
    "a contig more": ({name: TEXTS[name] for name in ("chr1", "chr2", "chr3")}, TEXTS),
    "another order": (TEXTS, {name: TEXTS[name] for name in ("chr2", "chr1", "chr3", "chr4")}),
    "another name": (TEXTS, {name.replace("chr2", "chrX"): text for name, text in TEXTS.items()}),
    "names without chr": (TEXTS, {name.removeprefix("chr"): text for name, text in TEXTS.items()}),
    "a base more": (TEXTS, {**TEXTS, "chr1": TEXTS["chr1"] + "A"}),
    "a base less at the end": (TEXTS, {**TEXTS, "chr4": TEXTS["chr4"][:-1]}),
    "a base more at the end": (TEXTS, {**TEXTS, "chr4": TEXTS["chr4"] + "A"}),
    "a longer last contig": (TEXTS, {**TEXTS, "chr4": TEXTS["chr4"] + "A" * 200_000}),
}


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("stale", [".fai", ".gzi", "both"])
def test_indices_of_an_earlier_version_are_refused(tmp_path, what, stale):
    before, after = map(fasta, CHANGES[what])
    path = write(tmp_path / "g.fa.gz", before)
    old = [ending for ending in ENDINGS if stale in (ending, "both")]
    for ending in old:
        shutil.copy(f"{path}{ending}", tmp_path / f"old{ending}")
    write(path, after)
    for ending in old:
        shutil.copy(tmp_path / f"old{ending}", f"{path}{ending}")
    if stale == ".gzi" and wrong_indices(path) is None:
        # The blocks are where they were: the index says the same.
        with Genome(path) as genome:
            names = [name for name, text in CHANGES[what][1].items() if text]
            found = [genome.letters(np.array([name]), np.array([0]), genome.sizes[name]).tobytes() for name in names]
        assert found == [CHANGES[what][1][name].encode() for name in names]
        return
    with pytest.raises(CisflowError, match=r"g.fa.gz.(fai|gzi): the index is of another file.*run samtools faidx"):
        Genome(path)


def test_a_line_width_of_an_earlier_version_is_refused(tmp_path):
    path = write(tmp_path / "g.fa.gz", fasta(TEXTS, width=60))
    index = (tmp_path / "g.fa.gz.fai").read_bytes()
    write(path, fasta(TEXTS, width=50))
    (tmp_path / "g.fa.gz.fai").write_bytes(index)
    assert "g.fa.gz.fai: the index is of another file" in wrong_indices(path)


@pytest.mark.parametrize("ending", ENDINGS)
def test_damaged_indices_are_refused(tmp_path, ending):
    path = write(tmp_path / "g.fa.gz", fasta(TEXTS))
    index = tmp_path / f"g.fa.gz{ending}"
    data = index.read_bytes()
    for damaged in (data[: len(data) // 2], data[:9], b"chr1\tx\n", gzip.compress(data)):
        index.write_bytes(damaged)
        assert wrong_indices(path).startswith(f"{path}")


def test_a_genome_of_many_contigs_is_looked_up_in_some_of_them(tmp_path):
    contigs = letters({f"c{n}": 60 + n % 7 for n in range(3 * LOOKED_UP)})
    path = write(tmp_path / "g.fa.gz", fasta(contigs))
    assert wrong_indices(path) is None
    index = (tmp_path / "g.fa.gz.fai").read_bytes()
    contigs["c70"] += "A"
    write(path, fasta(contigs))
    (tmp_path / "g.fa.gz.fai").write_bytes(index)
    assert wrong_indices(path)
