"""Figures of attributions show the numbers of their tables, and say what is missing."""

import matplotlib.pyplot as plt
import numpy as np
import polars as pl
import pytest

from cisflow.attribution.presets import METHODS
from cisflow.figures import ed2, fig2, style, task
from cisflow.io import write_tsv
from cisflow.tables import ATTRIBUTION_EXAMPLES, ATTRIBUTION_QUALITY, ATTRIBUTION_SCORES, METRICS

MODELS, ACTIVATIONS, TRIALS, LENGTH = ("cnn-local", "cnn-dist"), ("relu", "exponential"), 3, 140
FIG2 = {"activations": ["relu", "exponential", "tanh"], "method": "saliency", "logos_model": "cnn-dist",
        "logos_activations": ["relu", "exponential", "tanh"]}  # fmt: skip
ED2 = {"activations": ["relu", "exponential"], "logos_model": "cnn-dist"}


@pytest.fixture
def tables(tmp_path):
    """Tables of Task 3, and an example with a motif at positions 120 to 124."""
    rng = np.random.default_rng(0)
    metrics, scores, examples = [], [], []
    for model in MODELS:
        for activation in ACTIVATIONS:
            for trial in range(TRIALS):
                run = f"{model}_{activation}"
                about = {"task": "task3", "run": run, "model": model, "activation": activation, "trial": trial}
                row = {"set": "test", "target": "mean", "metric": "auroc", "value": rng.random(), "n": 1}
                metrics.append(about | row)
                for method in METHODS:
                    score = {"method": method, "sequences": 50, "auroc": rng.random(), "aupr": rng.random()}
                    scores.append(about | score)
                    if trial == 0:
                        of = {"method": method, "example": 0, "sequence": "sequence-7", "auroc": 0.9, "aupr": 0.8}
                        examples += [
                            about | of | {"position": p, "base": "ACGT"[p % 4], "score": rng.normal()}
                            for p in range(LENGTH)
                        ]
    truth = {"task": "task3", "run": "truth", "method": "truth", "example": 0, "sequence": "sequence-7"}
    examples += [truth | {"position": p, "base": "A", "score": 2.0} for p in range(120, 125)]
    paths = {}
    contents = {
        "metrics": (METRICS, metrics),
        "scores": (ATTRIBUTION_SCORES, scores),
        "examples": (ATTRIBUTION_EXAMPLES, examples),
    }
    for name, (columns, rows) in contents.items():
        paths[name] = str(tmp_path / f"{name}.tsv")
        write_tsv(paths[name], columns, rows)
    return paths


def words(figure) -> str:
    texts = [text for text in figure.findobj(plt.Text) if text.get_visible()]
    return "\n".join(text.get_text() for text in texts)


def test_figure_2_pairs_the_trials_of_the_two_models(tables):
    figure, numbers = fig2.draw(tables, FIG2)
    scores = pl.read_csv(tables["scores"], separator="\t").filter(pl.col("method") == "saliency")
    shown = numbers.filter((pl.col("panel") == "b") & (pl.col("activation") == "exponential") & (pl.col("trial") == 2))
    for model in MODELS:
        wanted = scores.filter(
            (pl.col("model") == model) & (pl.col("activation") == "exponential") & (pl.col("trial") == 2)
        )
        assert shown[model].item() == wanted["auroc"].item()
    # Three panels, two activations, three trials each.
    assert len(numbers) == 3 * 2 * TRIALS
    drawn = [len(axes.collections[0].get_offsets()) for axes in figure.axes[:3]]
    assert drawn == [TRIALS] * 3
    assert "position in sequence-7" in words(figure)
    plt.close(figure)


def test_the_logos_show_the_stretch_with_the_motifs(tables):
    figure, _ = fig2.draw(tables, FIG2)
    low, high = figure.axes[-1].get_xlim()
    assert low < 119
    assert high > 125
    assert high - low == 100
    plt.close(figure)


def test_what_is_missing_is_said_in_its_place(tables):
    only_local = pl.read_csv(tables["scores"], separator="\t").filter(pl.col("model") == "cnn-local")
    only_local.write_csv(tables["scores"], separator="\t")
    figure, numbers = fig2.draw(tables, FIG2)
    assert "no trials of both" in words(figure)
    assert set(numbers["panel"]) == {"a"}
    plt.close(figure)


def test_the_quality_of_attributions_is_drawn_with_its_limit(tmp_path):
    values = {("deep_lift_shap", "convergence_error"): 1e-7, ("deep_lift_shap", "spread_over_references"): 1.5,
              ("saliency", "reverse_complement_correlation"): 0.8}  # fmt: skip
    about = {"task": "t", "run": "cnn-2_relu", "model": "cnn-2", "activation": "relu", "n": 50}
    rows = [
        about | {"trial": trial, "method": method, "quantity": quantity, "value": value * (1 + trial)}
        for (method, quantity), value in values.items()
        for trial in range(TRIALS)
    ]
    write_tsv(tmp_path / "quality.tsv", ATTRIBUTION_QUALITY, rows)
    figure, numbers = task.quality({"quality": str(tmp_path / "quality.tsv")}, {"limits": {"deep_lift_shap": 0.01}})
    assert numbers["value"].to_list() == [row["value"] for row in rows]
    error, _, strand, mutagenesis = figure.axes
    assert sorted(y for _, y in error.collections[0].get_offsets()) == pytest.approx([1e-7, 2e-7, 3e-7])
    assert error.collections[1].get_segments()[0][0][1] == 0.01
    assert len(strand.collections[0].get_offsets()) == TRIALS
    assert "not measured for these methods" in "".join(text.get_text() for text in mutagenesis.texts)
    plt.close(figure)


def test_extended_data_2_has_every_method_and_trial(tables):
    figure, numbers = ed2.draw(tables, ED2)
    assert len(numbers) == len(MODELS) * len(ACTIVATIONS) * len(METHODS) * TRIALS
    assert numbers.equals(pl.read_csv(tables["scores"], separator="\t").select(numbers.columns))
    text = words(figure)
    for label in ("saliency", "mutagenesis", "integrated gradients", "DeepLIFT/SHAP", "ground truth"):
        assert label in text
    plt.close(figure)


@pytest.mark.parametrize(("module", "settings"), [(fig2, FIG2), (ed2, ED2)])
def test_sizes_are_those_of_print(tables, module, settings):
    figure, _ = module.draw(tables, settings)
    width, height = (25.4 * size for size in figure.get_size_inches())
    assert width == pytest.approx(style.TWO_COLUMNS)
    assert height <= 247, "the page of a journal"
    plt.close(figure)
