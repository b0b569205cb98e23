"""Galleries are drawn as their tables are, in letters that are what logomaker draws, and say what cannot be drawn."""

import logomaker
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pytest
from matplotlib.patches import PathPatch
from tests.figures.test_attribution_figures import words

from cisflow.figures import fig3, gallery, style, task
from cisflow.figures.logos import draw_letters, draw_scores
from cisflow.io import write_tsv
from cisflow.tables import GALLERY

ACTIVATIONS, SEQUENCES, FIRST, LENGTH, MOTIF = ("relu", "exponential"), 12, 50, 300, 240
SETTINGS = {"positions": 100, "runs": 4, "sequences": 12}
FIG3 = {"activations": list(ACTIVATIONS), "locus": "the locus", "line": 140, "positions": 70, "sequences": 3}


def rows(sequences=SEQUENCES, length=LENGTH, activations=ACTIVATIONS):
    """Noise, and a motif of five bases at MOTIF, which the exponential network alone sees clearly."""
    rng = np.random.default_rng(0)
    found = []
    for activation in activations:
        run = f"residualbind_{activation}"
        about = {"task": "task5", "run": run, "model": "residualbind", "activation": activation, "trial": 0}
        about |= {"target": "ZBED2", "output": "probability", "method": "saliency"}
        for number in range(sequences):
            score = rng.normal(0, 0.3 if activation == "relu" else 0.01, length)
            score[MOTIF - FIRST : MOTIF - FIRST + 5] += 1
            of = {"example": number, "sequence": f"test-{number}", "label": 1.0, "prediction": rng.random()}
            for place, value in enumerate(score):
                found.append(about | of | {"position": FIRST + place, "base": "ACGT"[place % 4], "score": value})
    return found


@pytest.fixture
def table(tmp_path):
    """Return a function that writes rows and gives their path."""

    def write(content, name="gallery"):
        write_tsv(tmp_path / f"{name}.tsv", GALLERY, content)
        return str(tmp_path / f"{name}.tsv")

    return write


def test_letters_are_those_of_logomaker():
    heights = np.array([[0.5, -0.2, 0, 0.1], [0, 0, 1.5, -0.3], [0, -1, -0.5, 0], [0.2, 0.3, 0.1, 0.4]])
    figure, (ours, theirs) = plt.subplots(1, 2)
    draw_letters(ours, heights, first=7)
    logo = logomaker.Logo(pd.DataFrame(heights, index=range(7, 11), columns=list("ACGT")), ax=theirs, fade_below=0)
    # Ours are one patch a base, which reaches from its lowest letter to its highest.
    found = {tuple(np.round(patch.get_path().get_extents().extents, 4)) for patch in ours.patches}
    for base, number in zip("ACGT", range(4), strict=True):
        letters = [logo.glyph_df.loc[7 + place, base] for place in range(4) if heights[place, number]]
        corners = np.array([[g.p - 0.5, g.floor, g.p + 0.5, g.ceiling] for g in letters])
        whole = (*corners[:, :2].min(0), *corners[:, 2:].max(0))
        assert any(np.allclose(whole, box, atol=1e-3) for box in found), base
    assert len(ours.patches) == 4
    plt.close(figure)


def test_a_letter_stands_in_its_box_and_on_its_head_below_zero():
    figure, axes = plt.subplots()
    shown = pl.DataFrame({"position": [20, 21, 30], "base": ["A", "T", "A"], "score": [2.0, -1.0, 9.0]})
    draw_scores(axes, shown, 20, 25)
    extents = {tuple(patch.get_path().get_extents().extents.round(6)) for patch in axes.patches}
    assert extents == {(19.5, 0, 20.5, 2), (20.5, -1, 21.5, 0)}, "what is beyond the stretch is not drawn"
    (t,) = [p.get_path().vertices for p in axes.patches if p.get_path().get_extents().ymin < 0]
    # The bar of the T is its widest part: upside down it is at the bottom.
    assert np.ptp(t[t[:, 1] < -0.95, 0]) > np.ptp(t[t[:, 1] > -0.05, 0])
    plt.close(figure)


def test_the_figure_has_every_score_of_the_table(table):
    path = table(rows())
    figure, numbers = gallery.draw({"gallery": path}, SETTINGS)
    written = pl.read_csv(path, separator="\t")
    keys = ["run", "example", "position"]
    assert numbers.sort(keys)["score"].to_list() == written.sort(keys)["score"].to_list()
    lettered = numbers.filter(pl.col("letters"))
    assert lettered.group_by("run", "example").len()["len"].unique().to_list() == [100]
    # In every row the letters drawn reach as high as the highest score of the stretch.
    shown = [axes for axes in figure.axes if any(isinstance(p, PathPatch) for p in axes.patches)]
    assert len(shown) == SEQUENCES * 2
    first = lettered.filter((pl.col("example") == 0) & (pl.col("activation") == "relu"))
    assert shown[0].get_ylim() == pytest.approx((first["score"].min(), first["score"].max()))
    assert shown[0].get_xlim() == (first["position"].min() - 0.5, first["position"].max() + 0.5)
    assert "test-11, positive; predicted" in words(figure)
    plt.close(figure)


def test_the_letters_are_around_what_stands_out_and_cut_it_nowhere(table):
    _, numbers = gallery.draw({"gallery": table(rows())}, SETTINGS)
    for own in numbers.filter("letters").partition_by("example"):
        assert own["position"].min() < MOTIF - 5
        assert own["position"].max() > MOTIF + 10
    plt.close("all")


@pytest.mark.parametrize(("length", "every"), [(300, 100), (1300, 500), (3000, 500), (130_000, 50_000)])
def test_the_places_along_a_profile_can_be_read(length, every):
    figure, axes = plt.subplots()
    scores = {"position": np.arange(length), "score": np.ones(length), "letters": np.arange(length) < 100}
    gallery.profile(axes, pl.DataFrame(scores).with_columns(activation=pl.lit("relu")))
    assert axes.get_xticks().tolist() == list(range(0, length, every))
    plt.close(figure)


def test_a_gallery_that_fits_is_all_letters(table):
    figure, numbers = gallery.draw({"gallery": table(rows(2, 80))}, SETTINGS)
    assert numbers["letters"].all()
    assert len(figure.axes) == 2 * 2, "no profiles"
    assert "at the right" not in words(figure)
    plt.close(figure)


def test_at_most_so_many_are_drawn_and_it_says_so(table):
    figure, numbers = gallery.draw({"gallery": table(rows())}, SETTINGS | {"runs": 1, "sequences": 5})
    assert numbers.select("run", "example").n_unique() == 5
    assert "Drawn: 1 of 2 runs, 5 of 12 sequences, the first ones." in words(figure)
    plt.close(figure)


def test_what_cannot_be_drawn_is_said_in_its_place(table):
    content = rows(2)
    for row in content:
        if row["activation"] == "relu":
            row |= {"score": None, "prediction": None}
        elif row["example"] == 1:
            row |= {"score": 0.0}
    figure, numbers = gallery.draw({"gallery": table(content)}, SETTINGS)
    text = words(figure)
    assert text.count("not drawn: the model's output is no number") == 2
    assert text.count("all scores are zero: the probability does not change here") == 1
    assert "predicted undefined (ReLU)" in text
    assert numbers["score"].null_count() == 2 * LENGTH
    plt.close(figure)


def test_a_gallery_without_sequences_says_so(table, tmp_path):
    figure, numbers = task.sequences({"gallery": table([])}, {"runs": 4})
    assert "no sequence of the split is without unknown bases" in words(figure)
    assert numbers.is_empty()
    style.save(figure, numbers, tmp_path / "sequences.pdf")


def test_runs_that_share_an_activation_have_their_whole_names(table):
    content = rows(1, 80)
    for row in content:
        row |= {"activation": "relu", "run": "cnn-2_relu_lr-0.1" if row["activation"] == "relu" else "cnn-2_relu_lr-1"}
    figure, _ = gallery.draw({"gallery": table(content)}, SETTINGS)
    assert "cnn-2\nrelu\nlr-0.1" in words(figure)
    plt.close(figure)


def test_figure_3_has_the_scores_that_it_draws(table):
    paths = {"zbed2": table(rows(), "zbed2"), "irf1": table(rows(), "irf1"), "locus": table(rows(1, 280), "locus")}
    figure, numbers = fig3.draw(paths, FIG3)
    counts = dict(numbers.group_by("panel").len().iter_rows())
    assert counts == {"a": 2 * 280, "b": 2 * 3 * 70, "c": 2 * 3 * 70}
    locus = pl.read_csv(paths["locus"], separator="\t")
    assert numbers.filter(pl.col("panel") == "a")["score"].to_list() == locus["score"].to_list()
    # Two lines of two logos in a; three sequences in two columns in b and c.
    assert len(figure.axes) == 4 + 6 + 6
    assert "the locus; predicted" in words(figure)
    plt.close(figure)


def test_figure_3_says_what_basset_needs(table):
    figure, numbers = fig3.draw(
        {"zbed2": table(rows(), "zbed2"), "irf1": table(rows(activations=["relu"]), "irf1")}, FIG3
    )
    assert "It needs er.h5 (about 10 GB)" in words(figure)
    assert words(figure).count("exp is not in this run of the task") == 3
    assert set(numbers["panel"]) == {"b", "c"}
    plt.close(figure)


def test_sizes_are_those_of_print(table):
    paths = {"zbed2": table(rows(), "zbed2"), "irf1": table(rows(), "irf1"), "locus": table(rows(1, 280), "locus")}
    for draw, tables, settings in (
        (gallery.draw, {"gallery": paths["zbed2"]}, SETTINGS),
        (fig3.draw, paths, FIG3 | {"sequences": 5}),
    ):
        figure, _ = draw(tables, settings)
        width, height = (25.4 * size for size in figure.get_size_inches())
        assert width == pytest.approx(style.TWO_COLUMNS)
        assert height <= 247.01, "the page of a journal"
        assert min(t.get_fontsize() for t in figure.findobj(plt.Text) if t.get_text().strip()) >= 5
        plt.close(figure)
