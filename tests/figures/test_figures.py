"""Figures show the numbers of their tables, in one style, and say what they lack."""

import ast
import json
import re
from pathlib import Path

import matplotlib as mpl
import numpy as np
import polars as pl
import pytest
from matplotlib import pyplot as plt

from cisflow.datasets.account import Account
from cisflow.figures import fig1, style, task
from cisflow.figures.logos import BASES
from cisflow.figures.report import Dataset, Motifs, task_report
from cisflow.io import write_tsv
from cisflow.pwm import Motif, write_meme
from cisflow.tables import DATASET_DISTRIBUTIONS, FILTERS, LABELS, MATCHES, METRICS, TOMTOM, read_tsv

mpl.use("Agg")
MODELS, ACTIVATIONS, TRIALS = ("cnn-deep", "cnn-2"), ("exponential", "relu"), 6
SETTINGS = {
    "activations": ["relu", "exponential", "sigmoid"],
    "logos_model": "cnn-deep",
    "logos_activations": ["relu", "exponential"],
    "logos_trial": 0,
}


@pytest.fixture
def tables(tmp_path):
    """Tables of a task of two models, two activations and six trials, with numbers that tell where they came from."""
    matches, metrics, labels, history = [], [], [], []
    rng = np.random.default_rng(0)
    for model in MODELS:
        for activation in ACTIVATIONS:
            for trial in range(TRIALS):
                run = f"{model}_{activation}"
                about = {"task": "task1", "run": run, "model": model, "activation": activation, "trial": trial}
                value = round(float(rng.random()), 4)
                sizes = {"filters": 32, "with_matrix": 32, "match_any": value / 2, "factors_found": 1}
                matches.append({**about, **sizes, "set": "filters", "match_fraction": value})
                matches.append({**about, **sizes, "set": "shuffled", "match_fraction": value / 10})
                for metric in ("auroc", "aupr"):
                    row = {"set": "test", "target": "mean", "metric": metric, "value": 0.5 + value / 2, "n": 12}
                    metrics.append({**about, **row})
                labels += [
                    {**about, "filter": f"filter{n}", "factor": "SRF" if n == 0 else None,
                     "target_name": "SRF" if n == 0 else "HLTF" if n == 1 else None}
                    for n in range(32)
                ]  # fmt: skip
                ppm = rng.dirichlet(np.full(4, 0.3), 12).T
                write_meme(
                    tmp_path / "meme" / run / f"trial-{trial}.meme",
                    [Motif(f"filter{n}", "", ppm, 9) for n in range(30)],
                )
                history += [
                    {
                        **about,
                        "epoch": e,
                        "lr": 1e-3,
                        "train_loss": 1 / e,
                        "valid_loss": 2 / e,
                        "valid_auroc": 1 - 1 / e,
                    }
                    for e in (1, 2, 3)
                ]
    baseline = {
        "task": "task1",
        "run": "b",
        "model": "gc_content",
        "activation": "baseline",
        "set": "test",
        "target": "mean",
    }
    metrics.append({**baseline, "metric": "auroc", "value": 0.61, "n": 12})
    write_tsv(tmp_path / "matches.tsv", MATCHES, matches)
    write_tsv(tmp_path / "metrics.tsv", METRICS, metrics)
    write_tsv(tmp_path / "labels.tsv", LABELS, labels)
    write_tsv(tmp_path / "history.tsv", history[0], history)
    names = {name: str(tmp_path / f"{name}.tsv") for name in ("matches", "metrics", "labels", "history")}
    return names | {"motifs": str(tmp_path / "meme")}


def dots_of(figure) -> dict[str, list[float]]:
    """Return the heights of the dots of each axes, by its title."""
    return {
        axes.get_title("left"): sorted(
            float(y) for c in axes.collections if hasattr(c, "get_sizes") for _, y in c.get_offsets()
        )
        for axes in figure.axes
        if axes.get_title("left")
    }


def texts(figure) -> str:
    return " | ".join(text.get_text() for text in figure.findobj(mpl.text.Text))


def test_figure_1_shows_every_trial_of_every_run(tables):
    figure, numbers = fig1.draw(tables, SETTINGS)
    drawn, table = dots_of(figure), pl.read_csv(tables["matches"], separator="\t")
    assert list(drawn) == ["cnn-2 ($n$ = 6)", "cnn-deep ($n$ = 6)"]
    for model in MODELS:
        own = table.filter((pl.col("model") == model) & (pl.col("set") == "filters"))
        assert drawn[f"{model} ($n$ = 6)"] == pytest.approx(sorted(own["match_fraction"]))
    plotted = numbers.filter((pl.col("quantity") == "match_fraction") & (pl.col("panel") == "c"))
    expected = table.filter(pl.col("set") == "filters")
    keys = ["model", "activation", "trial"]
    assert plotted.sort(keys)["value"].to_list() == expected.sort(keys)["match_fraction"].to_list()
    in_c = numbers.filter(pl.col("panel") == "c")
    assert set(in_c["quantity"]) == {"match_fraction", "match_fraction_of_shuffled_filters", "auroc"}
    relu = numbers.filter((pl.col("panel") == "a") & (pl.col("activation") == "relu"))
    assert relu["value"].to_list() == pytest.approx([max(0.0, x) for x in relu["x"]])
    logos = numbers.filter((pl.col("panel") == "b") & (pl.col("activation") == "relu"))
    assert logos["quantity"][:3].to_list() == [
        "E-value of filter0: SRF", "E-value of filter1: HLTF", "E-value of filter2: no motif",
    ]  # fmt: skip
    assert len(logos) == 32
    plt.close(figure)


def test_figure_1_labels_the_filters_and_says_what_it_lacks(tables):
    figure, _ = fig1.draw(tables, SETTINGS)
    words = texts(figure)
    assert words.count("SRF") == 2
    assert words.count("HLTF") == 2
    assert "Task 2 (DeepSEA subset): this panel joins when the results of Task 2 exist." in words
    assert "dashed: shuffled filters" in words
    assert "dashed: chance" in words
    plt.close(figure)


def test_panel_d_joins_when_task_2_is_there(tables):
    figure, numbers = fig1.draw(tables | {"task2_matches": tables["matches"]}, SETTINGS)
    assert "joins when" not in texts(figure)
    assert any(title.startswith("Task 2, cnn-deep") for title in dots_of(figure))
    assert set(numbers["panel"]) == {"a", "b", "c", "d"}
    plt.close(figure)


def test_logos_of_a_run_that_was_not_made_are_missed_in_words(tables):
    figure, _ = fig1.draw(tables, SETTINGS | {"logos_model": "cnn-50"})
    assert "cnn-50 with ReLU is not in this run of Task 1" in texts(figure)
    plt.close(figure)


@pytest.mark.parametrize("name", ["performance", "training", "filters", "matches"])
def test_standard_figures_have_their_numbers_beside_them(tables, tmp_path, name):
    figure, numbers = getattr(task, name)(tables, {"runs": 2})
    style.save(figure, numbers, tmp_path / f"{name}.pdf")
    saved = pl.read_csv(tmp_path / f"{name}.tsv", separator="\t")
    rows = {"performance": 4 * TRIALS * 2 + 1, "training": 4 * TRIALS * 3, "filters": 2 * 32, "matches": 4 * TRIALS * 2}
    assert len(saved) == rows[name]
    assert (tmp_path / f"{name}.png").stat().st_size > 10_000


@pytest.mark.parametrize(("name", "quantity"), [("performance", "value"), ("matches", "match_fraction")])
def test_runs_of_a_sweep_are_drawn_apart(tables, name, quantity):
    """Trials of two learning rates are no sample of one thing."""
    key = {"performance": "metrics"}.get(name, name)
    table = pl.read_csv(tables[key], separator="\t")
    swept = pl.when(pl.col("trial") < 2).then(pl.lit("_lr-0.1")).otherwise(pl.lit("_lr-0.01"))
    table.with_columns(run=pl.col("run") + swept).write_csv(tables[key], separator="\t")
    figure, _ = getattr(task, name)(tables, {})
    of_filters = pl.col("set") != "shuffled"
    for model in MODELS:
        own = table.filter((pl.col("model") == model) & (pl.col("trial") < 2) & of_filters)
        drawn = next(axes for axes in figure.axes if axes.get_title("left").startswith(f"{model}, lr-0.1"))
        if name == "performance":
            own = own.filter(pl.col("metric") == "auroc")
        heights = sorted(float(y) for c in drawn.collections if hasattr(c, "get_sizes") for _, y in c.get_offsets())
        assert heights == pytest.approx(sorted(own[quantity]))
    plt.close(figure)


def test_heads_stand_side_by_side(tables, tmp_path):
    rows = read_tsv(tables["metrics"], METRICS).filter(pl.col("trial").is_not_null())
    rows = rows.with_columns(activation=pl.lit("head"), run=pl.col("model"))
    rows.write_csv(tmp_path / "heads.tsv", separator="\t")
    figure, _ = task.performance({"metrics": str(tmp_path / "heads.tsv")}, {})
    assert {tuple(tick.get_text() for tick in axes.get_xticklabels()) for axes in figure.axes} == {tuple(MODELS)}
    plt.close(figure)


def test_baselines_and_chance_are_named(tables):
    figure, _ = task.performance(tables, {})
    assert {"gc content", "chance"} <= set(texts(figure).split(" | "))
    plt.close(figure)


def test_a_task_without_a_defined_metric_says_so(tables, tmp_path):
    rows = read_tsv(tables["metrics"], METRICS).with_columns(pl.lit(None).alias("value"))
    rows.write_csv(tmp_path / "empty.tsv", separator="\t")
    figure, numbers = task.performance({"metrics": str(tmp_path / "empty.tsv")}, {})
    assert "No test metric is defined" in texts(figure)
    assert numbers.columns == ["note"]
    plt.close(figure)


def test_a_panel_without_a_defined_metric_says_so(tables, tmp_path):
    """As the end of a sweep where every trial diverged."""
    value = pl.when(pl.col("model") == "cnn-2").then(None).otherwise(pl.col("value"))
    read_tsv(tables["metrics"], METRICS).with_columns(value=value).write_csv(tmp_path / "half.tsv", separator="\t")
    figure, _ = task.performance({"metrics": str(tmp_path / "half.tsv")}, {})
    assert "cnn-2: the AUROC of no trial is defined." in texts(figure)
    assert list(dots_of(figure)) == ["cnn-deep"]
    plt.close(figure)


def test_text_stays_text_and_the_same_figure_is_the_same_bytes(tables, tmp_path):
    for name in ("a", "b"):
        figure, numbers = fig1.draw(tables, SETTINGS)
        style.save(figure, numbers, tmp_path / f"{name}.pdf")
    pdf = (tmp_path / "a.pdf").read_bytes()
    assert b"/FontFile2" in pdf, "TrueType fonts are embedded"
    assert b"/Type3" not in pdf
    for ending in ("pdf", "png", "tsv"):
        assert (tmp_path / f"a.{ending}").read_bytes() == (tmp_path / f"b.{ending}").read_bytes()


def test_sizes_are_those_of_print(tables):
    figure, _ = fig1.draw(tables, SETTINGS)
    assert figure.get_size_inches()[0] * 25.4 == pytest.approx(183)
    sizes = {text.get_fontsize() for text in figure.findobj(mpl.text.Text) if text.get_text().strip()}
    # Logos have the smallest text, panel letters the largest.
    assert min(sizes) >= 5
    assert max(sizes) <= 9
    plt.close(figure)


def test_one_activation_has_one_colour_and_its_modifications_too():
    assert style.colour("shift_scale_relu") == style.colour("relu") == style.colour("shift_relu")
    assert style.colour("exp_relu") == style.colour("exponential")
    main = ["relu", "exponential", "sigmoid", "tanh", "softplus", "linear", "elu"]
    assert len({style.colour(name) for name in main}) == len(main)


def deuteranopia(colour: str) -> np.ndarray:
    """Return linear RGB as it looks without green cones (Viénot, Brettel & Mollon 1999)."""
    linear = np.array(mpl.colors.to_rgb(colour)) ** 2.2
    projection = np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]])
    return projection @ linear


def test_the_palette_can_be_told_apart_without_green_cones():
    colours = [deuteranopia(colour) for colour in style.PALETTE]
    distances = [np.linalg.norm(a - b) for i, a in enumerate(colours) for b in colours[:i]]
    # Red and green of equal brightness would be at less than 0.05.
    assert min(distances) > 0.12
    assert set(BASES.values()) <= set(style.PALETTE)


def test_only_the_style_sets_colours_and_font_families(root):
    for path in [*(root / "src/cisflow/figures").glob("*.py"), *(root / "workflow/notebooks").glob("*.ipynb")]:
        if path.name == "style.py":
            continue
        text = path.read_text()
        assert not re.search(r"#[0-9a-fA-F]{6}\b|viridis|jet|rainbow|cmap|font\.family|fontname", text), path


def test_figures_load_no_model(root):
    for path in (root / "src/cisflow/figures").glob("*.py"):
        imported = {node.module for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)}
        assert not {"cisflow.models.convnet", "cisflow.training.engine"} & imported, path
        assert "load_model" not in path.read_text()


def test_notebooks_are_thin_and_committed_without_outputs(root):
    for path in (root / "workflow/notebooks").glob("*.ipynb"):
        cells = json.loads(path.read_text())["cells"]
        code = [cell for cell in cells if cell["cell_type"] == "code"]
        assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code), path
        assert sum(len(cell["source"]) for cell in code) < 20, path
        assert any("parameters" in cell["metadata"].get("tags", []) for cell in code), path


@pytest.fixture
def page(tables, tmp_path):
    """Return a function that makes the page of a task with these figures, and tables of two filters of one trial."""
    about = {"task": "task1", "run": "cnn-2_relu", "model": "cnn-2", "activation": "relu", "trial": 0}
    filters = [about | {"filter": "filter0", "status": "ok", "sites": 812, "bits": 9.25, "consensus": "CCATATTAGG"}]
    filters.append(about | {"filter": "filter1", "status": "never active"})
    hits = [
        about | {"set": name, "query": f"filter{n % 2}", "target": f"MA000{n}.1", "target_name": f"TF{n}",
                 "p_value": 1e-9 * n, "e_value": 1e-6 * n, "q_value": 2e-6 * n}
        for name, n in (("filters", 8), ("filters", 2), ("filters", 4), ("filters", 6), ("shuffled", 1))
    ]  # fmt: skip
    quality = [
        {"split": s, "target": "all", "quantity": "sequences", "value": n} for s, n in (("train", 400), ("test", 100))
    ]
    write_tsv(tmp_path / "quality.tsv", quality[0], quality)
    rows = [{"part": "unknown", "split": "train", "name": "0.5", "value": 7, "n": 400}]
    write_tsv(tmp_path / "distributions.tsv", DATASET_DISTRIBUTIONS, rows)
    account = Account("windows")
    account.enter(503, "read", input="mine.bed")
    account.drop(3, "windows", "off_the_contig", input="mine.bed")
    account.keep(500)
    account.write(tmp_path / "accounting.tsv")

    def write(names, with_filters=True, with_hits=True):
        for name in names:
            figure, numbers = getattr(task, name)(tables, {"runs": 2})
            style.save(figure, numbers, tmp_path / "figures" / f"{name}.pdf")
        write_tsv(tmp_path / "filters.tsv", FILTERS, filters)
        write_tsv(tmp_path / "tomtom.tsv", TOMTOM, hits if with_hits else [])
        motifs = Motifs(Path(tables["matches"]), tmp_path / "filters.tsv", tmp_path / "tomtom.tsv")
        figures = [tmp_path / "figures" / f"{name}.png" for name in names]
        names = ("quality", "distributions", "accounting")
        dataset, metrics = Dataset(*(tmp_path / f"{name}.tsv" for name in names)), Path(tables["metrics"])
        settings = {"trials": 6}
        return task_report("task1", "Title <b>", settings, figures, dataset, metrics, motifs if with_filters else None)

    return write


def test_the_page_of_a_task_has_its_tables(tables, page):
    text = page(("performance", "matches", "filters"))
    assert "Title &lt;b&gt;" in text
    assert text.count("data:image/png;base64,") == 3
    values = read_tsv(tables["metrics"], METRICS).filter(
        (pl.col("run") == "cnn-2_relu") & (pl.col("metric") == "auroc")
    )["value"]
    assert f"{round(values.mean(), 4)} ± {round(values.std(ddof=0), 4)}" in text
    assert "<td>400</td>" in text
    assert "<td>windows</td><td>windows</td><td>off_the_contig</td><td>mine.bed</td><td>-3</td>" in text


def test_the_page_lists_the_filters_with_their_best_hits_and_the_null(page):
    text = page(("performance", "matches", "filters"))
    assert "cnn-2_relu, trial 0: 2 filters" in text
    cells = "".join(f"<td>{value}</td>" for value in ("filter0", "ok", 812, "9.25", "CCATATTAGG"))
    assert cells in text
    assert "TF2 MA0002.1 (E 2.0e-06, q 4.0e-06); TF4 MA0004.1 (E 4.0e-06, q 8.0e-06); TF6 MA0006.1" in text
    assert "MA0008.1" not in text, "three of the four hits"
    # Of two filters one has a matrix, none is uninformative, one has hits, and one of the shuffled ones has a hit.
    assert "<td>cnn-2_relu</td><td>2</td><td>1</td><td>0</td><td>1</td><td>1</td>" in text
    without = page(("performance", "matches", "filters"), with_hits=False)
    assert "<td>cnn-2_relu</td><td>2</td><td>1</td><td>0</td><td>0</td><td>0</td>" in without


def test_the_page_says_what_the_task_does_without(page):
    text = page(("performance",), with_filters=False)
    assert "This task reads no filters" in text.replace("&#39;", "'")
    assert "'best: null' under 'attribution.galleries'" in text.replace("&#39;", "'")
    assert text.count("data:image/png;base64,") == 1
