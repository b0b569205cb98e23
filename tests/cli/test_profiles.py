"""A profile is read with its lines; what nothing knows, and what was not filled in, is told with its place."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from cisflow.cli.cluster import deployment
from cisflow.cli.cluster.asked import Run, asked, dry_run
from cisflow.cli.cluster.deployment import (
    conda_findings,
    list_environments,
    methods,
    module_findings,
    modules_of,
    parse_environments,
    tool_findings,
)
from cisflow.cli.cluster.profiles import (
    known_resources,
    known_settings,
    partition_findings,
    placeholder_findings,
    read_profile,
    rules_of,
    telling,
    unknown_resources,
    unknown_rules,
    unknown_settings,
)
from cisflow.cli.planning.plan import Job
from cisflow.errors import CisflowError

PARTITIONS = "partitions:\n  small: {max_gpu: 0, max_runtime: 60}\n  large: {max_gpu: 0}\n  cards: {max_gpu: 4}\n"


@pytest.fixture
def profile(tmp_path):
    def write(text: str, partitions: str | None = None):
        (tmp_path / "mine").mkdir(exist_ok=True)
        (tmp_path / "mine/config.yaml").write_text(text)
        if partitions is not None:
            (tmp_path / "mine/partitions.yaml").write_text(partitions)
        return read_profile(str(tmp_path / "mine"))

    return write


@pytest.fixture(autouse=True)
def in_repository(root, monkeypatch):
    monkeypatch.chdir(root)
    monkeypatch.delenv("SNAKEMAKE_SLURM_PARTITIONS", raising=False)


def test_the_profiles_of_the_repository_have_no_setting_that_nothing_knows():
    known = known_settings()
    assert {"slurm-status-command", "default-resources", "retries"} <= known
    for path in Path("profiles").iterdir():
        profile = read_profile(path.name)
        found = [*unknown_settings(profile, known), *unknown_resources(profile, known_resources()),
                 *unknown_rules(profile, rules_of()), *partition_findings(profile)]  # fmt: skip
        assert found == [], path


def test_a_profile_is_found_by_name_folder_or_file(profile, tmp_path):
    path = profile("jobs: 3\n").path
    assert read_profile("slurm").path == Path("profiles/slurm/config.yaml")
    assert read_profile(str(path)).path == path
    with pytest.raises(CisflowError, match=r"there is no profile 'slrum'.*Did you mean 'slurm'\?"):
        read_profile("slrum")
    (tmp_path / "mine/config.yaml").write_text("jobs: [3\n")
    with pytest.raises(CisflowError, match=r"config.yaml:2: not valid YAML"):
        read_profile(str(tmp_path / "mine"))


def test_placeholders_have_file_line_and_the_command_that_tells_them(profile):
    read = profile(
        "# <not this one>\nexecutor: slurm\nslurm-partition-config: partitions.yaml\ndefault-resources:\n"
        '  - slurm_account="<your account>"  # <nor this>\n  - qos="<QOS>"\n'
        'set-resources:\n  - train:slurm_account="<your account>"\n  - train:mem_mb="1 < 2"\n',
        "partitions:\n  <GPU partition>: {max_gpu: 1}\n",
    )
    found = [(finding.text, finding.mend) for finding in placeholder_findings(read)]
    assert [text for text, _ in found] == [
        f"{read.path}:5, 8: <your account> is a placeholder",
        f"{read.path}:6: <QOS> is a placeholder",
        f"{read.partitions.path}:2: <GPU partition> is a placeholder",
    ]
    assert ["sacctmgr" in found[0][1], "format=account,qos" in found[1][1], "sinfo" in found[2][1]] == [True] * 3
    assert "documentation" in telling("<something else>")
    assert [f.level for f in placeholder_findings(profile("jobs: 1\n"))] == ["ok"]


def test_settings_resources_and_rules_that_nothing_knows_are_told(profile):
    read = profile(
        "executor: slurm\nslurm-statis-command: sacct\nwholly-unknown-thing: 1\nretries: 3\n"
        "resources: [network=2]\n"
        "default-resources:\n  - slurm_acount=x\n  - network=1\n  - mem_mb=1\n  - flavour=2\n"
        "set-resources:\n  trian: {gpus: 1}\n  train: {gpu: 1}\n"
        "set-threads:\n  - tomtm=2\n"
    )
    texts = [finding.text.removeprefix(f"{read.path}:") for finding in unknown_settings(read, known_settings())]
    assert texts == [
        "2: 'slurm-statis-command' is no setting of Snakemake or of an installed plugin. Did you mean "
        "'slurm-status-command'?",
        "3: 'wholly-unknown-thing' is no setting of Snakemake or of an installed plugin.",
    ]
    resources = {finding.text.split("'")[1]: finding for finding in unknown_resources(read, known_resources())}
    assert {name: finding.level for name, finding in resources.items()} == {
        "slurm_acount": "problem", "gpus": "problem", "flavour": "note",
    }  # fmt: skip
    assert resources["gpus"].text.endswith("Did you mean 'gpu'?")
    rules = [finding.text for finding in unknown_rules(read, rules_of())]
    assert len(rules) == 2
    assert "no rule 'tomtm', so what is set for it has no effect. Did you mean 'tomtom'?" in rules[0]
    assert rules[1].startswith(f"{read.path}:12: there is no rule 'trian'")


def test_the_resources_of_the_plugin_are_read_from_what_is_installed():
    assert {"slurm_account", "slurm_partition", "gpu", "gpu_model", "gres", "qos", "constraint", "slurm_extra"} <= (
        known_resources()
    )
    assert not {"gpus", "slurm_acount", "get", "items"} & known_resources()


@pytest.mark.parametrize(
    ("partitions", "text"),
    [
        (None, "there is no file partitions.yaml"),
        ("partitions: [small]\n", "there is no section 'partitions'"),
        ("partitions:\n  small:\n", ":2: partition 'small' has no limits"),
        ("partitions:\n  small: {max_gpus: 1}\n", ":2: 'max_gpus' is no limit of a partition. Did you mean 'max_gpu'?"),
        ("partitions: {small: {\n", "not valid YAML"),
    ],
)
def test_a_broken_file_of_partitions_is_told(profile, partitions, text):
    (finding,) = partition_findings(profile("slurm-partition-config: partitions.yaml\n", partitions))
    assert finding.level == "problem"
    assert text in finding.text
    assert finding.mend


def job(rule: str, threads: int = 1, **resources: int | str) -> Job:
    return Job(rule, {}, False, threads, resources, here=False)


def test_the_most_that_a_rule_asks_in_one_place_is_asked():
    there = {"slurm_account": "bio", "slurm_partition": "a,b"}
    jobs = (
        job("train", 4, mem_mb=4000, runtime=60, gpu=1, **there),
        job("train", 2, mem_mb=3000, runtime=240, gpu=1, **there),
        job("train", mem_mb=9000, runtime=60, gres="gpu:A100:2", cpus_per_gpu=8, **there),
        job("tomtom", 2, mem_mb_per_cpu=500, runtime=60),
        replace(job("fetch_source"), here=True),
        replace(job("all"), empty=True),
    )
    tomtom, train, model = asked(Run(jobs, jobs))
    assert (train.partition, train.gpus, train.cpus, train.memory, train.minutes) == ("a,b", 1, 4, 4000, 240)
    assert (model.model, model.gpus, model.cpus, model.memory) == ("a100", 2, 16, 9000)
    assert (tomtom.memory, tomtom.partition) == (1000, "")
    assert replace(train, last=None) == train.last


def test_the_plugin_itself_chooses_among_a_file_of_partitions(profile):
    read = profile("slurm-partition-config: partitions.yaml\n", PARTITIONS)
    jobs = (
        job("short", runtime=30, mem_mb=1),
        job("long", runtime=600),
        job("gpu", gpu=2),
        job("large", gpu=5),
        job("named", slurm_partition="other"),
    )
    found = {one.rule: (one.partition, one.named) for one in asked(Run(jobs), read)}
    path = read.partitions.path
    assert found == {
        "short": ("small", f"{path}:2"), "long": ("large", f"{path}:3"), "gpu": ("cards", f"{path}:4"),
        "large": ("", str(path)), "named": ("other", ""),
    }  # fmt: skip


def test_a_dry_run_under_a_profile_with_mistakes_is_read_all_the_same(profile):
    """Both attempts are those of Snakemake: memory and time double at each."""
    read = profile(
        "executor: slurm\njobs: 5\nslurm-statis-command: sacct\nretries: 2\n"
        "software-deployment-method: [conda]\ndefault-resources: [slurm_account=bio, slurm_partition=cpu]\n"
        "set-resources:\n  - tomtom:mem_mb=12345\nset-threads: [train=3]\n"
    )
    run = dry_run(read, ["results/tasks/task1/motifs/tomtom.tsv"])
    assert "unrecognized arguments: --slurm-statis-command=sacct" in run.refused
    found = {one.rule: one for one in asked(run, read)}
    assert {"make_dataset", "train", "filters", "tomtom"} <= found.keys()
    assert "export_jaspar" not in found
    assert found["tomtom"].memory == 12345
    assert (found["train"].cpus, found["train"].account, found["train"].partition) == (3, "bio", "cpu")
    assert found["train"].last.minutes == 4 * found["train"].minutes


def test_a_target_that_cannot_be_planned_is_told_in_snakemakes_words():
    with pytest.raises(CisflowError, match=r"cannot plan results/figures/fig0.pdf:\nMissingRuleException"):
        dry_run(None, ["results/figures/fig0.pdf"])


def test_ways_to_get_software_are_read_old_and_new(profile):
    assert methods(profile("software-deployment-method: conda apptainer\n")) == ["conda", "apptainer"]
    assert methods(profile("use-conda: true\nuse-singularity: false\n")) == ["conda"]
    assert methods(profile("sdm: [env-modules]\n")) == ["env-modules"]
    assert methods(profile("jobs: 1\n")) == []


def test_programs_that_are_missing_are_told(profile, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    read = profile("jobs: 1\nsoftware-deployment-method: [conda, apptainer]\n")
    found = list(tool_findings(read))
    assert [finding.level for finding in found] == ["problem", "problem"]
    assert found[0].text == f"{read.path}:2: jobs get their software by conda, and conda is not on PATH"
    (tmp_path / "singularity").touch(mode=0o755)
    assert [finding.level for finding in tool_findings(read)] == ["problem", "ok"]


LISTED = "environment\tcontainer\tlocation\n../envs/base.yaml\t\t.snakemake/conda/a1_\n../envs/torch.yaml\t\t/c/b2_\n"


def test_environments_that_are_not_made_or_not_whole_are_told(profile, tmp_path):
    found = parse_environments(LISTED, tmp_path)
    assert found == {"../envs/base.yaml": tmp_path / ".snakemake/conda/a1_", "../envs/torch.yaml": Path("/c/b2_")}
    made = tmp_path / ".snakemake/conda/a1_"
    made.mkdir(parents=True)
    read = profile("jobs: 1\n")
    (finding,) = conda_findings(found, read, "results/figures/fig1.pdf")
    assert finding.text == "2 of 2 conda environments are not made: base.yaml, torch.yaml"
    assert finding.mend.endswith(
        f"snakemake --profile {read.path.parent} --conda-create-envs-only results/figures/fig1.pdf"
    )
    made.with_suffix(".env_setup_done").touch()
    (finding,) = conda_findings(found, read, "")
    assert finding.text == "1 of 2 conda environments are not made: torch.yaml"
    (finding,) = conda_findings({"../envs/base.yaml": made}, read, "")
    assert finding.level == "ok"


def test_snakemake_itself_names_the_folders_of_environments(profile, tmp_path, monkeypatch):
    """Only the answers of conda are stood in for; the folders are those that Snakemake will look for."""
    info = json.dumps({"conda_prefix": str(tmp_path), "platform": "linux-64", "channels": []})
    script = f"""#!/bin/sh
case "$*" in
  *info*) echo '{info}' ;;
  *--version*) echo conda 25.1.0 ;;
  *) echo '{{"get": {{"channel_priority": "strict"}}}}' ;;
esac
"""
    (tmp_path / "conda").write_text(script)
    (tmp_path / "conda").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    read = profile(f"conda-prefix: {tmp_path}/environments\n")
    found = list_environments(read, ["results/tasks/task1/motifs/tomtom.tsv"])
    assert len(found) >= 3
    assert {Path(name).suffix for name in found} == {".yaml"}
    assert {folder.parent for folder in found.values()} == {tmp_path / "environments"}


def test_environment_modules_are_looked_for_as_jobs_do(monkeypatch):
    names = modules_of(Path(), ["train", "tomtom"])
    assert names == ["cisflow/motifs", "cisflow/torch"]
    prepared = 'module() { [ "$2" != cisflow/torch ]; }\n'
    monkeypatch.setattr(deployment, "AVAILABLE", prepared + deployment.AVAILABLE)
    (finding,) = module_findings(names)
    assert finding.text == "1 of 2 environment modules are not there: cisflow/torch"
    (finding,) = module_findings(names[:1])
    assert finding.level == "ok"
    monkeypatch.setattr(deployment, "AVAILABLE", "exit 3")
    (finding,) = module_findings(names)
    assert "there is no 'module' here" in finding.text
    assert list(module_findings([])) == []
