"""The figures of training: histories, gradients, and values before and after the first activation."""

import math

import matplotlib as mpl
import numpy as np
import polars as pl
import pytest
from matplotlib import pyplot as plt

from cisflow.errors import CisflowError
from cisflow.figures import gradients, history, pre_post, style
from cisflow.io import write_tsv
from cisflow.tables import ACTIVATIONS

mpl.use("Agg")
MODELS, EPOCHS = ("cnn-deep", "cnn-2"), 4
HISTORY = {
    "activations": ["relu", "exponential", "shift_scale_tanh"],
    "models": ["cnn-deep", "cnn-2"],
    "columns": ["train_loss", "valid_loss", "valid_aupr"],
}
GRADIENTS = {"model": "cnn-deep", "activations": ["relu", "exponential"]}
NAMES = {"relu": 1, "exponential": 2, "shift_scale_tanh": 3}


def about(activation, model="cnn-deep", trial=0, task="task1"):
    return {"task": task, "run": f"{model}_{activation}", "model": model, "activation": activation, "trial": trial}


def histories(path, activations, models=MODELS, trials=2, task="task1", measured=False):
    """Histories whose numbers tell activation, model, trial and epoch."""
    rows = []
    for activation in activations:
        for place, model in enumerate(models):
            for trial in range(trials):
                code = NAMES[activation] + place / 10 + trial / 100
                for e in range(1, EPOCHS + 1):
                    row = about(activation, model, trial, task) | {"epoch": e, "lr": 1e-3}
                    row |= {"train_loss": code / e, "valid_loss": (code + 1) / e}
                    row |= {"valid_auroc": code / 5 - 0.1 / e, "valid_aupr": code / 10 - 0.1 / e, "seconds": 1.0}
                    rows.append(row | ({"gradient_mean": -code * e, "gradient_sd": 2 * code} if measured else {}))
    write_tsv(path, rows[0], rows)
    return str(path)


def changed(path, **columns):
    pl.read_csv(path, separator="\t").with_columns(**columns).write_csv(path, separator="\t")


def lines_of(axes):
    return [list(map(float, line.get_ydata())) for line in axes.lines if len(line.get_xdata()) == EPOCHS]


def texts(figure) -> str:
    return " | ".join(text.get_text() for text in figure.findobj(mpl.text.Text))


def words_of(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def check_print(figure):
    width, height = figure.get_size_inches() * 25.4
    assert width == pytest.approx(183)
    assert height <= 247
    sizes = {text.get_fontsize() for text in figure.findobj(mpl.text.Text) if text.get_text().strip()}
    assert 6 <= min(sizes) <= max(sizes) == 9
    figure.canvas.draw()
    edge = figure.bbox
    for axes in figure.axes:
        box = axes.get_tightbbox()
        assert edge.x0 <= box.x0 <= box.x1 <= edge.x1 + 1, axes.get_title()
        assert edge.y0 <= box.y0 <= box.y1 <= edge.y1, axes.get_title()


def test_histories_are_in_the_row_of_their_activation_and_the_column_of_their_model(tmp_path):
    """The original had two of the rows swapped."""
    tables = {
        "history": histories(tmp_path / "a.tsv", ["exponential", "relu"]),
        "modified": histories(tmp_path / "b.tsv", ["shift_scale_tanh"], task="task1_modified"),
    }
    figure, numbers = history.draw(tables, HISTORY)
    check_print(figure)
    table = pl.concat([pl.read_csv(path, separator="\t") for path in tables.values()])
    assert numbers.sort("run", "trial", "epoch").equals(table.select(numbers.columns).sort("run", "trial", "epoch"))
    # Panel by panel, row by row.
    axes = iter(figure.axes)
    for column in HISTORY["columns"]:
        for row, activation in enumerate(HISTORY["activations"]):
            for place, model in enumerate(HISTORY["models"]):
                drawn = next(axes)
                own = table.filter(pl.col("run") == f"{model}_{activation}").partition_by("trial", maintain_order=True)
                assert lines_of(drawn) == [part[column].to_list() for part in own]
                assert {line.get_color() for line in drawn.lines} == {style.colour(activation)}
                if column == "train_loss" and place == 0:
                    assert style.label(activation) in words_of(drawn)
                if row == 0:
                    assert drawn.get_title() == model
    assert "A line is a trial; 2 trials of each." in texts(figure)
    plt.close(figure)


def test_a_run_that_is_not_there_and_a_trial_that_diverged_are_said_in_their_place(tmp_path):
    path = histories(tmp_path / "a.tsv", ["relu", "exponential"])
    lost = (pl.col("trial") == 1) & (pl.col("epoch") > 2) & (pl.col("run") == "cnn-2_relu")
    # What is no number is an empty field; a loss can be infinite, too.
    changed(path, valid_loss=pl.when(lost).then(math.inf).otherwise("valid_loss"),
            valid_aupr=pl.when(pl.col("run") == "cnn-2_relu").then(None).otherwise("valid_aupr"))  # fmt: skip
    figure, numbers = history.draw({"history": path}, HISTORY)
    check_print(figure)
    by_place = [axes for axes in figure.axes if "no such\nrun" in words_of(axes)]
    assert by_place == figure.axes[4:6] + figure.axes[10:12] + figure.axes[16:18]
    assert "1 of 2 trials\ndiverged" in words_of(figure.axes[7])
    assert "2 of 2 trials\ndiverged" in words_of(figure.axes[13])
    assert numbers["valid_loss"].null_count() == 2
    # The epochs stand below the lowest axes that are drawn.
    assert [axes.get_xlabel() for axes in figure.axes[:6]] == ["", "", "epoch", "epoch", "", ""]
    plt.close(figure)


def test_a_run_that_two_tables_have_is_that_of_the_first(tmp_path):
    tables = {
        "history": histories(tmp_path / "a.tsv", ["relu"], trials=2),
        "modified": histories(tmp_path / "b.tsv", ["relu", "exponential"], trials=3, task="other"),
    }
    figure, numbers = history.draw(tables, HISTORY)
    assert dict(numbers.select("run", "task").unique().iter_rows()) == {
        "cnn-deep_relu": "task1", "cnn-2_relu": "task1", "cnn-deep_exponential": "other", "cnn-2_exponential": "other",
    }  # fmt: skip
    assert "A line is a trial; 2 to 3 trials of each." in texts(figure)
    plt.close(figure)


def test_runs_of_a_sweep_are_no_trials_of_one_thing(tmp_path):
    path = histories(tmp_path / "a.tsv", ["relu"])
    changed(path, run=pl.col("run") + "_lr-0.1")
    figure, numbers = history.draw({"history": path}, HISTORY)
    assert numbers.is_empty()
    assert texts(figure).count("no such\nrun") == 18
    plt.close(figure)


def test_losses_of_many_magnitudes_have_a_logarithmic_axis(tmp_path):
    path = histories(tmp_path / "a.tsv", ["relu", "exponential"])
    changed(path, train_loss=pl.col("train_loss") * pl.when(pl.col("epoch") == 1).then(100).otherwise(1))
    figure, _ = history.draw({"history": path}, HISTORY)
    assert [figure.axes[place].get_yscale() for place in (0, 6, 12)] == ["log", "linear", "linear"]
    plt.close(figure)


def test_a_column_that_the_history_has_not_is_named(tmp_path):
    path = histories(tmp_path / "a.tsv", ["relu"])
    with pytest.raises(CisflowError, match="there is no column valid_pearson; there are"):
        history.draw({"history": path}, HISTORY | {"columns": ["valid_pearson"]})


def test_many_rows_still_fit_on_a_page(tmp_path):
    path = histories(tmp_path / "a.tsv", ["relu", "exponential"])
    many = ["relu", "exponential", "sigmoid", "tanh", "softplus", "linear", "elu", "shift_relu", "scale_relu"]
    figure, _ = history.draw({"history": path}, HISTORY | {"activations": many})
    assert figure.get_size_inches()[1] * 25.4 == pytest.approx(247)
    plt.close(figure)


def test_gradients_of_every_trial_with_their_band(tmp_path):
    path = histories(tmp_path / "a.tsv", ["exponential", "relu"], trials=3, measured=True)
    figure, numbers = gradients.draw({"history": path}, GRADIENTS)
    check_print(figure)
    table = pl.read_csv(path, separator="\t").filter(pl.col("model") == "cnn-deep")
    assert numbers.sort("run", "trial").equals(table.select(numbers.columns).sort("run", "trial"))
    panels = (["gradient_mean"], ["train_loss", "valid_loss"], ["valid_auroc", "valid_aupr"])
    axes = iter(figure.axes)
    for columns in panels:
        for row, activation in enumerate(GRADIENTS["activations"]):
            for trial in range(3):
                drawn = next(axes)
                own = table.filter((pl.col("activation") == activation) & (pl.col("trial") == trial))
                assert lines_of(drawn) == [own[column].to_list() for column in columns]
                if trial == 0:
                    assert style.label(activation) in words_of(drawn)
                if row == 0:
                    assert drawn.get_title() == f"trial {trial}"
                if columns == ["gradient_mean"]:
                    edges = drawn.collections[0].get_paths()[0].vertices[:, 1]
                    mean, sd = own["gradient_mean"].to_numpy(), own["gradient_sd"].to_numpy()
                    assert (edges.min(), edges.max()) == pytest.approx(((mean - sd).min(), (mean + sd).max()))
    words = texts(figure)
    assert {"training loss", "validation loss", "validation AUROC", "validation AUPR"} <= set(words.split(" | "))
    plt.close(figure)


def test_gradients_of_trials_that_diverged_or_are_not_there_are_said_in_their_place(tmp_path):
    path = histories(tmp_path / "a.tsv", ["relu"], trials=2, measured=True)
    lost = ((pl.col("trial") == 0) & (pl.col("epoch") == 3)) | (pl.col("trial") == 1)
    changed(path, gradient_mean=pl.when(lost).then(None).otherwise("gradient_mean"))
    figure, _ = gradients.draw({"history": path}, GRADIENTS)
    check_print(figure)
    assert "1 of 4 epochs without a number" in words_of(figure.axes[0])
    assert "diverged" in words_of(figure.axes[1])
    assert all("no such trial" in words_of(axes) for axes in figure.axes[2:4])
    assert figure.axes[0].get_xlabel() == "epoch"
    plt.close(figure)


def test_gradients_that_were_not_measured_are_asked_for(tmp_path):
    path = histories(tmp_path / "a.tsv", ["relu"])
    with pytest.raises(CisflowError, match=r"not measured in these trainings. Give their task 'training: \{gradients"):
        gradients.draw({"history": path}, GRADIENTS)


def activations(path, activation, finite=True, unknown=0, lost=0, run=""):
    """A table of 600 values whose pairs and bins tell where they came from."""
    rows = []
    for number, weights in enumerate(("untrained", "trained"), start=1):
        this = about(activation) | {"weights": weights}
        this["run"] += run
        for name, value in (("count", 3), ("unknown_bases", unknown)):
            rows.append({**this, "part": "statistic", "variable": "sequences", "name": name, "value": value})
        for place, variable in enumerate(("before", "after")):
            numbers = {"count": 600, "not_finite": 600 if not finite else lost * place}
            numbers |= dict.fromkeys(("mean", "sd", "min", "max"), number + place if finite else None)
            rows += [
                {**this, "part": "statistic", "variable": variable, "name": name, "value": value}
                for name, value in numbers.items()
            ]
            if finite:
                rows += [
                    {**this, "part": "histogram", "variable": variable, "start": start, "end": start + number,
                     "value": 100 * number + place}
                    for start in (-number, 0)
                ]  # fmt: skip
        if finite:
            rows += [
                {**this, "part": "pair", "before": x, "after": number * x} for x in np.linspace(-number, number, 5)
            ]
    write_tsv(path, ACTIVATIONS, rows)
    return str(path)


PRE_POST = {"activations": ["exponential", "relu"]}


def test_values_before_and_after_the_activation_and_their_histograms(tmp_path):
    tables = {name: activations(tmp_path / f"{name}.tsv", name) for name in ("relu", "exponential")}
    figure, numbers = pre_post.draw(tables, PRE_POST)
    check_print(figure)
    assert len(numbers) == 2 * 2 * (2 + 2 * (6 + 2) + 5)
    assert set(numbers.columns) == set(ACTIVATIONS)
    # Histogram before, pairs, histogram after; for each network and activation.
    for place, (activation, number) in enumerate((a, n) for a in PRE_POST["activations"] for n in (1, 2)):
        top, middle, side = figure.axes[3 * place : 3 * place + 3]
        x = np.linspace(-number, number, 5)
        np.testing.assert_allclose(middle.collections[0].get_offsets(), np.stack([x, number * x], 1))
        for axes, expected in ((top, 100 * number), (side, 100 * number + 1)):
            steps = axes.patches[0].get_data()
            assert list(steps.values) == [expected, expected]
            assert list(steps.edges) == [-number, 0, number]
        weights = ("untrained", "trained")[number - 1]
        assert top.get_title("left") == f"cnn-deep, {style.label(activation)}, {weights}"
        assert words_of(middle) == [
            f"5 of 600 values\nof 3 sequences\nafter: mean {number + 1}\ns.d. {number + 1}\nmax {number + 1}"
        ]
        assert top.get_xlim() == middle.get_xlim() == figure.axes[1].get_xlim()
    assert figure.axes[1].get_ylim() == figure.axes[4].get_ylim() == figure.axes[5].get_ylim()
    plt.close(figure)


def test_what_the_activation_tables_cannot_show_is_said_in_its_place(tmp_path):
    tables = {
        "relu": activations(tmp_path / "relu.tsv", "relu", unknown=7, lost=2500),
        "exponential": activations(tmp_path / "exponential.tsv", "exponential", finite=False),
    }
    figure, _ = pre_post.draw(tables, {"activations": ["relu", "exponential", "sigmoid"]})
    assert figure.get_size_inches()[1] * 25.4 <= 247
    words = texts(figure)
    assert words.count("2,500 not finite\n7 unknown bases") == 2
    assert words.count("no value is finite") == 2
    assert words.count("no table of a network with sigmoid") == 2
    plt.close(figure)


def test_two_runs_of_an_activation_are_not_drawn_over_each_other(tmp_path):
    tables = {str(run): activations(tmp_path / f"{run}.tsv", "relu", run=f"_first_sd-{run}") for run in (1, 2)}
    with pytest.raises(CisflowError, match="with relu: task1 cnn-deep_relu_first_sd-1, task1 cnn-deep_relu_first_sd-2"):
        pre_post.draw(tables, PRE_POST)
    figure, _ = pre_post.draw({"relu": tables["1"]}, {"activations": ["relu"]})
    assert figure.axes[0].get_title("left") == "cnn-deep, first_sd-1, ReLU, untrained"
    plt.close(figure)


@pytest.mark.parametrize("kind", ["history", "gradients", "pre_post"])
def test_the_same_tables_give_the_same_bytes(tmp_path, kind):
    path = histories(tmp_path / "a.tsv", ["relu", "exponential"], measured=True)
    tables = {"history": path} if kind != "pre_post" else {"relu": activations(tmp_path / "r.tsv", "relu")}
    module, settings = {
        "history": (history, HISTORY), "gradients": (gradients, GRADIENTS), "pre_post": (pre_post, PRE_POST),
    }[kind]  # fmt: skip
    for name in ("x", "y"):
        style.save(*module.draw(tables, settings), tmp_path / f"{name}.pdf")
    for ending in ("pdf", "tsv"):
        assert (tmp_path / f"x.{ending}").read_bytes() == (tmp_path / f"y.{ending}").read_bytes()
