"""Heads on embeddings, end to end: from genome, BigWig and weights made here to trained heads, metrics and a report."""

from io import StringIO

import h5py
import pytest
from rich.console import Console

from cisflow.cli.explain import explain
from cisflow.config.project import load_project
from cisflow.tables import METRICS, read_tsv
from tests.workflow import test_embeddings
from tests.workflow.conftest import snakemake, succeed
from tests.workflow.test_embeddings import PROFILE, SPLITS

RUNS = ("linear-probe", "max-pool-perceptron", "self-attention")
HEADS = f"""
    model: {{name: [{", ".join(RUNS)}], attention_heads: 4, units: 8}}
    trials: 1
    training: {{device: cpu, epochs: 2, by_model: {{self-attention: {{epochs: 1}}}}}}
    evaluation: {{splits: [valid, test]}}
"""
mine = test_embeddings.mine


@pytest.fixture
def tasks(monkeypatch):
    plain = test_embeddings.TASKS
    text = plain.replace("      shards: 2\n    model: null\n", f"      shards: 2{HEADS}", 1)
    assert text != plain
    monkeypatch.setattr(test_embeddings, "TASKS", text)


def test_from_genome_and_weights_to_a_report_of_heads(tasks, mine):
    clone, *_ = mine
    succeed(clone, *PROFILE, "results/tasks/mine/report.html")
    folder = clone / "results/tasks/mine"
    metrics = read_tsv(folder / "metrics.tsv", METRICS)
    assert set(metrics["run"]) == set(RUNS)
    assert set(metrics["target"]) == {"signal", "other", "mean", "pooled"}
    with h5py.File(folder / "predictions/linear-probe.bins.h5") as h5:
        assert {split: h5["trial-0"][split].shape for split in h5["trial-0"]} == {
            split: (SPLITS[split], 248, 2) for split in ("valid", "test")
        }
    out = Console(record=True, width=200, file=StringIO())
    explain(load_project("config/config.yaml", clone), ["mine"], out)
    # 24 channels and a bias for each of two targets, in each of 248 bins.
    assert ["linear-probe", "50", f"{248 * 24 * 2:,}"] in [line.split() for line in out.export_text().splitlines()]
    refused = snakemake(clone, *PROFILE, "-n", "results/tasks/mine/motifs/matches.tsv")
    assert "its models are heads on embeddings, and filters, activations and attributions" in refused.stdout
    refused = snakemake(clone, *PROFILE, "-n", "results/tasks/mine/attribution/maps/self-attention")
    assert "its models are heads on embeddings" in refused.stdout
