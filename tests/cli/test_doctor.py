"""`cisflow doctor --profile`, against stand-ins for the commands of Slurm: everything at once, each with its mend."""

import os
import time
from pathlib import Path

import pytest
from tests.cli.slurm_answers import CONFIG, programs
from tests.limits import HANG, LIMIT
from typer.testing import CliRunner

from cisflow import cli
from cisflow.cli.cluster import examine as cluster_module
from cisflow.cli.cluster.examine import _forgotten, _image, examine_profile, source_findings
from cisflow.cli.cluster.profiles import read_profile
from cisflow.cli.cluster.slurm import ask_all, read_cluster
from cisflow.cli.planning.plan import Job
from cisflow.config.project import load_project
from cisflow.errors import CisflowError

TARGET = "results/tasks/task1/motifs/tomtom.tsv"
FILLED = """executor: slurm
jobs: 600
retries: 3
slurm-partition-config: partitions.yaml
default-resources: [slurm_account=genomics, mem_mb=4000, runtime=60]
"""
PARTITIONS = "partitions:\n  cpu: {max_gpu: 0}\n  gpu: {max_gpu: 4}\n"


@pytest.fixture(autouse=True)
def in_repository(root, monkeypatch):
    monkeypatch.chdir(root)
    monkeypatch.setattr(cli.out, "width", 200)
    monkeypatch.delenv("SNAKEMAKE_SLURM_PARTITIONS", raising=False)
    monkeypatch.delenv("CISFLOW_MIRROR", raising=False)


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    def put(**scripts: str) -> Path:
        monkeypatch.setenv("PATH", str(programs(tmp_path / "bin", **scripts)), prepend=os.pathsep)
        return tmp_path / "bin"

    return put


@pytest.fixture
def profile(tmp_path):
    def write(text: str = FILLED, partitions: str = PARTITIONS) -> str:
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine/config.yaml").write_text(text)
        (tmp_path / "mine/partitions.yaml").write_text(partitions)
        return str(tmp_path / "mine")

    return write


def doctor(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli.app, ["doctor", *arguments], catch_exceptions=False)
    return result.exit_code, result.output


def test_every_problem_of_a_profile_is_told_at_once(slurm, profile):
    slurm()
    mine = profile(
        FILLED.replace("genomics", '"<your account>"') + "slurm-requeu: true\n"
        "software-deployment-method: [apptainer]\nset-resources:\n"
        "  - train:runtime=10000\n  - filters:gpu_model=A10\n  - evaluat:mem_mb=1\n  - tomtom:mem_mb=9000000\n",
        PARTITIONS + "  gpux: {max_gpu: 9, max_gpus: 9}\n",
    )
    code, output = doctor("--profile", mine, "--for", TARGET)
    assert code == 1
    for text in (
        "/config.yaml:5: <your account> is a placeholder",
        "sacctmgr show associations user=$USER",
        "/partitions.yaml:4: 'max_gpus' is no limit of a partition. Did you mean 'max_gpu'?",
        "/config.yaml:6: 'slurm-requeu' is no setting of Snakemake or of an installed plugin. Did you mean 'slurm-req",
        "/config.yaml:11: there is no rule 'evaluat'",
        "jobs get their software by apptainer, and apptainer is not on PATH",
        "Slurm 23.11.4 answers (cluster forest)",
    ):
        assert text in output, text
    assert "Traceback" not in output


def test_what_rules_ask_is_held_against_the_partitions_they_go_to(slurm, profile):
    slurm()
    mine = profile(
        FILLED + "set-resources:\n  - train:runtime=10000\n  - filters:gpu_model=A10\n  - tomtom:mem_mb=9000000\n",
        PARTITIONS + "  gpux: {max_gpu: 0, max_mem_mb: 10}\n",
    )
    findings = [(f.level, f.text) for f in examine_profile(mine, [TARGET], None)]
    problems = [text.replace(f"{mine}/", "") for level, text in findings if level == "problem"]
    assert problems == [
        "partitions.yaml:4: there is no partition 'gpux'. Did you mean 'gpu'?",
        "filters: asks a GPU 'A10', which partition gpu does not have. Did you mean 'a100'?",
        "tomtom: asks 9,000 GB, and a node of partition cpu has at most 1,031 GB",
        "train: asks 166.7 h, and partition gpu gives at most 48 h",
        "config.yaml:2: up to 600 jobs are submitted, and account 'genomics' takes 500 at once",
    ]
    texts = " ".join(text for _, text in findings)
    assert "partition gpu: 50 nodes (48 work)" in texts


def test_a_profile_that_fits_is_ready(slurm, profile):
    slurm()
    code, output = doctor("--profile", profile(FILLED.replace("600", "100")), "--for", TARGET)
    assert output.strip().endswith("ready"), output
    assert code == 0
    assert "rules ask can be had" in output


def test_jobs_that_squeue_forgets_too_soon_are_told(slurm, profile):
    folder = slurm()
    read = read_profile(profile(FILLED + "slurm-status-command: squeue\n"))
    assert list(_forgotten(read, read_cluster(ask_all()))) == []
    (folder / "config.txt").write_text(CONFIG.replace("300 sec", "60 sec"))
    (finding,) = _forgotten(read, read_cluster(ask_all()))
    assert "config.yaml:6: squeue forgets jobs 60 s after their end (MinJobAge)" in finding.text


def test_a_controller_that_hangs_does_not_hang_the_doctor(slurm, profile, monkeypatch):
    slurm(**dict.fromkeys(("scontrol", "sinfo", "sacctmgr"), f"sleep {HANG}"))
    monkeypatch.setattr(cluster_module, "ask_all", lambda ask=cluster_module.ask_all: ask(seconds=1))
    # Snakemake's plugin asks the same controller, and would wait 10 s; it is not what is tested here.
    monkeypatch.setattr(cluster_module, "known_settings", lambda: {"executor"})
    monkeypatch.setattr(cluster_module, "dry_run", lambda *_: (_ for _ in ()).throw(CisflowError("cannot plan")))
    start = time.monotonic()
    found = list(examine_profile(profile(), [TARGET], None))
    assert time.monotonic() - start < LIMIT
    texts = [finding.text for finding in found if finding.level == "problem"]
    assert "Slurm does not answer: 'scontrol show config' gave no answer in 1 s." in texts
    assert "cannot plan" in texts


def test_a_cluster_without_accounting_is_refused(slurm, profile):
    folder = slurm(sacct="echo 'Slurm accounting storage is disabled' >&2; exit 1")
    (folder / "config.txt").write_text(CONFIG.replace("accounting_storage/slurmdbd", "accounting_storage/none"))
    code, output = doctor("--profile", profile(), "--for", "results/figures/fig0.pdf")
    assert code == 1
    assert "this Slurm keeps no accounts (AccountingStorageType is none)" in output
    assert "Snakemake cannot plan results/figures/fig0.pdf" in output


@pytest.mark.parametrize(("name", "text"), [("slrum", "there is no profile 'slrum'"), ("broken", "not valid YAML")])
def test_a_profile_that_cannot_be_read_is_one_problem(tmp_path, name, text):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/config.yaml").write_text("jobs: {\n")
    (finding,) = examine_profile(name if name == "slrum" else str(tmp_path / name), [], None)
    assert finding.level == "problem"
    assert text in finding.text


def test_an_image_of_containers_has_to_be_named_and_there(profile, tmp_path):
    read = read_profile(profile("software-deployment-method: [apptainer]\n"))
    (finding,) = _image(read, Path("config/config.yaml"))
    assert finding.text == "jobs run in a container, and none is named"
    config = tmp_path / "config.yaml"
    config.write_text(Path("config/config.yaml").read_text().replace("container: null", "container: mine.sif"))
    (finding,) = _image(read, config)
    assert (finding.text, finding.mend) == (
        "there is no image mine.sif",
        "apptainer build mine.sif containers/cisflow.def",
    )


def test_source_files_count_as_here_once_they_are_in_a_mirror(tmp_path, monkeypatch):
    project = load_project("config/config.yaml")
    name, source = next((name, source) for name, source in project.sources.items() if source.files)
    jobs = [Job("fetch_source", {"source": name, "file": next(iter(source.files))}, False)]
    file = jobs[0].wildcards["file"]
    (finding,) = source_findings(project, jobs, ["a.pdf"])
    assert finding.level == "note"
    assert file in finding.text
    assert finding.mend.endswith("cisflow sources fetch --for a.pdf")
    (tmp_path / name).mkdir()
    (tmp_path / name / file).touch()
    monkeypatch.setenv("CISFLOW_MIRROR", str(tmp_path))
    assert [f.text for f in source_findings(project, jobs, [])] == [
        "1 source files are in a mirror: no job needs the network"
    ]
    assert [f.text for f in source_findings(project, [], [])] == ["all source files are here: no job needs the network"]
