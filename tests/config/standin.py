"""A kind of data set that names genomes, files, and queries to ENCODE; for tests of what all such kinds share."""

import json
from typing import Literal

import pytest
from pydantic import Field

from cisflow.config import project as module
from cisflow.config.encode import Query
from cisflow.config.places import Genome, Place
from cisflow.config.strict import Name, Strict
from cisflow.config.tasks import Task


class Standin(Strict):
    kind: Literal["standin"]
    genome: Genome | None = None
    files: list[Place] = Field([])
    beds: dict[Name, Place] = Field({})
    encode: Query | list[Query] | None = None


class StandinTask(Task):
    dataset: Standin


class StandinTasks(Strict):
    tasks: dict[Name, StandinTask]


ATAC = "encode: {assay: ATAC-seq}"
SOURCES = """
sources:
  jaspar2016: {title: t, homepage: https://x.org, licence: l, used_for: u, jaspar: {release: JASPAR2016, tax_group: v}}
  hg38: {title: t, homepage: https://x.org, licence: l, used_for: u, files: {
    hg38.fa.gz: {url: https://x.org/hg38.fa.gz}, hg38.chrom.sizes: {url: https://x.org/hg38.chrom.sizes}}}
  two: {title: t, homepage: https://x.org, licence: l, used_for: u, files: {
    a.fa.gz: {url: https://x.org/a.fa.gz}, b.fa: {url: https://x.org/b.fa}}}
"""


@pytest.fixture
def load(root, tmp_path, monkeypatch):
    """Load a project with these data sets of tasks a, b, ..., whose manifests are in the test's folder."""

    def loaded(*datasets, sources=SOURCES):
        monkeypatch.setattr(module, "Tasks", StandinTasks)
        task = "  {}: {{dataset: {{kind: standin, {}}}, model: {{name: cnn-2}}}}\n"
        (tmp_path / "tasks.yaml").write_text("tasks:\n" + "".join(map(task.format, "abc"[: len(datasets)], datasets)))
        (tmp_path / "sources.yaml").write_text(sources)
        for name in ("figures", "claims"):
            (tmp_path / f"{name}.yaml").write_text(f"{name}: {{}}\n")
        settings = {name: str(tmp_path / f"{name}.yaml") for name in ("sources", "figures", "claims")}
        config = {"tasks": [str(tmp_path / "tasks.yaml")], "command": "x", "encode": str(tmp_path / "pins"), **settings}
        (tmp_path / "config.yaml").write_text(json.dumps(config))
        return module.load_project(config, root)

    return loaded
