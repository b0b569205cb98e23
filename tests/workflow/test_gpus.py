"""profiles/local on a machine with several GPUs: as many GPU jobs at a time as may be used, each with its own."""

import os
import re

import pytest

from tests.test_gpus import FOUR, lines, stand_in
from tests.workflow.conftest import USER_TASK, environment, succeed, write_user_data

LOCAL = ("--profile", "profiles/local", "--cores", "4")
RUNS = ("relu", "exponential", "sigmoid", "tanh")
TARGETS = [f"results/tasks/mine/runs/cnn-50_{name}" for name in RUNS]


@pytest.fixture
def task(clone):
    write_user_data(clone / "data" / "mine.h5")
    task = USER_TASK.replace("[relu, exponential]", f"[{', '.join(RUNS)}]").replace("[tensorboard, wandb]", "[]")
    with (clone / "config/tasks.yaml").open("a") as file:
        file.write(task)
    return clone


def machine(folder, gpus: int, **variables: str) -> dict[str, str]:
    """The variables of a machine of so many GPUs."""
    path = f"{stand_in(folder / 'bin', lines(FOUR[:gpus]))}{os.pathsep}{environment()['PATH']}"
    return {"PATH": path, "CISFLOW_GPU_LOCKS": str(folder / "locks"), **variables}


def provided(output: str) -> int | None:
    """Return how many GPUs Snakemake counts with; None if it does not count."""
    found = re.search(r"^Provided resources: .*gpu\D+(\d+)", output, flags=re.MULTILINE)
    return int(found[1]) if found else None


def test_jobs_share_the_gpus_that_the_user_allows(task, tmp_path):
    """Torch sees no CUDA here, and the task allows the CPU."""
    output = succeed(task, *LOCAL, *TARGETS, **machine(tmp_path, 4, CUDA_VISIBLE_DEVICES="3,1"))
    assert provided(output) == 2
    logs = [(task / f"results/logs/training/mine/cnn-50_{name}.log").read_text() for name in RUNS]
    claimed = [re.findall(r"GPU (\S+) is claimed by this job", log) for log in logs]
    assert sorted(map(len, claimed)) == [1] * 4
    assert {name for names in claimed for name in names} == {FOUR[3], FOUR[1]}
    assert not any("waiting" in log for log in logs)  # Snakemake starts no more than two


@pytest.mark.parametrize(("arguments", "gpus", "given"), [((), 3, 3), (("--resources", "gpu=2"), 3, 2), ((), 0, None)])
def test_all_gpus_are_used_unless_the_user_says_otherwise(task, tmp_path, arguments, gpus, given):
    """A job that may use the CPU asks for a GPU where there are some."""
    output = succeed(task, *LOCAL, "-n", *arguments, "--", *TARGETS, **machine(tmp_path, gpus))
    assert output.count("gpu=1") == 4 * (gpus > 0)
    small = succeed(task, *LOCAL, *arguments, "--", "resources/jaspar2016/jaspar2016.meme", **machine(tmp_path, gpus))
    assert provided(small) == given
