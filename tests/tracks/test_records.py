"""Records with coordinates become a genome: compared with the genome that they are cut from."""

import gzip

import numpy as np
import pytest
from pydantic import ValidationError

from cisflow.config.places import Genome as Place
from cisflow.errors import CisflowError
from cisflow.sequence import decode, encode, reverse_complement
from cisflow.tracks.genome import Genome
from cisflow.tracks.records import genome_of_records, lines

LENGTH = 5000
# How each kind of header is written, of a name, a contig, its first (0-based) and last base, and a strand.
HEADERS = {
    "ucsc upstream": lambda chrom, start, end, strand: (
        f"NM_1_up_20_{chrom}_{start + 1}_{'fr'[strand == '-']} {chrom}:{start + 1}-{end}"
    ),
    "ucsc tables": lambda chrom, start, end, strand: (
        f"dm3_refGene_NM_1 range={chrom}:{start + 1}-{end} 5'pad=0 3'pad=0 strand={strand} repeatMasking=none"
    ),
    "bedtools": lambda chrom, start, end, strand: f"{chrom}:{start}-{end}({strand})",
    "bedtools with names": lambda chrom, start, end, strand: f"peak|7 {chrom}:{start}-{end}({strand})",
    "thousands": lambda chrom, start, end, strand: f"{chrom}:{start + 1:,}-{end:,}({strand})",
}


@pytest.fixture
def contigs():
    random = np.random.default_rng(3)
    letters = np.array(list("ACGTNacgt"))
    return {name: "".join(random.choice(letters, LENGTH)) for name in ("chr2L", "chrX")}


def records(contigs, header, number=150):
    """Return FASTA text of random stretches, and where they are."""
    random = np.random.default_rng(4)
    text, places = "", []
    for _ in range(number):
        chrom, start, size = (
            random.choice(list(contigs)),
            int(random.integers(LENGTH - 90)),
            int(random.integers(1, 90)),
        )
        strand = str(random.choice(["+", "-"]))
        letters = contigs[chrom][start : start + size]
        if strand == "-":
            cased = decode(reverse_complement(encode(letters)))
            letters = "".join(b.lower() if a.islower() else b for a, b in zip(letters[::-1], cased, strict=True))
        text += f">{header(chrom, start, start + size, strand)}\n{letters}\n"
        places.append((str(chrom), start, start + size))
    return text, places


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("zipped", [True, False])
def test_records_are_laid_where_they_were_cut(tmp_path, contigs, header, zipped):
    text, places = records(contigs, HEADERS[header])
    path = tmp_path / "records.fa"
    path.write_bytes(gzip.compress(text.encode()) if zipped else text.encode())
    counts = genome_of_records(path, tmp_path / "out" / "g.fa.gz")
    depth = {name: np.zeros(LENGTH, int) for name in contigs}
    for chrom, start, end in places:
        depth[chrom][start:end] += 1
    with Genome(tmp_path / "out" / "g.fa.gz") as genome:
        assert genome.sizes == {name: max(end for chrom, _, end in places if chrom == name) for name in contigs}
        for name, letters in contigs.items():
            size = genome.sizes[name]
            found = genome.letters(np.array([name]), np.array([0]), size)[0].tobytes().decode()
            wanted = "".join(b if n else "N" for b, n in zip(letters, depth[name], strict=True))[:size]
            assert found == wanted.replace("n", "N")
    known = np.array([letter != "N" for name in contigs for letter in contigs[name]])
    every = np.concatenate([depth[name] for name in contigs])
    assert counts["records"] == len(places)
    assert counts["reversed"] == text.count("_r ") + text.count("(-)") + text.count("strand=-")
    assert counts["covered"] == (known & (every > 0)).sum()
    assert counts["twice"] == (every > 1).sum()
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["g.fa.gz", "g.fa.gz.fai", "g.fa.gz.gzi"]


def make(tmp_path, text):
    (tmp_path / "r.fa").write_text(text)
    return genome_of_records(tmp_path / "r.fa", tmp_path / "g.fa.gz")


def test_a_record_that_begins_before_its_contig_is_shortened_and_counted(tmp_path):
    # Seven of ten bases upstream of base 8: the numbers -2 to 7, of which 1 to 7 are there.
    counts = make(tmp_path, ">a_f chr1:-2-7\nACGTACG\n>b_f chr1:6-9\nCGTT\n")
    assert (counts["shortened"], counts["covered"], counts["twice"]) == (1, 9, 2)
    with Genome(tmp_path / "g.fa.gz") as genome:
        assert genome.letters(np.array(["chr1"]), np.array([0]), 9).tobytes() == b"ACGTACGTT"
    assert list(lines(counts))[1] == "1 records begin before their contig and have only the bases that there are"


def test_contigs_are_as_long_as_is_said(tmp_path):
    (tmp_path / "r.fa").write_text(">chr1:3-6\nACGT\n>chr2:1-2\nAC\n")
    genome_of_records(tmp_path / "r.fa", tmp_path / "g.fa.gz", {"chr1": 8})
    with Genome(tmp_path / "g.fa.gz") as genome:
        assert genome.sizes == {"chr1": 8, "chr2": 2}
        assert genome.letters(np.array(["chr1"]), np.array([0]), 8).tobytes() == b"NNACGTNN"
    with pytest.raises(CisflowError, match="'>chr1:3-6' ends beyond chr1, which has 5 bases"):
        genome_of_records(tmp_path / "r.fa", tmp_path / "g.fa.gz", {"chr1": 5})


def test_what_one_record_does_not_know_is_taken_from_another(tmp_path):
    make(tmp_path, ">chr1:1-4\nANNT\n>chr1:2-5\nCNTa\n")
    with Genome(tmp_path / "g.fa.gz") as genome:
        assert genome.letters(np.array(["chr1"]), np.array([0]), 5).tobytes() == b"ACNTa"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (">chr1:1-4\nACGT\n>other_f\nACGT\n", "the header '>other_f' has no place, such as chr2L:101-200"),
        (
            ">chr1:1-4\nACGT\n>x chr1:8-9\nACGT\n",
            r"'>x chr1:8-9' has 4 bases, which is not .* begin with 1 as those before",
        ),
        (">chr1:1-9\nACGT\n", "the sequence of '>chr1:1-9' has 4 bases, which is not the length of its place."),
        (">chr1:1-4\nACGT\n>y_r chr1:3-6\nGTCA\n", r"'>y_r chr1:3-6' has T at chr1:3, where a record before it has G"),
        (">chr1:1-4\nACGE\n", "the letter 'E' is none of DNA's"),
    ],
)
def test_records_that_cannot_be_laid_are_refused(tmp_path, text, message):
    with pytest.raises(CisflowError, match=message):
        make(tmp_path, text)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r.fa"]


def test_a_genome_says_that_it_is_made_of_records():
    assert Place(source="fly-promoters", file="a.fa.gz", records=True).records
    assert not Place.model_validate("hg38").records
    with pytest.raises(ValidationError, match="needed for records only"):
        Place(source="hg38", file="a.fa.gz", sizes={"chr1": 5})
