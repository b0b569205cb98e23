"""What Snakemake would do is read from Snakemake itself: every job, and what it asks for under a profile."""

import collections
import os
import re
import shutil
import subprocess
import sys

import pytest

from cisflow.cli.planning.plan import Job, Plan, plan, profile_path
from cisflow.config.project import BASE
from cisflow.errors import CisflowError

DEMO = "config/demo/config.yaml"


def job(rule: str, done: bool = False, **settings) -> Job:
    return Job(rule, settings.pop("wildcards", {}), done, **settings)


def made() -> Plan:
    jobs = {
        "0": job("draw_figure", wildcards={"figure": "fig1"}, outputs=("fig1.pdf",)),
        "1": job("train", wildcards={"task": "task1", "run": "cnn-2_relu"}),
        "2": job("make_dataset", done=True, wildcards={"task": "task1"}, outputs=("a.h5", "a.tsv")),
        "3": job("draw_figure", wildcards={"figure": "s7"}),
    }
    return Plan(jobs, {"0": ["1", "2"], "1": ["2"]})


def test_a_plan_tells_what_jobs_wait_for():
    plan = made()
    assert plan.of("draw_figure", figure="fig1") == {"0", "1", "2"}
    assert plan.of("draw_figure", figure="s7") == {"3"}
    assert plan.of("draw_figure") == {"0", "1", "2", "3"}
    assert plan.making(["a.tsv", "of nobody"]) == {"2"}
    assert plan.making(["fig1.pdf"]) == {"0", "1", "2"}
    assert plan.to_run == ["0", "1", "3"]


def counted(config: str, *targets: str, profile: str = "none", more: tuple[str, ...] = ()) -> dict[str, int]:
    """Return the jobs of each rule by the table that Snakemake prints."""
    command = [sys.executable, "-m", "snakemake", "-n", "--cores", "1", "--configfile", config, "--profile", profile]
    done = subprocess.run([*command, *more, "--", *targets], capture_output=True, text=True, check=True)
    table = re.search(r"Job stats:\njob +count\n[- ]+\n((?:\w+ +\d+\n)+)", done.stdout)
    found = {rule: int(count) for rule, count in re.findall(r"(\w+) +(\d+)\n", table[1])} if table else {}
    found.pop("total", None)
    return found


def to_run(planned: Plan) -> dict[str, int]:
    return dict(collections.Counter(planned.jobs[number].rule for number in planned.to_run))


@pytest.mark.parametrize("config", [BASE, DEMO])
def test_jobs_are_those_of_snakemakes_own_dry_run(root, monkeypatch, config):
    monkeypatch.chdir(root)
    assert to_run(plan(config, [])) == counted(config)


def test_a_profile_says_what_jobs_ask_for(root, monkeypatch):
    monkeypatch.chdir(root)
    planned = plan(BASE, ["results/figures/fig1.pdf"], profile=profile_path("slurm"))
    assert not planned.limits.local
    assert planned.limits.jobs == 100
    (export,) = [planned.jobs[number] for number in planned.of("export_jaspar")]
    assert export.here  # where Snakemake runs
    trainings = [job for job in planned.jobs.values() if job.rule == "train"]
    assert {job.threads for job in trainings} == {4}
    assert {(job.gpus, job.here, job.resources["slurm_partition"]) for job in trainings} == {
        (1, False, "<GPU partition>")
    }
    assert len({job.wildcards["run"] for job in trainings}) == len(trainings) == 21
    assert re.fullmatch(planned.benchmarks["train"], trainings[0].benchmark)


def test_groups_are_those_that_are_submitted(root, monkeypatch, tmp_path):
    """Of 21 trainings, five together make five groups, the last of one; each asks for what its jobs do together."""
    monkeypatch.chdir(root)
    text = (root / "profiles/slurm/config.yaml").read_text() + "groups: [train=some]\ngroup-components: [some=5]\n"
    shutil.copytree(root / "profiles/slurm", tmp_path / "slurm")
    (tmp_path / "slurm/config.yaml").write_text(text)
    planned = plan(BASE, ["results/figures/fig1.pdf"], profile=tmp_path / "slurm")
    sizes = collections.Counter(job.group for job in planned.jobs.values() if job.rule == "train")
    assert sorted(sizes.values()) == [1, 5, 5, 5, 5]
    for number, size in sizes.items():
        group = planned.groups[number]
        assert (group.threads, group.resources["gpu"], group.resources["runtime"]) == (4 * size, size, 240)
        assert group.resources["slurm_partition"] == "<GPU partition>"


def test_cores_of_a_workstation_limit_threads(root, monkeypatch, tmp_path):
    monkeypatch.chdir(root)
    (tmp_path / "config.yaml").write_text("cores: 1\nresources: [gpu=1]\n")
    planned = plan(BASE, ["results/figures/fig1.pdf"], profile=tmp_path)
    assert (planned.limits.local, planned.limits.cores, planned.limits.resources) == (True, 1, {"gpu": 1})
    assert all(job.here and job.threads == 1 for job in planned.jobs.values())
    free = plan(BASE, ["results/figures/fig1.pdf"])
    assert next(job.threads for job in free.jobs.values() if job.rule == "tomtom") == 2


def test_a_plan_needs_no_lock_and_leaves_none(root, monkeypatch, tmp_path):
    """Another Snakemake may work in the folder."""
    monkeypatch.chdir(root)
    locks = root / ".snakemake" / "locks"
    before = sorted(os.listdir(locks)) if locks.exists() else []
    plan(BASE, ["results/figures/fig1.pdf"])
    assert (sorted(os.listdir(locks)) if locks.exists() else []) == before


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("results/figures/fig99.pdf", r"MissingRuleException:\nNo rule to produce results/figures/fig99.pdf"),
        (
            "results/tasks/cs282a_128/metrics.tsv",
            r"task 'cs282a_128' has no model \(model: null\): ask for its data set, \S+ or \S+ beside it\.$",
        ),
    ],
)
def test_what_cannot_be_planned_is_said_in_snakemakes_words_alone(root, monkeypatch, target, message):
    monkeypatch.chdir(root)
    with pytest.raises(CisflowError, match=f"^Snakemake cannot plan {target}:\n{message}") as error:
        plan(BASE, [target], profile=profile_path("slurm"))
    for other in ("Building DAG", "Using profile", "Workflow ID", "Traceback"):
        assert other not in str(error.value)


def test_profiles_have_names_and_paths(tmp_path):
    assert profile_path("slurm") == profile_path("profiles/slurm") == "profiles/slurm"
    (tmp_path / "config.yaml").write_text("cores: 1\n")
    assert profile_path(str(tmp_path)) == str(tmp_path)
    with pytest.raises(CisflowError, match=r"there is no profile 'slrm'. Did you mean 'slurm'\?"):
        profile_path("slrm")


def test_a_broken_profile_is_one_message(root, monkeypatch, tmp_path):
    monkeypatch.chdir(root)
    (tmp_path / "config.yaml").write_text("no-such-option: 1\ncores: 1\n")
    with pytest.raises(CisflowError, match=r"Snakemake cannot plan everything:\n(.|\n)*no-such-option"):
        plan(BASE, [], profile=tmp_path)
