"""A stretch of a chromosome, from FASTA files with lines of any length."""

import gzip

import numpy as np
import pytest
from Bio import SeqIO

from cisflow.datasets.region import read_region
from cisflow.errors import CisflowError
from cisflow.sequence import decode


@pytest.fixture
def genome(tmp_path):
    """Three chromosomes in lines of 7 bases, with lower case and an unknown base; gzipped."""
    rng = np.random.default_rng(0)
    bases = {f"chr{n}": decode(rng.integers(0, 4, 50, dtype=np.uint8)) for n in (1, 2, 10)}
    bases["chr2"] = bases["chr2"][:20].lower() + "N" + bases["chr2"][21:]
    text = "".join(
        f">{name} some words\n" + "".join(f"{seq[i : i + 7]}\n" for i in range(0, 50, 7)) for name, seq in bases.items()
    )
    path = tmp_path / "genome.fa.gz"
    path.write_bytes(gzip.compress(text.encode()))
    return path


@pytest.mark.parametrize(("start", "end"), [(0, 50), (0, 1), (6, 8), (7, 14), (13, 36), (49, 50)])
@pytest.mark.parametrize("chrom", ["chr1", "chr2", "chr10"])
def test_a_stretch_equals_that_of_a_reader_of_whole_files(genome, chrom, start, end):
    with gzip.open(genome, "rt") as file:
        whole = {record.id: str(record.seq) for record in SeqIO.parse(file, "fasta")}
    assert decode(read_region(genome, chrom, start, end)) == whole[chrom][start:end].upper()


def test_a_file_without_compression_is_read_too(genome):
    plain = genome.with_suffix("")
    plain.write_bytes(gzip.decompress(genome.read_bytes()))
    np.testing.assert_array_equal(read_region(plain, "chr2", 3, 30), read_region(genome, "chr2", 3, 30))


def test_what_is_not_there_is_said(genome):
    with pytest.raises(CisflowError, match="no chromosome '2'; there are chr1, chr2, chr10. Some genomes name it"):
        read_region(genome, "2", 0, 5)
    with pytest.raises(CisflowError, match="chr1 has 50 bases, and chr1:40-51 goes beyond them"):
        read_region(genome, "chr1", 40, 51)
