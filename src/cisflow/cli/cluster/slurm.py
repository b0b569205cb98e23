"""A Slurm cluster as its own commands tell it.

Six commands are asked, side by side, whatever the size of the cluster; each has a time limit, and what it cannot say
is told. All else is pure functions on their answers; `cisflow.cli.cluster.misfits` holds them against what jobs ask.
"""

import grp
import math
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from getpass import getuser

from cisflow.cli.cluster.accounting import CONFIGURATION, HISTORY, QUEUE
from cisflow.errors import CisflowError

SECONDS = 20  # that a command of Slurm may take; a controller that is well answers in less than one
SINFO = "%P|%a|%l|%D|%T|%c|%m|%G|%f"
ASSOCIATION = "Cluster,Account,Partition,QOS,MaxSubmit,MaxWall"
COMMANDS = {
    "config": CONFIGURATION,
    "partitions": ("scontrol", "--all", "--oneliner", "show", "partition"),
    "nodes": ("sinfo", "--all", "--exact", "--noheader", f"--format={SINFO}"),
    "associations": ("sacctmgr", "--noheader", "--parsable2", "--readonly", "show", "associations", "where",
                     "user={user}", f"format={ASSOCIATION}"),
    "jobs": HISTORY,
    "queue": QUEUE,
}  # fmt: skip
# A node in one of these states starts no job, and neither does one that does not answer ('*' after the state).
OUT = {
    "down",
    "drained",
    "draining",
    "drain",
    "drng",
    "fail",
    "failing",
    "error",
    "inval",
    "future",
    "unknown",
    "maint",
}
# Settings of a user's shell that change what these commands print.
OWN_DEFAULTS = ("SINFO_", "SACCT_", "SACCTMGR_", "SCONTROL_", "SLURM_TIME_FORMAT", "SLURM_CLUSTERS")
MISSING = ("", "(null)", "N/A", "n/a", "NONE", "ALL")


@dataclass(frozen=True)
class Nodes:
    """Nodes of a partition that are alike: how many, their state, and of each the CPUs, memory in MB, GPUs by model."""

    count: int
    state: str
    cpus: int
    memory: int
    gpus: Mapping[str, int] = field(default_factory=dict)
    features: frozenset[str] = frozenset()

    @property
    def works(self) -> bool:
        """Return whether jobs are started there."""
        return "*" not in self.state and re.sub(r"[^a-z_].*", "", self.state.lower()) not in OUT


@dataclass(frozen=True)
class Partition:
    """A partition: its state, longest run time in minutes, nodes, and who may use it (None: everybody)."""

    name: str
    state: str = "UP"
    limit: float = math.inf
    default: bool = False
    nodes: tuple[Nodes, ...] = ()
    accounts: frozenset[str] | None = None
    denied: frozenset[str] = frozenset()
    groups: frozenset[str] | None = None
    qos: frozenset[str] | None = None
    root: bool = False
    memory: float = math.inf
    cpus: float = math.inf


@dataclass(frozen=True)
class Association:
    """What a user may charge to: an account, in one partition or (None) in any, its QOS, and the limits of its jobs."""

    account: str
    partition: str | None = None
    qos: frozenset[str] = frozenset()
    submitted: float = math.inf
    limit: float = math.inf


@dataclass(frozen=True)
class Cluster:
    """What is known of a cluster; `associations` is None where nobody could tell."""

    config: Mapping[str, str]
    partitions: Mapping[str, Partition]
    associations: tuple[Association, ...] | None
    user: str
    groups: frozenset[str]

    @property
    def enforced(self) -> bool:
        """Return whether a job without a known account is refused."""
        enforce = self.config.get("AccountingStorageEnforce", "").lower()
        return any(word in enforce for word in ("associations", "limits", "qos", "safe", "all"))


@dataclass(frozen=True)
class Asked:
    """The most that the jobs of a rule ask in one place: minutes, MB, CPUs, GPUs.

    `named` is where its partition is named, `last` what the last attempt asks.
    """

    rule: str
    partition: str = ""
    account: str = ""
    qos: str = ""
    constraint: str = ""
    model: str = ""
    jobs: int = 1
    minutes: float = 0
    memory: float = 0
    cpus: int = 1
    gpus: int = 0
    named: str = ""
    last: "Asked | None" = None


def answer(command: Sequence[str], seconds: float = SECONDS) -> str:
    """Return what a command prints.

    Raises
    ------
    CisflowError
        There is no such command, it gives no answer in time, or it fails, with what it says.
    """
    environment = {key: value for key, value in os.environ.items() if not key.startswith(OWN_DEFAULTS)}
    try:
        running = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            errors="replace", env=environment | {"LC_ALL": "C"}, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        reason = "is not on PATH" if isinstance(error, FileNotFoundError) else f"cannot be run ({error.strerror})"
        raise CisflowError(f"{command[0]} {reason}.") from None
    with running:
        try:
            printed, said = running.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            raise CisflowError(f"'{' '.join(command[:3])}' gave no answer in {seconds:g} s.") from None
    if running.returncode:
        lines = [line.strip() for line in (said or printed).splitlines() if line.strip()]
        raise CisflowError(f"'{' '.join(command[:3])}': {'; '.join(lines[-2:]) or f'exit {running.returncode}'}.")
    return printed


def ask_all(seconds: float = SECONDS) -> dict[str, str | CisflowError]:
    """Ask Slurm all that is asked of it, side by side; an answer that did not come is the error that says so."""
    user = getuser()

    def ask(command: Sequence[str]) -> str | CisflowError:
        try:
            return answer([part.format(user=user) if "{user}" in part else part for part in command], seconds)
        except CisflowError as error:
            return error

    with ThreadPoolExecutor(len(COMMANDS)) as pool:
        return dict(zip(COMMANDS, pool.map(ask, COMMANDS.values()), strict=True))


def read_cluster(answers: Mapping[str, str | CisflowError]) -> Cluster:
    """Read the answers of `ask_all`; what is missing among them is left open."""
    said = {name: text if isinstance(text, str) else "" for name, text in answers.items()}
    config = parse_config(said["config"])
    known = None if isinstance(answers["associations"], CisflowError) else said["associations"]
    return Cluster(
        config,
        parse_partitions(said["nodes"], said["partitions"]),
        None if known is None else tuple(parse_associations(known, config.get("ClusterName", ""))),
        getuser(),
        frozenset(_groups()),
    )


def _groups() -> Iterator[str]:
    for number in {*os.getgroups(), os.getegid()}:
        try:
            yield grp.getgrgid(number).gr_name
        except KeyError:
            yield str(number)


def parse_config(text: str) -> dict[str, str]:
    """Read `scontrol show config`."""
    return dict(re.findall(r"^(\w+)\s*= (.*?)\s*$", text, flags=re.MULTILINE))


def parse_minutes(text: str) -> float:
    """Return a time of Slurm (minutes, MM:SS, HH:MM:SS, D-HH[:MM[:SS]], infinite) in minutes; no limit is infinity."""
    if text.upper() in ("INFINITE", "UNLIMITED", "PARTITION_LIMIT", *map(str.upper, MISSING)):
        return math.inf
    if not re.fullmatch(r"(\d+-\d+(:\d+){0,2})|(\d+(:\d+){0,2})", text):
        raise CisflowError(f"Slurm gives a time limit as '{text}', which is not one of its ways to write a time.")
    days, _, clock = text.rpartition("-")
    parts = [int(part) for part in clock.split(":")]
    if days or len(parts) == 3:
        hours, minutes, seconds = (*parts, 0, 0)[:3]
    else:
        hours, minutes, seconds = (0, *parts, 0)[:3]
    return int(days or 0) * 1440 + hours * 60 + minutes + seconds / 60


def parse_gpus(gres: str) -> dict[str, int]:
    """Return the GPUs in a node's generic resources by model ('' where none is named): `gpu:a100:4(S:0-1),shard:8`."""
    found: dict[str, int] = {}
    for entry in re.sub(r"\([^)]*\)", "", gres).split(","):
        name, *parts = [part for part in entry.strip().split(":") if part != "no_consume"]
        if name.lower() != "gpu":
            continue
        count = int(parts.pop()) if parts and parts[-1].isdigit() else 1
        model = parts[0].lower() if parts else ""
        found[model] = found.get(model, 0) + count
    return found


def parse_partitions(nodes: str, rights: str = "") -> dict[str, Partition]:
    """Read `sinfo --format=SINFO`, a line for nodes that are alike, and `scontrol --oneliner show partition`."""
    found: dict[str, Partition] = {}
    allowed = {row["PartitionName"]: row for row in map(_pairs, rights.splitlines()) if "PartitionName" in row}
    for line in nodes.splitlines():
        fields = line.strip().split("|", 8)
        if len(fields) != 9:
            continue
        name, state, limit, count, *of_nodes = fields
        bare = name.removesuffix("*")
        default = name != bare
        before = found.get(bare) or _partition(bare, state, limit, default, allowed.get(bare, {}))
        found[bare] = _with_nodes(before, int(count), *of_nodes)
    return found


def _partition(name: str, state: str, limit: str, default: bool, rights: Mapping[str, str]) -> Partition:
    state = {"inact": "INACTIVE"}.get(state.lower(), state.upper())
    return Partition(
        name,
        rights.get("State", state),
        parse_minutes(limit),
        default,
        accounts=_names(rights.get("AllowAccounts", "")),
        denied=_names(rights.get("DenyAccounts", "")) or frozenset(),
        groups=_names(rights.get("AllowGroups", "")),
        qos=_names(rights.get("AllowQos", "")),
        root=rights.get("RootOnly", "NO") == "YES",
        memory=_number(rights.get("MaxMemPerNode", "")),
        cpus=_number(rights.get("MaxCPUsPerNode", "")),
    )


def _with_nodes(partition: Partition, count: int, *of_nodes: str) -> Partition:
    if not count:
        return partition
    state, cpus, memory, gres, features = of_nodes
    alike = Nodes(count, state, _first(cpus), _first(memory), parse_gpus(gres), _names(features) or frozenset())
    return Partition(**{**vars(partition), "nodes": (*partition.nodes, alike)})


def _pairs(line: str) -> dict[str, str]:
    return dict(re.findall(r"(\w+)=(\S*)", line))


def _names(text: str) -> frozenset[str] | None:
    """Return the names in a list of Slurm; None if there is no list."""
    return None if text in MISSING else frozenset(name for name in text.split(",") if name)


def _number(text: str) -> float:
    return float(text) if text.isdigit() and text != "0" else math.inf


def _first(text: str) -> int:
    """Return a number that may be followed by '+' (and more, in other nodes) or a fraction."""
    found = re.match(r"\d+", text)
    return int(found[0]) if found else 0


def parse_associations(text: str, cluster: str = "") -> Iterator[Association]:
    """Read `sacctmgr show associations format=ASSOCIATION` of a user; those of other clusters are left out."""
    for line in text.splitlines():
        fields = line.strip().split("|")
        if len(fields) != len(ASSOCIATION.split(",")) or (cluster and fields[0].lower() != cluster.lower()):
            continue
        _, account, partition, qos, submitted, limit = fields
        yield Association(
            account, partition or None, _names(qos) or frozenset(), _number(submitted), parse_minutes(limit)
        )
