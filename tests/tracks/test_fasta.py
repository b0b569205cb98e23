"""The one reader of FASTA files: equal to Biopython's on sound files, and an error where that would lose sequences."""

import gzip

import numpy as np
import pytest
from Bio.SeqIO.FastaIO import SimpleFastaParser

from cisflow.datasets.fasta import read_fasta
from cisflow.datasets.region import read_region
from cisflow.errors import CisflowError
from cisflow.tracks import fasta as module
from cisflow.tracks.fasta import other_strand, read_blocks, read_records
from cisflow.tracks.genome import index_genome
from cisflow.tracks.records import genome_of_records

BOM = b"\xef\xbb\xbf"


def written(folder, data, name="a.fa"):
    (folder / name).write_bytes(data)
    return folder / name


def random_text(seed, end="\n"):
    """Records with lines of unequal length, without bases, with empty lines and '>' in their headers."""
    rng = np.random.default_rng(seed)
    lines = []
    for number in range(int(rng.integers(1, 30))):
        lines.append(f">s{number} a>b " * int(rng.integers(1, 3)))
        for _ in range(int(rng.integers(0, 6))):
            lines.append("".join(rng.choice(list("ACGTNacgt"), int(rng.integers(0, 40)))))
    return end.join(lines) + end * int(rng.integers(0, 3))


@pytest.mark.parametrize("block", [1 << 22, 64, 7])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r\r\n", "\r"])
def test_records_are_those_of_biopython(tmp_path, monkeypatch, block, end):
    monkeypatch.setattr(module, "BLOCK", block)
    for seed in range(20):
        text = random_text(seed, end)
        plain = written(tmp_path, text.encode())
        zipped = written(tmp_path, gzip.compress(BOM + b" \n\n" + text.encode()), "zipped")
        expected = list(SimpleFastaParser(iter(text.replace(end, "\n").splitlines(keepends=True))))
        assert list(read_records(plain)) == list(read_records(zipped)) == expected


def test_blocks_hold_the_whole_text(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 50)
    text = random_text(3).rstrip("\n").encode()
    blocks = list(read_blocks(written(tmp_path, text)))
    assert len(blocks) > 3
    assert b"".join(block.text for block in blocks) == text + b"\n"
    assert all(block.text.endswith(b"\n") for block in blocks)


def test_headers_in_other_encodings(tmp_path):
    text = ">β-globin\nACGT\n".encode() + b">caf\xe9\nACGT\n"
    assert [title for title, _ in read_records(written(tmp_path, text))] == ["β-globin", "café"]


# What is wrong, and the message without the path before it.
BROKEN = {
    "joined without a line end": (
        b">chr1\nACGT\nAC>chr2\nACGT\n",
        r", line 3: there is a '>' inside a line \('AC>chr2'\). A header begins a line",
    ),
    "a blank before a header": (b">chr1\nACGT\n >chr2\nACGT\n", r", line 3: there is a '>' inside a line \(' >chr2'\)"),
    "no first header": (b"ACGT\n>chr2\nACGT\n", ": line 1: a header line '>name' is expected, and 'ACGT' is found"),
    "text above the first header": (
        b"\n# made by x\n>chr2\nACGT\n",
        ": line 2: a header .* and '# made by x' is found",
    ),
    "a blank before the first header": (b" >chr1\nACGT\n", ": line 1: a header .* and ' >chr1' is found"),
    "no header": (b"ACGT\n", ": line 1: a header line"),
    "a page": (b"\n<html></html>\n", ": line 2: .* It is an HTML or XML page"),
    "UTF-16": (">a\nACGT\n".encode("utf-16"), ": line 1: a header line"),
    "nothing": (b"", ": there is no sequence in it"),
    "a byte-order mark alone": (BOM, ": there is no sequence in it"),
    "empty lines": (b"\n \n\r\n", ": there is no sequence in it"),
    "truncated": (gzip.compress(b">a\n" + b"ACGT\n" * 99)[:-9], ": the gzip data are truncated or damaged"),
}
READERS = {
    "a set, or cisflow predict": lambda path, folder: read_fasta(path),
    "a genome": lambda path, folder: index_genome(path, folder / "out.fa.gz"),
    "promoters": lambda path, folder: genome_of_records(path, folder / "out.fa.gz"),
    "a region": lambda path, folder: read_region(path, "none", 0, 9),
}


@pytest.mark.parametrize("block", [1 << 22, 5])
@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@pytest.mark.parametrize(("data", "message"), BROKEN.values(), ids=BROKEN)
def test_all_readers_refuse_the_same(tmp_path, monkeypatch, reader, data, message, block):
    monkeypatch.setattr(module, "BLOCK", block)
    path = written(tmp_path, data)
    with pytest.raises(CisflowError, match=f"^{path}{message}"):
        reader(path, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["a.fa"]


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(CisflowError, match=r"none.fa: there is no such file"):
        list(read_records(tmp_path / "none.fa"))
    with pytest.raises(CisflowError, match=r"it cannot be read \(Is a directory\)"):
        list(read_records(tmp_path))


def test_a_byte_order_mark_is_passed_over(tmp_path):
    names, x = read_fasta(written(tmp_path, BOM + b">one\nACGT\n>two\nCCCC\n"))
    assert names == ["one", "two"]
    assert x.tolist() == [[0, 1, 2, 3], [1, 1, 1, 1]]
    index_genome(tmp_path / "a.fa", tmp_path / "g.fa.gz")
    assert gzip.decompress((tmp_path / "g.fa.gz").read_bytes()) == b">one\nACGT\n>two\nCCCC\n"


def test_the_other_strand_keeps_the_case_of_letters():
    letters = np.frombuffer(b"ACGTNacgtnRYKMBVDHSWrykmbvdhsw", np.uint8)
    assert other_strand(letters).tobytes() == b"wsdhbvkmryWSDHBVKMRYnacgtNACGT"
    assert np.array_equal(other_strand(other_strand(letters)), letters)
