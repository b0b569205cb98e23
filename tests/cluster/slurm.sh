#!/usr/bin/env bash
# A Slurm of one node on the loopback interface, for tests: two CPUs and two GPUs that are only names.
#
#   slurm.sh install       Debian's packages, by apt-get    slurm.sh installed     are they here?
#   slurm.sh up            start munge, MariaDB, slurmdbd, slurmctld and slurmd, and wait until the node is idle
#   slurm.sh env           what a shell needs to use it: eval "$(slurm.sh env)"
#   slurm.sh status        nodes and jobs                  slurm.sh ready         wait until the node takes jobs
#   slurm.sh kill-ctld     kill -9 of slurmctld           slurm.sh start-ctld    start it again
#   slurm.sh drain         no new job on the node          slurm.sh resume        jobs again
#   slurm.sh down          cancel all jobs and stop everything that `up` started
#
# Run as root. Nothing outside the folder is written or read: no file of /etc/slurm, no daemon of the system. Several of
# them live side by side with other folders and ports. Settings, in the environment:
#
#   CISFLOW_SLURM             folder of everything (/tmp/cisflow-slurm)
#   CISFLOW_SLURM_PORT        first of four ports (16810)
#   CISFLOW_SLURM_ACCOUNTING  'no': neither slurmdbd nor MariaDB, and sacct says nothing
#   CISFLOW_SLURM_EXTRA       more lines of slurm.conf
#
# Partitions: `cpu` (default) and `gpu`; a job in `urgent` takes the place of jobs in these two, which are requeued.
# Memory is enforced: a job that is over its --mem is killed within some seconds.
set -euo pipefail

ROOT=${CISFLOW_SLURM:-/tmp/cisflow-slurm}
PORT=${CISFLOW_SLURM_PORT:-16810}
ACCOUNTING=${CISFLOW_SLURM_ACCOUNTING:-yes}
NODE=$(hostname -s)
CPUS=2 MEMORY=8000 GPUS=2
PACKAGES="slurm-wlm slurmdbd slurm-wlm-mysql-plugin munge mariadb-server"
DAEMONS="slurmd slurmctld slurmdbd mariadbd munged"
MYSQL="mariadb --no-defaults --user=root --socket=$ROOT/run/mysql.sock"
export PATH=$PATH:/usr/sbin
export SLURM_CONF=$ROOT/etc/slurm.conf

pid_of() { cat "$ROOT/run/$1.pid" 2>/dev/null; }
# A daemon whose parent is an init that does not reap stays as a zombie, which is not alive.
alive() { local pid; pid=$(pid_of "$1") && [ -n "$pid" ] && grep -q '^State:.[^Z]' "/proc/$pid/status" 2>/dev/null; }

# Seconds that anything may take (tests/limits.py has those of the tests).
LIMIT=300

# wait_for <seconds> <command...>: until the command succeeds
wait_for() {
  local end=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || { echo "slurm.sh: not in time: $*" >&2; tail -n 15 "$ROOT"/log/*.log >&2; return 1; }
    sleep 0.1
  done
}

write_configuration() {
  mkdir -p "$ROOT"/{bin,dev,etc,log,run,spool,state}
  chmod 755 "$ROOT" "$ROOT"/*
  [ -s "$ROOT/etc/munge.key" ] || (umask 077; head -c 1024 /dev/urandom > "$ROOT/etc/munge.key")
  local accounting="AccountingStorageType=accounting_storage/none"
  # sacct and sacctmgr do not read AuthInfo: the socket of munge must be in AccountingStoragePass, too.
  [ "$ACCOUNTING" = no ] || accounting="AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$((PORT + 2))
AccountingStoragePass=$ROOT/run/munge.sock
AccountingStorageTRES=gres/gpu
AccountingStorageEnforce=associations
AccountingStoreFlags=job_comment"
  # cred_expire is also how long a requeued job waits before it starts again (by default two minutes).
  cat > "$SLURM_CONF" <<END
ClusterName=cisflow
SlurmctldHost=$NODE(127.0.0.1)
SlurmctldPort=$PORT
SlurmdPort=$((PORT + 1))
SlurmUser=root
AuthInfo=socket=$ROOT/run/munge.sock,cred_expire=5
StateSaveLocation=$ROOT/state
SlurmdSpoolDir=$ROOT/spool
SlurmctldPidFile=$ROOT/run/slurmctld.pid
SlurmdPidFile=$ROOT/run/slurmd.pid
SlurmctldLogFile=$ROOT/log/slurmctld.log
SlurmdLogFile=$ROOT/log/slurmd.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
$accounting
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherParams=OverMemoryKill,UsePss
JobAcctGatherFrequency=task=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=10
MinJobAge=600
EnforcePartLimits=ALL
ReturnToService=2
GresTypes=gpu
NodeName=$NODE NodeAddr=127.0.0.1 CPUs=$CPUS RealMemory=$MEMORY Gres=gpu:standin:$GPUS State=UNKNOWN
PartitionName=DEFAULT Nodes=$NODE MaxTime=2-00:00:00 DefMemPerCPU=1000 State=UP
PartitionName=cpu Default=YES PriorityTier=1 PreemptMode=REQUEUE
PartitionName=gpu PriorityTier=1 PreemptMode=REQUEUE
PartitionName=urgent PriorityTier=10 PreemptMode=OFF
${CISFLOW_SLURM_EXTRA:-}
END
  # GPUs are /dev/null under other names: Slurm hands out a generic resource only if it has a device.
  for gpu in $(seq 0 $((GPUS - 1))); do
    [ -e "$ROOT/dev/gpu$gpu" ] || mknod "$ROOT/dev/gpu$gpu" c 1 3
  done
  echo "NodeName=$NODE Name=gpu Type=standin File=$ROOT/dev/gpu[0-$((GPUS - 1))]" > "$ROOT/etc/gres.conf"
  # The executor plugin calls srun in a job without SLURM_CONF; this one, first on PATH, finds the cluster all the same.
  printf '#!/bin/sh\nSLURM_CONF=%s exec /usr/bin/srun "$@"\n' "$SLURM_CONF" > "$ROOT/bin/srun"
  chmod 755 "$ROOT/bin/srun"
  cat > "$ROOT/etc/slurmdbd.conf" <<END
AuthInfo=socket=$ROOT/run/munge.sock
DbdHost=$NODE
DbdAddr=127.0.0.1
DbdPort=$((PORT + 2))
SlurmUser=root
LogFile=$ROOT/log/slurmdbd.log
PidFile=$ROOT/run/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=$((PORT + 3))
StorageUser=slurm
StoragePass=cisflow
END
  chmod 600 "$ROOT/etc/slurmdbd.conf"
}

start_munge() {
  alive munged || munged --force --socket="$ROOT/run/munge.sock" --key-file="$ROOT/etc/munge.key" \
    --pid-file="$ROOT/run/munged.pid" --log-file="$ROOT/log/munged.log" --seed-file="$ROOT/run/munge.seed"
}

start_accounting() {
  local data=$ROOT/mysql
  # When MariaDB starts, it removes temporary tables of any other in the same folder.
  mkdir -p "$ROOT/tmp"
  [ -d "$data/mysql" ] || TMPDIR="$ROOT/tmp" mariadb-install-db --no-defaults --user=root --datadir="$data" --skip-test-db \
    --auth-root-authentication-method=normal > "$ROOT/log/mysql-install.log" 2>&1
  if ! alive mariadbd; then
    TMPDIR="$ROOT/tmp" mariadbd --no-defaults --user=root --datadir="$data" --socket="$ROOT/run/mysql.sock" \
      --pid-file="$ROOT/run/mariadbd.pid" --port=$((PORT + 3)) --bind-address=127.0.0.1 \
      --innodb-buffer-pool-size=64M --innodb-log-file-size=16M --innodb-lock-wait-timeout=900 \
      --innodb-flush-log-at-trx-commit=0 > "$ROOT/log/mariadbd.log" 2>&1 < /dev/null &
    wait_for $LIMIT $MYSQL --execute "select 1"
    $MYSQL --execute "create database if not exists slurm_acct_db;
      create user if not exists 'slurm'@'%' identified by 'cisflow'; grant all on slurm_acct_db.* to 'slurm'@'%'"
  fi
  alive slurmdbd || slurmdbd
  # It asks for ever where nobody answers.
  wait_for $LIMIT timeout 5 sacctmgr -n show cluster || {
    echo "slurm.sh: if slurmdbd could not resolve \"(null)\", this machine has no address besides 127.0.0.1, and" \
      "this gives it one: ip addr add 192.0.2.1/24 dev lo" >&2
    exit 1
  }
  [ -n "$(sacctmgr -n show cluster cisflow)" ] || sacctmgr -i -Q add cluster cisflow > /dev/null
  [ -n "$(sacctmgr -n show account genomics)" ] || {
    sacctmgr -i -Q add account genomics Cluster=cisflow > /dev/null
    sacctmgr -i -Q add user root Account=genomics DefaultAccount=genomics > /dev/null
  }
}

node_is_up() { [[ $(sinfo -h -n "$NODE" -p cpu -o %T) =~ ^(idle|mixed|allocated|completing)$ ]]; }
no_job() { [ -z "$(squeue -h)" ]; }

up() {
  write_configuration
  start_munge
  [ "$ACCOUNTING" = no ] || start_accounting
  alive slurmctld || slurmctld
  alive slurmd || slurmd -N "$NODE"
  wait_for $LIMIT node_is_up
}

# Make slurmd register at once, or steps wait for the next time that slurmctld asks for it (up to two minutes).
start_controller() {
  alive slurmctld || slurmctld
  wait_for $LIMIT scontrol ping
  kill -HUP "$(pid_of slurmd)"
  # One that was killed has forgotten what it had not written yet: that the node was resumed, too.
  [[ $(sinfo -h -n "$NODE" -p cpu -o %T) != drain* ]] || scontrol update NodeName="$NODE" State=RESUME
  wait_for $LIMIT node_is_up
}

down() {
  # Only slurmctld can end the jobs.
  if alive munged && alive slurmd; then
    alive slurmctld || start_controller
    scancel --quiet --user=root || true
    wait_for 5 no_job || scancel --quiet --signal=KILL --full --user=root || true
  fi
  for name in $DAEMONS; do alive "$name" && kill "$(pid_of "$name")" || true; done
  for name in $DAEMONS; do
    for _ in $(seq 100); do alive "$name" || break; sleep 0.1; done
    alive "$name" && kill -9 "$(pid_of "$name")" || true
    rm -f "$ROOT/run/$name.pid"
  done
}

case ${1:-} in
  install) apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $PACKAGES ;;
  installed) for name in $DAEMONS sacct; do command -v "$name" > /dev/null || exit 1; done ;;
  up) up ;;
  down) down ;;
  ready) wait_for $LIMIT node_is_up || { sinfo --long --Node >&2; exit 1; } ;;
  status) sinfo -N -o '%N %P %T %c %m %G' && squeue -a -o '%i %P %j %T %r %b' ;;
  env) echo "export SLURM_CONF='$SLURM_CONF' PATH='$ROOT/bin':\$PATH" ;;
  kill-ctld) kill -9 "$(pid_of slurmctld)" ;;
  start-ctld) start_controller ;;
  drain) scontrol update NodeName="$NODE" State=DRAIN Reason=test ;;
  resume) scontrol update NodeName="$NODE" State=RESUME; wait_for $LIMIT node_is_up ;;
  *) sed -n '2,/^set /{s/^# \{0,1\}//;/^set /!p}' "$0"; exit 2 ;;
esac
