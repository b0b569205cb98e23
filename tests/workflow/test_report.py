"""The Snakemake report, opened in a real browser."""

import re

import pytest

from tests.workflow.browser import open_page
from tests.workflow.conftest import copy_of_repository, succeed

DEMO = ("--profile", "profiles/demo")
FIGURE = "results/demo/figures/s7"


@pytest.fixture(scope="module")
def page(root, tmp_path_factory):
    """A report of the one figure that needs no training."""
    clone = copy_of_repository(root, tmp_path_factory.mktemp("report") / "clone")
    succeed(clone, *DEMO, f"{FIGURE}.pdf")
    succeed(clone, *DEMO, "--report", "report.html", f"{FIGURE}.pdf")
    return clone / "report.html"


def test_a_figure_is_shown(page):
    shown = open_page(page, ["Results", "Figures of papers", (["s7", "PNG"], "eye")])
    widths = re.search(r"IMAGES: ([\d,]+)", shown)[1].split(",")
    assert max(map(int, widths)) > 1000, "the figure, at 300 dots an inch"


@pytest.mark.parametrize("form", ["PDF", "PNG", "numbers", "provenance"])
def test_each_form_of_it_has_the_caption(page, form):
    shown = open_page(page, ["Results", "Figures of papers", (["s7", form], "information-circle")])
    assert "The exponential and the modified activations" in shown
    assert "Koo &amp; Ploenzke" in shown
    assert "Supplementary Figure 7" in shown
