"""The page of TF-MoDISco's patterns: their logos beside those of the known motifs that they match, in one HTML file."""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import polars as pl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cisflow import __version__
from cisflow.figures.logos import draw_scores
from cisflow.figures.style import BLACK, GREY, METHOD_LABELS, TWO_COLUMNS, new_figure, style
from cisflow.pwm import Motif, information, read_meme
from cisflow.sequence import ALPHABET
from cisflow.tables import MODISCO_BASES, MODISCO_HITS, MODISCO_PATTERNS, MODISCO_SIGNS, read_tsv

# Hits of a pattern that are drawn.
SHOWN = 3
ROW, LEFT = 13.0, 42.0  # mm: height of a logo, place for its name
COLUMNS = 30  # at least so many positions have room, so that short motifs are not stretched
FLANK = 4
DPI = 150


def modisco_page(title: str, tables: Mapping[str, str | Path], database: str | Path) -> str:
    """Return the page.

    Parameters
    ----------
    title
        Its heading.
    tables
        Paths of `signs`, `patterns`, `hits` and `bases`.
    database
        MEME file of the known motifs.
    """
    signs, patterns = read_tsv(tables["signs"], MODISCO_SIGNS), read_tsv(tables["patterns"], MODISCO_PATTERNS)
    hits, bases = read_tsv(tables["hits"], MODISCO_HITS), read_tsv(tables["bases"], MODISCO_BASES)
    known = {motif.id: motif for motif in read_meme(database)}
    sections = []
    for row in patterns.iter_rows(named=True):
        best = hits.filter(pl.col("query") == row["pattern"]).head(SHOWN).to_dicts()
        figure = pattern_figure(bases.filter(pl.col("pattern") == row["pattern"]), best, known)
        sections.append({**row, "image": _png(figure), "shown": best})
    environment = jinja2.Environment(loader=jinja2.PackageLoader("cisflow.figures"), autoescape=True)
    return environment.get_template("modisco.html.j2").render(
        title=title, version=__version__, signs=signs.to_dicts(), patterns=sections, methods=METHOD_LABELS, most=SHOWN
    )


def pattern_figure(bases: pl.DataFrame, hits: Sequence[Mapping[str, Any]], known: Mapping[str, Motif]) -> Figure:
    """Return the logos of a pattern (contributions; bits) and, below and aligned with them, those of its hits.

    Parameters
    ----------
    bases
        Rows of `tables.MODISCO_BASES` of one pattern. Positions that were compared with known motifs are drawn, with
        some on either side; a line below marks them.
    hits
        Rows of `tables.MODISCO_HITS` of it.
    known
        Known motifs by id.
    """
    kept = bases.filter(pl.col("kept") == 1)["position"]
    start, end = kept.min(), kept.max() + 1
    shown = bases.filter(pl.col("position").is_between(start - FLANK, end + FLANK - 1))
    logos = [_bits(_motif(bases), 0), *(_turned(known[hit["target"]], hit, start) for hit in hits)]
    logos[0] = logos[0].filter(pl.col("position").is_in(shown["position"].implode()))
    first = min(table["position"].min() for table in logos)
    last = max(first + COLUMNS, *(table["position"].max() + 1 for table in logos))
    with style():
        figure = new_figure(TWO_COLUMNS, ROW * (1 + len(logos)) + 4)
        axes = figure.subplots(1 + len(logos), 1)
        height = figure.get_figheight() * 25.4
        edges = {"left": LEFT / TWO_COLUMNS, "right": 0.985, "top": 1 - 2 / height, "bottom": 2 / height}
        figure.subplots_adjust(**edges, hspace=0.35)
        draw_scores(axes[0], shown.rename({"contribution": "score"}), first, last)
        _name(axes[0], "contribution", "mean over seqlets")
        names = [("bits", "bases of the seqlets"), *map(_lines, hits)]
        for place, table, lines in zip(axes[1:], logos, names, strict=True):
            draw_scores(place, table, first, last)
            place.set(ylim=(0, 2), yticks=[0, 2])
            _name(place, *lines)
        low, high = axes[0].get_ylim()
        axes[0].set_yticks([low if -low > high else high], [f"{low if -low > high else high:.2g}"])
        for place in axes[:2]:
            place.plot([start - 0.5, end - 0.5], [-0.06] * 2, color=BLACK, linewidth=1.2, clip_on=False,
                transform=place.get_xaxis_transform())  # fmt: skip
    return figure


def _turned(motif: Motif, hit: Mapping[str, Any], start: int) -> pl.DataFrame:
    """Return the bits of a hit's motif, on the strand and at the positions of the pattern that starts at `start`."""
    motif = motif if hit["orientation"] == "+" else motif.reverse_complement()
    # Its column `offset` faces the first of the pattern's that was compared.
    return _bits(motif, start - hit["offset"])


def _motif(bases: pl.DataFrame) -> Motif:
    wide = bases.pivot("base", index="position", values="probability").sort("position")
    return Motif("pattern", "pattern", wide.select(list(ALPHABET)).to_numpy().T)


def _bits(motif: Motif, start: int) -> pl.DataFrame:
    """Return what `draw_scores` draws: probabilities times information, from position `start` on."""
    ppm = motif.probabilities
    heights = ppm * information(ppm).clip(0)
    rows = [
        {"position": start + position, "base": letter, "score": float(heights[base, position])}
        for position in range(motif.width)
        for base, letter in enumerate(ALPHABET)
    ]
    return pl.DataFrame(rows)


def _lines(hit: Mapping[str, Any]) -> tuple[str, str]:
    strand = "" if hit["orientation"] == "+" else ", other strand"
    return hit["target_name"], f"{hit['target']}{strand}"


def _name(axes: Axes, first: str, second: str) -> None:
    place = {"xycoords": "axes fraction", "textcoords": "offset points", "ha": "right", "annotation_clip": False}
    axes.tick_params(axis="y", labelsize=6, length=1.5, pad=1)
    axes.annotate(first, (0, 0.5), (-20, 1.5), va="bottom", **place)
    axes.annotate(second, (0, 0.5), (-20, -1.5), va="top", fontsize=6, color=GREY, **place)


def _png(figure: Figure) -> str:
    buffer = io.BytesIO()
    with style():
        figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    plt.close(figure)
    return base64.b64encode(buffer.getvalue()).decode()
