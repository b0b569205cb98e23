"""docs/cluster.md: its commands, options, settings and placeholders are those that there are."""

import re
import shlex
from itertools import takewhile
from pathlib import Path

import pytest
import typer
import yaml

from cisflow import cli
from cisflow.cli.cluster.asked import asked, dry_run
from cisflow.cli.cluster.profiles import (
    PLACEHOLDER,
    Profile,
    known_resources,
    known_settings,
    partition_findings,
    placeholders,
    read_profile,
    rules_of,
    unknown_resources,
    unknown_rules,
    unknown_settings,
)

PAGE = Path("docs/cluster.md")
# Programs of others that the page uses as they are.
OTHERS = {"cd", "git", "source", "export", "tmux", "tail", "rsync", "sinfo", "sacctmgr", "scontrol", "squeue", "sacct",
          "sbatch", "srun", "df", "quota", "lfs", "module", "hostname", "nvidia-smi"}  # fmt: skip


@pytest.fixture(autouse=True)
def in_repository(root, monkeypatch):
    monkeypatch.chdir(root)
    monkeypatch.delenv("SNAKEMAKE_SLURM_PARTITIONS", raising=False)


def commands(text: str) -> list[list[str]]:
    """Return the commands of the page, indented or between backticks, in words; comments are left out."""
    plain = re.sub(r"```yaml\n.*?```", "", text, flags=re.DOTALL).replace("\\\n", " ")
    blocks = re.findall(r"^ {4,}(\S.*)$", plain, flags=re.MULTILINE)
    spans = re.findall(r"`([a-z]+ [^`]+)`", plain)
    split = (shlex.split(line, comments=True) for line in [*blocks, *spans])
    lines = [list(takewhile(lambda word: word not in ("|", "2>&1"), words)) for words in split]
    inner = [shlex.split(line[line.index("--wrap") + 1]) for line in lines if "--wrap" in line]
    return [line for line in lines + inner if line]


def blocks() -> list[dict]:
    return [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)]


def of(program: str) -> list[list[str]]:
    found = [words[1:] for words in commands(PAGE.read_text()) if words[0] == program]
    assert found, program
    return found


def options(words: list[str]) -> set[str]:
    return {word.partition("=")[0] for word in words if word.startswith("-")}


def test_every_command_is_known():
    known = OTHERS | {"cisflow", "snakemake", "make", "doctor"}
    assert {words[0] for words in commands(PAGE.read_text())} <= known


def test_commands_and_options_of_cisflow_exist():
    missing = set()
    for words in of("cisflow"):
        name = words[0]
        command = typer.main.get_command(cli.app)
        while words and words[0] in getattr(command, "commands", {}):
            command, words = command.commands[words[0]], words[1:]
        known = {option for parameter in command.params for option in parameter.opts}
        if hasattr(command, "commands") or not options(words) <= known:
            missing.add(name)
    assert missing == set()


def test_options_of_snakemake_exist():
    known = {f"--{name}" for name in known_settings()} | {"-n"}
    for words in of("snakemake"):
        assert options(words) <= known, words
        assert "--profile" not in words or Path(words[words.index("--profile") + 1]).is_dir()


def test_targets_of_make_exist():
    makefile = Path("Makefile").read_text()
    for words in of("make"):
        assert re.search(rf"^{words[0]}:", makefile, flags=re.MULTILINE), words


def test_the_placeholders_are_those_of_the_profile():
    rows = re.findall(r"^\| `(<[^>`]+>)` \|", PAGE.read_text(), flags=re.MULTILINE)
    assert set(rows) == {text for _, _, text in placeholders(read_profile("slurm"))}
    assert all(PLACEHOLDER.fullmatch(row) for row in rows)


def test_settings_resources_and_rules_exist(tmp_path):
    known, of_jobs, rules = known_settings(), known_resources(), rules_of()
    found = blocks()
    assert len(found) >= 6
    for settings in found:
        if "partitions" in settings:
            (tmp_path / "partitions.yaml").write_text(yaml.safe_dump(settings))
            settings = {"slurm-partition-config": "partitions.yaml"}
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
        profile = read_profile(str(tmp_path))
        unknown = [*unknown_settings(profile, known), *unknown_resources(profile, of_jobs),
                   *unknown_rules(profile, rules), *partition_findings(profile)]  # fmt: skip
        assert unknown == []


def test_snakemake_takes_the_settings_as_they_stand(tmp_path):
    """What a rule asks for in the page arrives, and grows with the attempts as it says."""
    resources = [entry for block in blocks() for entry in block.get("set-resources", [])]
    # A model is asked for either way, by gpu_model or by gres.
    later = {entry.partition("=")[0]: entry for entry in resources if "gres" not in entry and "gpu=0" not in entry}
    threads = next(block["set-threads"] for block in blocks() if "set-threads" in block)
    settings = {
        "executor": "slurm",
        "jobs": 5,
        "retries": 3,
        "set-resources": [*later.values()],
        "set-threads": threads,
    }
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(settings))
    run = dry_run(Profile(path, (), settings), ["results/tasks/task1/motifs/tomtom.tsv"])
    assert run.refused == ""
    found = {one.rule: one for one in asked(run)}
    made, train = found["make_dataset"], found["train"]
    assert (made.memory, made.last.memory, made.cpus) == (16000, 64000, 8)
    assert (train.minutes, train.last.minutes, train.model, train.gpus) == (480, 1440, "a100", 1)
    assert found["tomtom"].last.minutes == 120


def test_links_lead_somewhere():
    text = PAGE.read_text()
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), flags=re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    for file, anchor in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", text):
        assert not file or (PAGE.parent / file).exists(), file
        assert file or anchor in anchors, anchor
