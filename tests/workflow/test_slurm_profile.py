"""profiles/slurm without a Slurm: its settings are accepted, and jobs go where they can run."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from snakemake_executor_plugin_slurm.partitions import get_best_partition, read_partition_file

from tests.workflow.conftest import snakemake, succeed
from tests.workflow.test_plan import jobs

# Without conda on this machine; the rest of the profile is as it is.
SLURM = ("--profile", "profiles/slurm", "--software-deployment-method", "env-modules")
FOLDER = "profiles/slurm"


@pytest.fixture
def filled(clone) -> Path:
    for file in (clone / FOLDER).glob("*.yaml"):
        text = re.sub(r"<your account>", "lab", file.read_text())
        file.write_text(text.replace("<CPU partition>", "short").replace("<GPU partition>", "gpu"))
    return clone


def with_line(clone: Path, line: str) -> None:
    with (clone / FOLDER / "config.yaml").open("a") as file:
        file.write(f"\n{line}\n")


def test_every_setting_is_accepted(filled):
    output = succeed(filled, *SLURM, "-n", "--", "results/figures/fig1.pdf")
    assert jobs(output)["train"] == 21
    assert "slurm_account=lab" in output


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("slurm-status-comand: squeue", "unrecognized arguments: --slurm-status-comand"),
        ("slurm-retries: 3", "unrecognized arguments: --slurm-retries"),
        ("slurm-init-seconds-before-status-checks: soon", "invalid int value: 'soon'"),
    ],
)
def test_a_setting_that_the_plugin_does_not_know_is_refused(filled, line, message):
    """Or the test above could not fail."""
    with_line(filled, line)
    done = snakemake(filled, *SLURM, "-n", "--", "results/figures/fig1.pdf")
    assert done.returncode != 0
    assert message in done.stdout


def test_rules_do_not_retry_by_themselves(root):
    """They would within the same Slurm job, with the memory and time that were too little."""
    text = "\n".join(path.read_text() for path in [root / "Snakefile", *(root / "workflow/rules").glob("*.smk")])
    assert not re.search(r"^\s*retries:", text, re.MULTILINE)
    assert yaml.safe_load((root / FOLDER / "config.yaml").read_text())["retries"] >= 2


class Silent:
    """A logger that says nothing."""

    def __getattr__(self, name):
        return lambda *_, **__: None


@pytest.mark.parametrize(
    ("asked", "partition"),
    [
        ({"gpu": 1, "mem_mb": 4000, "runtime": 240}, "gpu"),
        ({"gpu": 0, "mem_mb": 4000, "runtime": 240}, "short"),
        ({"mem_mb": 64000, "runtime": 2000}, "short"),
    ],
)
def test_a_job_goes_where_it_can_run(filled, asked, partition):
    """No list of rules has to be kept: a training that may use a CPU asks for no GPU, and goes to the CPUs."""
    partitions = read_partition_file(filled / FOLDER / "partitions.yaml")
    job = SimpleNamespace(resources=SimpleNamespace(get=asked.get), threads=1, name="train")
    assert get_best_partition(partitions, job, Silent()) == partition


def test_no_resource_of_the_profile_names_a_partition(root):
    """It would outrank partitions.yaml for every job."""
    profile = (root / FOLDER / "config.yaml").read_text()
    assert "slurm_partition" not in re.sub(r"#.*", "", profile)


@pytest.mark.parametrize(("target", "count"), [("figures/fig1.pdf", 27), ("tasks/task1/report.html", 33)])
def test_task_1_is_few_jobs_at_paper_scale(filled, target, count):
    """Ten trials of a network are one job, and what takes a second runs where Snakemake does; 120 is the goal."""
    planned = jobs(succeed(filled, *SLURM, "-n", "--", f"results/{target}"))
    rules = "\n".join(path.read_text() for path in (filled / "workflow/rules").glob("*.smk"))
    blocks = re.findall(r"^rule (\w+):\n((?: .*\n|\n)+)", rules, flags=re.MULTILINE)
    here = {name for name, block in blocks if "localrule: True" in block}
    assert {"export_jaspar", "fetch_source", "task_report", "figures"} <= here
    submitted = {rule: number for rule, number in planned.items() if rule not in here | {"total"}}
    assert sum(submitted.values()) == count < 120
