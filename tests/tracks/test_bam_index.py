"""Indices of BAM files that are of another file, or of an earlier version of it."""

import os

import numpy as np
import pysam
import pytest
from tests.tracks.signals import SIZES, opened, segment, write_bam

from cisflow.errors import CisflowError
from cisflow.tracks.bam_index import LOOKED_UP, index_of, wrong_index

KINDS = ("bai", "csi")
OF_EARLIER = "the index is of another file, or of an earlier version of a.bam: "


def reads(contigs=(0, 1), count=400, seed=0):
    """Reads of random bases, of several blocks of the file."""
    rng, sizes = np.random.default_rng(seed), list(SIZES.values())
    return [
        {"contig": n, "start": int(at), "cigar": "90M", "sequence": "".join(rng.choice(list("ACGT"), 90))}
        for n in contigs
        for at in np.sort(rng.integers(0, sizes[n] - 90, count))
    ]


def write(path, content, sizes=SIZES, unplaced=0):
    """Write a BAM file without index, with reads that have no place at its end."""
    write_bam(path, content, sizes, index=False)
    if unplaced:
        with pysam.AlignmentFile(str(path)) as file:
            header, kept = file.header, list(file)
        with pysam.AlignmentFile(str(path), "wb", header=header) as file:
            for read in kept:
                file.write(read)
            for number in range(unplaced):
                read = segment(header, f"u{number}", -1, -1, None, flag=4, sequence="ACGT" * 20)
                file.write(read)
    return path


def indexed(path, kind):
    pysam.index("-c" if kind == "csi" else "-b", str(path), "-o", f"{path}.{kind}")
    return index_of(path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("unplaced", [0, 900])
@pytest.mark.parametrize("contigs", [(0, 1), (1,), ()])
def test_the_index_of_a_file_fits_it_whatever_its_time(tmp_path, kind, unplaced, contigs):
    path = write(tmp_path / "a.bam", reads(contigs), unplaced=unplaced)
    index = indexed(path, kind)
    os.utime(index, (1, 1))
    assert wrong_index(path, index) is None
    with opened(path) as signal:
        counts = {chrom: np.nansum(signal.values(chrom, 0, size)) for chrom, size in SIZES.items()}
    assert counts == {chrom: 36_000 * (n in contigs) for n, chrom in enumerate(SIZES)}


# Reads of a file before and after its index was made.
CHANGES = {
    "a further contig has reads": (reads((0,)), reads((0, 1))),
    "an earlier contig has reads": (reads((1,)), reads((0, 1))),
    "a contig has no reads any more": (reads((0, 1)), reads((1,))),
    "more reads": (reads((0,)), reads((0,), 900)),
    "fewer reads": (reads((0,), 900), reads((0,))),
    "other reads": (reads((0,)), reads((0,), seed=1)),
    "no reads before": ([], reads((0,))),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", CHANGES)
def test_the_index_of_an_earlier_version_is_refused(tmp_path, kind, what):
    """Though it is newer than the file."""
    before, after = CHANGES[what]
    indexed(write(tmp_path / "a.bam", before), kind)
    path = write(tmp_path / "a.bam", after)
    os.utime(path, (1, 1))
    with pytest.raises(CisflowError, match=f"a.bam.{kind}: the index is .*of another file.*. Make it again: samtools"):
        opened(path)


@pytest.mark.parametrize("kind", KINDS)
def test_the_index_of_a_file_with_another_header_is_refused(tmp_path, kind):
    index = indexed(write(tmp_path / "a.bam", reads((0,))), kind)
    path = tmp_path / "a.bam"
    with pysam.AlignmentFile(str(path)) as file:
        header, kept = file.header.to_dict(), list(file)
    with pysam.AlignmentFile(str(path), "wb", header={**header, "CO": ["x" * 70_000]}) as file:
        for read in kept:
            file.write(read)
    assert wrong_index(path, index).startswith(OF_EARLIER)


@pytest.mark.parametrize("kind", KINDS)
def test_the_index_of_a_file_with_other_contigs_is_refused(tmp_path, kind):
    index = indexed(write(tmp_path / "a.bam", reads((0,))), kind)
    path = write(tmp_path / "a.bam", reads((0,)), {**SIZES, "chr3": 9})
    assert wrong_index(path, index) == OF_EARLIER + "it has 2 contigs, and the file 3"


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_index_is_refused(tmp_path, kind):
    path = write(tmp_path / "a.bam", reads())
    index = indexed(path, kind)
    data = index.read_bytes()
    for damaged in (data[:40], data[: len(data) // 2], b"", b"BAI\1" + b"\xff" * 40):
        index.write_bytes(damaged)
        assert wrong_index(path, index) == "the index is damaged or of another file"


@pytest.mark.parametrize("kind", KINDS)
def test_an_index_of_many_contigs_is_looked_up_in_some_of_them(tmp_path, kind):
    sizes = {f"c{n}": 500 for n in range(3 * LOOKED_UP)}
    content = [{"contig": n, "start": n % 300, "cigar": "90M"} for n in range(len(sizes))]
    path = write(tmp_path / "a.bam", content, sizes)
    index = indexed(path, kind)
    assert wrong_index(path, index) is None
    write(path, [{**read, "contig": read["contig"] // 2} for read in content], sizes)
    assert wrong_index(path, index).startswith(OF_EARLIER)


def test_a_file_with_two_indices_is_read_by_the_one_that_was_looked_at(tmp_path):
    stale = indexed(write(tmp_path / "a.bam", reads((0,))), "csi")
    path = write(tmp_path / "a.bam", reads())
    assert wrong_index(path, stale)
    indexed(path, "bai")
    with opened(path) as signal:
        assert np.nansum(signal.values("chr2", 0, 400)) == 36_000
