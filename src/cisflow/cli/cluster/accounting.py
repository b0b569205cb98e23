"""What is asked of Slurm before the first job, so that nothing waits for ever and no job is done twice.

The executor plugin learns from Slurm alone whether a job has ended. Three answers make its version 2.8.0 wait for ever:
none at all (the plugin forgets the jobs that it asked about), 'CANCELLED by 1000' (it knows 'CANCELLED'), and
'PREEMPTED' of a job that Slurm does not put back into its queue. `lasting` translates them.
"""

import functools
import logging
import os
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from cisflow.errors import CisflowError

# Seconds that a pre-empted job may take to be back in the queue.
PATIENCE = 120.0
# Seconds that Slurm may take to answer.
SECONDS = 120
# What `left_over` reads.
QUEUE = (
    "squeue", f"--user={os.getuid()}", "--noheader", "--states=PENDING,RUNNING,SUSPENDED", "--format=%i|%j|%k|%Z",
)  # fmt: skip
CONFIGURATION = ("scontrol", "show", "config")
# It has nothing to find: whether it is answered is what counts.
HISTORY = ("sacct", "--allocations", "--noheader", "--starttime=now", "--name=cisflow")

Answer = tuple[dict[str, str] | None, float | None]
Query = Callable[[str, logging.Logger], Awaitable[Answer]]


def accounting(configuration: str, refused: str | None) -> str | None:
    """Return what is wrong with a cluster's accounting, and what to do, or None if nothing is.

    Parameters
    ----------
    configuration
        What `scontrol show config` prints.
    refused
        What `sacct` says on its error stream if it fails (`HISTORY` asks it), or None.
    """
    kind = next((line.split("=")[1].strip() for line in configuration.splitlines()
                 if line.startswith("AccountingStorageType")), "")  # fmt: skip
    if kind in ("(null)", "accounting_storage/none"):
        return (
            "this Slurm keeps no accounts (AccountingStorageType is none). After a moment in which its controller does "
            "not answer, nobody could tell how a job ended, and Snakemake would wait for ever. Ask for accounting "
            "(slurmdbd), or run the whole workflow in one job: sbatch --cpus-per-task=8 --mem=32G --time=2-0 "
            "--wrap='snakemake --profile profiles/local TARGET'."
        )
    if refused is not None:
        told = refused.strip().splitlines()
        return (
            f"sacct does not answer ({told[-1] if told else 'it says nothing'}), and Snakemake learns from it whether "
            "jobs have ended. Run again when 'sacct' works."
        )
    return None


def left_over(queue: str, folder: Path) -> str | None:
    """Return what to tell of the jobs that an earlier Snakemake has left at work in a folder, or None.

    `queue` is what `QUEUE` prints. Jobs of the executor plugin have a comment that begins with 'rule_', the name of
    their Snakemake, and its folder.
    """
    rows = [line.strip().split("|") for line in queue.splitlines() if line.count("|") == 3]
    found = [(job, name) for job, name, comment, place in rows
             if comment.startswith("rule_") and Path(place).resolve() == folder.resolve()]  # fmt: skip
    if not found:
        return None
    names = ",".join(sorted({name for _, name in found}))
    return (
        f"Slurm has {len(found)} jobs in this folder of another Snakemake, or of one that was killed "
        f"({', '.join(job for job, _ in found[:5])}{', …' if len(found) > 5 else ''}), and two jobs must not write one "
        "file. Either let them end and run again: what they have made is not made again. Or cancel them and run again: "
        f"scancel --name={names}. A training goes on from where it was."
    )


def check(folder: Path) -> None:
    """Ask Slurm, and refuse to start if it does not answer, keeps no accounts, or has jobs at work in this folder.

    Raises
    ------
    CisflowError
        What is wrong, and what to do.
    """
    configuration, queue, history = (_ask(command) for command in (CONFIGURATION, QUEUE, HISTORY))
    for answer in (configuration, queue):
        if answer.returncode:
            raise CisflowError(f"Nothing was started: '{answer.args[0]}' says: {answer.stderr.strip()}")
    refused = history.stderr if history.returncode else None
    if told := accounting(configuration.stdout, refused) or left_over(queue.stdout, folder):
        raise CisflowError(f"Nothing was started: {told}")


def _ask(command: tuple[str, ...]) -> subprocess.CompletedProcess:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except FileNotFoundError:
        raise CisflowError(f"Nothing was started: there is no '{command[0]}' here; run it on a login node.") from None
    except subprocess.TimeoutExpired:
        raise CisflowError(f"Nothing was started: '{command[0]}' did not answer in {SECONDS} seconds.") from None


def lasting(query: Query, patience: float = PATIENCE, clock: Callable[[], float] = time.monotonic) -> Query:
    """Return the plugin's `query_job_status` with answers that the plugin does not misunderstand.

    No answer becomes one without jobs (they are still at work, as far as anyone knows), and is said once; of a state
    only its first word is left; a job that is PREEMPTED for longer than `patience` seconds becomes CANCELLED.
    """
    silent, preempted = False, {}

    @functools.wraps(query)
    async def asked(command: str, log: logging.Logger) -> Answer:
        nonlocal silent, preempted
        states, seconds = await query(command, log)
        if states is None:
            if not silent:
                log.warning("Slurm does not say how its jobs are. They go on; waiting for it to answer.")
            silent = True
            return {}, 0.0
        if silent:
            log.warning("Slurm answers again.")
        silent, now = False, clock()
        words = {job: (state.split() or [state])[0] for job, state in states.items()}
        preempted = {job: preempted.get(job, now) for job, word in words.items() if word == "PREEMPTED"}
        gone = {job: "CANCELLED" for job, since in preempted.items() if now - since >= patience}
        return words | gone, seconds

    return asked
