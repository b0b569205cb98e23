"""`cisflow doctor --profile`: is this cluster ready for these figures? Everything at once, with what mends it."""

import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from cisflow.cli.cluster.asked import Places, Run, asked, dry_run
from cisflow.cli.cluster.deployment import (
    conda_findings,
    is_made,
    list_environments,
    methods,
    module_findings,
    modules_of,
    tool_findings,
)
from cisflow.cli.cluster.findings import Finding
from cisflow.cli.cluster.misfits import is_placeholder, misfits, missing_partitions, partitions_told, reachable
from cisflow.cli.cluster.profiles import (
    Profile,
    known_resources,
    known_settings,
    partition_findings,
    placeholder_findings,
    read_profile,
    rules_of,
    unknown_resources,
    unknown_rules,
    unknown_settings,
)
from cisflow.cli.cluster.slurm import Cluster, ask_all, read_cluster
from cisflow.cli.cluster.space import Need, existing, mount_of, room_findings, shared_findings, sized, summed
from cisflow.cli.planning.amounts import KINDS, Amounts
from cisflow.cli.planning.plan import Job, config_of
from cisflow.cli.sources import item_of, state
from cisflow.config.project import BASE, Project, load_project
from cisflow.errors import CisflowError

# An environment of torch with CUDA is the largest; that of all packages without CUDA has 2.7 GB in 65,000 files.
ENVIRONMENT = Need(6e9, 60_000)
FETCH = "fetch_source"
STATUS = "slurm-status-command"
POLL = 180  # seconds between two questions of the executor plugin, at most
FILES = 30  # that a job writes: outputs, log, benchmark, and what Snakemake and Slurm note of it
SCRATCH = Need(1e9, 1000)  # results are written where they belong; only tools use a job's temporary folder


def examine_profile(name: str, targets: Sequence[str], config: Path | None) -> Iterator[Finding]:
    """Yield all findings about a profile, the cluster that it is for, and what the targets need there.

    Parameters
    ----------
    name
        A name below `profiles`, or the path of a profile.
    targets
        What will be asked of Snakemake; none: its default, all figures.
    config
        The configuration, if another than the profile's or the default is wanted.
    """
    try:
        profile = read_profile(name)
    except CisflowError as error:
        yield Finding("problem", str(error), "cisflow doctor --profile slurm")
        return
    slurm = profile.settings.get("executor") == "slurm"
    with ThreadPoolExecutor(3) as pool:
        answers = pool.submit(ask_all) if slurm else None
        planned = pool.submit(dry_run, profile, targets, config)
        has_conda = "conda" in methods(profile) and not any(f.level == "problem" for f in tool_findings(profile))
        conda = pool.submit(list_environments, profile, targets) if has_conda else None
        run, failed = _planned(planned, targets)
        yield from _settings(profile, run)
        cluster = None
        if answers:
            yield from reachable(answers.result())
            cluster = read_cluster(answers.result())
        yield from failed
        if cluster and run:
            yield from _asked(profile, cluster, run)
        yield from _software(profile, run, conda, targets, cluster)
        yield from _image(profile, config)
        yield from _needs(profile, run, conda, config, cluster, targets)


def examine_targets(targets: Sequence[str], config: Path | None) -> Iterator[Finding]:
    """Yield whether there is room for what targets need, and their files, without a profile."""
    with ThreadPoolExecutor(1) as pool:
        run, failed = _planned(pool.submit(dry_run, None, targets, config), targets)
    yield from failed
    yield from _needs(None, run, None, config, None, targets)


def _planned(planned: "Future[Run]", targets: Sequence[str]) -> tuple[Run | None, list[Finding]]:
    try:
        return planned.result(), []
    except CisflowError as error:
        what = targets[0] if targets else "a figure: --for results/figures/fig1.pdf"
        return None, [
            Finding("problem", str(error), f"mend that, and ask again for {what}; 'cisflow figures' lists figures")
        ]


def _settings(profile: Profile, run: Run | None) -> Iterator[Finding]:
    """Yield what is wrong with a profile whatever the cluster is."""
    yield from placeholder_findings(profile)
    yield from partition_findings(profile)
    unknown = list(unknown_settings(profile, known_settings()))
    yield from unknown
    jobs = run.jobs if run else ()
    # What rules ask by themselves is known to somebody; what the profile alone asks may be a slip of the pen.
    given = {
        key.rpartition(":")[2] for key in (*profile.entries("default-resources"), *profile.entries("set-resources"))
    }
    yield from unknown_resources(profile, known_resources(), {name for job in jobs for name in job.resources} - given)
    yield from unknown_rules(profile, rules_of())
    if run and run.refused and not unknown:
        yield Finding("problem", f"Snakemake does not take {profile.path}: {run.refused}", f"correct {profile.path}")


def _asked(profile: Profile, cluster: Cluster, run: Run) -> Iterator[Finding]:
    wanted = asked(run, profile)
    names = (name for one in wanted for name in one.partition.split(",") if name)
    yield from partitions_told(cluster, names)
    if not cluster.partitions:
        return
    found = [*missing_partitions(Places(profile).named, cluster), *misfits(wanted, cluster, str(profile.path))]
    yield from found
    waiting = any(is_placeholder(one.partition) or is_placeholder(one.account) for one in wanted)
    if waiting:
        there = ", ".join(sorted(cluster.partitions))
        accounts = ", ".join(sorted({a.account for a in cluster.associations or ()})) or "not told"
        yield Finding("note", f"for the placeholders: partitions of this cluster: {there}; your accounts: {accounts}")
    elif not any(finding.level == "problem" for finding in found):
        yield Finding("ok", f"what {len(wanted)} rules ask can be had ({len(run.jobs)} jobs)")
    yield from _limits(profile, cluster)


def _limits(profile: Profile, cluster: Cluster) -> Iterator[Finding]:
    """Yield whether more jobs will be submitted than an account takes, and whether their end may be missed."""
    account = profile.entries("default-resources").get("slurm_account", "").strip("\"'")
    least = min((a.submitted for a in cluster.associations or () if a.account == account), default=float("inf"))
    jobs = str(profile.settings.get("jobs", ""))
    if jobs.isdigit() and int(jobs) > least:
        yield Finding(
            "problem",
            f"{profile.at('jobs:')}: up to {jobs} jobs are submitted, and account '{account}' takes {least:g} at once",
            f"jobs: {least:g}",
        )  # fmt: skip
    yield from _forgotten(profile, cluster)


def _forgotten(profile: Profile, cluster: Cluster) -> Iterator[Finding]:
    """Yield whether Slurm forgets jobs before Snakemake has asked squeue how they ended."""
    age = re.match(r"\d+", cluster.config.get("MinJobAge", ""))
    if profile.settings.get(STATUS) == "squeue" and age and 0 < int(age[0]) < POLL:
        yield Finding(
            "problem",
            f"{profile.at(STATUS)}: squeue forgets jobs {age[0]} s after their end (MinJobAge), asked every {POLL} s",
            f"{STATUS}: sacct; or ask the administrators for MinJobAge=300, which is Slurm's default",
        )  # fmt: skip


def _software(
    profile: Profile, run: Run | None, conda: Future | None, targets: Sequence[str], cluster: Cluster | None
) -> Iterator[Finding]:
    """Yield whether the software of jobs is there."""
    yield from tool_findings(profile)
    if conda:
        try:
            yield from conda_findings(conda.result(), profile, " ".join(targets))
        except CisflowError as error:
            yield Finding("problem", str(error), "conda info; then ask again")
    if "env-modules" in methods(profile):
        yield from module_findings(modules_of(Path(), {job.rule for job in run.jobs} if run else ()))
    if not methods(profile):
        yield Finding("note", f"jobs run in {sys.prefix}, the Python environment of this command: nodes must see it")
        yield from shared_findings(sys.prefix, _nodes(cluster), mount_of(sys.prefix))


def _image(profile: Profile, config: Path | None) -> Iterator[Finding]:
    """Yield whether the image of containers is named, and there if it is a file."""
    if not {"apptainer", "singularity"} & {*methods(profile)}:
        return
    try:
        named = _project(profile, config).settings.container
    except CisflowError:
        return  # said already
    if named is None:
        mend = "container: <image>.sif in config/config.yaml (docs/environments.md)"
        yield Finding("problem", "jobs run in a container, and none is named", mend)
    elif "://" not in named and not Path(named).exists():
        yield Finding("problem", f"there is no image {named}", f"apptainer build {named} containers/cisflow.def")


def _project(profile: Profile | None, config: Path | None) -> Project:
    return load_project(config or (config_of(str(profile.path.parent)) if profile else None) or BASE)


def _nodes(cluster: Cluster | None) -> int:
    """Return how many nodes there are at least: partitions may share them."""
    return max((sum(n.count for n in p.nodes) for p in cluster.partitions.values()), default=0) if cluster else 0


def _needs(
    profile: Profile | None, run: Run | None, conda: Future | None, config: Path | None, cluster: Cluster | None,
    targets: Sequence[str],
) -> Iterator[Finding]:  # fmt: skip
    """Yield whether there is room for what will be made, and the files that it is made from."""
    try:
        project = _project(profile, config)
    except CisflowError:
        return  # said already, with its lines, by what looks at the configuration
    yield from shared_findings(Path().absolute(), _nodes(cluster), mount_of(Path()))
    jobs = run.jobs if run else ()
    missing = _missing_environments(conda)
    prefix = profile.values("conda-prefix")[:1] if profile else []
    results, fetched = _written(project, jobs)
    places = {
        project.settings.results: results,
        project.settings.resources: fetched,
        (prefix or [".snakemake/conda"])[0]: Need(missing * ENVIRONMENT.bytes, missing * ENVIRONMENT.files),
    }
    yield from _rooms(places)
    yield from _scratch(profile)
    if run:
        yield from source_findings(project, jobs, targets)


def _missing_environments(conda: Future | None) -> int:
    try:
        return sum(not is_made(folder) for folder in conda.result().values()) if conda else 0
    except CisflowError:
        return 0


def _rooms(places: dict[str, Need]) -> Iterator[Finding]:
    """Yield whether disks have room; folders on one disk share it."""
    disks: dict[int, dict[str, Need]] = {}
    for folder, need in places.items():
        disks.setdefault(os.stat(existing(folder)).st_dev, {})[folder] = need
    for shared in disks.values():
        first = next(iter(shared))
        others = [folder for folder in shared if folder != first and shared[folder].bytes]
        what = f"project space (with {', '.join(others)})" if others else "project space"
        mend = (
            "free some space, or set 'results:', 'resources:' in config/config.yaml or 'conda-prefix:' in the profile"
        )
        yield from room_findings(first, summed(shared.values()), what, mend)


def _scratch(profile: Profile | None) -> Iterator[Finding]:
    """Yield whether the temporary folder of jobs, if it can be seen from here, has room."""
    named = profile.entries("default-resources").get("tmpdir", "").strip("\"'") if profile else ""
    folder = named or tempfile.gettempdir()
    if is_placeholder(folder) or any(mark in folder for mark in "$(+"):
        return  # told as a placeholder, or known on a node only
    if not Path(folder).is_dir():
        yield Finding("note", f"scratch {folder} is not here; it must be on the nodes", f"srun ls -d {folder}")
        return
    mend = (
        "name another folder: default-resources: tmpdir"
        if named
        else "TMPDIR=<a folder with room>, exported before snakemake"
    )
    yield from room_findings(folder, SCRATCH, "scratch", mend)


def _written(project: Project, jobs: Iterable[Job]) -> tuple[Need, Need]:
    """Return the space of the results that jobs make, and of the files that they fetch."""
    amounts, jobs = Amounts(project), list(jobs)
    results: dict[str, float | None] = {}
    fetched: dict[str, float | None] = {}
    for job in jobs:
        if kind := KINDS.get(job.rule):
            of = next((job.wildcards[key] for key in ("file", "task", "embedding") if key in job.wildcards), "")
            name, size, found = f"{kind} ({of})", amounts.writes(job), fetched if job.rule == FETCH else results
            before = found.get(name, 0)
            found[name] = None if size is None or before is None else before + size
    return sized(results, FILES * len(jobs)), sized(fetched)


def source_findings(project: Project, jobs: Iterable[Job], targets: Sequence[str]) -> Iterator[Finding]:
    """Yield which files have to come over the network first: nodes often have none, and login nodes not always."""
    items = [item_of(project, job.wildcards["source"], job.wildcards["file"]) for job in jobs if job.rule == FETCH]
    missing = [item.wanted for item in items if state(project, item) in ("missing", "by hand")]
    if missing:
        size = sum(wanted.size or 0 for wanted in missing)
        unknown = " and more" * any(wanted.size is None for wanted in missing)
        listed = ", ".join(wanted.name for wanted in missing[:5])
        listed += f" and {len(missing) - 5} others" * (len(missing) > 5)
        yield Finding(
            "note",
            f"{len(missing)} source files ({size / 1e9:.1f} GB{unknown}) are neither here nor in a mirror: {listed}; "
            "they are fetched where Snakemake runs, which needs the network",
            f"before, where there is a network: cisflow sources fetch --for {' '.join(targets) or '<target>'}",
        )  # fmt: skip
    elif items:
        yield Finding("ok", f"{len(items)} source files are in a mirror: no job needs the network")
    else:
        yield Finding("ok", "all source files are here: no job needs the network")
