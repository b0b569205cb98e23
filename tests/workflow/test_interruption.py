"""A training job that is killed goes on when it is run again, and ends with the bytes of one that was not."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cisflow.config.project import load_project
from tests.limits import LIMIT
from tests.workflow.conftest import USER_TASK, environment, snakemake, succeed, write_user_data

RUN = "results/tasks/mine/runs/cnn-50_relu"
TASK = USER_TASK.replace("epochs: 3", "epochs: 30, save_minutes: 1.0e-4").replace(
    "loggers: [tensorboard, wandb]", "loggers: []"
)
LOCAL = ("--profile", "profiles/local", "--cores", "1", "--retries", "0")


@pytest.fixture
def task(clone) -> Path:
    write_user_data(clone / "data" / "mine.h5")
    with (clone / "config/tasks.yaml").open("a") as file:
        file.write(TASK)
    succeed(clone, *LOCAL, "results/tasks/mine/dataset.h5")
    return clone


def command(clone: Path, work: str, out: str) -> list[str]:
    """The command line of the rule 'train', as a user would paste it."""
    settings = load_project("config/config.yaml", clone).task("mine")
    return [
        sys.executable, "workflow/scripts/training/train.py", "--task", "mine", "--run", "cnn-50_relu",
        "--dataset", "results/tasks/mine/dataset.h5", "--model", json.dumps(settings.runs()["cnn-50_relu"]),
        "--training", json.dumps(settings.learning_settings("cnn-50_relu")), "--trials", "2",
        "--weights", "best", "--device", "cpu",
        "--precision", "32-true", "--data", "memory", "--save-minutes", "1e-4", "--work", work, "--out", out,
    ]  # fmt: skip


def weights(folder: Path) -> dict[str, bytes]:
    return {
        f"{path.parent.name}/{path.name}": path.read_bytes() for path in sorted(folder.glob("trial-*/*.safetensors"))
    }


def wait_for(condition, process: subprocess.Popen, seconds: float = LIMIT) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the process ended before it could be interrupted"
        assert time.monotonic() < deadline, "nothing to interrupt came"
        time.sleep(0.02)


def start(clone: Path, arguments: list[str]) -> subprocess.Popen:
    # A session of its own, so that a signal to its group reaches the jobs and not this test.
    return subprocess.Popen(
        arguments, cwd=clone, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip


def test_kill_9_of_the_whole_workflow(task):
    undisturbed = subprocess.run(
        command(task, "w", "undisturbed"), cwd=task, env=environment(), capture_output=True, check=False
    )
    assert undisturbed.returncode == 0, undisturbed.stderr.decode()
    process = start(task, ["snakemake", *LOCAL, RUN])
    # The second trial is under way: the first has ended, and is kept beside the outputs.
    wait_for(lambda: list(task.glob("results/tasks/mine/work/cnn-50_relu/*/trial-1.state")), process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (task / RUN / "trial-0").exists()
    succeed(task, "--unlock")
    output = succeed(task, *LOCAL, RUN)
    assert "trial-0: done before" in output
    assert weights(task / RUN) == weights(task / "undisturbed")
    assert len(weights(task / RUN)) == 4
    epochs = [line.split("\t")[0] for line in (task / RUN / "trial-1/history.tsv").read_text().splitlines()[1:]]
    assert epochs == sorted(set(epochs), key=int), "no epoch is there twice"
    assert not list((task / "results/tasks/mine/work/cnn-50_relu").rglob("*.state"))


@pytest.fixture
def two(task):
    """A training that is at work but stands still, and another of the same run, which waits for it."""
    first = start(task, command(task, "w", "out"))
    wait_for(lambda: list(task.glob("w/*/trial-0.state")), first)
    first.send_signal(signal.SIGSTOP)
    with first, start(task, command(task, "w", "out")) as second:
        try:
            assert re.search(rf"w/\w+: process {first.pid} on", second.stdout.readline())
            yield first, second
        finally:
            first.kill()
            second.kill()


def test_two_trainings_do_not_write_into_one_folder(task, two):
    """The first was left behind by a Snakemake that was killed; the second waits, and has nothing left to do."""
    first, second = two
    first.send_signal(signal.SIGCONT)
    first.communicate(timeout=LIMIT)
    told, _ = second.communicate(timeout=LIMIT)
    assert (first.returncode, second.returncode) == (0, 0), told
    assert "trial-1: done before" in told
    assert "epoch" not in told
    assert len(weights(task / "out")) == 4


def test_a_training_takes_the_place_of_another_that_is_killed(two):
    first, second = two
    first.kill()
    told, _ = second.communicate(timeout=LIMIT)
    assert second.returncode == 0, told
    assert "trial-0: going on in epoch" in told


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 75), (signal.SIGUSR1, 75), (signal.SIGHUP, 75), (signal.SIGINT, 130)]
)
def test_signals_save_and_end_with_a_word(task, number, status):
    process = start(task, command(task, "w", "out"))
    wait_for(lambda: list(task.glob("w/*/trial-0.state")), process)
    process.send_signal(number)
    output, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == status
    assert "run again to go on from there" in output
    assert "Traceback" not in output
    assert not (task / "out").exists()
    again = subprocess.run(
        command(task, "w", "out"), cwd=task, env=environment(), capture_output=True, text=True, check=False
    )
    assert again.returncode == 0, again.stderr
    assert "trial-0: going on in epoch" in again.stderr


def test_ctrl_c_of_the_workflow_leaves_nothing_partial(task):
    process = start(task, ["snakemake", *LOCAL, RUN])
    wait_for(lambda: list(task.glob("results/tasks/mine/work/cnn-50_relu/*/trial-0.state")), process)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=LIMIT)
    assert process.returncode != 0
    assert not (task / RUN).exists()
    assert list(task.rglob("*.partial")) == []
    succeed(task, *LOCAL, RUN)


def test_a_changed_setting_does_not_go_on_from_the_old_state(task):
    process = start(task, ["snakemake", *LOCAL, RUN])
    wait_for(lambda: list(task.glob("results/tasks/mine/work/cnn-50_relu/*/trial-0.state")), process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    path = task / "config/tasks.yaml"
    path.write_text(path.read_text().replace("epochs: 30", "epochs: 2"))
    succeed(task, "--unlock")
    output = succeed(task, *LOCAL, RUN)
    assert "trial-0: epoch 1/2" in output
    assert len((task / RUN / "trial-0/history.tsv").read_text().splitlines()) == 3


def test_a_failed_job_shows_its_log_and_keeps_no_output(task):
    path = task / "config/tasks.yaml"
    path.write_text(path.read_text().replace("epochs: 30,", "epochs: 30, optimizer: {name: sgd, lr: 1.0e+30},"))
    done = snakemake(task, *LOCAL, RUN)
    assert done.returncode != 0
    assert "error: trial-0: the training loss is" in done.stdout
    assert "Lower training.optimizer.lr" in done.stdout
    assert not (task / RUN).exists()
