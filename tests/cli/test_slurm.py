"""A cluster is read from what Slurm prints, and what jobs ask is held against it."""

import math
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.cli.slurm_answers import ANSWERS, CONFIG, NODES, cluster, programs
from tests.limits import HANG, LIMIT

from cisflow.cli.cluster.misfits import misfits, partitions_told, reachable
from cisflow.cli.cluster.slurm import (
    Asked,
    Nodes,
    answer,
    ask_all,
    parse_associations,
    parse_config,
    parse_gpus,
    parse_minutes,
    parse_partitions,
    read_cluster,
)
from cisflow.errors import CisflowError

PROFILE = "profiles/slurm/config.yaml"


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("infinite", math.inf), ("UNLIMITED", math.inf), ("n/a", math.inf), ("", math.inf),
        ("30", 30), ("30:00", 30), ("1:30:00", 90), ("1-00:00:00", 1440), ("2-12", 3600), ("1-06:30", 1830),
        ("00:00:30", 0.5), ("365-00:00:00", 525600),
    ],
)  # fmt: skip
def test_times_are_read_in_all_of_slurms_ways(text, minutes):
    assert parse_minutes(text) == minutes


def test_a_time_that_is_none_is_refused():
    with pytest.raises(CisflowError, match="'soon', which is not one of its ways"):
        parse_minutes("soon")


@pytest.mark.parametrize(
    ("gres", "gpus"),
    [
        ("(null)", {}), ("", {}), ("gpu:4", {"": 4}), ("gpu", {"": 1}), ("gpu:tesla", {"tesla": 1}),
        ("gpu:a100:4(S:0-1)", {"a100": 4}), ("gpu:a100:4(S:0,1),shard:a100:8", {"a100": 4}),
        ("gpu:A100:2(S:0),gpu:a100_3g.20gb:4(S:1)", {"a100": 2, "a100_3g.20gb": 4}),
        ("gpu:v100:no_consume:2", {"v100": 2}), ("craynetwork:4,gpu:gtx1080ti:8", {"gtx1080ti": 8}),
        ("gpu:a100:2(IDX:0-1),gpu:a100:2", {"a100": 4}), ("nvme:1,mps:200", {}),
    ],
)  # fmt: skip
def test_gpus_are_read_in_all_spellings(gres, gpus):
    assert parse_gpus(gres) == gpus


@pytest.mark.parametrize(
    ("state", "works"),
    [("idle", True), ("mixed", True), ("allocated", True), ("completing", True), ("idle~", True), ("mixed-", True),
     ("idle#", True), ("reserved", True), ("planned", True), ("down", False), ("down*", False), ("idle*", False),
     ("drained", False), ("draining@", False), ("inval", False), ("fail", False), ("maint", False)],
)  # fmt: skip
def test_nodes_that_are_out_start_no_jobs(state, works):
    assert Nodes(1, state, 1, 1).works is works


def test_partitions_have_their_marks_states_and_unlike_nodes():
    read = cluster().partitions
    assert [name for name, partition in read.items() if partition.default] == ["cpu"]
    assert {name: read[name].state for name in ("cpu", "old", "repair", "closed")} == {
        "cpu": "UP", "old": "DOWN", "repair": "DRAIN", "closed": "INACTIVE",
    }  # fmt: skip
    assert [(n.count, n.works, n.cpus) for n in read["cpu"].nodes] == [
        (600, True, 64),
        (5, False, 64),
        (395, True, 128),
    ]
    assert [dict(n.gpus) for n in read["gpu"].nodes] == [{"a100": 4}, {"v100": 2}, {"a100": 4}]
    assert read["gpu"].nodes[0].cpus == 64, "'64+' is at least 64"
    assert read["gpu"].cpus == 48
    assert (read["gpu"].limit, read["long"].limit) == (2880, math.inf)
    assert read["lab"].accounts == {"regulation", "imaging"}
    assert read["gpu"].accounts is None
    assert read["gpu"].denied == {"teaching"}
    assert read["empty"].nodes == ()


def test_without_rights_a_partition_has_the_state_that_sinfo_gives_it():
    assert {p.name: p.state for p in parse_partitions(NODES).values() if p.state != "UP"} == {
        "old": "DOWN", "repair": "DRAIN", "closed": "INACTIVE",
    }  # fmt: skip


def test_accounts_of_other_clusters_are_left_out():
    found = list(parse_associations(ANSWERS["associations"], "Forest"))
    assert [(a.account, a.partition, a.submitted, a.limit) for a in found] == [
        ("genomics", None, 500, math.inf), ("teaching", "cpu", 20, 120), ("brief", None, math.inf, 30),
    ]  # fmt: skip


def problems(*asked: Asked, level: str = "problem", **answers) -> list[str]:
    return [finding.text for finding in misfits(asked, cluster(**answers), PROFILE) if finding.level == level]


SMALL = Asked("train", "gpu", "genomics", minutes=240, memory=4000, cpus=4, gpus=1)


def test_what_can_be_had_is_not_complained_of():
    fine = [
        SMALL,
        replace(SMALL, model="A100"),
        replace(SMALL, constraint="a100&ib"),
        replace(SMALL, constraint="h100|v100"),
        replace(SMALL, qos="high"),
        replace(SMALL, partition="gpu,nowhere-but-placeholder<x>"),
        Asked("tomtom", "cpu", "genomics", minutes=1440, memory=1_031_000, cpus=128),
        Asked("tomtom", "", "genomics", minutes=10, memory=1000),
        Asked("tomtom", "<CPU partition>", "<your account>", minutes=1e6),
        Asked("tomtom", "cpu", "teaching", minutes=120),
        Asked("tomtom", "cpu", "", minutes=10),
    ]
    assert list(misfits(fine, cluster(), PROFILE)) == []


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"partition": "gpus"}, "there is no partition 'gpus'. Did you mean 'gpu'?"),
        ({"partition": "xy"}, "there is no partition 'xy'. Known here: broken, closed, cpu"),
        ({"partition": "cpu"}, "asks a GPU, and partition cpu has none"),
        ({"account": "genomic"}, "ada has no account 'genomic'. Did you mean 'genomics'?"),
        ({"account": "savanna_only"}, "ada has no account 'savanna_only'."),
        ({"account": "teaching"}, "partition gpu does not take the account 'teaching'"),
        ({"partition": "lab"}, "partition lab does not take the account 'genomics' (it takes imaging, regulation)"),
        ({"partition": "long", "account": "teaching", "gpus": 0}, "account 'teaching' is for other partitions: cpu"),
        ({"partition": "staff", "gpus": 0}, "partition staff is for the groups admins, and ada is in none"),
        ({"qos": "hihg"}, "ada may not use the QOS 'hihg'. Did you mean 'high'?"),
        ({"minutes": 2881}, "asks 48.02 h, and partition gpu gives at most 48 h"),
        ({"minutes": 60, "account": "brief"}, "asks 1 h, and ada's account gives at most 30 min"),
        ({"memory": 450_000}, "asks 450 GB, and a node of partition gpu has at most 400 GB"),
        ({"cpus": 64}, "asks 64 CPUs, and a node of partition gpu has at most 48"),
        ({"gpus": 5}, "asks 5 GPUs a node, and partition gpu has at most 4"),
        ({"gpus": 3, "model": "v100"}, "asks 3 GPUs a node, and partition gpu has at most 2"),
        ({"model": "a10"}, "asks a GPU 'a10', which partition gpu does not have. Did you mean 'a100'?"),
        ({"model": "a100", "partition": "old"}, "Its GPUs have no models: leave gpu_model out."),
        ({"constraint": "h100"}, "asks nodes with 'h100', and partition gpu has none: its nodes have a100, ib, milan"),
        ({"model": "v100", "memory": 300_000}, "300 GB and 1 GPUs together, which no node of partition gpu has"),
        ({"partition": "repair", "gpus": 0, "minutes": 1}, "repair takes no jobs now (its state is DRAIN)"),
        ({"partition": "closed", "gpus": 0, "minutes": 1}, "closed takes no jobs now (its state is INACTIVE)"),
        ({"partition": "empty", "gpus": 0}, "partition empty has no nodes"),
    ],
)  # fmt: skip
def test_what_cannot_be_had_is_a_problem_with_a_mend(asked, text):
    found = [f for f in misfits([replace(SMALL, **asked)], cluster(), PROFILE) if f.level == "problem"]
    assert any(text in finding.text for finding in found), found
    assert len(found) <= 2
    assert all(finding.mend and finding.text.startswith("train: ") for finding in found)


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"partition": "old"}, "partition old is down: jobs wait"),
        ({"partition": "broken"}, "the 3 nodes of partition broken that fit are out (drained*), so jobs wait"),
        ({"last": replace(SMALL, minutes=7680)}, "asks 4 h at first and 128 h at the last attempt, and partition gpu"),
        ({"last": replace(SMALL, memory=500_000)}, "asks 4 GB at first and 500 GB at the last attempt, which no node"),
    ],
)
def test_what_may_have_to_wait_is_a_note(asked, text):
    one = replace(SMALL, **asked)
    assert problems(one) == []
    assert any(text in note for note in problems(one, level="note"))


def test_one_of_several_partitions_is_enough():
    assert problems(replace(SMALL, partition="cpu,gpu")) == []
    assert len(problems(replace(SMALL, partition="cpu,long"))) == 2


def test_a_partition_that_rules_share_is_told_once():
    (text,) = problems(replace(SMALL, partition="gpux"), replace(SMALL, rule="evaluate", partition="gpux"))
    assert text.startswith("train, evaluate: there is no partition 'gpux'")


def test_without_a_default_partition_one_must_be_named():
    assert problems(replace(SMALL, partition=""), nodes=NODES.replace("cpu*", "cpu")) == [
        "train: no partition is named, and this cluster has no default one"
    ]


def test_a_user_without_accounts_is_told_where_they_are_needed():
    assert problems(SMALL, associations="") == ["train: Slurm's accounting has no account for ada: jobs are refused"]
    lenient = CONFIG.replace("associations,limits,qos,safe", "none")
    assert problems(SMALL, associations="", config=lenient) == []
    assert problems(replace(SMALL, account="any"), associations=CisflowError("sacctmgr is not on PATH.")) == []


def test_partitions_are_told_with_what_they_have():
    (finding,) = partitions_told(cluster(), ["gpu", "nowhere"])
    assert finding.text == (
        "partition gpu: 50 nodes (48 work), up to 48 h a job, 32 to 64 CPUs and 192 to 515 GB a node, GPUs a node: 4 "
        "a100, 2 v100"
    )


def levels(**answers) -> list[tuple[str, str]]:
    return [(finding.level, finding.text) for finding in reachable(ANSWERS | answers)]


def test_a_cluster_that_is_well_is_told_so():
    assert levels() == [("ok", "Slurm 23.11.4 answers (cluster forest)"), ("ok", "accounting answers (sacct)")]


def test_a_cluster_without_accounting_is_refused():
    found = levels(config=CONFIG.replace("accounting_storage/slurmdbd", "accounting_storage/none"))
    assert found[1][0] == "problem"
    assert "keeps no accounts (AccountingStorageType is none)" in found[1][1]
    assert levels(jobs=CisflowError("'sacct' gave no answer in 20 s."))[1][0] == "problem"


def test_jobs_that_another_snakemake_has_left_are_told():
    level, text = levels(queue=f"12|abc|rule_train|{Path.cwd()}\n")[2]
    assert level == "problem"
    assert "scancel --name=abc" in text


def test_a_silent_controller_is_one_problem():
    error = CisflowError("'scontrol show config' gave no answer in 20 s.")
    assert levels(config=error, partitions=error, nodes=error) == [("problem", f"Slurm does not answer: {error}")]


@pytest.fixture
def path(tmp_path, monkeypatch):
    def put(**scripts: str):
        monkeypatch.setenv("PATH", f"{programs(tmp_path / 'bin', **scripts)}{os.pathsep}{os.environ['PATH']}")
        return tmp_path / "bin"

    return put


def test_a_thousand_nodes_take_six_short_calls(path, monkeypatch):
    monkeypatch.setenv("SINFO_FORMAT", "%N")
    folder = path(sinfo=f'[ -z "$SINFO_FORMAT" ] && cat {path()}/nodes.txt')
    read = read_cluster(ask_all())
    assert sum(n.count for n in read.partitions["cpu"].nodes) == 1000
    assert read.config == parse_config(CONFIG)
    assert len((folder / "called").read_text().splitlines()) == 6


def test_a_command_that_hangs_is_ended_with_its_children(path):
    path(scontrol=f"sleep {HANG} & wait", sacctmgr="echo 'sacctmgr: error: slurm_persist_conn_open' >&2; exit 1")
    start = time.monotonic()
    answers = ask_all(seconds=1)
    assert time.monotonic() - start < LIMIT
    assert str(answers["config"]) == "'scontrol show config' gave no answer in 1 s."
    assert "sacctmgr: error: slurm_persist_conn_open" in str(answers["associations"])
    assert read_cluster(answers).associations is None


def test_commands_that_are_not_there_or_cannot_be_run_are_named(path, monkeypatch):
    folder = path()
    (folder / "sinfo").chmod(0o644)
    monkeypatch.setenv("PATH", str(folder))
    with pytest.raises(CisflowError, match=r"sinfo cannot be run \(Permission denied\)\."):
        answer(["sinfo"])
    with pytest.raises(CisflowError, match=r"lfs is not on PATH\."):
        answer(["lfs", "quota"])
    with pytest.raises(CisflowError, match="'sbatch': exit 1"):
        answer(["sbatch"])
