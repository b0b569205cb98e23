"""What jobs ask under a profile: Snakemake's own dry run, read job by job."""

import json
import logging
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cisflow.cli.profiles import DEPLOYMENT, Profile
from cisflow.cli.slurm import Asked, parse_gpus
from cisflow.errors import CisflowError

# The settings that say what jobs ask; with them alone, a dry run needs neither Slurm nor conda.
ASKING = ("configfile", "config", "snakefile", "directory", "rerun-triggers", "default-resources", "set-resources",
          "set-threads", "set-resource-scopes", "set-scatter", "groups", "group-components", "resources")  # fmt: skip
CORES = "100000"  # more than any job asks: a dry run scales threads down to the cores it is given
SECONDS = 600

_JOB = re.compile(r"^ *(?:local)?(?:rule|checkpoint) (\w+):\n((?: +\S.*\n?)+)", re.MULTILINE)
_LINE = re.compile(r"^ +(\w+): (.*)$", re.MULTILINE)
_PAIR = re.compile(r"(\w+)=(.*?)(?=, \w+=|$)")


@dataclass(frozen=True)
class Job:
    """A job that is still to run: its rule, wildcards, threads, resources as Snakemake prints them, and outputs."""

    rule: str
    wildcards: Mapping[str, str]
    threads: int
    resources: Mapping[str, str]
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Run:
    """The jobs of a run, at their first attempt and at their last, and what Snakemake says against the profile."""

    jobs: tuple[Job, ...]
    last: tuple[Job, ...] = ()
    refused: str = ""


def parse_jobs(text: str) -> Iterator[Job]:
    """Read what `snakemake -n` prints."""
    for rule, body in _JOB.findall(text):
        lines = dict(_LINE.findall(body))
        yield Job(
            rule,
            dict(_PAIR.findall(lines.get("wildcards", ""))),
            int(lines.get("threads", 1)),
            dict(_PAIR.findall(lines.get("resources", ""))),
            tuple(lines.get("output", "").split(", ")),
        )


def dry_run(
    profile: Profile | None, targets: Sequence[str], config: str | Path | None = None, root: Path = Path()
) -> Run:
    """Ask Snakemake what it would run, and what each job asks, at the first attempt and at the last.

    Parameters
    ----------
    profile
        The profile; None: no profile.
    targets
        Files or rules; none: Snakemake's default target.
    config
        The configuration, if it is not the one of the profile or the default.
    root
        The repository.

    Raises
    ------
    CisflowError
        These targets cannot be planned, with what Snakemake says.
    """
    settings = profile.settings if profile else {}
    given = {key: value for key, value in settings.items() if key not in (*DEPLOYMENT, "cores", "quiet", "dry-run")}
    asking = {key: value for key, value in given.items() if key in ASKING}
    retries = str(settings.get("retries", 0))
    attempt = int(retries) + 1 if retries.isdigit() else 1
    folder = profile.path.parent if profile else Path()
    with ThreadPoolExecutor(2) as pool:
        last = pool.submit(_snakemake, asking, folder, targets, config, root, attempt) if attempt > 1 else None
        whole = pool.submit(_snakemake, given, folder, targets, config, root)
        code, printed = whole.result()
        refused = ""
        if code and given != asking:
            refused = printed
            code, printed = _snakemake(asking, folder, targets, config, root)
        if code:
            raise CisflowError(
                f"Snakemake cannot plan {', '.join(targets) or 'the default target'}:\n{_words(printed)}"
            )
        grown = tuple(parse_jobs(last.result()[1])) if last else ()
    return Run(tuple(parse_jobs(printed)), grown, _words(refused))


def _snakemake(
    settings: Mapping[str, Any],
    folder: Path,
    targets: Sequence[str],
    config: str | Path | None,
    root: Path,
    attempt: int = 1,
) -> tuple[int, str]:
    """Call Snakemake under a profile of these settings; return its exit status, and what it printed."""
    with tempfile.TemporaryDirectory() as own:
        # JSON is YAML. Files beside the profile are named from it, which this copy is not beside.
        Path(own, "config.yaml").write_text(
            json.dumps({key: _beside(value, folder) for key, value in settings.items()})
        )
        command = [sys.executable, "-m", "snakemake", "--profile", own, "-n", "--nocolor", "--cores", CORES,
                   *(["--attempt", str(attempt)] if attempt > 1 else []),
                   *(["--configfile", str(config)] if config else []), "--", *targets]  # fmt: skip
        try:
            done = subprocess.run(
                command, cwd=root, capture_output=True, text=True, errors="replace", check=False, timeout=SECONDS
            )
        except subprocess.TimeoutExpired:
            return 1, f"it did not end in {SECONDS} s."
    return done.returncode, done.stdout + done.stderr


def _beside(value: Any, folder: Path) -> Any:
    return str(folder / value) if isinstance(value, str) and value and (folder / value).exists() else value


def _words(printed: str) -> str:
    """Return what Snakemake says of a mistake, without its usage and what it says of itself."""
    lines = [
        line for line in printed.splitlines() if not line.startswith(("Using profile", "Building DAG", " ", "usage:"))
    ]
    return "\n".join(
        line
        for line in lines
        if line.strip() and not line.startswith(("SNAKEMAKE", "=====", "host:", "Assuming unrestricted"))
    )


def asked(run: Run, profile: Profile | None = None, local: Iterable[str] = ()) -> list[Asked]:
    """Return the most that the jobs of each rule ask in each place, those of local rules left out.

    Jobs that name no partition go where the profile's file of partitions sends them, at each attempt anew.
    """
    local, places = {*local}, Places(profile)
    first = _most((job for job in run.jobs if job.rule not in local), places)
    last = _most((job for job in run.last if job.rule not in local), places)
    return [replace(one, last=last.get(key)) for key, one in sorted(first.items())]


class Places:
    """The partitions of a profile's file, among which the executor plugin itself chooses."""

    def __init__(self, profile: Profile | None):
        self.text = profile.partitions if profile else None
        self.partitions: list[Any] = []
        if self.text is not None:
            with suppress(Exception):  # what is wrong with the file is told by `partition_findings`
                from snakemake_executor_plugin_slurm.partitions import read_partition_file

                self.partitions = read_partition_file(self.text.path)

    @property
    def named(self) -> dict[str, str]:
        """Return file and line of each partition of the file."""
        return {one.name: self.text.at(f"{one.name}:") for one in self.partitions} if self.text else {}

    def of(self, job: Job) -> tuple[str, str]:
        """Return the partition of a job, and file and line of it; of none that fits, nothing and the file."""
        if not self.partitions or self.text is None:
            return "", ""
        from snakemake_executor_plugin_slurm.partitions import get_best_partition

        resources = {name: int(value) if value.isdigit() else value for name, value in _known(job).items()}
        as_plugin = SimpleNamespace(name=job.rule, threads=job.threads, resources=resources)
        name = get_best_partition(self.partitions, as_plugin, logging.getLogger("cisflow.silent"))
        return (name, self.text.at(f"{name}:")) if name else ("", str(self.text.path))


def _most(jobs: Iterable[Job], places: Places) -> dict[tuple[str, ...], Asked]:
    found: dict[tuple[str, ...], Asked] = {}
    for job in jobs:
        one = _asked(job, places)
        key = (one.rule, one.partition, one.account, one.qos, one.constraint, one.model)
        other = found.get(key)
        found[key] = one if other is None else replace(
            one, jobs=other.jobs + 1, **{name: max(getattr(one, name), getattr(other, name))
                                         for name in ("minutes", "memory", "cpus", "gpus")},
        )  # fmt: skip
    return found


def _known(job: Job) -> dict[str, str]:
    """Return the resources of a job that have a value before it runs."""
    return {name: value for name, value in job.resources.items() if value not in ("", "<TBD>", "None")}


def _asked(job: Job, places: Places) -> Asked:
    """Return what a job asks of Slurm, as the executor plugin reads its resources."""
    has = _known(job)
    partition, named = (has["slurm_partition"], "") if has.get("slurm_partition") else places.of(job)
    gpus = parse_gpus(has.get("gres", ""))
    count = _whole(has.get("gpu")) or sum(gpus.values())
    cpus = _whole(has.get("cpus_per_task")) or _whole(has.get("cpus_per_gpu")) * count or job.threads
    return Asked(
        job.rule,
        partition,
        has.get("slurm_account", ""),
        has.get("qos", ""),
        has.get("constraint", ""),
        has.get("gpu_model", "") or next(iter(gpus), ""),
        1,
        _whole(has.get("runtime")),
        _whole(has.get("mem_mb_per_cpu")) * cpus or _whole(has.get("mem_mb")),
        cpus,
        count,
        named,
    )


def _whole(text: str | None) -> int:
    return int(text) if text and text.isdigit() else 0
