"""The workflow through profiles/slurm on a real Slurm: the demo figure, jobs that ask for too little, a failed one."""

import os
import re
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.workflow.conftest import USER_TASK, environment, snakemake, succeed, write_user_data

SLURM = ("--profile", "profiles/slurm")
RUN = "results/tasks/mine/runs/cnn-50_relu"

# Figure 1 at the smallest scale that has all of its jobs.
TINY = """
results: results/tiny
tasks: [config/tasks.yaml, config/demo/tasks.yaml, config/tiny/tasks.yaml]
leave_out: [task2, task2_modified, task4, fly_ctcf]
"""
TINY_TASKS = """
tasks:
  task1:
    dataset: {sequences: 2000}
    model: {name: [cnn-deep]}
    trials: 1
    training: {epochs: 1}
"""
# The trainings of the demo may run on the CPU, and ask for no GPU; here they are handed one all the same.
GPU_RULES = ("train", "evaluate", "filters")


def jobs_of(slurm, folder: Path, *fields: str) -> dict[str, list[dict[str, str]]]:
    """Return what sacct knows of the jobs submitted from a folder, by rule (or group), in the order of submission."""
    found: dict[str, list[dict[str, str]]] = {}
    for row in slurm.accounting("WorkDir", "Comment", "State", *fields):
        if row["WorkDir"] == str(folder):
            rule = re.match(r"(?:rule|group)_(\w+?)(?:_wildcards_|$)", row["Comment"])
            found.setdefault(rule[1] if rule else row["Comment"], []).append(row)
    return found


def trainings(folder: Path) -> dict[str, Path]:
    """Return the trainings that run in a folder, by the name of the run, as folders of /proc."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (process / "cmdline").read_bytes().decode().split("\0")
            if any(part.endswith("train.py") for part in command[:2]) and (process / "cwd").resolve() == folder:
                found[command[command.index("--run") + 1]] = process
    return found


def devices_of_trainings(folder: Path) -> dict[str, str]:
    """Return CUDA_VISIBLE_DEVICES of the trainings that run in a folder."""
    found = {}
    for run, process in trainings(folder).items():
        with suppress(OSError):
            pairs = [pair.partition("=") for pair in (process / "environ").read_text().split("\0")]
            found[run] = next((value for name, _, value in pairs if name == "CUDA_VISIBLE_DEVICES"), "none")
    return found


@contextmanager
def under_way(slurm, folder: Path, *arguments: str):
    """Run snakemake in a folder beside the test, and fail with what it printed unless it succeeds."""
    with (folder / "output").open("w+") as output:
        running = subprocess.Popen(
            ["snakemake", *SLURM, *arguments], cwd=folder, env=environment() | slurm.variables,
            stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            yield running
            status = running.wait()
        finally:
            running.kill()
            running.wait()
        output.seek(0)
        assert status == 0, output.read()[-5000:]


def test_the_demo_figure_is_made_with_gpus_where_they_are_used(slurm, cluster_clone):
    (cluster_clone / "config/tiny").mkdir()
    (cluster_clone / "config/tiny/config.yaml").write_text(TINY)
    (cluster_clone / "config/tiny/tasks.yaml").write_text(TINY_TASKS)
    figure = "results/tiny/figures/fig1.pdf"
    asked = ("--set-resources", *(f"{rule}:gpu=1" for rule in GPU_RULES))
    devices: dict[str, str] = {}
    with under_way(slurm, cluster_clone, "--configfile", "config/tiny/config.yaml", *asked, "--", figure) as running:
        while running.poll() is None:
            devices |= devices_of_trainings(cluster_clone)
            time.sleep(0.1)
    assert (cluster_clone / figure).stat().st_size > 1000
    assert devices.keys() == {"cnn-deep_relu", "cnn-deep_exponential"}
    assert set(devices.values()) <= {"0", "1"}, "what Slurm handed out reaches the training"
    jobs = jobs_of(slurm, cluster_clone, "Partition", "AllocTRES", "Account")
    with_gpu = {rule for rule, rows in jobs.items() if any("gres/gpu=1" in row["AllocTRES"] for row in rows)}
    assert with_gpu == set(GPU_RULES)
    for rule, rows in jobs.items():
        assert {row["Partition"] for row in rows} == {"gpu" if rule in GPU_RULES else "cpu"}
        assert {row["State"] for row in rows} == {"COMPLETED"}
        assert {row["Account"] for row in rows} == {"genomics"}
    assert len(jobs["train"]) == 2
    assert len(jobs["motifs_matches_tomtom"]) == 1, "tomtom and matches, one job"
    assert not jobs.keys() & {"tomtom", "matches", "export_jaspar"}


def user_task(clone: Path, **changes: str) -> None:
    """Add a task of a user's own, with other settings of its training."""
    write_user_data(clone / "data" / "mine.h5")
    text = USER_TASK.replace("trials: 2", "trials: 1").replace("trial: 1", "trial: 0")
    text = text.replace("loggers: [tensorboard, wandb]", "loggers: []")
    for old, new in changes.items():
        text = re.sub(rf"{old}: \w+", f"{old}: {new}", text)
    with (clone / "config/tasks.yaml").open("a") as file:
        file.write(text)


def test_a_job_that_outgrows_its_memory_or_its_time_comes_back_with_more(slurm, cluster_clone):
    user_task(cluster_clone, epochs="300, save_minutes: 60, early_stop: null")
    # As the rules do, from an amount that is too small.
    little = ("make_dataset:mem_mb=60*2**(attempt-1)", "train:runtime=1*2**(attempt-1)", "train:mem_mb=1500")
    log = cluster_clone / "results/logs/training/mine/cnn-50_relu.log"
    with under_way(slurm, cluster_clone, "--set-resources", *little, "--", RUN) as running:
        while running.poll() is None and not (log.exists() and "epoch 10/" in log.read_text()):
            time.sleep(0.05)
        # Held until Slurm ends the job, or a fast machine would be done within the minute.
        (training,) = (int(process.name) for process in trainings(cluster_clone).values())
        os.kill(training, signal.SIGSTOP)
        while f"{cluster_clone} RUNNING" in slurm.run("squeue", "--noheader", "--format=%Z %T"):
            time.sleep(0.2)
        with suppress(ProcessLookupError):
            os.kill(training, signal.SIGCONT)
    jobs = jobs_of(slurm, cluster_clone, "ReqMem", "Timelimit")
    memory = [int(row["ReqMem"].removesuffix("M")) for row in jobs["make_dataset"]]
    assert len(memory) > 1, "there was enough from the beginning"
    assert memory == [60 * 2**attempt for attempt in range(len(memory))]
    assert jobs["make_dataset"][-1]["State"] == "COMPLETED"
    first, *_, last = jobs["train"]
    assert (first["State"], last["State"]) == ("TIMEOUT", "COMPLETED")
    assert jobs["train"][1]["Timelimit"] == "00:02:00"
    history = (cluster_clone / RUN / "trial-0/history.tsv").read_text().splitlines()[1:]
    assert [int(line.split("\t")[0]) for line in history] == list(range(1, len(history) + 1)), (
        "no epoch twice, none lost"
    )
    assert "going on in epoch" in log.read_text()


def test_the_log_of_a_failed_job_is_shown(slurm, cluster_clone):
    user_task(cluster_clone, epochs="3, optimizer: {name: sgd, lr: 1.0e+30}")
    succeed(cluster_clone, "--cores", "1", "results/tasks/mine/dataset.h5")
    done = snakemake(cluster_clone, *SLURM, "--retries", "0", "--", RUN, **slurm.variables)
    assert done.returncode != 0
    assert "error: trial-0: the training loss is" in done.stdout
    assert "Lower training.optimizer.lr" in done.stdout
    assert not os.path.exists(cluster_clone / RUN)
