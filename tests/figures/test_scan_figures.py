"""Figures of scans and of numbers of references show the numbers of their tables, and say what is missing."""

import matplotlib as mpl
import polars as pl
import pytest
from tests.figures.made import TRIALS

from cisflow.figures import kinds, style
from cisflow.io import write_tsv
from cisflow.tables import SCAN, SCAN_EXAMPLES, read_tsv


def words(figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(mpl.text.Text) if text.get_visible())


def test_every_scan_is_shown_with_the_numbers_of_its_tables(made, drawn):
    figure, numbers = drawn("scan_localisation")
    shown = numbers.filter(panel="a")
    # Two areas, two ways of finding the ends; two scans by motifs and the random one, and two activations' trials.
    assert shown.height == 2 * 2 * (3 + 2 * TRIALS)
    assert set(shown["buffer"]) == {10}
    table = read_tsv(made / "task1/motifs/scan/cnn-deep_exponential.tsv", SCAN).filter(buffer=10, ends="published")
    own = shown.filter(activation="exponential", ends="published", quantity="aupr").sort("trial")
    assert own["value"].to_list() == table["aupr"].to_list()
    drawn_dots = sum(len(c.get_offsets()) for c in figure.axes[0].collections if hasattr(c, "get_offsets"))
    assert drawn_dots >= 2 + 2 * TRIALS
    for text in ("motif scan", "PWM scan", "exp filters", "random scores", "as published", "9 sequences"):
        assert text in words(figure)


def test_examples_are_drawn_with_their_truth(made, drawn):
    figure, numbers = drawn("scan_localisation")
    table = read_tsv(made / "task1/motifs/scan/examples/cnn-deep_relu.tsv", SCAN_EXAMPLES).filter(example=1)
    own = numbers.filter(panel="c", activation="relu").sort("position")
    assert own["value"].to_list() == table["score"].to_list()
    assert "position in sequence-1" in words(figure)
    # Stretches of motifs are shaded in every row: positions 20 to 29.
    shaded = [p for axes in figure.axes for p in axes.patches]
    assert len(shaded) == 2 * 2 * 3
    assert {(round(p.get_x(), 1), round(p.get_width(), 1)) for p in shaded} == {(19.5, 10.0)}


def test_log_odds_below_zero_are_not_drawn(made, drawn, tmp_path):
    table = read_tsv(made / "task1/motifs/scan/examples/motifs.tsv", SCAN_EXAMPLES)
    below = table.with_columns(pl.when(pl.col("scanner") == "pwm").then(-300.0).otherwise("score").alias("score"))
    write_tsv(tmp_path / "e.tsv", SCAN_EXAMPLES, below.to_dicts())
    settings = {"model": "cnn-deep", "activations": ["relu"], "buffer": 10, "ends": ["corrected"], "examples": [0]}
    figure, numbers = kinds.draw("scan", {"examples": str(tmp_path / "e.tsv")}, settings)
    assert min(line.get_ydata().min() for axes in figure.axes for line in axes.lines) >= 0
    assert numbers.filter(scanner="pwm")["value"].max() == -300


def test_what_a_scan_lacks_is_said_in_its_place(drawn):
    figure, numbers = drawn("scan_localisation", leave_out=("relu", "relu_examples"))
    assert "–" in words(figure)
    assert "ReLU: no such example in these tables" in words(figure)
    assert "relu" not in numbers["activation"].to_list()
    figure, _ = drawn("scan_localisation", buffer=7)
    assert "not in these tables" in words(figure)
    figure, _ = drawn("scan_localisation", examples=[5])
    assert "truth: no such example in these tables" in words(figure)


def test_scores_by_the_number_of_references(made, drawn):
    figure, numbers = drawn("s16")
    assert numbers.height == 2 * 2 * 3 * TRIALS
    assert set(numbers["run"]) == {"cnn-dist_relu", "cnn-dist_exponential"}
    one = numbers.filter(method="deep_lift_shap", activation="relu", references=3)
    own = [line for line in figure.axes[1].lines if line.get_color() == style.colour("relu")]
    assert len(own) == TRIALS + 1
    line = max(own, key=lambda line: line.get_linewidth())
    assert line.get_xdata().tolist() == [1, 3, 5]
    assert line.get_ydata()[1] == pytest.approx(one["auroc"].mean())
    figure, numbers = drawn("s16", leave_out=("relu", "exponential"))
    assert words(figure).count("not in these tables") == 4
    assert numbers.is_empty()
    figure, _ = drawn("s16", leave_out=("relu",))
    assert "ReLU: not in these tables" in words(figure)


@pytest.mark.parametrize("name", ["scan_localisation", "s16"])
def test_sizes_are_those_of_print(drawn, name):
    figure, _ = drawn(name)
    width, height = (25.4 * size for size in figure.get_size_inches())
    assert width == pytest.approx(style.TWO_COLUMNS)
    assert height <= 247, "the page of a journal"
