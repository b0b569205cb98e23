"""Figures of boxes, filters and curves: every number comes from its tables, and what is absent is said in its place."""

import matplotlib as mpl
import numpy as np
import polars as pl
import pytest
import torch
from scipy import stats
from tests.figures.made import TRIALS

from cisflow.figures import style
from cisflow.models.activations import FUNCTIONS
from cisflow.tables import read_trials


def texts(figure) -> str:
    return " | ".join(text.get_text() for text in figure.findobj(mpl.text.Text))


def names(root_config, kind):
    return [name for name, figure in root_config.figures.items() if figure.kind == kind]


def test_each_number_is_that_of_its_trial(project, made, drawn):
    """Every box figure of the configuration: each trial of each run it shows, and no other number."""
    shown = names(project, "boxes")
    assert len(shown) >= 9
    for name in shown:
        _, numbers = drawn(name)
        paths = [made / path for path in project.figures[name].tables.values()]
        known = pl.concat([read_trials([path]) for path in paths], how="diagonal_relaxed")
        values = numbers.filter(pl.col("quantity") != "p of the t-test")
        assert values.height > 3 * TRIALS, name
        for row in values.sample(40, seed=1).iter_rows(named=True):
            own = known.filter((pl.col("run") == row["run"]) & (pl.col("trial") == row["trial"]))
            assert row["value"] in own[row["quantity"]].to_list(), (name, row)


def test_a_sweep_is_in_the_order_of_its_values(drawn):
    figure, numbers = drawn("s5")
    labels = [label.get_text() for label in figure.axes[-1].get_xticklabels()]
    assert labels == sorted(labels, key=float)
    assert len(labels) == 15
    # The series with and without normalisation have runs of the same names, in two tables.
    own = numbers.filter(pl.col("quantity") == "match_fraction")
    assert own.height == TRIALS * 3 * (6 + 15)
    series = {title: part["value"].to_list() for (title,), part in own.filter(panel="b").group_by("title")}
    assert series["exp"] != series["exp, without batch normalisation"]


def test_the_dots_are_the_values_and_the_dashes_the_null(made, drawn):
    figure, numbers = drawn("s9")
    axes = figure.axes[0]
    dots = sorted(float(y) for c in axes.collections if hasattr(c, "get_sizes") for _, y in c.get_offsets())
    own = numbers.filter(pl.col("quantity") == "match_fraction")["value"].to_list()
    assert dots == pytest.approx(sorted(own))
    null = numbers.filter((pl.col("quantity") == "match_fraction_shuffled") & (pl.col("column") == "0.5"))["value"]
    dashes = [line.get_segments()[0][0][1] for line in axes.collections if hasattr(line, "get_segments")]
    assert null.mean() in [pytest.approx(height) for height in dashes]


def test_a_p_value_is_that_of_the_trials(made, drawn):
    figure, numbers = drawn("ed1")
    table = read_trials(made / task / "motifs/matches.tsv" for task in ("task1", "task1_modified"))
    samples = [
        table.filter((pl.col("model") == "cnn-50") & (pl.col("activation") == name))["match_fraction"]
        for name in ("tanh", "shift_scale_tanh")
    ]
    p = stats.ttest_ind(*samples).pvalue
    found = numbers.filter((pl.col("quantity") == "p of the t-test") & (pl.col("title") == "cnn-50, tanh"))
    assert found["value"].item() == pytest.approx(p)
    assert f"$p$ = {p:.1e}" in texts(figure)


def test_extended_data_1_has_boxes_and_curves_of_examples(made, drawn):
    figure, numbers = drawn("ed1")
    assert numbers["panel"].unique(maintain_order=True).to_list() == ["a", "b", "c", "d", "e"]
    examples = pl.read_csv(made / "task1/motifs/scan/examples/cnn-deep_relu.tsv", separator="\t")
    own = numbers.filter((pl.col("panel") == "d") & (pl.col("activation") == "relu")).sort("position")
    assert own["value"].to_list() == examples.filter(pl.col("example") == 1).sort("position")["score"].to_list()
    log = read_trials([made / "task1_log/motifs/matches.tsv"])["match_fraction"].to_list()
    last = numbers.filter((pl.col("panel") == "e") & (pl.col("quantity") == "match_fraction"))["value"].to_list()
    assert sorted(last) == sorted(log)
    assert figure.get_size_inches()[1] * 25.4 <= 247


def test_what_is_absent_is_said_in_its_place(project, made, drawn, tmp_path):
    table = pl.read_csv(made / "task1/motifs/matches.tsv", separator="\t")
    table.filter(pl.col("model") != "cnn-50").write_csv(tmp_path / "matches.tsv", separator="\t")
    (tmp_path / "motifs").mkdir()
    (tmp_path / "matches.tsv").rename(tmp_path / "motifs/matches.tsv")
    figure, numbers = drawn("task1_any_motif", tables={"matches": str(tmp_path / "motifs/matches.tsv")})
    assert "not in these\nresults" in texts(figure)
    assert "cnn-50" in texts(figure)
    assert set(numbers["model"]) == {"cnn-2", "cnn-deep"}


def test_a_series_without_runs_is_said_in_its_place(made, drawn):
    """As where a sweep has been made for one activation alone."""
    figure, numbers = drawn("s5", tables={"sd": str(made / "exp_scale/motifs/matches.tsv")})
    assert texts(figure).count("not in these\nresults") == 2
    assert set(numbers.filter(panel="b")["title"]) == {"exp, without batch normalisation"}


def test_filters_have_the_names_of_their_hits(made, drawn):
    figure, numbers = drawn("s2")
    labels = pl.read_csv(made / "task1/motifs/labels.tsv", separator="\t")
    wanted = labels.filter(pl.col("run").is_in(["cnn-50_relu", "cnn-50_exponential"]))
    assert numbers["e_value"].to_list() == wanted["e_value"].to_list()
    assert texts(figure).count("SRF") == 24
    figure, _ = drawn("s2", activations=["relu", "softplus", "log_relu"])
    assert "cnn-50, log-ReLU is not in these results" in texts(figure)


def test_curves_are_the_functions(drawn):
    _, numbers = drawn("s7")
    for name in ("exponential", "shift_scale_tanh"):
        own = numbers.filter(pl.col("activation") == name)
        assert own["x"].min() == -5
        np.testing.assert_allclose(
            FUNCTIONS[name](torch.tensor(own["x"].to_list(), dtype=torch.float64)).numpy(), own["value"]
        )


def test_every_figure_fits_on_a_page(project, drawn):
    for kind in ("boxes", "filters"):
        for name in names(project, kind):
            width, height = (25.4 * size for size in drawn(name)[0].get_size_inches())
            assert width == pytest.approx(style.TWO_COLUMNS), name
            assert height <= 247, name
