"""Windows from BED and FASTA files: places, labels, splits, what is left out, and the account of it."""

import numpy as np
import pytest
from tests.datasets.genomes import BY_CHROMOSOME, SIZES, SPLITS, account, made, make_genome, quality, table, write_bed

from cisflow.config.places import with_paths
from cisflow.config.windows import Windows
from cisflow.errors import CisflowError
from cisflow.sequence import decode, encode, reverse_complement
from cisflow.tracks.genome import index_genome

LENGTH = 50


@pytest.fixture
def contigs(tmp_path):
    return make_genome(tmp_path)


def spec(folder, *sets, **settings):
    base = {"kind": "windows", "genome": str(folder / "genome.fa.gz"), "length": LENGTH, "split": BY_CHROMOSOME}
    return base | {"sets": list(sets)} | settings


def bed(folder, rows, name="a.bed"):
    return write_bed(folder / name, rows)


def peaks(count=40, seed=0, contigs=("chr1", "chr2", "chr3")):
    """Rows of a narrowPeak file, none near an end; the 7th column is a number."""
    rng = np.random.default_rng(seed)
    rows = []
    for contig in contigs:
        start = np.sort(rng.choice(np.arange(100, SIZES[contig] - 200), count, replace=False))
        for number, (a, width) in enumerate(zip(start, rng.integers(1, 90, count), strict=True)):
            rows.append((contig, a, a + width, f"p{number}", 0, ".", number / 8, -1, -1, rng.integers(0, width)))
    return rows


@pytest.mark.parametrize("centre", ["middle", "summit"])
@pytest.mark.parametrize("length", [50, 51])
def test_windows_are_around_the_middle_or_the_summit(tmp_path, contigs, centre, length):
    rows = peaks()
    found = made(tmp_path, spec(tmp_path, {"bed": bed(tmp_path, rows), "target": 1}, centre=centre, length=length))
    for split, contig in zip(SPLITS, ("chr1", "chr2", "chr3"), strict=True):
        wanted = {}
        for chrom, start, end, *_, summit in rows:
            middle = (start + end) / 2 if centre == "middle" else start + summit
            first = int(np.floor(middle - length / 2))
            if chrom == contig:
                wanted[f"{chrom}:{first}-{first + length}"] = contigs[chrom][first : first + length]
        assert found[split].id.astype(str).tolist() == list(wanted)
        assert np.array_equal(found[split].x, [encode(text) for text in wanted.values()])
        assert (found[split].y == 1).all()
    moved = account(tmp_path)
    assert sum(n for key, n in moved.items() if not key.startswith("kept")) == sum(len(s.x) for s in found.values())


def test_labels_are_constant_or_of_a_column_and_may_be_unmeasured(tmp_path, contigs):
    rows = [[*row[:6], ".", *row[7:]] if number % 5 == 0 else row for number, row in enumerate(peaks())]
    sets = [{"bed": bed(tmp_path, rows), "target": [{"column": 6}, 2.5]}]
    found = made(tmp_path, spec(tmp_path, *sets, target="real", targets=["signal", "other"]))
    train = rows[: len(found["train"].x)]
    assert found["train"].mask[:, 0].tolist() == [row[6] != "." for row in train]
    assert found["train"].y[:, 0].tolist() == [0 if row[6] == "." else row[6] for row in train]
    assert (found["train"].y[:, 1] == 2.5).all()
    assert found["train"].mask[:, 1].all()


def test_rows_without_any_label_are_left_out(tmp_path, contigs):
    rows = [[*row[:6], "NA", *row[7:]] if number % 4 == 0 else row for number, row in enumerate(peaks())]
    found = made(tmp_path, spec(tmp_path, {"bed": bed(tmp_path, rows), "target": {"column": 6}}, target="real"))
    assert account(tmp_path)["label:not_measured"] == -30
    assert found["train"].mask is None


def test_ends_of_contigs(tmp_path, contigs):
    rows = [*peaks(3), ("chr1", 0, 10), ("chr1", 6020, 6030)]
    rows = [row[:3] for row in rows]
    item = {"bed": bed(tmp_path, rows), "target": 1}
    assert len(made(tmp_path, spec(tmp_path, item))["train"].x) == 3
    assert account(tmp_path)["edges:beyond_contig"] == -2
    found = made(tmp_path, spec(tmp_path, item, edges="pad"))["train"]
    assert found.id[-2:].astype(str).tolist() == ["chr1:-20-30", "chr1:6000-6050"]
    assert (found.x[-2] == 4).nonzero()[0].tolist() == list(range(20))
    assert (found.x[-1] == 4).nonzero()[0].tolist() == list(range(30, 50))
    assert quality(tmp_path, "all")["train", "padded_windows"] == 2
    with pytest.raises(CisflowError, match=r"a.bed, line 10: the window chr1:-20-30 is beyond the end .*2 such"):
        made(tmp_path, spec(tmp_path, item, edges="fail"))


def test_unknown_bases_and_blacklists(tmp_path):
    make_genome(tmp_path)
    lines = (tmp_path / "genome.fa").read_text().splitlines()
    lines[1] = lines[1][:1000] + "N" * 100 + lines[1][1100:]
    (tmp_path / "genome.fa").write_text("\n".join(lines) + "\n")
    index_genome(tmp_path / "genome.fa", tmp_path / "genome.fa.gz")
    rows = [("chr1", 985, 986), ("chr1", 995, 996), ("chr1", 1050, 1051), ("chr1", 3000, 3001), ("chr1", 3100, 3101)]
    rows += [row[:3] for row in peaks(3, contigs=("chr2", "chr3"))]
    black = bed(tmp_path, [("chr1", 3024, 3030), ("chr1", 3060, 3075)], "black.bed")
    item = {"bed": bed(tmp_path, rows), "target": 1}
    found = made(tmp_path, spec(tmp_path, item, blacklist=[black], max_unknown=0.3))
    # 960-1010 has a fifth of N, 970-1020 two fifths; 2975-3025 meets the first of the blacklist, 3075-3125 touches.
    assert found["train"].id.astype(str).tolist() == ["chr1:960-1010", "chr1:3075-3125"]
    moved = account(tmp_path)
    assert (moved["unknown:unknown_bases"], moved["blacklist:overlaps"]) == (-2, -1)
    table = bed(tmp_path, [(585, "chr1", 3024, 3030, 1, "N"), (585, "chr1", 3060, 3075, 2, "N")], "gap.txt")
    again = made(tmp_path, spec(tmp_path, item, blacklist=[table], max_unknown=0.3))
    assert again["train"].id.tolist() == found["train"].id.tolist()


def test_rows_beyond_their_contig_are_left_out_if_that_is_asked(tmp_path, contigs):
    """Those of a blacklist are cut at the end of the contig."""
    rows = [row[:3] for row in peaks()]
    item = {"bed": bed(tmp_path, [*rows, ("chr1", 6000, 6031), ("chr1", 5900, 5901)]), "target": 1}
    black = bed(tmp_path, [("chr1", 5890, 9999)], "black.bed")
    pool = bed(tmp_path, [("chr1", 6000, 6031), *[(name, n, n + 50) for name in ("chr1", "chr2", "chr3")
        for n in range(0, 3000, 50)]], "pool.bed")  # fmt: skip
    more = {"blacklist": [black], "negatives": {"pool": pool}, "max_unknown": 1}
    with pytest.raises(CisflowError, match="a.bed, line 121: chr1:6000-6031 ends beyond the contig"):
        made(tmp_path, spec(tmp_path, item, **more))
    made(tmp_path, spec(tmp_path, item, **more, rows_beyond_contig="drop"))
    moved = account(tmp_path)
    assert (moved["contig:row_beyond_contig"], moved["blacklist:overlaps"]) == (-1, -1)
    assert account(tmp_path, "candidates")["contig:row_beyond_contig"] == -1


def test_a_place_is_there_once(tmp_path, contigs):
    rows = [row[:3] for row in peaks(5)]
    one, other = bed(tmp_path, rows), bed(tmp_path, rows[:2] + rows[:1] + [("chr1", 5000, 5010)], "b.bed")
    sets = [{"bed": one, "target": 1}, {"bed": other, "target": 1}]
    assert len(made(tmp_path, spec(tmp_path, *sets))["train"].x) == 6
    assert account(tmp_path)["duplicates:same"] == -3
    sets[1]["target"] = 0
    with pytest.raises(CisflowError, match=r"twice with unequal labels: .*a.bed, line 1, .*b.bed, line 1 \(2 such"):
        made(tmp_path, spec(tmp_path, *sets))
    first = made(tmp_path, spec(tmp_path, *sets, contradicting="first"))["train"]
    assert first.y.ravel().tolist() == [1, 1, 1, 1, 1, 0]
    assert account(tmp_path)["duplicates:contradicting"] == -3
    none = made(tmp_path, spec(tmp_path, *sets, contradicting="drop"))["train"]
    assert none.y.ravel().tolist() == [1, 1, 1, 0]
    assert account(tmp_path)["duplicates:contradicting"] == -5


def fasta(folder, records, name="a.fa"):
    (folder / name).write_text("".join(f">{title}\n{text}\n" for title, text in records))
    return str(folder / name)


HEADERS = {
    "bedtools": "{chrom}:{start}-{end}",
    "bedtools with strand": "{chrom}:{start}-{end}(+)",
    "bedtools with name": "peak7::{chrom}:{start}-{end}(-)",
    "samtools": "{chrom}:{first}-{end}",
    "UCSC": "hg38_dna range={chrom}:{first}-{end} 5'pad=0 strand=+",
    "Bioconductor": "NM_1_up_{chrom}_{first}_f {chrom}:{first}-{end}",
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_headers_of_fasta_files_tell_the_place(tmp_path, header, contigs):
    rows = [(c, s, contigs[c][s : s + LENGTH]) for c in ("chr1", "chr2", "chr3") for s in (200, 900)]
    titles = [header.format(chrom=c, start=s, first=s + 1, end=s + LENGTH) for c, s, _ in rows]
    path = fasta(tmp_path, [(title, text) for title, (*_, text) in zip(titles, rows, strict=True)])
    found = made(tmp_path, spec(tmp_path, {"fasta": path, "target": 1}, genome=None))
    assert np.array_equal(found["valid"].x, [encode(text) for c, _, text in rows if c == "chr2"])
    # The same places of a BED file are the same windows.
    item = {"bed": bed(tmp_path, [(c, s, s + LENGTH) for c, s, _ in rows]), "target": 1}
    made(tmp_path, spec(tmp_path, {"fasta": path, "target": 1}, item))
    assert account(tmp_path)["duplicates:same"] == -6


def test_sequences_of_unknown_place_need_another_split(tmp_path, contigs):
    path = fasta(tmp_path, [(f"s{n}", contigs["chr1"][n : n + LENGTH]) for n in range(10)])
    with pytest.raises(CisflowError, match="'s0' does not tell where it is"):
        made(tmp_path, spec(tmp_path, {"fasta": path, "target": 1}, genome=None))
    fractions = {"fractions": [0.6, 0.2, 0.2]}
    found = made(tmp_path, spec(tmp_path, {"fasta": path, "target": 1}, genome=None, split=fractions))
    assert [len(found[name].x) for name in SPLITS] == [6, 2, 2]


def random_sequences(count, seed=1):
    rng = np.random.default_rng(seed)
    return ["".join(row) for row in rng.choice(list("ACGT"), (count, LENGTH))]


def other(text):
    return decode(reverse_complement(encode(text)))


def test_a_sequence_without_a_place_is_there_once(tmp_path):
    """Sets that name their splits share sequences, two of them as the reverse complement."""
    texts = random_sequences(60)
    train, valid = texts[:30], texts[30:40]
    test = [*texts[:11], other(texts[20]), other(texts[21]), *texts[40:51]]
    sets = [
        {"fasta": fasta(tmp_path, [(f"{name}{n}", text) for n, text in enumerate(own)], f"{name}.fa"), "target": 1}
        | {"split": name}
        for name, own in (("train", train), ("valid", valid), ("test", test))
    ]
    found = made(tmp_path, spec(tmp_path, *sets, genome=None, split=None))
    assert found["test"].id.astype(str).tolist() == [f"test{n}" for n in range(11, 24)]
    assert account(tmp_path)["duplicates:same"] == -11
    numbers = quality(tmp_path, "all")
    assert (numbers["valid", "overlap_train"], numbers["test", "overlap_train"]) == (0, 2)
    assert (numbers["valid", "sequences_in_train"], numbers["test", "sequences_in_train"]) == (0, 2)


def test_a_sequence_without_a_place_has_one_label(tmp_path):
    texts = random_sequences(30)
    one = fasta(tmp_path, [(f"a{n}", text) for n, text in enumerate(texts[:20])])
    zero = fasta(tmp_path, [(f"b{n}", text) for n, text in enumerate([other(texts[0]), *texts[18:]])], "b.fa")
    sets = [{"fasta": one, "target": 1}, {"fasta": zero, "target": 0}]
    settings = spec(tmp_path, *sets, genome=None, split={"fractions": [0.6, 0.2, 0.2]})
    message = r"a sequence is there twice with unequal labels: .*a.fa, sequence 19, .*b.fa, sequence 2 \(2 such"
    with pytest.raises(CisflowError, match=message):
        made(tmp_path, settings)
    labels = {}
    for rule in ("first", "drop"):
        found = made(tmp_path, settings | {"contradicting": rule})
        labels[rule] = {decode(x): y for s in found.values() for x, y in zip(s.x, s.y[:, 0], strict=True)}
    assert account(tmp_path)["duplicates:contradicting"] == -4
    assert labels["first"] == dict.fromkeys(texts[:20], 1) | dict.fromkeys([other(texts[0]), *texts[20:]], 0)
    assert labels["drop"].keys() == labels["first"].keys() - set(texts[18:20])


def test_a_sequence_and_its_reverse_complement_go_to_one_split(tmp_path):
    texts = random_sequences(40)
    records = [(f"s{n}", text) for n, text in enumerate([*texts, *map(other, texts)])]
    split = {"fractions": [0.5, 0.25, 0.25]}
    found = made(tmp_path, spec(tmp_path, {"fasta": fasta(tmp_path, records), "target": 1}, genome=None, split=split))
    assert [len(found[name].x) for name in SPLITS] == [40, 20, 20]
    where = {int(text[1:]) % 40: name for name in SPLITS for text in found[name].id.astype(str)}
    assert all(where[int(text[1:]) % 40] == name for name in SPLITS for text in found[name].id.astype(str))


def test_alleles_and_strands_of_one_name_are_rows_of_their_own(tmp_path, contigs):
    """They are told by their sequences; the genome's own sequence is the window of a BED file, too."""
    places = [("chr1", 200), ("chr2", 200), ("chr3", 200)]
    records = []
    for chrom, start in places:
        text = contigs[chrom][start : start + LENGTH].upper()
        allele = ("A" if text[9] != "A" else "C").join((text[:9], text[10:]))
        for one in (text, allele, other(text), text):
            records.append((f"{chrom}:{start}-{start + LENGTH}", one))
    sets = [
        {"fasta": fasta(tmp_path, records), "target": 1},
        {"bed": bed(tmp_path, [(chrom, start, start + LENGTH) for chrom, start in places]), "target": 1},
    ]
    found = made(tmp_path, spec(tmp_path, *sets, reverse_complement=["train"]))
    name = f"chr1:200-{200 + LENGTH}"
    assert found["train"].id.astype(str).tolist() == [
        *(f"{name}{end}" for end in ("", "#2", "#3")),
        *(f"{name}{end}-rc" for end in ("", "#2", "#3")),
    ]
    assert [decode(x) for x in found["train"].x[:3]] == [text for _, text in records[:3]]
    assert account(tmp_path)["duplicates:same"] == -6


def test_names_of_sequences(tmp_path):
    """Those without one are numbered; letters may be any."""
    texts = random_sequences(6)
    titles = ["", "", "β-globin", "same one", "same two", "same-rc"]
    path = fasta(tmp_path, list(zip(titles, texts, strict=True)))
    split = {"fractions": [0.6, 0.2, 0.2]}
    found = made(tmp_path, spec(tmp_path, {"fasta": path, "target": 1}, genome=None, split=split))
    names = {decode(x): name.decode() for part in found.values() for name, x in zip(part.id, part.x, strict=True)}
    expected = ["sequence-1", "sequence-2", "β-globin", "same", "same#2", "same-rc#2"]
    assert [names[text] for text in texts] == expected


STRANDS = [(c, a, a + width, f"{c}_{a}", 0, s) for c in ("chr1", "chr2", "chr3")
    for a, width, s in ((100, 50, "+"), (300, 61, "-"), (500, 50, "+"), (500, 50, "-"), (700, 50, "."))]  # fmt: skip


def test_strands_of_bed_files_are_read_if_that_is_asked(tmp_path, contigs):
    item = {"bed": bed(tmp_path, STRANDS), "target": 1}
    found = made(tmp_path, spec(tmp_path, item, strand=True))
    for split, chrom in zip(SPLITS, ("chr1", "chr2", "chr3"), strict=True):
        expected = {
            f"{chrom}:100-150(+)": contigs[chrom][100:150],
            f"{chrom}:305-355(-)": other(contigs[chrom][305:355]),
            f"{chrom}:500-550(+)": contigs[chrom][500:550],
            f"{chrom}:500-550(-)": other(contigs[chrom][500:550]),
            f"{chrom}:700-750": contigs[chrom][700:750],
        }
        assert dict(zip(found[split].id.astype(str), map(decode, found[split].x), strict=True)) == {
            name: text.upper() for name, text in expected.items()
        }
    assert account(tmp_path, "rows without strand") == {"strand:read_as_forward": 3, "kept": 3}
    # Both labels of a place, on two strands, are no contradiction.
    sets = [
        {"bed": bed(tmp_path, [row for row in STRANDS if row[5] == sign], f"{sign}.bed"), "target": label}
        for sign, label in (("+", 1), ("-", 0))
    ]
    assert len(made(tmp_path, spec(tmp_path, *sets, strand=True))["train"].x) == 4
    with pytest.raises(
        CisflowError, match=r"unequal labels.*They are on two strands: 'strand: true' makes two windows"
    ):
        made(tmp_path, spec(tmp_path, *sets))


def test_a_window_beyond_its_contig_on_the_other_strand(tmp_path, contigs):
    rows = [("chr1", 0, 10, "a", 0, "-"), ("chr2", 99, 100, "b", 0, "+"), ("chr3", 99, 100, "c", 0, "-")]
    found = made(tmp_path, spec(tmp_path, {"bed": bed(tmp_path, rows), "target": 1}, strand=True, edges="pad"))
    assert found["train"].id.tolist() == [b"chr1:-20-30(-)"]
    assert decode(found["train"].x[0]) == other(contigs["chr1"][:30].upper()) + "N" * 20


def test_strands_that_are_not_read_are_said(tmp_path, contigs, caplog):
    caplog.set_level("INFO")
    item = {"bed": bed(tmp_path, STRANDS), "target": 1}
    found = made(tmp_path, spec(tmp_path, item))
    assert found["train"].id.astype(str).tolist() == [
        "chr1:100-150", "chr1:305-355", "chr1:500-550", "chr1:700-750"
    ]  # fmt: skip
    assert account(tmp_path)["duplicates:same_on_other_strand"] == -3
    assert account(tmp_path, "rows of the minus strand") == {"strand:read_as_forward": 6, "kept": 6}
    assert "6 rows of the minus strand are read on the forward strand; 'strand: true' reads them" in caplog.text
    # A sixth column of another kind is no strand.
    rows = [(*row[:5], "-" if number else "high") for number, row in enumerate(STRANDS)]
    made(tmp_path, spec(tmp_path, {"bed": bed(tmp_path, rows), "target": 1}))
    assert account(tmp_path)["duplicates:same"] == -3
    assert account(tmp_path, "rows of the minus strand") == {}


BAD_STRANDS = {
    "no column 6": ([("chr1", 100, 150)], "a.bed, line 1: there is no column 6, and 'strand: true' needs"),
    "a number": ([("chr1", 100, 150, "a", 0, 1)], r"a.bed, line 1: column 6, the strand, is '1', .*\(1 such rows\)"),
    "a row without it": (
        [("chr1", 100, 150, "a", 0, "+"), ("chr1", 100, 150, "a")],
        r"a.bed, line 2: there is no column 6, .*\(1 such rows\)",
    ),
    "no strand at all": ([("chr1", 100, 150, "a", 0, ".")], "a.bed: no row has a strand, column 6 is '.' in all"),
}


@pytest.mark.parametrize(("rows", "message"), BAD_STRANDS.values(), ids=BAD_STRANDS)
def test_strands_that_are_none_are_refused(tmp_path, contigs, rows, message):
    with pytest.raises(CisflowError, match=message):
        made(tmp_path, spec(tmp_path, {"bed": bed(tmp_path, rows), "target": 1}, strand=True))


def test_the_key_of_strands_is_new():
    """Data sets that do not have it have the settings that they had."""
    item = {"bed": "a.bed", "target": 1}
    base = {"kind": "windows", "genome": "g.fa", "length": 50, "sets": [item], "split": BY_CHROMOSOME}
    assert "strand" not in with_paths(Windows(**base), lambda place: place.file)
    assert with_paths(Windows(**base, strand=True), lambda place: place.file)["strand"] is True


def test_random_splits_keep_windows_that_overlap_together(tmp_path, contigs):
    rows = [row[:3] for row in peaks(60)]
    split = {"fractions": [0.6, 0.2, 0.2], "seed": 3}
    found = made(tmp_path, spec(tmp_path, {"bed": bed(tmp_path, rows), "target": 1}, split=split))
    places = {name: [place(text) for text in found[name].id.astype(str)] for name in SPLITS}
    for a, b in (("train", "valid"), ("train", "test"), ("valid", "test")):
        assert not any(c == d and abs(s - t) < LENGTH for c, s in places[a] for d, t in places[b])
    assert {key: n for key, n in quality(tmp_path, "all").items() if key[1] == "overlap_train"} == {
        ("valid", "overlap_train"): 0,
        ("test", "overlap_train"): 0,
    }


def place(text):
    chrom, _, span = text.partition(":")
    return chrom, int(span.split("-")[0])


def test_splits_of_sets_and_columns_and_their_overlaps(tmp_path, contigs):
    first, second = [("chr1", 100, 101), ("chr1", 400, 401)], [("chr1", 130, 131), ("chr1", 900, 901, "x", "val")]
    second[0] = (*second[0], "x", "testing")
    sets = [
        {"bed": bed(tmp_path, first), "target": 1, "split": "train"},
        {"bed": bed(tmp_path, second, "b.bed"), "target": 0},
    ]
    found = made(tmp_path, spec(tmp_path, *sets, split={"column": 4}))
    assert found["test"].id.astype(str).tolist() == ["chr1:105-155"]
    assert found["valid"].id.astype(str).tolist() == ["chr1:875-925"]
    assert quality(tmp_path, "all")["test", "overlap_train"] == 1
    with pytest.raises(CisflowError, match="no window is in valid, test"):
        made(tmp_path, spec(tmp_path, sets[0], split=None))


def test_names_without_chr_and_contigs_of_no_split(tmp_path, contigs):
    rows = [(row[0][3:], *row[1:3]) for row in peaks(4)] + [("4", 200, 300), ("Un", 1, 2)]
    split = BY_CHROMOSOME | {"leave_out": ["chr4"]}
    found = made(tmp_path, spec(tmp_path, {"bed": bed(tmp_path, rows), "target": 1}, split=split))
    assert found["train"].id[0].startswith(b"chr1:")
    moved = account(tmp_path)
    assert (moved["split:left_out"], moved["contig:not_in_genome"]) == (-1, -1)


def test_the_other_strand(tmp_path, contigs):
    item = {"bed": bed(tmp_path, peaks(4)), "target": 1}
    found = made(tmp_path, spec(tmp_path, item, reverse_complement=["train"]))["train"]
    assert np.array_equal(found.x[4:], reverse_complement(found.x[:4]))
    assert found.id[4] == found.id[0] + b"-rc"
    assert account(tmp_path)["kept:train"] == 8


BAD = {
    "a label of 2": ([("chr1", 200, 300, 2)], {"label": 3}, r"must be 0 or 1 \(for numbers say 'target: real'\)"),
    "a chromosome that is not there": (
        [("chr1", 200, 300)],
        {"split": {"valid": ["chr2"], "test": ["chr9"]}},
        "'split' names chr9, and there is no such chromosome",
    ),
    "a split that is none": (
        [("chr1", 200, 300, "dev")],
        {"split": {"column": 3}},
        "the split 'dev' is not one of train, valid, test",
    ),
    "all of it on a blacklist": ([("chr1", 200, 300)], {"blacklist": True}, r"no window is left \(1 overlaps\)"),
}


@pytest.mark.parametrize(("rows", "change", "message"), BAD.values(), ids=BAD)
def test_bad_input_is_refused(tmp_path, contigs, rows, change, message):
    path = bed(tmp_path, rows)
    settings = {key: value for key, value in change.items() if key != "label"}
    settings |= {"blacklist": [path]} if settings.get("blacklist") else {}
    target = {"column": change["label"]} if "label" in change else 1
    with pytest.raises(CisflowError, match=message):
        made(tmp_path, spec(tmp_path, {"bed": path, "target": target}, **settings))
    assert not (tmp_path / "out" / "dataset.h5").exists()


BAD_SETTINGS = {
    "two files": ({"sets": [{"bed": "a.bed", "fasta": "a.fa", "target": 1}]}, "a set is one of bed and fasta"),
    "a column of a FASTA file": ({"sets": [{"fasta": "a.fa", "target": {"column": 3}}]}, "has no columns"),
    "too many labels": ({"sets": [{"bed": "a.bed", "target": [0, 1]}]}, "2 labels, and targets has 1 names"),
    "a class 2": ({"sets": [{"bed": "a.bed", "target": 2}]}, "the label 2 is not 0 or 1"),
    "no genome": ({"genome": None}, "genome: it is needed"),
    "no split": ({"split": None}, "split: it is needed"),
    "negatives of numbers": ({"target": "real", "negatives": {}}, "they need binary labels"),
    "strands of FASTA files": ({"sets": [{"fasta": "a.fa", "target": 1}], "strand": True}, "strand: it is that of BED"),
    "matched by nothing": ({"negatives": {"match": []}}, "at least one"),
    "matched twice": ({"negatives": {"match": ["gc", "gc"]}}, "at most once"),
}


@pytest.mark.parametrize(("change", "message"), BAD_SETTINGS.values(), ids=BAD_SETTINGS)
def test_bad_settings_are_refused(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        Windows(**(spec(tmp_path, {"bed": "a.bed", "target": 1}) | change))


def test_targets_are_named(tmp_path, contigs):
    made(tmp_path, spec(tmp_path, {"bed": bed(tmp_path, peaks(3)), "target": 1}, targets=["enhancer"]))
    assert [row["target"] for row in table(tmp_path, "targets")] == ["enhancer"]
