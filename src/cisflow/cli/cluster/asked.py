"""What jobs ask under a profile, by rule, at their first attempt and at their last."""

import json
import logging
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cisflow.cli.cluster.profiles import DEPLOYMENT, Profile
from cisflow.cli.cluster.slurm import Asked, parse_gpus
from cisflow.cli.planning.plan import Job, Plan, plan
from cisflow.errors import CisflowError

# The settings that say what jobs ask; with them alone, a plan needs none of those that may be wrong.
ASKING = ("executor", "jobs", "configfile", "config", "snakefile", "directory", "rerun-triggers", "default-resources",
          "set-resources", "set-threads", "set-resource-scopes", "set-scatter", "groups", "group-components",
          "resources")  # fmt: skip


@dataclass(frozen=True)
class Run:
    """The jobs that are to be run, at their first attempt and at their last, and what Snakemake says of the profile."""

    jobs: tuple[Job, ...]
    last: tuple[Job, ...] = ()
    refused: str = ""


def dry_run(
    profile: Profile | None, targets: Sequence[str], config: str | Path | None = None, root: Path = Path()
) -> Run:
    """Ask Snakemake what it would run, and what each job asks, at the first attempt and at the last.

    Parameters
    ----------
    profile
        The profile, mistakes and all; None: no profile.
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
    if profile is None:
        return Run(_to_run(plan(config, targets, root)))
    given = {key: value for key, value in profile.settings.items() if key not in (*DEPLOYMENT, "quiet", "dry-run")}
    asking = {key: value for key, value in given.items() if key in ASKING}
    retries = str(given.get("retries", 0))
    attempt = int(retries) + 1 if retries.isdigit() else 1

    def ask(settings: Mapping[str, Any], attempt: int = 1) -> tuple[Job, ...]:
        with tempfile.TemporaryDirectory() as own:
            # JSON is YAML. Files beside the profile are named from it, which this copy is not beside.
            copy = {key: _beside(value, profile.path.parent) for key, value in settings.items()}
            Path(own, "config.yaml").write_text(json.dumps(copy), encoding="utf-8")
            return _to_run(plan(config, targets, root, own, attempt))

    with ThreadPoolExecutor(1) as pool:
        last = pool.submit(ask, asking, attempt) if attempt > 1 else None
        refused = ""
        try:
            jobs = ask(given)
        except CisflowError as error:
            if given == asking:
                raise
            jobs, refused = ask(asking), str(error)
        return Run(jobs, last.result() if last else (), refused)


def _to_run(planned: Plan) -> tuple[Job, ...]:
    return tuple(planned.jobs[number] for number in planned.to_run)


def _beside(value: Any, folder: Path) -> Any:
    return str(folder / value) if isinstance(value, str) and value and (folder / value).exists() else value


def asked(run: Run, profile: Profile | None = None) -> list[Asked]:
    """Return the most that the jobs of each rule ask in each place, those left out that run where Snakemake runs.

    Jobs that name no partition go where the profile's file of partitions sends them, at each attempt anew.
    """
    places = Places(profile)
    first, last = (_most(filter(_sent, jobs), places) for jobs in (run.jobs, run.last))
    return [replace(one, last=last.get(key)) for key, one in sorted(first.items())]


def _sent(job: Job) -> bool:
    return not (job.here or job.empty)


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

        as_plugin = SimpleNamespace(name=job.rule, threads=job.threads, resources=dict(job.resources))
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


def _asked(job: Job, places: Places) -> Asked:
    """Return what a job asks of Slurm, as the executor plugin reads its resources."""
    has = job.resources
    partition, named = (str(has["slurm_partition"]), "") if has.get("slurm_partition") else places.of(job)
    gpus = parse_gpus(str(has.get("gres", "")))
    count = _whole(has.get("gpu")) or sum(gpus.values())
    cpus = _whole(has.get("cpus_per_task")) or _whole(has.get("cpus_per_gpu")) * count or job.threads
    return Asked(
        job.rule,
        partition,
        str(has.get("slurm_account", "")),
        str(has.get("qos", "")),
        str(has.get("constraint", "")),
        str(has.get("gpu_model", "")) or next(iter(gpus), ""),
        1,
        _whole(has.get("runtime")),
        _whole(has.get("mem_mb_per_cpu")) * cpus or _whole(has.get("mem_mb")),
        cpus,
        count,
        named,
    )


def _whole(value: int | str | None) -> int:
    return int(value) if str(value).isdigit() else 0
