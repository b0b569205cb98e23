"""`cisflow doctor --profile slurm` asks a real Slurm, and says what it is like at that moment."""

import re
import time

import pytest
import yaml

from cisflow.cli.cluster.examine import examine_profile
from cisflow.cli.cluster.misfits import reachable
from cisflow.cli.cluster.slurm import ask_all, read_cluster
from tests.cli.test_cluster_page import commands
from tests.cluster.conftest import Slurm, fill_in, needed
from tests.limits import LIMIT

TARGET = "results/tasks/task1/motifs/tomtom.tsv"


@pytest.fixture
def asked(slurm, cluster_clone, monkeypatch):
    """Ask the doctor in the filled-in copy of the repository, with other settings if need be."""
    monkeypatch.chdir(cluster_clone)
    for name, value in slurm.variables.items():
        monkeypatch.setenv(name, value)

    def ask(**settings) -> list[tuple[str, str]]:
        fill_in(cluster_clone, **settings)
        return [(finding.level, finding.text) for finding in examine_profile("slurm", [TARGET], None)]

    return ask


def texts(found: list[tuple[str, str]], level: str) -> str:
    return "\n".join(text for its, text in found if its == level)


def test_slurm_takes_the_commands_of_the_page(slurm, root):
    """Those that only ask are run as they stand; those that submit are only tested, with what this cluster has."""
    filled = {"<your account>": "genomics", "<CPU partition>": "cpu", "<GPU partition>": "gpu", "$USER": "root"}
    small = {"--time": "60", "--mem": "100", "--cpus-per-task": "1"}
    text = re.sub(
        "|".join(map(re.escape, filled)), lambda found: filled[found[0]], (root / "docs/cluster.md").read_text()
    )
    tried = []
    for program, *words in commands(text):
        if program not in ("sinfo", "sacctmgr", "scontrol", "squeue", "sbatch") or not words or "<job" in words:
            continue
        if program == "sbatch":
            options = (word.partition("=")[0] for word in words)
            words = [
                "--test-only",
                *(f"{o}={small[o]}" if o in small else w for o, w in zip(options, words, strict=True)),
            ]
        slurm.run(program, *words)
        tried.append(program)
    assert {"sinfo", "sacctmgr", "scontrol", "squeue", "sbatch"} <= set(tried)
    assert tried.count("sbatch") >= 2


def test_the_doctor_tells_what_the_cluster_has_and_what_does_not_fit(asked):
    found = asked(**{"set-resources": ["train:runtime=4000"]})
    told = texts(found, "ok")
    assert "answers (cluster cisflow)" in told
    assert "accounting answers (sacct)" in told
    assert "partition gpu: 1 nodes (1 work), up to 48 h a job, 2 CPUs and 8 GB a node, GPUs a node: 2 standin" in told
    assert "partition cpu: 1 nodes (1 work)" in told
    assert texts(found, "problem") == "train: asks 66.67 h, and partition gpu gives at most 48 h"
    assert "jobs on other nodes must see it" not in texts(found, "note")


def test_the_doctor_finds_accounts_models_and_sizes_that_are_not_there(asked):
    wrong = {
        "default-resources": ['slurm_account="genomic"', "mem_mb=4000", "runtime=60"],
        "set-resources": ["train:gpu_model=standout", "tomtom:mem_mb=9000", "matches:gpu=3", "filters:constraint=fast"],
        "set-threads": ["make_dataset=3"],
    }
    problems = texts(asked(**wrong), "problem")
    for text in (
        "has no account 'genomic'. Did you mean 'genomics'?",
        "train: asks a GPU 'standout', which partition gpu does not have. Did you mean 'standin'?",
        "tomtom: asks 9 GB, and a node of partition cpu has at most 8 GB",
        "filters: asks nodes with 'fast', and partition gpu has none: its nodes have no features",
        "make_dataset: asks 3 CPUs, and a node of partition cpu has at most 2",
    ):
        assert text in problems


def test_the_doctor_finds_a_partition_that_is_not_there(asked, cluster_clone):
    path = cluster_clone / "profiles/slurm/partitions.yaml"
    named = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({"partitions": named["partitions"] | {"gpus": {"max_gpu": 1}}}))
    assert "there is no partition 'gpus'. Did you mean 'gpu'?" in texts(asked(), "problem")


def test_the_doctor_sees_a_drained_node(slurm, asked):
    slurm.script("drain")
    try:
        notes = texts(asked(**{"set-resources": ["train:runtime=60"]}), "note")
    finally:
        slurm.script("resume")
    assert "the 1 nodes of partition gpu that fit are out (drain" in notes


def test_the_doctor_waits_for_no_controller_that_is_gone(slurm, asked):
    slurm.script("kill-ctld")
    try:
        start = time.monotonic()
        (finding,) = reachable(ask_all(seconds=15))
        seconds = time.monotonic() - start
    finally:
        slurm.script("start-ctld")
    assert finding.level == "problem"
    assert finding.text.startswith("Slurm does not answer: ")
    assert seconds < LIMIT


def test_the_doctor_refuses_a_cluster_without_accounting(tmp_path, monkeypatch):
    needed()
    other = Slurm(tmp_path / "slurm", CISFLOW_SLURM_ACCOUNTING="no")
    other.folder.mkdir()
    try:
        other.script("up")
        for name, value in other.variables.items():
            monkeypatch.setenv(name, value)
        answers = ask_all()
    finally:
        other.script("down")
    found = {finding.level: finding.text for finding in reachable(answers)}
    assert "this Slurm keeps no accounts" in found["problem"]
    assert {"cpu", "gpu", "urgent"} == read_cluster(answers).partitions.keys()
