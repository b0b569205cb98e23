"""Figures of the configuration, drawn from made-up tables."""

import matplotlib as mpl
import pytest
from matplotlib import pyplot as plt
from tests.figures.made import TRIALS, write_tables

from cisflow.config.project import load_project
from cisflow.figures import kinds

mpl.use("Agg")


@pytest.fixture(scope="session")
def project(root):
    return load_project("config/config.yaml", root)


@pytest.fixture(scope="session")
def made(project, tmp_path_factory):
    """Return the folder of the tables of all tasks."""
    folder = tmp_path_factory.mktemp("tasks")
    write_tables(project, folder, TRIALS)
    return folder


@pytest.fixture
def drawn(project, made):
    """Return a function that draws a figure; other tables and settings can be given, and tables left out."""

    def draw(name, leave_out=(), **changes):
        figure = project.figures[name]
        tables = {key: str(made / path) for key, path in figure.tables.items() if key not in leave_out}
        return kinds.draw(figure.kind, tables | changes.pop("tables", {}), figure.settings.model_dump() | changes)

    yield draw
    plt.close("all")
