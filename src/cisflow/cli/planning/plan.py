"""What Snakemake would do for some targets: each job, with its files and what it asks for, from Snakemake itself."""

import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from cisflow.config.strict import did_you_mean
from cisflow.config.yaml import load
from cisflow.errors import CisflowError

# Tells Snakemake's graph; a process of its own, since the package knows nothing of Snakemake.
GRAPH = "workflow/graph.py"
PROFILES = Path("profiles")
# Where Snakemake finds profiles by name.
OF_USER = Path("~/.config/snakemake")
FILES = ("config.yaml", "config.v8+.yaml", "profile.yaml")
NO_PROFILE = "none"
# What Snakemake prints before it says what is wrong.
_PREAMBLE = re.compile(
    r"\A(?:.*\n)*?Building DAG of jobs\.\.\.\n|^(?:Using profile|Assuming|Config file) .*\n", re.MULTILINE
)
# What an input function has said, in an InputFunctionException.
_OWN = re.compile(r"^  WorkflowError:\n((?: {4}.*\n)+)", re.MULTILINE)


class NoRule(CisflowError):
    """No rule makes a target."""


@dataclass(frozen=True)
class Job:
    """A job of the graph.

    Attributes
    ----------
    rule, wildcards
        Its rule, and all its wildcards.
    done
        Its outputs exist and are up to date.
    threads, resources
        What it asks for under the profile: `mem_mb`, `runtime` (minutes), `gpu`, `slurm_partition` and others.
    inputs, outputs
        Paths, as Snakemake names them.
    benchmark
        The file that its time and memory are written to.
    here
        It runs where Snakemake runs, as all jobs do without a cluster.
    empty
        Its rule has no command: it only names files, as `all`.
    group
        The number of the group that it is submitted with, if the profile makes groups.
    """

    rule: str
    wildcards: Mapping[str, str]
    done: bool
    threads: int = 1
    resources: Mapping[str, int | str] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    benchmark: str | None = None
    here: bool = True
    empty: bool = False
    group: int | None = None

    @property
    def gpus(self) -> int:
        """How many GPUs it asks for."""
        return int(self.resources.get("gpu", 0))


@dataclass(frozen=True)
class Group:
    """What the jobs that are submitted together ask for together."""

    threads: int
    resources: Mapping[str, int | str]


@dataclass(frozen=True)
class Limits:
    """How much runs at once: cores and resources of one machine, or jobs of a cluster; None: as much as there is."""

    local: bool = True
    cores: int | None = None
    jobs: int | None = None
    resources: Mapping[str, int] = field(default_factory=dict)


class Plan:
    """Jobs by number, which of them each one waits for, and how they are run.

    Attributes
    ----------
    jobs, before
        Jobs, and the numbers of the jobs that each one waits for.
    limits, groups
        How many run at once, and what is submitted together.
    benchmarks
        For each rule of the workflow, the pattern of the paths of its benchmarks.
    """

    def __init__(
        self,
        jobs: Mapping[str, Job],
        before: Mapping[str, Sequence[str]],
        limits: Limits = Limits(),
        groups: Mapping[int, Group] | None = None,
        benchmarks: Mapping[str, str] | None = None,
    ):
        self.jobs = dict(jobs)
        self.before = {number: list(before.get(number, ())) for number in self.jobs}
        self.limits, self.groups, self.benchmarks = limits, dict(groups or {}), dict(benchmarks or {})

    @property
    def to_run(self) -> list[str]:
        """The numbers of the jobs that are not done."""
        return [number for number, job in self.jobs.items() if not job.done]

    @cached_property
    def makers(self) -> dict[str, str]:
        """The number of the job that makes each path."""
        return {path: number for number, job in self.jobs.items() for path in job.outputs}

    def of(self, rule: str, **wildcards: str) -> set[str]:
        """Return the numbers of the jobs of a rule with these wildcards, and of all that they wait for."""
        return self.behind(n for n, job in self.jobs.items() if job.rule == rule and _has(job, wildcards))

    def making(self, paths: Iterable[str]) -> set[str]:
        """Return the numbers of the jobs that make these paths, and of all that they wait for."""
        return self.behind(self.makers[path] for path in paths if path in self.makers)

    def behind(self, numbers: Iterable[str]) -> set[str]:
        """Return these numbers, and those of all jobs that they wait for."""
        seen: set[str] = set()
        queue = list(numbers)
        while queue:
            if (here := queue.pop()) not in seen:
                seen.add(here)
                queue += self.before[here]
        return seen


def _has(job: Job, wildcards: Mapping[str, str]) -> bool:
    return wildcards.items() <= job.wildcards.items()


def plan(
    config: str | Path | None,
    targets: Sequence[str],
    root: str | Path = ".",
    profile: str | Path | None = None,
    attempt: int = 1,
) -> Plan:
    """Ask Snakemake what it would do.

    Parameters
    ----------
    config
        The configuration; None: that of the profile.
    targets
        Files or rules; none: everything.
    root
        The folder of the Snakefile.
    profile
        A profile, as `profile_path` returns it; None: jobs ask for what their rules say.
    attempt
        The attempt at which jobs ask; they ask more at a later one.

    Raises
    ------
    CisflowError
        It cannot plan these targets, with what it says; `NoRule` if no rule makes one.
    """
    command = [sys.executable, GRAPH, "--profile", str(profile or NO_PROFILE)]
    if not profile:
        command += ["--workflow-profile", NO_PROFILE]
    if config is not None:
        command += ["--configfile", str(config)]
    if attempt > 1:
        command += ["--attempt", str(attempt)]
    done = subprocess.run([*command, "--", *targets], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        said = _said(done.stderr)
        kind = NoRule if "MissingRuleException" in said else CisflowError
        raise kind(f"Snakemake cannot plan {', '.join(targets) or 'everything'}:\n{said}")
    return read(map(json.loads, done.stdout.splitlines()))


def _said(text: str) -> str:
    """Return what Snakemake says is wrong; what the workflow's own rules say without its surroundings."""
    if found := _OWN.search(text):
        return textwrap.dedent(found[1]).strip()
    return _PREAMBLE.sub("", text).strip()


def read(lines: Iterable[Mapping[str, Any]]) -> Plan:
    """Return the plan that `workflow/graph.py` has told."""
    limits, jobs, before, groups, benchmarks = Limits(), {}, {}, {}, {}
    for line in lines:
        match line["kind"]:
            case "run":
                limits = Limits(line["local"], line["cores"], line["jobs"], line["limits"])
            case "rule":
                benchmarks[line["rule"]] = line["benchmark"]
            case "group":
                groups[line["group"]] = Group(line["threads"], line["resources"])
            case "job":
                before[line["id"]] = line["before"]
                jobs[line["id"]] = _job(line)
    return Plan(jobs, before, limits, groups, benchmarks)


def _job(line: Mapping[str, Any]) -> Job:
    same = ("rule", "wildcards", "done", "threads", "resources", "benchmark", "here", "empty", "group")
    return Job(**{key: line[key] for key in same}, inputs=tuple(line["input"]), outputs=tuple(line["output"]))


def config_of(profile: str, root: str | Path = ".") -> str | None:
    """Return the configuration that a profile names, the last one if there are several; None if it names none."""
    folder = Path(root, profile)
    path = next((folder / file for file in FILES if (folder / file).is_file()), folder)
    try:
        named = load(path, markup=True).get("configfile")
    except (OSError, CisflowError):
        return None  # Snakemake says what is wrong with it
    return (named[-1] if named else None) if isinstance(named, list) else named


def profile_path(name: str, root: str | Path = ".") -> str:
    """Return the folder of a profile, from its name below profiles/ or its path.

    Raises
    ------
    CisflowError
        There is none; the names of those there are are said.
    """
    root = Path(root)
    for path in (root / PROFILES / name, root / name, OF_USER.expanduser() / name):
        if path.is_file() or any((path / file).is_file() for file in FILES):
            return str(path.relative_to(root) if path.is_relative_to(root) else path)
    known = sorted(path.parent.name for path in (root / PROFILES).glob("*/*.yaml"))
    raise CisflowError(f"there is no profile '{name}'.{did_you_mean(name, known)}")
