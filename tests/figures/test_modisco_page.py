"""The page of TF-MoDISco's patterns has every pattern with its hits, and says why where there is none."""

import re

import numpy as np
import polars as pl
import pytest
from matplotlib import pyplot as plt

from cisflow.figures.modisco import modisco_page, pattern_figure
from cisflow.io import write_tsv
from cisflow.pwm import Motif, write_meme
from cisflow.tables import MODISCO_BASES, MODISCO_HITS, MODISCO_PATTERNS, MODISCO_SIGNS

OF = {"task": "t", "run": "cnn-2_relu", "method": "mutagenesis"}
WORD = "GGGTGACTCA"  # the last seven positions are kept
KNOWN = {
    "MA1": Motif("MA1", "AP1", np.eye(4)["ACGT".index("T")][:, None] * np.ones((1, 3)) + 0.01),
    "MA2": Motif("MA2", "OTHER", np.eye(4)[["ACGT".index(base) for base in "CCATT"]].T + 0.01),
}


def bases(name: str, sign: float = 1.0) -> list[dict]:
    return [
        {"pattern": name, "position": position, "kept": int(position >= 3), "base": base,
         "contribution": sign * (base == letter), "probability": 0.97 if base == letter else 0.01}
        for position, letter in enumerate(WORD) for base in "ACGT"
    ]  # fmt: skip


def hit(query: str, target: str, offset: int, orientation: str) -> dict:
    scores = {"p_value": 1e-9, "e_value": 1e-7, "q_value": 2e-7, "overlap": 5, "engine": "memelite"}
    names = {"query": query, "target": target, "target_name": KNOWN[target].name}
    return OF | names | scores | {"offset": offset, "orientation": orientation}


@pytest.fixture
def tables(tmp_path):
    """Two patterns, of which the second has no hit."""
    names = ("pos_patterns.pattern_0", "neg_patterns.pattern_0")
    about = {"target": "bound", "trials": 2, "left_out": 1, "sequences": 70, "window": 60}
    signs = [
        {**OF, **about, "sign": sign, "seqlets": 120, "used": 120, "patterns": 1, "in_patterns": 60, "note": ""}
        for sign in ("positive", "negative")
    ]
    patterns = [
        {**OF, "pattern": name, "sign": sign, "seqlets": 60, "start": 3, "end": 10, "bits": 12.34,
         "consensus": "TGACTCA", "hits": hits, "best": best, "best_name": best and "AP1", "e_value": best and 1e-7,
         "q_value": best and 2e-7}
        for name, sign, hits, best in zip(names, ("positive", "negative"), (2, 0), ("MA1", None), strict=True)
    ]  # fmt: skip
    contents = {
        "signs": (MODISCO_SIGNS, signs),
        "patterns": (MODISCO_PATTERNS, patterns),
        "hits": (MODISCO_HITS, [hit(names[0], "MA1", 0, "+"), hit(names[0], "MA2", -2, "-")]),
        "bases": (MODISCO_BASES, [*bases(names[0]), *bases(names[1], -1.0)]),
    }
    for name, (columns, rows) in contents.items():
        write_tsv(tmp_path / f"{name}.tsv", columns, rows)
    write_meme(tmp_path / "known.meme", KNOWN.values())
    return {name: tmp_path / f"{name}.tsv" for name in contents}, tmp_path / "known.meme"


def words(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_the_page_has_every_pattern_and_needs_no_other_file(tables):
    page = modisco_page("My sites", *tables)
    assert page.count("data:image/png;base64,") == 2
    assert not re.search(r"(src|href)=\"(?!data:|#)", page)
    text = words(page)
    for part in ("mutagenesis", "to bound", "mean of 2 trials (1 left out: not finite)", "70 sequences of 60 bases",
                 "pos_patterns.pattern_0 60 12.3 TGACTCA AP1 (MA1) 1e-07 2e-07", "OTHER MA2 - 1e-07 2e-07",
                 "neg_patterns.pattern_0 60 12.3 TGACTCA none", "No known motif matches it."):  # fmt: skip
        assert part in text
    assert "No pattern was found" not in text
    assert modisco_page("My sites", *tables) == page


def test_without_a_pattern_the_page_says_why(tables):
    paths = tables[0]
    counts = {"target": "bound", "trials": 1, "left_out": 0, "sequences": 70, "window": 60, "used": 0, "patterns": 0}
    note = "too few seqlets: more than 100 are needed (modisco.min_seqlets)"
    rows = [
        {**OF, **counts, "sign": sign, "seqlets": 7, "in_patterns": 0, "note": note}
        for sign in ("positive", "negative")
    ]
    write_tsv(paths["signs"], MODISCO_SIGNS, rows)
    for name, columns in (("patterns", MODISCO_PATTERNS), ("hits", MODISCO_HITS), ("bases", MODISCO_BASES)):
        write_tsv(paths[name], columns, [])
    text = words(modisco_page("My sites", *tables))
    assert "No pattern was found" in text
    assert f"positive 7 0 0 0 {note}" in text
    assert f"negative 7 0 0 0 {note}" in text


def test_hits_are_drawn_where_they_align(tables):
    """Offset -2 of a hit: the pattern begins two positions before it; its strand is turned."""
    table = pl.DataFrame(bases("p"))
    figure = pattern_figure(table, [hit("p", "MA1", 0, "+"), hit("p", "MA2", -2, "-")], KNOWN)
    assert len(figure.axes) == 4
    assert len({axes.get_xlim() for axes in figure.axes}) == 1

    def tallest(axes) -> dict[int, float]:
        """Height of the tallest letter by position."""
        heights: dict[int, float] = {}
        to_data = axes.transData.inverted()
        # All letters of a base may be one patch, of many outlines.
        for patch in axes.patches:
            for outline in patch.get_transform().transform_path(patch.get_path()).to_polygons():
                (left, low), (right, high) = to_data.transform([outline.min(0), outline.max(0)])
                place = round((left + right) / 2)
                heights[place] = max(heights.get(place, 0), high - low)
        return {place: height for place, height in heights.items() if height > 0.5}

    assert sorted(tallest(figure.axes[0])) == list(range(10)), "four positions on either side are drawn, if there are"
    assert sorted(tallest(figure.axes[2])) == [3, 4, 5]
    assert sorted(tallest(figure.axes[3])) == [5, 6, 7, 8, 9], "the pattern's first compared position is 3"
    plt.close(figure)
