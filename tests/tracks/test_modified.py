"""Calls of modified bases, counted read by read by hand."""

import array
import os
import resource

import numpy as np
import pyBigWig
import pytest
from tests.tracks.signals import opened, write_bam

from cisflow.errors import CisflowError
from cisflow.tables import READ_COUNTS, read_tsv
from cisflow.tracks.genome import index_genome
from cisflow.tracks.modified import Calls, write_calls
from cisflow.tracks.signal import Assembly

REFERENCE = "TTACGATCGAAATTCCACGTTTACGATCGAAATTCCACGT"
SIZES = {"chr1": 40}
# Bases 2 to 12 of the reference, ACGATCGAAA: A at 2, 5, 9, 10, 11, and CG at 3 and 7.
READ = REFERENCE[2:12]


@pytest.fixture
def genome(tmp_path):
    (tmp_path / "g.fa").write_text(f">chr1\n{REFERENCE}\n")
    index_genome(tmp_path / "g.fa", tmp_path / "g.fa.gz")
    return tmp_path / "g.fa.gz"


def read(tags, **keys):
    mm, ml = tags
    found = [("MM", mm)] * bool(mm) + [("ML", array.array("B", ml))] * bool(ml)
    return {"contig": 0, "start": 2, "cigar": "10M", "sequence": READ, "tags": found, **keys}


def calls_of(tmp_path, genome, reads, settings=None, sizes=None, **keys):
    bam = write_bam(tmp_path / "a.bam", reads, sizes or SIZES, **keys)
    outputs = {kind: (tmp_path / f"mod{kind}.bw", tmp_path / f"valid{kind}.bw") for kind in ("mA", "CpG")}
    tally = write_calls(bam, genome, outputs, tmp_path / "counts.tsv", settings)
    found = {}
    for paths in outputs.values():
        for path in paths:
            with pyBigWig.open(str(path)) as file:
                found[path.stem] = {a: v for a, _, v in file.intervals("chr1") or ()}
    return found, tally


def test_explicit_calls_are_counted(tmp_path, genome):
    reads = [
        read(("A+a?,0,1;C+m?,0,0;", [200, 128, 129, 10])),
        read(("A+a?,0;C+m?,0;", [10, 250])),
        # The other strand, from the right: its first A is the T at 6, its Cs are the Gs at 8 and 4.
        read(("A+a?,0;C+m?,0,0;", [200, 250, 10]), flag=16),
    ]
    found, tally = calls_of(tmp_path, genome, reads)
    # The first read speaks of the As at 2 and (one is passed over) 9, of the Cs at 3 and 7; the second of 2 and 3.
    assert found["validmA"] == {2: 2, 6: 1, 9: 1}
    assert found["modmA"] == {2: 1, 6: 1, 9: 0}
    assert found["validCpG"] == {3: 2, 4: 1, 7: 1, 8: 1}
    assert found["modCpG"] == {3: 2, 4: 0, 7: 0, 8: 1}
    assert tally["used"] == 3


def test_bases_that_are_passed_over_without_a_question_mark_are_unmodified(tmp_path, genome):
    found, _ = calls_of(tmp_path, genome, [read(("A+a,0;C+m.,1;", [200, 250]))])
    assert found["validmA"] == dict.fromkeys((2, 5, 9, 10, 11), 1)
    assert found["modmA"] == {2: 1, 5: 0, 9: 0, 10: 0, 11: 0}
    assert found["validCpG"] == {3: 1, 7: 1}
    assert found["modCpG"] == {3: 0, 7: 1}


def test_bases_that_the_reference_does_not_have_are_left_out(tmp_path, genome):
    # The read has an A where the reference has T (place 12), and a C without G.
    sequence = REFERENCE[2:12] + "AC"
    found, tally = calls_of(
        tmp_path, genome, [read(("A+a?,0,4;C+m?,0,1;", [200, 210, 220, 230]), sequence=sequence, cigar="12M")]
    )
    assert set(found["validmA"]) == {2}
    assert set(found["validCpG"]) == {3}
    assert tally["calls left out: the reference has another base"] == 2


def test_insertions_and_deletions_move_calls(tmp_path, genome):
    # ACG, two bases inserted, then from the reference's 2 + 3 + 1 (one deleted).
    sequence = REFERENCE[2:5] + "TT" + REFERENCE[6:12]
    found, _ = calls_of(tmp_path, genome, [read(("A+a?,1;C+m?,1;", [200, 250]), sequence=sequence, cigar="3M2I1D6M")])
    assert found["validmA"] == {9: 1}
    assert found["validCpG"] == {7: 1}


def test_reads_are_left_out_for_a_reason(tmp_path, genome):
    good = ("A+a?,0;C+m?,0;", [200, 250])
    reads = [
        read(good), read(good, start=22), read(good, flag=256), read(good, flag=2048), read(good, quality=3),
        read(("", [])),
    ]  # fmt: skip
    found, tally = calls_of(tmp_path, genome, reads, Calls(threshold=200, min_mapping_quality=5))
    assert found["modmA"] == {2: 1, 22 + 0: 0 + 1} if REFERENCE[22:32] == READ else {2: 1}
    table = dict(read_tsv(tmp_path / "counts.tsv", READ_COUNTS).select("what", "reads").iter_rows())
    assert table == dict(tally)
    assert tally["used"] == 2
    assert tally["left out: not primary, or marked as failed or duplicate"] == 2
    assert tally["left out: mapping quality"] == tally["left out: no tags MM and ML"] == 1


# Tags of a read with five As and two Cs, and its MN.
DO_NOT_FIT = {
    "more calls than bases": (("A+a,0,0,0,0,0,0;C+m,0;", [200] * 7), {}),
    "a call beyond the sequence": (("A+a,0;C+m,1,1;", [200] * 3), {}),
    "too few probabilities": (("A+a,0;C+m,0,0;", [200] * 2), {}),
    "too many probabilities": (("A+a,0;C+m,0;", [200] * 3), {}),
    "another length in MN": (("A+a,0;C+m,0;", [200] * 2), {"mn": 12}),
    "no end": (("A+a,0;C+m,0", [200] * 2), {}),
    "no tag at all": (("5mC", [200] * 2), {}),
}


@pytest.mark.parametrize("case", DO_NOT_FIT)
def test_a_read_whose_tags_do_not_fit_is_left_out_and_counted(tmp_path, genome, case, capfd):
    """It is not a read whose bases are all unmodified."""
    tags, more = DO_NOT_FIT[case]
    sound = read(("A+a,0;C+m,0;", [200, 250]))
    broken = read(tags)
    broken["tags"] += [("MN", more["mn"])] if more else []
    wanted, _ = calls_of(tmp_path, genome, [sound])
    found, tally = calls_of(tmp_path, genome, [sound, broken])
    assert found == wanted
    assert tally["used"] == tally["left out: the tags MM, ML and MN do not fit the sequence"] == 1
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("mn", "used"), [(None, 1), (10, 2), (15, 1)])
def test_a_hard_clipped_read_counts_if_the_tag_mn_says_that_its_tags_fit(tmp_path, genome, mn, used):
    clipped = read(("A+a,0;C+m,0;", [200, 250]), cigar="5H10M")
    clipped["tags"] += [("MN", mn)] if mn else []
    found, tally = calls_of(tmp_path, genome, [read(("A+a,0;C+m,0;", [200, 250])), clipped])
    assert found["modCpG"] == {3: used, 7: 0}
    assert tally["used"] == used
    assert tally["left out: hard-clipped without the tag MN"] == (mn is None)


def test_codes_may_be_numbers_of_chebi(tmp_path, genome):
    letters = calls_of(tmp_path, genome, [read(("A+a,0,1;C+m?,0;C+h?,1;", [200, 10, 250, 255]))])
    numbers = calls_of(tmp_path, genome, [read(("A+28871,0,1;C+27551?,0;C+76792?,1;", [200, 10, 250, 255]))])
    assert numbers == letters
    assert letters[0]["validCpG"] == {3: 1}


@pytest.mark.parametrize(("tags", "kind", "other"), [
    (("C+h?,0,0;C+m?,0,0;", [5, 5, 250, 250]), "CpG", "mA"), (("A+a,0;", [250]), "mA", "CpG")])  # fmt: skip
def test_a_file_with_calls_of_one_kind_serves_tracks_of_that_kind(tmp_path, genome, tags, kind, other):
    found, tally = calls_of(tmp_path, genome, [read(tags)])
    assert sum(found[f"mod{kind}"].values()) == {"CpG": 2, "mA": 1}[kind]
    assert found[f"valid{other}"] == found[f"mod{other}"] == {}
    assert (tally[f"calls of {kind}"], tally[f"calls of {other}"]) == (len(found[f"valid{kind}"]), 0)
    assembly = Assembly("g", SIZES)
    with opened(tmp_path / f"valid{kind}.bw", assembly) as signal:
        assert np.nansum(signal.values("chr1", 0, 40)) == len(found[f"valid{kind}"])
    with opened(tmp_path / f"valid{other}.bw", assembly) as signal:
        assert np.isnan(signal.values("chr1", 0, 40)).all()


def test_reads_without_a_cigar_string_and_on_other_contigs_are_counted(tmp_path, genome):
    good = ("A+a,0;C+m,0;", [200, 250])
    reads = [read(good), read(good, cigar=None), read(good, contig=1), read(good, contig=2), read(good, contig=2)]
    wanted, _ = calls_of(tmp_path, genome, [read(good)])
    found, tally = calls_of(tmp_path, genome, reads, sizes={"chr1": 40, "chrM": 16, "scaffold": 30})
    assert found == wanted
    assert tally["left out: no CIGAR"] == 1
    assert tally["left out: their contig is not in the genome, or has another size there"] == 3


def test_blocks_do_not_change_calls(tmp_path, genome, monkeypatch):
    rng = np.random.default_rng(0)
    reads = []
    for _ in range(20):
        start = int(rng.integers(0, 20))
        sequence = REFERENCE[start : start + 20]
        tags = ("A+a.;C+m.;", []) if rng.random() < 0.3 else ("A+a,0;C+m,0;", rng.integers(0, 256, 2).tolist())
        if "A" in sequence and "C" in sequence:
            reads.append(read(tags, start=start, cigar="20M", sequence=sequence, flag=int(rng.choice([0, 16]))))
    reads = [r for r in reads if len(r["tags"]) == 2]
    whole = calls_of(tmp_path, genome, reads)
    monkeypatch.setattr("cisflow.tracks.modified.BLOCK", 7)
    assert calls_of(tmp_path, genome, reads) == whole


def test_what_is_refused(tmp_path, genome):
    good = ("A+a?,0;C+m?,0;", [200, 250])
    with pytest.raises(CisflowError, match="a.bam: it has no index"):
        calls_of(tmp_path, genome, [read(good)], index=False)
    with pytest.raises(CisflowError, match=r"tags MM and ML\) can be used: 1 left out: no tags"):
        calls_of(tmp_path, genome, [read(("", []))])
    with pytest.raises(CisflowError, match="'chr1' has 41 bases in it, and 40 in"):
        calls_of(tmp_path, genome, [read(good)], sizes={"chr1": 41})
    with pytest.raises(CisflowError, match="no read has a call of mA or CpG that the reference agrees with"):
        calls_of(tmp_path, genome, [read(("C+h?,0;", [200]))])
    with pytest.raises(CisflowError, match="the threshold is 256"):
        Calls(threshold=256)
    assert not list(tmp_path.glob("*.bw"))
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("limit", [20, 200], ids=["counts", "BigWig"])
def test_a_full_disk_loses_nothing_in_silence(tmp_path, genome, limit):
    """Neither numpy's tofile nor pybigtools tells that it could not write."""
    bam = write_bam(tmp_path / "a.bam", [read(("A+a?,0,1;C+m?,0,0;", [200, 128, 129, 10]))], SIZES)
    folder = tmp_path / "out"
    folder.mkdir()
    outputs = {kind: (folder / f"mod{kind}.bw", folder / f"valid{kind}.bw") for kind in ("mA", "CpG")}
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(CisflowError, match="it was not written whole|counts.tsv: no space left to write it"):
            write_calls(bam, genome, outputs, folder / "counts.tsv")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert os.listdir(folder) == []
