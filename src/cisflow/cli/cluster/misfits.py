"""What jobs ask of a Slurm cluster and cannot have there, each with what mends it: pure functions."""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from cisflow.cli.cluster.accounting import accounting, left_over
from cisflow.cli.cluster.findings import Finding
from cisflow.cli.cluster.slurm import Asked, Association, Cluster, Nodes, Partition, parse_config
from cisflow.config.strict import did_you_mean
from cisflow.errors import CisflowError


def reachable(answers: Mapping[str, str | CisflowError]) -> Iterator[Finding]:
    """Yield whether the controller answers, and the accounting without which a run may never end."""
    config = answers["config"]
    if isinstance(config, CisflowError):
        yield Finding(
            "problem", f"Slurm does not answer: {config}",
            "run this on a login node of the cluster; if it is one: scontrol ping, and the cluster's status page",
        )  # fmt: skip
        return
    settings = parse_config(config)
    version, name = settings.get("SLURM_VERSION", "?"), settings.get("ClusterName", "?")
    yield Finding("ok", f"Slurm {version} answers (cluster {name})")
    yield from _accounting(config, answers)
    for part in ("partitions", "nodes"):
        if isinstance(answers[part], CisflowError):
            yield Finding("problem", f"Slurm does not tell its partitions: {answers[part]}", "scontrol ping; sinfo")


def _accounting(config: str, answers: Mapping[str, str | CisflowError]) -> Iterator[Finding]:
    """Yield what a run refuses to start with: no accounting, or jobs of another Snakemake in this folder."""
    jobs, queue = answers["jobs"], answers["queue"]
    if told := accounting(config, str(jobs) if isinstance(jobs, CisflowError) else None):
        yield Finding("problem", told, "sacct; one allocation instead of many jobs: docs/cluster.md, step 6")
    else:
        yield Finding("ok", "accounting answers (sacct)")
    if isinstance(queue, str) and (told := left_over(queue, Path())):
        yield Finding("problem", told, "squeue --me")


def partitions_told(cluster: Cluster, names: Iterable[str]) -> Iterator[Finding]:
    """Yield a line for each partition that jobs go to: its nodes, what they have, and how many of them work."""
    for name in sorted({*names}):
        if (partition := cluster.partitions.get(name)) is None:
            continue
        nodes, works = (
            sum(n.count for n in some) for some in (partition.nodes, filter(Nodes.works.fget, partition.nodes))
        )
        text = (
            f"partition {name}: {nodes} nodes ({works} work), up to {_times(partition.limit)} a job, {_each(partition)}"
        )
        yield Finding("ok", text)


def _each(partition: Partition) -> str:
    if not partition.nodes:
        return "nothing in it"
    cpus = _span(n.cpus for n in partition.nodes)
    memory = _span(round(n.memory / 1000) for n in partition.nodes)
    models = {(model, n) for nodes in partition.nodes for model, n in nodes.gpus.items()}
    gpus = ", ".join(f"{n} {model or 'of no model named'}" for model, n in sorted(models))
    return f"{cpus} CPUs and {memory} GB a node, " + (f"GPUs a node: {gpus}" if gpus else "no GPUs")


def _span(values: Iterable[int]) -> str:
    values = sorted({*values})
    return f"{values[0]}" if len(values) == 1 else f"{values[0]} to {values[-1]}"


def _times(minutes: float) -> str:
    if math.isinf(minutes):
        return "any time"
    return f"{minutes / 60:,.4g} h" if minutes >= 60 else f"{minutes:g} min"


def _gb(megabytes: float) -> str:
    return f"{megabytes / 1000:,.4g} GB"


def misfits(asked: Iterable[Asked], cluster: Cluster, profile: str) -> Iterator[Finding]:
    """Yield a finding for each thing that jobs ask and the cluster does not have or allow, with the rules that ask it.

    Parameters
    ----------
    asked
        What the rules ask. Values that are placeholders are passed over.
    cluster
        The cluster.
    profile
        File that the settings stand in, for the mends.
    """
    rules: dict[Finding, list[str]] = {}
    for one in asked:
        for finding in _misfits(one, cluster, profile):
            rules.setdefault(finding, []).append(one.rule)
    for finding, names in rules.items():
        yield finding._replace(text=f"{', '.join(dict.fromkeys(names))}: {finding.text}")


def _misfits(one: Asked, cluster: Cluster, profile: str) -> Iterator[Finding]:
    yield from _account(one, cluster, profile)
    partitions = []
    for name in _partition_names(one, cluster):
        if name in cluster.partitions:
            partitions.append(cluster.partitions[name])
        elif not one.named:  # those of a file of partitions are told once, with their line
            yield Finding(
                "problem", f"there is no partition '{name}'.{did_you_mean(name, cluster.partitions)}",
                f"correct {one.named or f'slurm_partition in {profile}'} (sinfo --summarize lists the partitions)",
            )  # fmt: skip
    if not one.partition and one.named:
        yield Finding(
            "problem", f"asks what no partition of {one.named} gives ({_said(one)}): jobs would go to the default",
            f"add a partition with these limits to {one.named}, or ask less in {profile}",
        )  # fmt: skip
    elif not one.partition and not partitions:
        yield Finding(
            "problem", "no partition is named, and this cluster has no default one",
            f"add slurm_partition to default-resources in {profile} (sinfo --summarize lists the partitions)",
        )  # fmt: skip
    # Of several partitions Slurm takes one that fits: what is wrong with each is wrong only if none is right.
    found = [list(_in_partition(one, partition, cluster, profile)) for partition in partitions]
    if found and all(any(finding.level == "problem" for finding in some) for some in found):
        yield from (finding for some in found for finding in some)
    elif found:
        yield from next(some for some in found if all(finding.level != "problem" for finding in some))


def _said(one: Asked) -> str:
    gpus = f", {one.gpus} GPUs {one.model}".rstrip() if one.gpus else ""
    return f"{_times(one.minutes)}, {_gb(one.memory)}, {one.cpus} CPUs{gpus}"


def missing_partitions(named: Mapping[str, str], cluster: Cluster) -> Iterator[Finding]:
    """Yield a problem for each partition that there is not, with where it is named, whether or not a job goes there."""
    for name, place in named.items():
        if name not in cluster.partitions and not is_placeholder(name):
            yield Finding(
                "problem", f"{place}: there is no partition '{name}'.{did_you_mean(name, cluster.partitions)}",
                "correct its name (sinfo --summarize lists the partitions)",
            )  # fmt: skip


def is_placeholder(text: str) -> bool:
    """Return whether a value still stands in angle brackets."""
    return "<" in text and ">" in text


def _partition_names(one: Asked, cluster: Cluster) -> list[str]:
    if one.partition:
        return [name for name in one.partition.split(",") if name and not is_placeholder(name)]
    return [name for name, partition in cluster.partitions.items() if partition.default]


def _account(one: Asked, cluster: Cluster, profile: str) -> Iterator[Finding]:
    """Yield what is wrong with the account and the QOS of a rule."""
    if cluster.associations is None or is_placeholder(one.account):
        return
    accounts = {association.account for association in cluster.associations}
    if not accounts:
        if cluster.enforced:
            yield Finding(
                "problem", f"Slurm's accounting has no account for {cluster.user}: jobs are refused",
                "ask the administrators for one (sacctmgr show associations user=$USER)",
            )  # fmt: skip
        return
    for account in re.split(r"[,\s]+", one.account.strip()) if one.account else ():
        if account.lower() not in {known.lower() for known in accounts}:
            yield Finding(
                "problem", f"{cluster.user} has no account '{account}'.{did_you_mean(account, accounts)}",
                f"correct slurm_account in {profile} (sacctmgr show associations user=$USER format=account,partition)",
            )  # fmt: skip
    allowed = frozenset().union(*(a.qos for a in _associations(one, cluster)))
    if one.qos and not is_placeholder(one.qos) and allowed and one.qos not in allowed:
        yield Finding(
            "problem", f"{cluster.user} may not use the QOS '{one.qos}'.{did_you_mean(one.qos, allowed)}",
            f"correct qos in {profile} (sacctmgr show associations user=$USER format=account,qos)",
        )  # fmt: skip


def _associations(one: Asked, cluster: Cluster) -> list[Association]:
    """Return what a rule's jobs can be charged to: that of its account; without an account, any."""
    names = {name.lower() for name in re.split(r"[,\s]+", one.account) if name}
    return [a for a in cluster.associations or () if not names or a.account.lower() in names]


def _in_partition(one: Asked, partition: Partition, cluster: Cluster, profile: str) -> Iterator[Finding]:
    for check in (_rights, _state, _time, _size):
        yield from check(one, partition, cluster, profile)


def _rights(one: Asked, partition: Partition, cluster: Cluster, profile: str) -> Iterator[Finding]:
    """Yield why a rule's jobs may not enter a partition."""
    name, another = partition.name, f"name another slurm_partition in {profile}"
    if partition.root and cluster.user != "root":
        yield Finding("problem", f"partition {name} is for root only", another)
    if partition.groups is not None and cluster.user != "root" and not partition.groups & cluster.groups:
        only = ", ".join(sorted(partition.groups))
        yield Finding("problem", f"partition {name} is for the groups {only}, and {cluster.user} is in none", another)
    account = one.account.lower()
    if account and not is_placeholder(account):
        allowed = None if partition.accounts is None else {known.lower() for known in partition.accounts}
        if (allowed is not None and account not in allowed) or account in {n.lower() for n in partition.denied}:
            only = f" (it takes {', '.join(sorted(partition.accounts))})" if partition.accounts else ""
            mend = f"name another slurm_account or slurm_partition in {profile} (scontrol show partition {name})"
            yield Finding("problem", f"partition {name} does not take the account '{one.account}'{only}", mend)
        known = _associations(one, cluster)
        if known and all(a.partition not in (None, name) for a in known):
            has = ", ".join(sorted({str(a.partition) for a in known}))
            mend = f"name one of them, or another slurm_account, in {profile}"
            yield Finding("problem", f"{cluster.user}'s account '{one.account}' is for other partitions: {has}", mend)
    if one.qos and partition.qos is not None and one.qos not in partition.qos:
        only = ", ".join(sorted(partition.qos))
        yield Finding(
            "problem", f"partition {name} takes only the QOS {only}, not '{one.qos}'", f"correct qos in {profile}"
        )


def _state(one: Asked, partition: Partition, cluster: Cluster, profile: str) -> Iterator[Finding]:
    if partition.state in ("DRAIN", "INACTIVE"):
        yield Finding(
            "problem", f"partition {partition.name} takes no jobs now (its state is {partition.state})",
            f"wait (sinfo -p {partition.name}), or name another slurm_partition in {profile}",
        )  # fmt: skip
    elif partition.state == "DOWN":
        yield Finding(
            "note", f"partition {partition.name} is down: jobs wait until it is up", f"sinfo -p {partition.name}"
        )


def _time(one: Asked, partition: Partition, cluster: Cluster, profile: str) -> Iterator[Finding]:
    """Yield whether jobs ask more time than they can have, at the first attempt or at the last."""
    own = [a.limit for a in _associations(one, cluster) if a.partition in (None, partition.name)]
    limit = min(partition.limit, max(own, default=math.inf))
    whose = f"partition {partition.name}" if limit == partition.limit else f"{cluster.user}'s account"
    if one.minutes > limit:
        longer = [p.name for p in cluster.partitions.values() if p.limit >= one.minutes and p.state == "UP"]
        instead = f", or another partition ({', '.join(sorted(longer))})" if longer else ""
        yield Finding(
            "problem", f"asks {_times(one.minutes)}, and {whose} gives at most {_times(limit)}",
            f"in {profile}, set-resources: {one.rule}:runtime={limit:.0f}{instead}; a training goes on where it was",
        )  # fmt: skip
    elif one.last and one.last.minutes > limit:
        yield Finding(
            "note",
            f"asks {_times(one.minutes)} at first and {_times(one.last.minutes)} at the last attempt, and {whose} "
            f"gives at most {_times(limit)}: that attempt is refused",
            f"in {profile}, set-resources: {one.rule}:runtime='min({one.minutes:.0f} * 2 ** (attempt - 1), "
            f"{limit:.0f})'",
        )


def _size(one: Asked, partition: Partition, cluster: Cluster, profile: str) -> Iterator[Finding]:
    """Yield whether a node of the partition has what a job asks, and whether one that has it works."""
    if not partition.nodes:
        yield Finding("problem", f"partition {partition.name} has no nodes", f"name another in {profile}")
        return
    if one.gpus and not any(n.gpus for n in partition.nodes):
        having = sorted(p.name for p in cluster.partitions.values() if any(n.gpus for n in p.nodes))
        named = f"name one that has: {', '.join(having)}" if having else "this cluster has none that Slurm counts"
        yield Finding(
            "problem", f"asks a GPU, and partition {partition.name} has none",
            f"in {profile}, set-resources: {one.rule}:slurm_partition; {named}",
        )  # fmt: skip
        return
    fitting = [n for n in partition.nodes if _fits(one, n, partition)]
    if not fitting:
        yield Finding("problem", *_too_large(one, partition, profile))
    elif not any(n.works for n in fitting):
        states = ", ".join(sorted({n.state for n in fitting}))
        yield Finding(
            "note",
            f"the {sum(n.count for n in fitting)} nodes of partition {partition.name} that fit are out ({states}), "
            "so jobs wait",
            f"sinfo --list-reasons -p {partition.name}",
        )
    elif one.last and not any(_fits(one.last, n, partition) for n in partition.nodes):
        yield Finding(
            "note",
            f"asks {_gb(one.memory)} at first and {_gb(one.last.memory)} at the last attempt, which no node of "
            f"partition {partition.name} has",
            f"if jobs run out of memory: a partition with larger nodes in {profile}",
        )


def _fits(one: Asked, nodes: Nodes, partition: Partition) -> bool:
    has = nodes.gpus.get(one.model.lower(), 0) if one.model else sum(nodes.gpus.values())
    return (
        one.gpus <= has
        and one.cpus <= min(nodes.cpus, partition.cpus)
        and one.memory <= min(nodes.memory, partition.memory)
        and _has_features(one.constraint, nodes.features)
    )


def _has_features(constraint: str, features: frozenset[str]) -> bool:
    """Return whether nodes have what a constraint asks: names, with & and |; of others Slurm itself is the judge."""
    if not re.fullmatch(r"[\w.:-]+([&|,][\w.:-]+)*", constraint):
        return True
    return any(all(name in features for name in re.split("[&,]", part)) for part in constraint.split("|"))


def _too_large(one: Asked, partition: Partition, profile: str) -> tuple[str, str]:
    """Return what no node of a partition has, and what mends it."""
    most: dict[str, Callable[[Nodes], float]] = {
        "CPUs": lambda n: min(n.cpus, partition.cpus),
        "memory": lambda n: min(n.memory, partition.memory),
        "GPUs": lambda n: n.gpus.get(one.model.lower(), 0) if one.model else sum(n.gpus.values()),
    }
    has = {what: max(map(value, partition.nodes)) for what, value in most.items()}
    name = partition.name
    if one.model and not has["GPUs"]:
        models = {model for nodes in partition.nodes for model in nodes.gpus if model}
        hint = did_you_mean(one.model.lower(), models) if models else " Its GPUs have no models: leave gpu_model out."
        return (
            f"asks a GPU '{one.model}', which partition {name} does not have.{hint}",
            f"correct gpu_model in {profile}",
        )
    if one.gpus > has["GPUs"]:
        return (
            f"asks {one.gpus} GPUs a node, and partition {name} has at most {has['GPUs']:g}",
            f"in {profile}, set-resources: {one.rule}:gpu={has['GPUs']:g}",
        )
    if one.cpus > has["CPUs"]:
        return (
            f"asks {one.cpus} CPUs, and a node of partition {name} has at most {has['CPUs']:g}",
            f"in {profile}, set-threads: {one.rule}={has['CPUs']:g}",
        )
    if one.memory > has["memory"]:
        return (
            f"asks {_gb(one.memory)}, and a node of partition {name} has at most {_gb(has['memory'])}",
            f"in {profile}, set-resources: {one.rule}:mem_mb={has['memory']:.0f}, or a partition with larger nodes",
        )
    if not any(_has_features(one.constraint, n.features) for n in partition.nodes):
        features = sorted(frozenset().union(*(n.features for n in partition.nodes)))
        there = f"its nodes have {', '.join(features)}" if features else "its nodes have no features"
        return (
            f"asks nodes with '{one.constraint}', and partition {name} has none: {there}",
            f"correct constraint in {profile}",
        )
    return (
        f"asks {one.cpus} CPUs, {_gb(one.memory)} and {one.gpus} GPUs together, which no node of partition {name} has",
        f"ask less in {profile} (sinfo --Node --long -p {name})",
    )
