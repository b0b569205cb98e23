"""Projects whose tasks a test writes."""

import pytest

from cisflow.config.project import load_project
from cisflow.errors import CisflowError


def project(root, tmp_path, text, more=None):
    """Load a project whose tasks are the given text."""
    files = []
    for number, content in enumerate([text, *([more] if more else [])]):
        (tmp_path / f"tasks{number}.yaml").write_text(content)
        files.append(str(tmp_path / f"tasks{number}.yaml"))
    for name in ("figures", "claims"):
        (tmp_path / f"{name}.yaml").write_text(f"{name}: {{}}\n")
    config = {
        "tasks": files,
        "command": "x",
        "figures": str(tmp_path / "figures.yaml"),
        "claims": str(tmp_path / "claims.yaml"),
    }
    return load_project(config, root)


def problems(root, tmp_path, text, more=None):
    with pytest.raises(CisflowError) as error:
        project(root, tmp_path, text, more)
    return str(error.value).replace(str(tmp_path) + "/", "")
