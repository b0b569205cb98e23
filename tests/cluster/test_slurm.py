"""The Slurm of the tests does what clusters do: hand out GPUs, enforce memory, pre-empt, account."""

import re
import time
from pathlib import Path

from tests.limits import LIMIT


def submit(slurm, folder: Path, command: str, *flags: str) -> str:
    return slurm.run(
        "sbatch", "--parsable", f"--chdir={folder}", "--output=%j.log", *flags, f"--wrap={command}"
    ).strip()


def wait_for(slurm, job: str, *states: str, seconds: float = LIMIT) -> dict[str, str]:
    """Wait until the last run of a job is in one of these states."""
    deadline = time.monotonic() + seconds
    rows: list[dict[str, str]] = []
    while time.monotonic() < deadline:
        rows = [row for row in slurm.accounting("State", "AllocTRES") if row["JobIDRaw"] == job]
        if rows and rows[-1]["State"].split()[0] in states:
            return rows[-1]
        time.sleep(0.3)
    raise AssertionError(f"job {job} did not become {' or '.join(states)}: {rows}")


def test_gpus_are_handed_out(slurm, tmp_path):
    jobs = [
        submit(slurm, tmp_path, "echo gpu ${CUDA_VISIBLE_DEVICES:-none}; sleep 2", "-p", "gpu", "--gpus=1", "--mem=100")
        for _ in range(2)
    ]
    cpu = submit(slurm, tmp_path, "echo gpu ${CUDA_VISIBLE_DEVICES:-none}", "--mem=100")
    assert ["gres/gpu=1" in wait_for(slurm, job, "COMPLETED")["AllocTRES"] for job in jobs] == [True, True]
    assert "gpu" not in wait_for(slurm, cpu, "COMPLETED")["AllocTRES"]
    assert sorted((tmp_path / f"{job}.log").read_text() for job in jobs) == ["gpu 0\n", "gpu 1\n"]
    assert (tmp_path / f"{cpu}.log").read_text() == "gpu none\n"


def test_memory_is_enforced(slurm, tmp_path):
    too_much = f"import time; x = bytearray(300_000_000); time.sleep({LIMIT})"
    job = submit(slurm, tmp_path, f"srun python3 -c '{too_much}'", "--mem=100")
    wait_for(slurm, job, "FAILED", "OUT_OF_MEMORY")
    assert re.search("exceeded memory limit", (tmp_path / f"{job}.log").read_text())


def test_an_urgent_job_takes_the_place_of_another_which_is_requeued(slurm, tmp_path):
    command = f'echo run ${{SLURM_RESTART_COUNT:-0}} >> runs; [ -n "${{SLURM_RESTART_COUNT:-}}" ] || sleep {LIMIT}'
    job = submit(slurm, tmp_path, command, "-p", "gpu", "--gpus=2", "--mem=100", "--requeue", "--open-mode=append")
    wait_for(slurm, job, "RUNNING")
    urgent = submit(slurm, tmp_path, "sleep 1", "-p", "urgent", "--gpus=2", "--mem=100")
    wait_for(slurm, urgent, "COMPLETED")
    wait_for(slurm, job, "COMPLETED")
    assert (tmp_path / "runs").read_text() == "run 0\nrun 1\n"
