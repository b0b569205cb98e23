"""Matched negatives: as many of each kind as there are, never more, off the positives, the same again, and an end."""

import numpy as np
import pytest
from tests.datasets.genomes import SPLITS, account, made, make_genome, quality, write_bed

from cisflow.config.windows import Negatives
from cisflow.datasets import negatives
from cisflow.datasets.negatives import Pool, discriminant, draw, profiles, tiles
from cisflow.errors import CisflowError
from cisflow.sequence import decode, encode, gc_content, reverse_complement
from cisflow.tracks.genome import index_genome

SIZES = {"chr1": 60_030, "chr2": 30_000, "chr3": 30_001, "chrUn": 5000}
LENGTH = 60
LETTERS = np.frombuffer(b"ACGT", np.uint8)


def random_letters(rng, count, gc, masked=0.0):
    """Letters of windows; GC content and the lower-case part of each are drawn below and above what is given."""
    share = np.clip(rng.normal(gc, 0.1, (count, 1)), 0, 1)
    strong, second = rng.random((count, LENGTH)) < share, rng.random((count, LENGTH)) < 0.5
    letters = LETTERS[np.where(strong, np.where(second, 1, 2), np.where(second, 0, 3))]
    return np.where(rng.random((count, LENGTH)) < masked, letters + 32, letters)


def pools(own, other, own_split=None, other_split=None):
    return (
        Pool(np.full(len(own), "train") if own_split is None else own_split, lambda rows: own[rows]),
        Pool(np.full(len(other), "train") if other_split is None else other_split, lambda rows: other[rows]),
    )


def gc_bin(letters, step):
    return (np.isin(letters & 0xDF, [ord("G"), ord("C")]).mean(axis=1) / step + 1e-9).astype(int)


@pytest.mark.parametrize("ratio", [0.5, 1.0, 2.3])
def test_each_bin_has_as_many_as_asked_or_all_there_are(ratio):
    rng = np.random.default_rng(1)
    own, other = random_letters(rng, 300, 0.6), random_letters(rng, 2000, 0.45)
    settings = Negatives(ratio=ratio, step=0.05).model_dump()
    found = draw(*pools(own, other), settings)
    share, there = (np.bincount(gc_bin(letters, 0.05), minlength=21) for letters in (own, other))
    wanted = np.diff(np.floor(np.cumsum(share) * ratio + 1e-9), prepend=0).astype(int)
    drawn = np.bincount(gc_bin(other[found.rows], 0.05), minlength=21)
    assert wanted.sum() == int(300 * ratio + 1e-9)
    assert drawn.tolist() == np.minimum(wanted, there).tolist()
    numbers = {row["quantity"]: row["value"] for row in found.quality if row["split"] == "train"}
    assert numbers["missing"] == (wanted - drawn).sum() > 0
    missing = {f"missing_gc_{n * 0.05:.4g}": wanted[n] - drawn[n] for n in np.flatnonzero(wanted > drawn)}
    assert {key: value for key, value in numbers.items() if key.startswith("missing_")} == missing
    overlap = np.minimum(share / share.sum(), drawn / drawn.sum()).sum()
    assert numbers["gc_overlap"] == pytest.approx(overlap)


def test_rounds_change_nothing_but_what_is_looked_at(monkeypatch):
    rng = np.random.default_rng(2)
    own, other = random_letters(rng, 200, 0.5), random_letters(rng, 5000, 0.5)
    once = draw(*pools(own, other), Negatives().model_dump())
    monkeypatch.setattr(negatives, "ROUND", 64)
    monkeypatch.setattr(negatives, "BLOCK", 10)
    often = draw(*pools(own, other), Negatives().model_dump())
    assert np.array_equal(once.rows, often.rows)
    assert len(often.rows) == len(set(often.rows.tolist())) == 200
    assert often.looked_at < once.looked_at
    other_seed = draw(*pools(own, other), Negatives(seed=1).model_dump())
    assert not np.array_equal(once.rows, other_seed.rows)


def test_splits_do_not_share_candidates():
    rng = np.random.default_rng(3)
    own, other = random_letters(rng, 300, 0.5), random_letters(rng, 3000, 0.5)
    own_split = np.repeat(["train", "valid", "test"], 100)
    other_split = rng.choice(["train", "valid", "test", ""], 3000, p=[0.6, 0.2, 0.1, 0.1])
    found = draw(*pools(own, other, own_split, other_split), Negatives(step=0.1).model_dump())
    for split in SPLITS:
        rows = found.rows[other_split[found.rows] == split]
        wanted = np.bincount(gc_bin(own[own_split == split], 0.1), minlength=11)
        assert (np.bincount(gc_bin(other[rows], 0.1), minlength=11) <= wanted).all()
    assert (other_split[found.rows] != "").all()


def test_it_ends_when_there_is_nothing_to_find():
    own, other = np.full((50, LENGTH), ord("G"), np.uint8), np.full((9000, LENGTH), ord("A"), np.uint8)
    found = draw(*pools(own, other), Negatives().model_dump())
    assert len(found.rows) == 0
    assert found.looked_at == 9000
    assert {row["quantity"]: row["value"] for row in found.quality if row["split"] == "train"} == {
        "wanted": 50,
        "found": 0,
        "missing": 50,
        "gc_overlap": 0,
        "missing_gc_1": 50,
    }
    empty = draw(*pools(own, other[:0]), Negatives(match=["gc", "kmers"]).model_dump())
    assert len(empty.rows) == 0


def test_repeats_are_matched_together_with_gc():
    rng = np.random.default_rng(4)
    own, other = random_letters(rng, 200, 0.5, 0.1), random_letters(rng, 20000, 0.5, rng.random((20000, 1)))
    settings = Negatives(match=["gc", "repeats"], step=0.1).model_dump()
    found = draw(*pools(own, other), settings)

    def crossed(letters):
        return (gc_bin(letters, 0.1) * 11 + ((letters >= ord("a")).mean(axis=1) / 0.1 + 1e-9).astype(int)).tolist()

    assert sorted(crossed(other[found.rows])) == sorted(crossed(own))


def test_kmers_bring_composition_nearer():
    rng = np.random.default_rng(5)
    own, other = random_letters(rng, 400, 0.5), random_letters(rng, 20000, 0.5)
    # Half of the positives and a tenth of the candidates have CG, CG, ...: their GC content is that of others.
    own[::2, :20], other[::10, :20] = np.tile(LETTERS[[1, 2]], 10), np.tile(LETTERS[[1, 2]], 10)
    own[::2, 20:40], other[::10, 20:40] = LETTERS[0], LETTERS[0]
    share = {}
    for match in (["gc"], ["gc", "kmers"]):
        found = draw(*pools(own, other), Negatives(match=match, step=0.1).model_dump())
        share[len(match)] = (found.rows % 10 == 0).mean()
    assert share[1] < 0.25
    assert share[2] == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_profiles_count_both_strands(k):
    rng = np.random.default_rng(k)
    x = rng.integers(0, 5, (6, 40), dtype=np.uint8)
    found = profiles(x, k)
    other = str.maketrans("ACGT", "TGCA")
    for row, profile in zip(x, found, strict=True):
        text = decode(row)
        words = [text[at : at + k] for at in range(41 - k) if "N" not in text[at : at + k]]
        counts = {}
        for word in words:
            word = min(word, word.translate(other)[::-1])
            counts[word] = counts.get(word, 0) + 1
        expected = [counts[word] / len(words) for word in sorted(counts)]
        assert profile[profile > 0].tolist() == pytest.approx(expected)


def test_the_discriminant_is_fishers():
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    rng = np.random.default_rng(6)
    own, other = rng.normal(0.3, 1, (400, 5)), rng.normal(0, 1, (400, 5))
    peer = LinearDiscriminantAnalysis().fit(np.r_[own, other], np.repeat([1, 0], 400)).coef_[0]
    weights = discriminant(own, other)
    assert weights / np.linalg.norm(weights) == pytest.approx(peer / np.linalg.norm(peer), abs=1e-4)


def test_tiles_lie_side_by_side_inside_their_contigs():
    sizes = np.array([1000, 59, 60, 133])
    contig, start = tiles(sizes, 60, 10**6, np.random.default_rng(7))
    assert ((start >= 0) & (start + 60 <= sizes[contig])).all()
    for number in range(4):
        assert (np.diff(start[contig == number]) == 60).all()
    assert (contig == 1).sum() == 0
    assert (contig == 2).sum() == 1
    few = tiles(sizes, 60, 5, np.random.default_rng(7))
    assert {*zip(*few, strict=True)} < {*zip(contig, start, strict=True)}


@pytest.fixture
def genome(tmp_path):
    return make_genome(tmp_path, SIZES)


def spec(folder, count=80, **settings):
    rng = np.random.default_rng(8)
    rows = [(c, a, a + 10) for c in list(SIZES)[:3] for a in np.sort(rng.integers(100, SIZES[c] - 100, count))]
    base = {"kind": "windows", "genome": str(folder / "genome.fa.gz"), "length": LENGTH}
    base |= {"sets": [{"bed": write_bed(folder / "a.bed", rows), "target": 1}]}
    return base | {"split": {"valid": ["chr2"], "test": ["chr3"]}, "negatives": {"step": 0.1}} | settings


def of_class(found, label):
    for name in SPLITS:
        for text in found[name].id[found[name].y[:, 0] == label].astype(str):
            chrom, _, span = text.partition(":")
            yield name, chrom, int(span.split("-")[0])


@pytest.mark.parametrize(
    "split", [{"valid": ["chr2"], "test": ["chr3"]}, {"fractions": [0.6, 0.2, 0.2]}], ids=["chromosomes", "fractions"]
)
def test_negatives_of_a_genome(tmp_path, genome, split):
    settings = spec(tmp_path, split=split, negatives={"step": 0.1, "distance": 100})
    found, again = made(tmp_path, settings), made(tmp_path, settings)
    own, drawn = list(of_class(found, 1)), list(of_class(found, 0))
    assert len(drawn) > 0.9 * len(own)
    assert all(np.array_equal(found[name].x, again[name].x) for name in SPLITS)
    for name, chrom, start in drawn:
        assert not any(c == chrom and abs(s - start) - LENGTH < 100 for _, c, s in own)
        assert sum(c == chrom and abs(s - start) < LENGTH for _, c, s in drawn) == 1
        assert "fractions" in split or name == {"chr2": "valid", "chr3": "test"}.get(chrom, "train")
        assert chrom != "chrUn"
    for name in SPLITS:
        numbers = {key[1]: value for key, value in quality(tmp_path, "negatives").items() if key[0] == name}
        y = found[name].y[:, 0]
        bins = [np.bincount((gc_content(found[name].x[y == k]) * 10 + 1e-7).astype(int), minlength=11) for k in (1, 0)]
        overlap = np.minimum(bins[0] / bins[0].sum(), bins[1] / bins[1].sum()).sum()
        assert numbers["gc_overlap"] == pytest.approx(overlap)
        assert numbers["found"] + numbers["missing"] == numbers["wanted"] == y.sum()
        assert numbers["distance_q05"] >= 100
    moved = account(tmp_path, "candidates")
    assert sum(n for key, n in moved.items() if key != "kept") == moved["kept"] == len(drawn)
    assert account(tmp_path)["negatives:drawn"] == len(drawn)


def test_negatives_keep_off_blacklists_and_unknown_bases(tmp_path, genome):
    black = write_bed(tmp_path / "black.bed", [("chr1", 0, 30_000)])
    found = made(tmp_path, spec(tmp_path, count=20, blacklist=[black]))
    assert all(start >= 30_000 for _, chrom, start in of_class(found, 0) if chrom == "chr1")
    assert account(tmp_path, "candidates")["place:blacklist"] < 0


def test_negatives_of_a_bed_file(tmp_path, genome):
    rows = [(c, a, a + 20) for c in ("chr1", "chr2", "chr3") for a in range(200, 25_000, 70)]
    pool = write_bed(tmp_path / "pool.bed", [*rows, *rows[:3], ("chr1", 0, 4), ("chr9", 1, 2)])
    found = made(tmp_path, spec(tmp_path, count=20, negatives={"step": 0.1, "pool": pool}))
    places = {(c, a + 10 - LENGTH // 2) for c, a, _ in rows}
    drawn = [(chrom, start) for _, chrom, start in of_class(found, 0)]
    assert len(drawn) == 60
    assert set(drawn) <= places
    moved = account(tmp_path, "candidates")
    assert (moved["edges:beyond_contig"], moved["contig:not_in_genome"], moved["duplicates:same"]) == (-1, -1, -3)


def test_negatives_of_a_fasta_file_need_no_genome(tmp_path, genome):
    def fasta(name, starts, title):
        text = "".join(f">{title.format(c=c, a=a, b=a + LENGTH)}\n{genome[c][a : a + LENGTH]}\n" for c, a in starts)
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    places = [(c, a) for c in ("chr1", "chr2", "chr3") for a in range(0, 20_000, 100)]
    elsewhere = [("chrUn", a) for a in range(0, 4000, 100)]
    for title in ("{c}:{a}-{b}", "s{a}{c}"):
        own, pool = fasta("own.fa", places[::10], title), fasta("pool.fa", places + elsewhere, title)
        split = {"valid": ["chr2"], "test": ["chr3"]} if ":" in title else {"fractions": [0.6, 0.2, 0.2]}
        settings = {"genome": None, "sets": [{"fasta": own, "target": 1}], "split": split}
        found = made(tmp_path, spec(tmp_path, **settings, negatives={"step": 0.1, "pool": pool}))
        ids = np.concatenate([found[name].id for name in SPLITS])
        assert len(ids) == len(set(ids)) > 100
        moved = account(tmp_path, "candidates")
        assert moved["place:near_window" if ":" in title else "place:same_sequence"] == -60


def test_splits_that_files_tell_are_matched_in_size(tmp_path, genome):
    rng, rows = np.random.default_rng(9), []
    for split, label, count in (("train", 1, 40), ("valid", 1, 20), ("test", 0, 20)):
        rows += [("chr1", a, a + 10, split, label) for a in rng.integers(100, 59_000, count)]
    sets = [{"bed": write_bed(tmp_path / "b.bed", rows), "target": {"column": 4}}]
    found = made(tmp_path, spec(tmp_path, sets=sets, split={"column": 3}, negatives={"step": 0.2}))
    drawn = {name: int((found[name].y == 0).sum()) for name in SPLITS}
    assert drawn["train"] > 35
    assert drawn["valid"] > 15
    assert drawn["test"] == 20
    windows = [place for label in (0, 1) for place in of_class(found, label)]
    for name, _, start in of_class(found, 0):
        assert name == "test" or all(n == name or abs(s - start) >= LENGTH for n, _, s in windows)


def test_without_positives_there_are_no_negatives(tmp_path, genome):
    settings = spec(tmp_path)
    settings["sets"][0]["target"] = 0
    with pytest.raises(CisflowError, match="no row has a positive label"):
        made(tmp_path, settings)


def test_a_pool_that_is_no_fasta_file_needs_a_genome(tmp_path, genome):
    (tmp_path / "own.fa").write_text("".join(f">s{n}\n{'ACGT' * 15}\n" for n in range(10)))
    settings = {"genome": None, "sets": [{"fasta": str(tmp_path / "own.fa"), "target": 1}]}
    with pytest.raises(CisflowError, match="pool.bed: 'genome' is needed for a pool"):
        made(tmp_path, spec(tmp_path, **settings, split={"fractions": [0.6, 0.2, 0.2]}, negatives={"pool": "pool.bed"}))


def write_fasta(path, genome, places, change=str):
    """Write windows of a genome with their places; `change` is done to their letters."""
    text = "".join(f">{c}:{a}-{a + LENGTH}\n{change(genome[c][a : a + LENGTH])}\n" for c, a in places)
    path.write_text(text)
    return str(path)


PLACES = [(chrom, at) for chrom in ("chr1", "chr2", "chr3") for at in range(0, 20_000, 100)]


def test_a_candidate_of_a_fasta_file_is_looked_at_once(tmp_path):
    """One that has the sequence of a row, or its reverse complement, is none; that row may be a negative already."""
    rng = np.random.default_rng(10)
    texts = ["".join(row) for row in rng.choice(list("ACGT"), (140, LENGTH))]
    turned = [decode(reverse_complement(encode(text))) for text in texts]
    files = {}
    for name, own in (("one", texts[:20]), ("zero", texts[20:30]), ("pool", [*turned[:5], *texts[25:], *texts[130:]])):
        files[name] = str(tmp_path / f"{name}.fa")
        (tmp_path / f"{name}.fa").write_text("".join(f">{name}{n}\n{text}\n" for n, text in enumerate(own)))
    sets = [{"fasta": files["one"], "target": 1}, {"fasta": files["zero"], "target": 0}]
    settings = {"genome": None, "sets": sets, "split": {"fractions": [0.6, 0.2, 0.2]}}
    found = made(tmp_path, spec(tmp_path, **settings, negatives={"step": 0.5, "pool": files["pool"]}))
    assert sum(len(found[name].x) for name in SPLITS) == 50
    moved = account(tmp_path, "candidates")
    assert (moved["read"], moved["duplicates:same"], moved["place:same_sequence"]) == (130, -10, -10)


def test_strands_of_a_pool_are_read_with_those_of_the_sets(tmp_path, genome):
    rows = [(c, a, a + LENGTH, "n", 0, strand) for c, a in PLACES for strand in "+-"]
    settings = spec(tmp_path, count=20, negatives={"step": 0.5, "pool": write_bed(tmp_path / "pool.bed", rows)})
    made(tmp_path, settings)
    assert account(tmp_path, "candidates")["duplicates:same"] == -len(PLACES)
    own = [(c, a, a + 10, "p", 0, "-") for c, a in PLACES[::20]]
    sets = [{"bed": write_bed(tmp_path / "own.bed", own), "target": 1}]
    found = made(tmp_path, settings | {"sets": sets, "strand": True})
    assert "duplicates:same" not in account(tmp_path, "candidates")
    ids, x, y = (np.concatenate([getattr(part, key) for part in found.values()]) for key in ("id", "x", "y"))
    drawn = np.flatnonzero(y[:, 0] == 0)
    assert {name[-3:] for name in ids[drawn]} == {b"(+)", b"(-)"}
    for row in drawn:
        name = ids[row]
        chrom, _, span = name.decode().partition(":")
        at = int(span.split("-")[0])
        text = encode(genome[chrom][at : at + LENGTH])
        assert np.array_equal(x[row], reverse_complement(text) if name.endswith(b"(-)") else text)


@pytest.mark.parametrize("change", [str.upper, str.lower])
@pytest.mark.parametrize("what", ["genome", "positives", "pool"])
def test_repeats_are_not_matched_without_soft_masking(tmp_path, genome, what, change):
    """A genome, positives or a pool in letters of one case tell no repeats."""
    negatives = {"match": ["gc", "repeats"], "step": 0.2}
    settings = spec(tmp_path, negatives=negatives)
    file = "genome.fa.gz"
    if what == "genome":
        (tmp_path / "genome.fa").write_text("".join(f">{name}\n{change(text)}\n" for name, text in genome.items()))
        index_genome(tmp_path / "genome.fa", tmp_path / "genome.fa.gz")
    else:
        file = "a.fa"
        path = write_fasta(tmp_path / file, genome, PLACES[:: 10 if what == "positives" else 1], change)
        settings |= {"sets": [{"fasta": path, "target": 1}]} if what == "positives" else {}
        settings["negatives"] = negatives | ({"pool": path} if what == "pool" else {})
    message = rf"negatives.match: .*{file} has no lower-case \(soft-masked\) bases beside upper-case ones"
    with pytest.raises(CisflowError, match=message):
        made(tmp_path, settings)
    assert len(made(tmp_path, settings | {"negatives": settings["negatives"] | {"match": ["gc"]}})["train"].x) >= 40


def test_repeats_of_fasta_files_are_matched_by_their_case(tmp_path, genome):
    own = write_fasta(tmp_path / "own.fa", genome, PLACES[::10])
    settings = spec(tmp_path, sets=[{"fasta": own, "target": 1}], negatives={"match": ["repeats"], "step": 0.5})
    made(tmp_path, settings)
    assert all(quality(tmp_path, "negatives")[name, "repeats_overlap"] > 0.9 for name in SPLITS)


def test_a_split_without_room_for_negatives_is_said(tmp_path, genome, caplog):
    """Neither the split nor the windows are to blame: no candidate is free on chr2."""
    rows = [("chr1", 1000, 1050), ("chr3", 100, 150), *(("chr2", a, a + LENGTH) for a in range(0, 29_900, 70))]
    sets = [{"bed": write_bed(tmp_path / "b.bed", rows), "target": 1}]
    settings = spec(tmp_path, sets=sets, negatives={"step": 0.1, "distance": 100})
    message = (
        r"dataset.negatives: there is no candidate in valid, where negatives are wanted \(428 in valid\). "
        r"Of \d,\d+ candidates in all splits were left out: [\d,]+ near_window. What may help: "
        r"a 'distance' below 100, a 'pool'"
    )
    with pytest.raises(CisflowError, match=message):
        made(tmp_path, settings)
    pool = write_bed(tmp_path / "pool.bed", [("chr1", a, a + LENGTH) for a in range(2000, 50_000, 100)])
    with pytest.raises(CisflowError, match=r"no candidate in valid and test, .*What may help: another 'pool'\.$"):
        made(tmp_path, settings | {"negatives": {"step": 0.1, "pool": pool}})
    with pytest.raises(CisflowError, match="What may help: a 'distance' below 100, more 'candidates', a 'pool'"):
        made(tmp_path, settings | {"negatives": {"step": 0.1, "distance": 100, "candidates": 1}})
    # Where there are some, and not enough of them, the data set is made, and says so.
    sets[0]["bed"] = write_bed(tmp_path / "b.bed", [*rows[:100], *(("chr1", a, a + 9) for a in range(0, 60_000, 500))])
    made(tmp_path, settings | {"sets": sets, "negatives": {"step": 0.02}})
    numbers = quality(tmp_path, "negatives")
    missing = int(numbers["valid", "missing"])
    assert missing > 0
    assert f"negatives: {missing} of 98 that are wanted in valid are missing" in caplog.text


def test_thousands_of_contigs(tmp_path):
    """Candidates are of contigs that have positives; in a genome of small contigs these have no room, which is said."""
    sizes = {f"c{n}": 200 if n % 2 else 70 for n in range(3000)}
    genome = make_genome(tmp_path, sizes)
    rows = [(name, 5, 5 + LENGTH) for name, size in sizes.items() if size == 200][::2]
    sets = [{"bed": write_bed(tmp_path / "b.bed", rows), "target": 1}]
    settings = spec(tmp_path, sets=sets, split={"fractions": [0.6, 0.2, 0.2]}, negatives={"step": 0.5})
    found = made(tmp_path, settings)
    drawn = list(of_class(found, 0))
    assert len(drawn) > 600
    assert {chrom for _, chrom, _ in drawn} <= {name for name, *_ in rows}
    for part in found.values():
        for name, x in zip(part.id.astype(str), part.x, strict=True):
            chrom, _, span = name.partition(":")
            first, last = map(int, span.split("-"))
            assert decode(x) == genome[chrom][first:last].upper()
    sets[0]["bed"] = write_bed(tmp_path / "b.bed", [(name, 5, 65) for name, size in sizes.items() if size == 70])
    message = (
        r"no candidate in train and valid and test, .*Of 1,500 candidates in all splits were left out: 1,500 near_"
    )
    with pytest.raises(CisflowError, match=message):
        made(tmp_path, settings)
