"""The graph of jobs as Snakemake plans it, as JSON lines: `python workflow/graph.py SNAKEMAKE-ARGUMENTS`.

It is Snakemake's own dry run, stopped where its scheduler would begin: profile, groups and resources are those of the
run. Nothing else in cisflow touches the inside of Snakemake; it runs as a process of its own, whose state it may spoil.
"""

import json
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from typing import Any

from snakemake import cli, workflow
from snakemake.exceptions import print_exception
from snakemake.settings.enums import Quietness
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

CONDA = "conda"


class _Planned(BaseException):
    """The jobs are known; no error, which Snakemake would report."""


def main(arguments: list[str]) -> int:
    """Print what Snakemake would do with these arguments: a line for all, and for each rule, group and job."""
    with os.fdopen(os.dup(1), "w") as out:
        os.dup2(2, 1)  # what Snakemake says, and what a configuration prints
        try:
            parser, args = cli.parse_args(arguments)
            executor = ExecutorPluginRegistry().get_plugin(args.executor or "local")
            _as_dry_run(args, executor.common_settings.local_exec)

            partition = _partition_of(args, executor)

            def tell(run: Any, *_: Any) -> None:
                run._executor_plugin = executor  # not that of a dry run, for which all jobs are local
                for line in lines(run, partition):
                    print(json.dumps(line), file=out)
                raise _Planned

            workflow.JobScheduler = tell
            cli.args_to_api(args, parser)
        except _Planned:
            return 0
        except Exception as error:  # whatever Snakemake says of its arguments
            print_exception(error)
    return 1


def _as_dry_run(args: Any, local: bool) -> None:
    """Make a call a dry run that needs no lock, no conda, and scales no job down to the one core of a dry run."""
    if args.cores is None:
        args.cores = args.jobs if local and args.jobs else sys.maxsize
    args.dryrun, args.nolock, args.rerun_incomplete = True, True, True
    args.quiet = {Quietness.ALL}
    if shutil.which(CONDA) is None:
        args.software_deployment_method = {m for m in args.software_deployment_method if str(m) != CONDA}


def _partition_of(args: Any, executor: Any) -> Callable[[Any], str | None]:
    """Return what the executor for Slurm chooses for a job that names no partition, from its file of partitions."""
    if args.executor != "slurm":
        return lambda job: None
    from snakemake_executor_plugin_slurm.partitions import get_best_partition, read_partition_file

    file = executor.get_settings(args).partition_config or os.environ.get("SNAKEMAKE_SLURM_PARTITIONS")
    known = read_partition_file(file) if file else []
    quiet = logging.getLogger("partitions")
    quiet.setLevel(logging.ERROR)
    return lambda job: get_best_partition(known, job, quiet) if known else None


def lines(run: Any, partition: Callable[[Any], str | None]) -> Iterator[dict[str, Any]]:
    """Yield what is known of a run of Snakemake: its limits, then its rules, its groups, and its jobs.

    Of each job that is submitted, `partition` tells where, if the job does not.
    """
    dag, local = run.dag, run.local_exec
    groups = {} if local else dict(dag._group)
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups.values()))}
    limits = {name: _limit(value.value) for name, value in run.global_resources.items()}
    yield {
        "kind": "run",
        "local": local,
        "cores": limits.pop("_cores", None),
        "jobs": limits.pop("_nodes", None),
        "limits": {name: value for name, value in limits.items() if value is not None},
    }
    for rule in run.rules:
        if rule.benchmark:
            yield {"kind": "rule", "rule": rule.name, "benchmark": rule.benchmark.regex().pattern}
    for group, number in numbers.items():
        resources = _resources(group, partition)
        yield {"kind": "group", "group": number, "threads": group.threads, "resources": resources}
    ids = {job: str(number) for number, job in enumerate(dag.jobs)}
    for job, number in ids.items():
        yield {
            "kind": "job",
            "id": number,
            "rule": job.rule.name,
            "wildcards": dict(job.wildcards_dict),
            "done": not dag.needrun(job),
            "threads": job.threads,
            "resources": _resources(groups.get(job, job), partition, job),
            "input": list(map(str, job.input)),
            "output": list(map(str, job.output)),
            "benchmark": str(job.benchmark) if job.benchmark else None,
            "here": job.is_local,
            "empty": job.rule.norun,
            "group": numbers.get(groups.get(job)),
            "before": [ids[other] for other in dag.job_dependencies(job)],
        }


def _limit(value: Any) -> int | None:
    return value if isinstance(value, int) and value < sys.maxsize else None


def _resources(unit: Any, partition: Callable[[Any], str | None], job: Any = None) -> dict[str, int | str]:
    """Return the resources of a job that have a value before it runs; its partition is that of what it is in."""
    known = {name: value for name, value in (job or unit).resources.items() if not name.startswith("_")}
    plain = {name: value for name, value in known.items() if isinstance(value, int | str) and value != "<TBD>"}
    if not unit.is_local and "slurm_partition" not in plain and (chosen := partition(unit)):
        plain["slurm_partition"] = chosen
    return plain


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
