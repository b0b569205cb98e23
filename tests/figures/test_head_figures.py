"""Figures of heads show the numbers of their tables, and say in its place what is missing."""

import logging
import re
from pathlib import Path

import matplotlib as mpl
import numpy as np
import polars as pl
import pytest
from matplotlib import pyplot as plt
from tests.evaluation.made_heads import CROP, TARGETS, made, places, write

from cisflow.config.figures import KINDS
from cisflow.errors import CisflowError
from cisflow.evaluation.domains import area_rows, questions
from cisflow.evaluation.drawn import composition_rows, density_rows, profile_rows
from cisflow.evaluation.heads import Bootstrap, comparison_rows, score_rows, score_split
from cisflow.evaluation.windows import dataset_windows, read_predictions, training_means
from cisflow.figures.captions import CAPTIONS
from cisflow.figures.heads import decimals
from cisflow.figures.kinds import draw
from cisflow.figures.style import PAGE_HEIGHT, TWO_COLUMNS, save
from cisflow.io import write_tsv
from cisflow.tables import (
    HEAD_COMPARISON,
    HEAD_COMPOSITION,
    HEAD_DENSITY,
    HEAD_DOMAINS,
    HEAD_PROFILES,
    HEAD_ROC,
    HEAD_SCORES,
    HEADS,
)

HOW = Bootstrap(resamples=40, block=4000)
KIND = ("prediction_scatter", "genome_tracks", "roc", "heads_table")
UNITS = {"a": (2.0, "enrichment"), "b": (1.0, ""), "c": (100.0, "methylated fraction")}
COLUMNS = {
    "heads": HEADS, "scores": HEAD_SCORES, "comparison": HEAD_COMPARISON, "density": HEAD_DENSITY,
    "profiles": HEAD_PROFILES, "composition": HEAD_COMPOSITION, "domains": HEAD_DOMAINS, "roc": HEAD_ROC,
}  # fmt: skip

mpl.use("Agg")


def make_tables(folder: Path, change=None, noise=None, **options) -> Path:
    """Write all tables of made heads; `change` spoils what they are made of."""
    found = made(np.random.default_rng(3), noise or {"linear-probe": 1.0, "self-attention": 0.4}, **options)
    if change:
        change(found)
    targets = options.get("targets", TARGETS)
    read = read_predictions(write(folder, found, targets))
    means, rows = training_means(folder / "dataset.h5", targets), {name: [] for name in COLUMNS}
    units = {target: UNITS.get(target, (1.0, "")) for target in targets}
    for split in read.splits:
        own = score_split("t", split, read, means, HOW)
        rows["scores"] += score_rows("t", split, own, read, HOW)
        rows["comparison"] += comparison_rows("t", split, own, read, HOW)
        rows["density"] += density_rows("t", split, read, units)
    (folder / "d.bed").write_text("chr1\t0\t9000\nchr2\t9000\t20000\nchr10\t100\t300\n")
    domains = {"lad": {"bed": folder / "d.bed", "names": [], "track": targets[0], "above": 0}}
    differences = {"ab": {"track": targets[0], "minus": targets[-1], "threshold": 0.0, "zscore": True}}
    for about, classes in questions(read, domains, differences, CROP, logging.getLogger("test")):
        areas, curves = area_rows("t", about, classes, read.splits[about["set"]], read.trials, HOW)
        rows["domains"] += areas
        rows["roc"] += curves
    windows, sizes = dataset_windows(folder / "dataset.h5"), {"chr1": 40_000, "chr2": 50_000}
    for chrom in sizes:
        rows["profiles"] += profile_rows("t", chrom, targets[:2], read, units, CROP)
        rows["composition"] += composition_rows("t", chrom, windows, CROP, sizes)
    for run in read.runs:
        about = {"resamples": 40, "block": 4000, "level": 0.95}
        rows["heads"].append({"task": "t", "run": run, "model": run, "trials": 2, "parameters": 27_666} | about)
    for name, columns in COLUMNS.items():
        write_tsv(folder / f"{name}.tsv", columns, rows[name])
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_tables(tmp_path_factory.mktemp("heads"))


def drawn(kind, folder, **settings):
    model, tables, _ = KINDS[kind]
    return draw(kind, {name: str(folder / f"{name}.tsv") for name in tables}, model(**settings).model_dump())


def words(figure):
    figure.canvas.draw()
    return "\n".join(text.get_text() for text in figure.findobj(mpl.text.Text))


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


@pytest.mark.parametrize("kind", KIND)
def test_figures_fit_on_a_page_and_are_the_same_every_time(folder, tmp_path, kind):
    saved = []
    for name in ("one", "two"):
        figure, table = drawn(kind, folder)
        width, height = figure.get_size_inches() * 25.4
        assert width == pytest.approx(TWO_COLUMNS)
        assert height <= PAGE_HEIGHT + 0.01
        sizes = [text.get_fontsize() for text in figure.findobj(mpl.text.Text) if text.get_text()]
        assert min(sizes) >= 5
        (tmp_path / name).mkdir()
        save(figure, table, tmp_path / name / "figure.pdf")
        saved.append([(tmp_path / name / f"figure.{end}").read_bytes() for end in ("pdf", "png", "tsv")])
    assert saved[0] == saved[1]
    assert len(saved[0][2].splitlines()) > 10


def test_the_panels_of_predictions_have_their_scores_and_units(folder):
    figure, table = drawn("prediction_scatter", folder, tracks=["c", "a"])
    said = words(figure)
    assert "c (methylated fraction)" in said
    assert "a (enrichment)" in said
    assert len([axes for axes in figure.axes if axes.images]) == 4
    scores = pl.read_csv(folder / "scores.tsv", separator="\t")
    chosen = scores.filter(pl.col("trial") == 0, pl.col("set") == "test", pl.col("target").is_in(["a", "c"]))
    for value in chosen.filter(pl.col("metric") == "pearson")["value"]:
        assert f"r {value:.2f}" in said
    for value in chosen.filter(pl.col("metric") == "spearman")["value"]:
        assert f"ρ {value:.2f}" in said
    assert table.group_by("run", "target").agg(pl.col("count").sum())["count"].to_list() == [120] * 4
    # What is drawn is what was counted, and both axes of a panel are alike.
    axes = next(axes for axes in figure.axes if axes.images)
    part = table.filter(pl.col("target") == "c", pl.col("run") == "linear-probe")
    assert axes.get_xlim() == axes.get_ylim() == (part["low"][0], part["high"][0])
    assert axes.images[0].get_array().sum() == part.filter(pl.col("label_bin").is_not_null())["count"].sum()


def test_eighteen_tracks_of_four_heads_have_panels_that_can_be_seen(tmp_path):
    targets = [f"track{number}" for number in range(18)]
    noise = {f"head-{number}": 0.5 for number in range(4)}
    folder = make_tables(tmp_path, noise=noise, targets=targets, scale=(1.0,) * 18)
    figure, _ = drawn("prediction_scatter", folder)
    panels = [axes for axes in figure.axes if axes.images]
    assert len(panels) == 72
    sides = np.array([axes.get_position().size * figure.get_size_inches() * 25.4 for axes in panels])
    assert sides.min() > 17
    np.testing.assert_allclose(sides[:, 0], sides[:, 1])
    assert figure.get_size_inches()[1] * 25.4 <= PAGE_HEIGHT + 0.01


def test_tracks_for_which_there_is_no_room_are_counted(tmp_path):
    targets = [f"track{number}" for number in range(70)]
    noise = {f"head-{number}": 0.5 for number in range(4)}
    folder = make_tables(tmp_path, noise=noise, targets=targets, scale=(1.0,) * 70, splits=("train", "test"), trials=1)
    for kind in ("prediction_scatter", "heads_table"):
        figure, _ = drawn(kind, folder)
        assert figure.get_size_inches()[1] * 25.4 <= PAGE_HEIGHT + 0.01
        said = words(figure)
        left_out = int(re.search(r"No room for (\d+) tracks", said)[1])
        assert sum(f"track{number}" in said.split() for number in range(70)) == 70 - left_out


def test_tracks_along_chromosomes_are_shaded_by_split(folder):
    figure, table = drawn("genome_tracks", folder)
    said = words(figure)
    assert said.count("position on chr") == 2
    composition = pl.read_csv(folder / "composition.tsv", separator="\t").filter(pl.col("chrom") == "chr1")
    for split in ("train", "unindexed"):
        part = composition.filter(pl.col("set") == split)["fraction"].sum()
        assert f"{split} {100 * part:.1f}%" in said
    assert "labels in grey" in said
    assert table.filter(pl.col("run") == "labels")["trial"].is_null().all()
    one, _ = drawn("genome_tracks", folder, chromosomes=["chr2"], tracks=["b"], runs=["self-attention"])
    strips = [axes for axes in one.axes if axes.lines]
    assert len(strips) == 2
    # Lines and gaps: each stretch of labels has its value, from its start to its end.
    labels = table.filter(pl.col("chrom") == "chr2", pl.col("target") == "b", pl.col("run") == "labels")
    x, y = np.concatenate([line.get_data() for line in strips[0].lines], axis=1)
    for start, end, value in labels.select("start", "end", "value").rows():
        assert ((x == start / 1e3) & (y == value)).any()
        assert ((x == end / 1e3) & (y == value)).any()


def test_areas_stand_in_the_panels(folder):
    figure, table = drawn("roc", folder)
    said = words(figure)
    areas = pl.read_csv(folder / "domains.tsv", separator="\t").filter(pl.col("trial").is_null())
    for row in areas.iter_rows(named=True):
        assert f"{row['auroc']:.3f} [{row['low']:.3f}, {row['high']:.3f}]" in said
    assert "in lad, by a" in said
    assert "ab: a − c" in said
    assert set(table["part"]) == {"curve", "area"}
    assert "resamples of blocks of 4 kb" in said


def test_the_table_of_heads_has_scores_with_intervals_and_parameters(folder):
    figure, table = drawn("heads_table", folder)
    said = words(figure)
    scores = pl.read_csv(folder / "scores.tsv", separator="\t").filter(pl.col("trial").is_null())
    for target, metric in (("mean", "pearson"), ("mean", "spearman"), ("pooled", "pearson")):
        for row in scores.filter(pl.col("target") == target, pl.col("metric") == metric).iter_rows(named=True):
            if row["value"] is not None:
                assert f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]" in said
    assert "27,666" in said
    assert "baseline: track means" in said
    assert "self attention" in said
    pairs = pl.read_csv(folder / "comparison.tsv", separator="\t").filter(pl.col("set") == "test", pl.col("q") <= 0.05)
    assert f"0 / {pairs.height}" in said
    assert set(table["part"]) == {"a", "b", "c"}


def _constant(found):
    for split in found:
        found[split][2]["linear-probe"][...] = 1.0


def _unmeasured(found):
    for split in found:
        found[split][1][:] = np.nan


@pytest.mark.parametrize(
    ("kind", "change", "text"),
    [
        ("prediction_scatter", _constant, "r –"),
        ("prediction_scatter", _unmeasured, "no measured\nlabel"),
        ("genome_tracks", _unmeasured, "no measured label"),
        ("roc", _constant, "linear probe not defined"),
        ("roc", _unmeasured, "not defined"),
        ("heads_table", _constant, "not defined"),
        ("heads_table", _unmeasured, "No correlation is defined"),
    ],
)
def test_what_is_not_defined_is_said(tmp_path, kind, change, text):
    figure, _ = drawn(kind, make_tables(tmp_path, change))
    assert text in words(figure)


def test_few_blocks_have_no_intervals(tmp_path):
    folder = make_tables(tmp_path, ids=places(("chr1", "chr2"), 8))
    table = pl.read_csv(folder / "comparison.tsv", separator="\t")
    assert table["p"].is_null().all()
    assert table["difference"].is_not_null().all()
    for kind in ("roc", "heads_table"):
        said = words(drawn(kind, folder)[0])
        assert "[" not in said
        assert "No intervals: there are too few blocks of 4 kb" in said


def test_numbers_are_short():
    found = [decimals(value, 3) for value in (-0.0001, 0.5, -0.25, -145.219, 9.9996)]
    assert found == ["0.000", "0.500", "−0.250", "−145", "10.000"]


def test_one_head_is_not_compared(tmp_path):
    folder = make_tables(tmp_path, noise={"linear-probe": 0.5})
    assert "There is one head" in words(drawn("heads_table", folder)[0])


@pytest.mark.parametrize(
    ("kind", "settings", "text"),
    [
        ("genome_tracks", {"tracks": ["c"]}, "The tables have no c along chr1"),
        ("genome_tracks", {"chromosomes": ["chr7"]}, "The tables have no a along chr7"),
        ("roc", {"names": ["lda"]}, "The table has no 'lda'"),
        ("prediction_scatter", {"tracks": ["x"]}, "no such\ntrack"),
    ],
)
def test_what_tables_lack_is_said_in_its_place(folder, kind, settings, text):
    assert text in words(drawn(kind, folder, **settings)[0])


def test_splits_and_domains_that_are_not_there(folder, tmp_path):
    for name, columns in COLUMNS.items():
        table = pl.read_csv(folder / f"{name}.tsv", separator="\t", infer_schema_length=None)
        kept = table.filter(pl.col("set") == "train") if "set" in columns else table
        (kept if name not in ("domains", "roc") else kept.clear()).write_csv(tmp_path / f"{name}.tsv", separator="\t")
    assert "There are no predictions of the split test; evaluated: train" in words(
        drawn("prediction_scatter", tmp_path)[0]
    )
    assert "No domains and no differences are named" in words(drawn("roc", tmp_path)[0])
    assert "No correlation is defined" in words(drawn("heads_table", tmp_path)[0])


@pytest.mark.parametrize("kind", KIND)
def test_runs_that_are_not_there_are_refused(folder, kind):
    with pytest.raises(CisflowError, match="there is no run 'linear-prob'; there are linear-probe, self-attention"):
        drawn(kind, folder, runs=["linear-prob"])


def test_captions_state_blocks_units_and_averages():
    said = {name: CAPTIONS[name][1] for name in ("heads", "predictions", "chromosomes", "roc")}
    assert "blocks of neighbouring windows" in said["heads"]
    assert "pooled" in said["heads"]
    for name in ("predictions", "chromosomes"):
        assert "unit in brackets" in said[name]
    assert "their mean is drawn" in said["chromosomes"]
