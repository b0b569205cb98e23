"""Pinned manifests: read as written, refused where they were changed by hand, compared by what may change."""

import re

import pytest
from tests.portal import row

from cisflow.config.encode import Query, wanted_of
from cisflow.errors import CisflowError
from cisflow.sources.manifest import Manifest, difference, read_manifest, write_manifest

WANTED = wanted_of([Query(assay="ATAC-seq")], ["ENCFF002AAA"])


@pytest.fixture
def path(tmp_path):
    rows = [row("ENCFF002AAA", biosample='a "quoted" name'), row("ENCFF001AAA", audit_error="one, two")]
    write_manifest(tmp_path / "x.tsv", Manifest(rows, WANTED, "2026-01-02", "https://x.org", {"another assay": 3}))
    return tmp_path / "x.tsv"


def test_a_manifest_is_read_as_it_was_written(path):
    found = read_manifest(path)
    assert [one["accession"] for one in found.rows] == ["ENCFF001AAA", "ENCFF002AAA"]
    assert found.rows[1] == row("ENCFF002AAA", biosample='a "quoted" name')
    assert (found.resolved, found.server, found.left_out) == ("2026-01-02", "https://x.org", {"another assay": 3})
    assert found.answers(WANTED)
    before = path.read_bytes()
    write_manifest(path, found)
    assert path.read_bytes() == before


def test_a_manifest_knows_what_it_was_made_for(path):
    found = read_manifest(path)
    assert not found.answers(wanted_of([Query(assay="ATAC-seq")], []))
    assert not found.answers(wanted_of([Query(assay="ATAC-seq", assembly="hg19")], ["ENCFF002AAA"]))
    # A key of Query that came later is at its default in an older manifest, and one that is gone is a change.
    older = {"queries": [{"assay": ["ATAC-seq"]}], "accessions": ["ENCFF002AAA"]}
    assert Manifest([], older, "", "", {}).answers(WANTED)
    assert not Manifest([], older | {"queries": [{"assay": ["ATAC-seq"], "gone": 1}]}, "", "", {}).answers(WANTED)


BROKEN = {
    "missing": (lambda text: None, "x.tsv: there is no such file"),
    "empty": (lambda text: "", "x.tsv: it is no manifest of cisflow; there is no '# wanted:'"),
    "a page": (lambda text: "<html></html>\n", "x.tsv: it is no manifest of cisflow"),
    "no table": (lambda text: text[: text.index("\naccession") + 1], "x.tsv: the columns must be accession, file, url"),
    "other columns": (lambda text: text.replace("\taudit_error", ""), "x.tsv:7: the columns must be accession, file"),
    "a note": (lambda text: text.replace('# resolved: "', "# resolved: "), "x.tsv: the note 'resolved' is not JSON"),
    "no hash": (lambda text: re.sub("# hash.*\n", "", text), "there is no '# hash:'"),
    "the query": (lambda text: text.replace("GRCh38", "hg19"), "x.tsv: 'wanted' is not what was pinned"),
    "fields": (lambda text: text.replace("\treleased\t", "\treleased\t\t"), "x.tsv:8: it has 30 fields and should"),
    "accession": (lambda text: text.replace("\nENCFF001AAA", "\nENCSR001AAA"), "x.tsv:8: accession: 'ENCSR001AAA'"),
    "url": (lambda text: text.replace("https://x.org/ENCFF002", "ftp://x.org/ENCFF002"), "x.tsv:9: url: 'ftp://x.org"),
    "md5": (lambda text: text.replace("0" * 32, "0" * 31), "x.tsv:9: md5: '0000000000000000000000000000000'"),
    "size": (lambda text: text.replace("\t12\t", "\t12 MB\t"), "x.tsv:8: size: '12 MB' is no size in bytes"),
    "twice": (lambda text: text.replace("\nENCFF002AAA", "\nENCFF001AAA"), "x.tsv:9: ENCFF001AAA stands here again"),
    "file": (lambda text: text.replace("\tENCFF001AAA.bed.gz", "\t../a"), "x.tsv:8: file: '../a' is no file name"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_manifest_is_refused(path, case):
    change, message = BROKEN[case]
    text = change(path.read_text())
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
    with pytest.raises(CisflowError) as error:
        read_manifest(path)
    assert message in str(error.value)


def test_a_manifest_that_is_no_text(path):
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CisflowError, match="not a text file in UTF-8"):
        read_manifest(path)


def test_the_difference_is_what_was_added_gone_and_changed():
    old = [row("ENCFF001AAA"), row("ENCFF002AAA"), row("ENCFF003AAA")]
    new = [
        row("ENCFF002AAA", md5="1" * 32, audit_error="x"),
        row("ENCFF003AAA", date="2021-01-01", biosample="renamed"),
        row("ENCFF004AAA"),
    ]
    found = difference(old, new)
    assert [one["accession"] for one in found.added] == ["ENCFF004AAA"]
    assert [one["accession"] for one in found.gone] == ["ENCFF001AAA"]
    assert found.changed == {"ENCFF002AAA": {"md5": ("0" * 32, "1" * 32), "audit_error": ("", "x")}}
    assert found
    assert not difference(old, old)
