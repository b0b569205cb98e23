"""The command line as its tests call it: in the repository, on a wide terminal."""

import pytest
from typer.testing import CliRunner

from cisflow import cli


@pytest.fixture
def in_repository(root, monkeypatch):
    """The repository is the working folder, and lines are not folded."""
    monkeypatch.chdir(root)
    monkeypatch.setattr(cli.out, "width", 200)


def run(*arguments: str) -> str:
    """Run a command that succeeds, and return what it printed."""
    result = CliRunner().invoke(cli.app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output
