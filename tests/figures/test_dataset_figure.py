"""The figure of a data set shows the numbers of its tables, and says what does not apply."""

import matplotlib as mpl
import numpy as np
import polars as pl
import pytest
from matplotlib import pyplot as plt
from tests.conftest import planted

from cisflow.datasets.quality import write_quality
from cisflow.datasets.store import SPLITS, Split, write_dataset
from cisflow.figures import style
from cisflow.figures.dataset import draw
from cisflow.io import write_tsv
from cisflow.tables import ACCOUNTING

mpl.use("Agg")


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture
def drawn(tmp_path):
    """Return a function that draws the figure of a data set with these labels and this account."""

    def made(labels, kind="binary", masked=False, account=((600, "read", ""), (600, "kept", ""))):
        rng, splits = np.random.default_rng(0), {}
        for name, count in zip(SPLITS, (40, 20, 10), strict=True):
            x, y = planted(count)
            y = y if labels is None else labels(rng, count).astype(np.float32)
            mask = rng.random(y.shape) < 0.7 if masked else None
            splits[name] = Split(x, y, np.arange(count).astype("S4"), mask)
        targets = [f"t{number}" for number in range(y.shape[-1])]
        write_dataset(tmp_path / "dataset.h5", splits, targets, kind)
        tables = {name: str(tmp_path / f"{name}.tsv") for name in ("quality", "distributions", "accounting")}
        write_quality(tables["quality"], tables["distributions"], tmp_path / "dataset.h5")
        write_tsv(tables["accounting"], ACCOUNTING, (rows_of(*row) for row in account))
        return *draw(tables, {}), splits

    return made


def rows_of(rows, step, reason, unit="windows"):
    return {"unit": unit, "input": "", "step": step, "reason": reason, "rows": rows}


def texts(figure) -> str:
    return " | ".join(text.get_text() for text in figure.findobj(mpl.text.Text)).replace("\n", " ")


def heights(axes) -> list[float]:
    return [bar.get_height() for bar in axes.patches if isinstance(bar, mpl.patches.Rectangle)]


def test_one_binary_target(drawn):
    figure, numbers, splits = drawn(None)
    words = texts(figure)
    assert heights(figure.axes[0]) == [20, 10, 5, 20, 10, 5], "half of each split is positive"
    assert {"positive", "negative", "GC content", "none"} <= set(words.split(" | "))
    assert "One binary target" in words
    assert "there is nothing to correlate" in words
    assert "Nothing was left out" in words
    fractions = numbers.filter(pl.col("panel") == "d", pl.col("quantity").is_null())
    assert fractions["value"].to_list() == [split.y.mean() for split in splits.values()]


def test_reasons_stand_largest_first_with_their_part_of_what_came_in(drawn):
    account = [
        (1000, "read", ""), (70, "reverse_complement", "train"), (-30, "windows", "off_the_contig"),
        (-200, "filter", "blacklisted"),
        (-20, "windows", "off_the_contig"), (50, "read", "", "peaks"), (-5, "peaks", "", "peaks"), (820, "kept", ""),
        (45, "kept", "", "peaks"),
        (3, "read", "", "contigs"), (9, "break", "broken", "contigs"), (-8, "join", "joined", "contigs"),
        (4, "kept", "", "contigs"),
    ]  # fmt: skip
    figure, numbers, _ = drawn(None, account=account)
    words = texts(figure)
    assert words.index("blacklisted: 200 windows (20.0%)") < words.index("off the contig: 50 windows (5.0%)")
    assert "peaks: 5 peaks (10.0%)" in words, "a step without a reason is named itself"
    assert numbers.filter(pl.col("panel") == "c")["rows"].to_list() == [200, 5, 50], "joined contigs are there still"
    bars = [bar.get_width() for bar in figure.axes[2].patches]
    assert bars == pytest.approx([0.2, 0.1, 0.05]), "units are not comparable, but their parts are"


def test_more_reasons_than_there_is_room_for_are_summed(drawn):
    account = [(1000, "read", ""), *((-n, "filter", f"reason_{n}") for n in range(1, 11)), (945, "kept", "")]
    words = texts(drawn(None, account=account)[0])
    assert "3 other reasons: 6" in words
    account += [(1000, "read", "", "peaks"), (-2, "filter", "short", "peaks"), (998, "kept", "", "peaks")]
    assert "4 other reasons, at most 0.3% each" in texts(drawn(None, account=account)[0])
    assert "reason 4: 4 windows" in words
    assert "reason 3:" not in words


def test_several_binary_targets_with_a_mask(drawn):
    figure, numbers, splits = drawn(lambda rng, count: rng.random((count, 12)) < 0.3, masked=True)
    words = texts(figure)
    assert {"any positive", "no positive", "positive labels of a row", "Pearson correlation", "t11"} <= set(
        words.split(" | ")
    )
    shown = numbers.filter(pl.col("quantity") == "masked_fraction")
    expected = np.concatenate([1 - split.mask.mean(axis=0) for split in splits.values()])
    assert shown["value"].to_list() == pytest.approx(expected.tolist())
    assert len(numbers.filter(pl.col("panel") == "f")) == 12 * 11 // 2
    image = next(axes.images[0] for axes in figure.axes if axes.images)
    assert image.get_array()[0, 1] == numbers.filter(pl.col("panel") == "f")["value"][0]


@pytest.mark.parametrize("targets", [1, 3, 10, 300])
def test_real_labels(drawn, targets):
    figure, numbers, _ = drawn(
        lambda rng, count: np.maximum(rng.gamma(0.5, 9, (count, 4, targets)) - 0.5, 0), "real", masked=True
    )
    words = texts(figure)
    assert "train: median, 25–75%, 1–99%" in words
    assert "not shown" in words, "zeros have no place on a logarithmic axis"
    assert ("mean over targets" in words) == (targets > 7)
    assert ("128 of 300 targets" in words) == (targets == 300)
    assert ("nothing to correlate" in words) == (targets == 1)
    assert set(numbers["panel"]) == set("abde" if targets == 1 else "abdef"), "nothing was left out"


def test_real_labels_that_are_all_alike_or_never_measured(drawn):
    words = texts(drawn(lambda rng, count: np.zeros((count, 2)), "real")[0])
    assert "All labels are alike." in words
    figure, *_ = drawn(lambda rng, count: np.full((count, 2), np.nan), "real")
    assert "No label is measured." in texts(figure)


def test_it_is_of_the_size_of_print_and_has_the_same_bytes(drawn, tmp_path):
    for name in ("a", "b"):
        figure, numbers, _ = drawn(lambda rng, count: rng.random((count, 5)) < 0.3)
        assert figure.get_size_inches()[0] * 25.4 == pytest.approx(183)
        sizes = {text.get_fontsize() for text in figure.findobj(mpl.text.Text) if text.get_text().strip()}
        assert (min(sizes), max(sizes)) == (5, 9)
        style.save(figure, numbers, tmp_path / f"{name}.pdf")
    for ending in ("pdf", "png", "tsv"):
        assert (tmp_path / f"a.{ending}").read_bytes() == (tmp_path / f"b.{ending}").read_bytes()
    assert len(pl.read_csv(tmp_path / "a.tsv", separator="\t")) == len(numbers)
