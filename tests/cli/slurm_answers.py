"""What commands of Slurm print, in their formats: a made cluster of some thousand nodes, and programs that say it."""

from pathlib import Path

from cisflow.cli.cluster.slurm import COMMANDS, read_cluster

CONFIG = """Configuration data as of 2026-11-21T20:00:00
AccountingStorageEnforce = associations,limits,qos,safe
AccountingStorageHost   = dbd1
AccountingStorageType   = accounting_storage/slurmdbd
ClusterName             = forest
MaxArraySize            = 1001
MinJobAge               = 300 sec
PreemptMode             = REQUEUE
SLURM_VERSION           = 23.11.4

Slurmctld(primary) at ctl1 is UP
"""

# Of `sinfo --format`: partition, its state, time limit, nodes, their state, CPUs, MB, generic resources, features.
NODES = """cpu*|up|1-00:00:00|600|mixed|64|257000|(null)|skylake,ib
cpu*|up|1-00:00:00|5|down*|64|257000|(null)|skylake,ib
cpu*|up|1-00:00:00|395|idle~|128|1031000|(null)|milan,ib
gpu|up|2-00:00:00|40|allocated|64+|515000+|gpu:a100:4(S:0-1)|milan,a100,ib
gpu|up|2-00:00:00|8|idle|32|192000|gpu:v100:2(S:0-1),shard:8|skylake,v100
gpu|up|2-00:00:00|2|drained|64|515000|gpu:a100:4(S:0,1)|milan,a100,ib
long|up|infinite|20|idle|32|128000|(null)|(null)
old|down|infinite|4|idle|16|64000|gpu:2|(null)
repair|drain|1:00:00|1|idle|16|64000|(null)|(null)
closed|inact|30:00|1|idle|16|64000|(null)|(null)
lab|up|7-00:00:00|4|idle|32|128000|gpu:l40s:8|(null)
staff|up|infinite|4|idle|32|128000|(null)|(null)
broken|up|infinite|3|drained*|32|128000|gpu:h100:8|(null)
empty|up|infinite|0|n/a|0|0|(null)|(null)
"""

# Of `scontrol --oneliner show partition`, a line each.
RIGHTS = "\n".join(
    " ".join(["AllowGroups=ALL AllocNodes=ALL QoS=N/A RootOnly=NO TRES=cpu=64000,mem=1T,gres/gpu=8", *pairs])
    for pairs in (
        ["PartitionName=cpu Default=YES MaxTime=1-00:00:00 State=UP AllowQos=ALL MaxMemPerNode=UNLIMITED"],
        ["PartitionName=gpu DenyAccounts=teaching AllowQos=normal,high MaxCPUsPerNode=48 MaxMemPerNode=400000"],
        ["PartitionName=old AllowAccounts=ALL AllowQos=ALL State=DOWN MaxMemPerNode=UNLIMITED MaxTime=UNLIMITED"],
        ["PartitionName=repair AllowAccounts=ALL State=DRAIN"],
        ["PartitionName=closed AllowAccounts=ALL State=INACTIVE"],
        ["PartitionName=lab AllowAccounts=regulation,imaging State=UP"],
        ["PartitionName=staff AllowAccounts=ALL State=UP AllowGroups=admins"],
    )
)

ASSOCIATIONS = """forest|genomics||high,normal|500|
forest|teaching|cpu|normal|20|02:00:00
forest|brief||normal||00:30:00
savanna|savanna_only||normal||
"""

ANSWERS = {
    "config": CONFIG,
    "partitions": RIGHTS,
    "nodes": NODES,
    "associations": ASSOCIATIONS,
    "jobs": "",
    "queue": "",
}


def cluster(**answers):
    """Return the made cluster, with other answers if need be; it has the groups of nobody."""
    read = read_cluster(ANSWERS | answers)
    return type(read)(**{**vars(read), "user": "ada", "groups": frozenset({"users"})})


def programs(folder: Path, **scripts: str) -> Path:
    """Write stand-ins for the commands of Slurm, which give the made answers, or run these lines of shell."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in ANSWERS.items():
        (folder / f"{name}.txt").write_text(text)
    scontrol = f'case "$*" in *config*) cat {folder}/config.txt;; *) cat {folder}/partitions.txt;; esac'
    own = {"scontrol": scontrol, "sinfo": f"cat {folder}/nodes.txt", "sacct": "exit 0", "sbatch": "exit 1",
           "squeue": "exit 0", "sacctmgr": f"cat {folder}/associations.txt"}  # fmt: skip
    assert {command[0] for command in COMMANDS.values()} <= own.keys()
    for name, script in (own | scripts).items():
        (folder / name).write_text(f'#!/bin/sh\necho "$0 $*" >> {folder}/called\n{script}\n')
        (folder / name).chmod(0o755)
    return folder
