"""What is asked of Slurm before the first job, and answers that the executor plugin would misunderstand."""

import asyncio
import logging
import subprocess

import pytest

from cisflow.cli.cluster import accounting
from cisflow.cli.cluster.accounting import check, lasting, left_over
from cisflow.errors import CisflowError

CONFIG = "AccountingStorageHost   = localhost\nAccountingStorageType   = accounting_storage/{}\nMinJobAge = 300 sec\n"
QUEUE = (
    "12|0f-aa|rule_train_wildcards_mine_a|/home/me/cisflow\n"
    "13|0f-aa|rule_train_wildcards_mine_b|/home/me/cisflow\n"
    "14|0f-bb|rule_train_wildcards_mine_b|/home/me/other\n"
    "15|bash|(null)|/home/me/cisflow\n"
)


def test_accounting_that_answers_is_not_talked_about():
    assert accounting.accounting(CONFIG.format("slurmdbd"), None) is None


@pytest.mark.parametrize("configuration", [CONFIG.format("none"), "AccountingStorageType   = (null)\n"])
def test_a_cluster_without_accounting_is_refused_with_another_way(configuration):
    told = accounting.accounting(configuration, "Slurm accounting storage is disabled\n")
    assert "this Slurm keeps no accounts" in told
    assert "profiles/local" in told


def test_accounting_that_does_not_answer_is_refused():
    told = accounting.accounting(CONFIG.format("slurmdbd"), "a\nsacct: error: Problem talking to the database\n")
    assert told.startswith("sacct does not answer (sacct: error: Problem talking to the database)")


def test_jobs_that_were_left_behind_are_named_with_what_ends_them(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    queue = QUEUE.replace("/home/me/cisflow", str(tmp_path))
    told = left_over(queue, tmp_path / "link")
    assert "2 jobs in this folder" in told
    assert "(12, 13)" in told
    assert "scancel --name=0f-aa." in told
    assert left_over(queue, tmp_path / "elsewhere") is None
    assert left_over("", tmp_path) is None


@pytest.fixture
def slurm(monkeypatch):
    """Answers of Slurm's programs, by name: status, output, error stream."""
    answers = {"scontrol": (0, CONFIG.format("slurmdbd"), ""), "squeue": (0, "", ""), "sacct": (0, "", "")}

    def run(command, **_):
        if answers[command[0]] is None:
            raise FileNotFoundError
        status, out, error = answers[command[0]]
        return subprocess.CompletedProcess(command, status, out, error)

    monkeypatch.setattr(subprocess, "run", run)
    return answers


def test_nothing_is_said_where_nothing_is_wrong(slurm, tmp_path):
    assert check(tmp_path) is None


@pytest.mark.parametrize(
    ("program", "answer", "message"),
    [
        ("squeue", None, "there is no 'squeue' here"),
        ("scontrol", (1, "", "slurm_load_ctl_conf error: Unable to contact slurm controller"), "Unable to contact"),
        ("sacct", (1, "", "sacct: error: no database"), r"sacct does not answer \(sacct: error: no database\)"),
        ("scontrol", (0, CONFIG.format("none"), ""), "keeps no accounts"),
        ("squeue", (0, "12|0f|rule_a|{}\n", ""), "scancel --name=0f"),
    ],
)
def test_what_is_wrong_is_said_before_the_first_job(slurm, tmp_path, program, answer, message):
    slurm[program] = answer and (answer[0], answer[1].replace("{}", str(tmp_path)), answer[2])
    with pytest.raises(CisflowError, match=f"^Nothing was started: .*{message}"):
        check(tmp_path)


def ask(*answers, seconds=()) -> list[dict]:
    """Give answers of a query to the plugin, at these times, and return what it is told."""
    given, times = iter(answers), iter(seconds or [0] * len(answers))

    async def query(command, log):
        return next(given)

    asked = lasting(query, patience=100, clock=lambda: next(times))
    return [asyncio.run(asked("sacct", logging.getLogger("test")))[0] for _ in answers]


def test_a_job_that_a_user_cancelled_has_ended():
    assert ask(({"1": "CANCELLED by 1000", "2": "RUNNING"}, 0.1)) == [{"1": "CANCELLED", "2": "RUNNING"}]


def test_no_answer_is_no_news_and_is_said_once(caplog):
    assert ask((None, None), (None, None), ({"1": "COMPLETED"}, 0.1)) == [{}, {}, {"1": "COMPLETED"}]
    assert [record.message for record in caplog.records] == [
        "Slurm does not say how its jobs are. They go on; waiting for it to answer.",
        "Slurm answers again.",
    ]


def test_a_job_that_stays_pre_empted_has_ended():
    states = ["PREEMPTED", "PREEMPTED", "PENDING", "PREEMPTED", "PREEMPTED"]
    told = ask(*(({"1": state}, 0.1) for state in states), seconds=[0, 99, 150, 160, 260])
    assert [answer["1"] for answer in told] == ["PREEMPTED", "PREEMPTED", "PENDING", "PREEMPTED", "CANCELLED"]
