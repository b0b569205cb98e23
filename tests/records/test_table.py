"""Tables of what jobs took, what to ask for next time, and the page that shows them."""

import json
import re

import pytest
import yaml
from polars.testing import assert_frame_equal
from rich.console import Console
from tests.records.conftest import RESULTS

from cisflow.cli.records import show_records
from cisflow.config.project import load_project
from cisflow.errors import CisflowError
from cisflow.records.page import number, records_page, span
from cisflow.records.read import KILLED, NO_END, read_jobs
from cisflow.records.table import jobs_table, profile_lines, rules_table
from cisflow.tables import RECORD_RULES, RECORDS, read_tsv, write_table


def tables(records):
    jobs, notes = read_jobs(records.root / RESULTS / "logs")
    return {row["job"]: row for row in jobs_table(jobs).iter_rows(named=True)}, {
        row["rule"]: row for row in rules_table(jobs).iter_rows(named=True)
    } | {"notes": notes}


def test_a_job_has_a_row_with_what_it_asked_for_and_used(records):
    (records.root / "in").write_bytes(b"a" * 2_000_000)
    asked = {"threads": 2, "mem_mb": 4000, "runtime": 30, "gpu": 1}
    gpu = [{"name": "a GPU", "allocated_mb": 5.0, "reserved_mb": 8.0}]
    records.add("t/a", "train", asked=asked, reads=["in"], seconds=7200.0, gpus=gpu, slurm={"job": "12"})
    row = tables(records)[0]["t/a"]
    assert {key: row[key] for key in ("rule", "status", "attempts", "threads", "gpus", "device", "slurm_job")} == {
        "rule": "train", "status": "done", "attempts": 1, "threads": 2, "gpus": 1, "device": "a GPU", "slurm_job": "12",
    }  # fmt: skip
    assert (row["asked_memory_mb"], row["memory_mb"], row["gpu_memory_mb"]) == (4000, 400.0, 8.0)
    assert (row["asked_minutes"], row["seconds"], row["read_mb"]) == (30, 7200.0, 2.0)
    rule = tables(records)[1]["train"]
    assert (rule["hours"], rule["core_hours"], rule["gpu_hours"]) == (2, 4, 2)
    assert rule["memory_used"] == 0.1
    # 400 * 1.3 = 520 in steps of 250; 120 * 1.5 in steps of 5.
    assert (rule["next_mem_mb"], rule["next_runtime"]) == (750, 180)


def test_attempts_are_those_since_the_job_was_done_before(records):
    records.add("t/a", "train", "failed", seconds=1.0)
    records.add("t/a", "train", seconds=2.0)
    records.add("t/a", "train", "failed", seconds=10.0, memory_mb=900.0)
    records.add("t/a", "train", "terminated", asked={"mem_mb": 2000}, seconds=20.0)
    records.add("t/a", "train", asked={"mem_mb": 4000}, seconds=40.0)
    row = tables(records)[0]["t/a"]
    assert (row["attempts"], row["endings"]) == (3, "failed, terminated")
    assert (row["seconds"], row["total_seconds"]) == (40, 70)
    assert (row["asked_memory_mb"], row["memory_mb"]) == (1000, 1000.0)
    assert tables(records)[1]["train"]["retried"] == 1


def test_time_to_ask_for_is_that_of_one_go(records):
    """Attempts that went on from the one before add up; others began anew."""
    for status, seconds in (("stopped", 600.0), ("stopped", 600.0), ("done", 60.0)):
        records.add("t/resumed", "train", status, seconds=seconds)
    for status, seconds in (("failed", 600.0), ("terminated", 900.0), ("done", 300.0)):
        records.add("t/anew", "other", status, seconds=seconds)
    rules = tables(records)[1]
    assert rules["train"]["most_seconds"] == 1260
    assert rules["train"]["next_runtime"] == 35
    assert rules["other"]["most_seconds"] == 900


def test_what_was_killed_is_given_more_and_what_is_running_is_not_touched(records):
    records.start("t/a", "train", {"mem_mb": 1000})
    records.add("t/a", "train", asked={"mem_mb": 2000}, memory_mb=1100.0)
    records.start("t/b", "train", {"mem_mb": 1000})
    rules = tables(records)
    # Of b, on another host, nothing is known; a needed 1200.
    assert rules[0]["t/b"]["status"] == NO_END
    assert rules[0]["t/a"]["endings"] == KILLED
    assert (rules[1]["train"]["next_mem_mb"], rules[1]["train"]["note"]) == (1750, None)
    records.start("t/b", "train", {"mem_mb": 2000})
    train = tables(records)[1]["train"]
    assert train["next_mem_mb"] == 2000
    assert train["note"] == "1 killed, and not done since: memory is twice what they had"


def test_without_a_job_that_was_done_nothing_is_asked_for(records):
    records.add("t/a", "train", "failed")
    rule = tables(records)[1]["train"]
    assert (rule["done"], rule["next_mem_mb"], rule["next_runtime"]) == (0, None, None)
    assert rule["note"] == "no job is done yet"
    jobs, _ = read_jobs(records.root / RESULTS / "logs")
    assert profile_lines(rules_table(jobs)) == []


def test_what_to_ask_for_is_what_a_profile_takes(records):
    records.add("t/a", "train")
    records.add("d/a", "draw")
    jobs, _ = read_jobs(records.root / RESULTS / "logs")
    profile = yaml.safe_load("\n".join(profile_lines(rules_table(jobs))))
    assert list(profile["set-resources"]) == ["draw", "train"]
    asked = profile["set-resources"]["train"]
    assert [eval(asked["mem_mb"], {"attempt": attempt}) for attempt in (1, 2, 3)] == [750, 1500, 3000]
    assert eval(asked["runtime"], {"attempt": 1}) == 5


def test_the_costliest_comes_first(records):
    records.add("t/short", "short", seconds=10.0)
    records.add("t/long", "long", seconds=100.0)
    records.add("t/wide", "wide", asked={"threads": 16}, seconds=50.0)
    jobs, _ = read_jobs(records.root / RESULTS / "logs")
    assert jobs_table(jobs)["job"].to_list() == ["t/long", "t/wide", "t/short"]
    assert rules_table(jobs)["rule"].to_list() == ["wide", "long", "short"]


@pytest.mark.parametrize(
    "line", ["", "{", "[]", "3", '{"event": "end", "id": "none"}', '{"id": "x"}', '{"event": "start"}']
)
def test_a_line_that_is_no_record_is_told_and_left_out(records, line):
    records.add("t/a", "train")
    with records.path("t/a").open("a") as handle:
        handle.write(f"{line}\n")
    rows, told = tables(records)
    assert rows["t/a"]["status"] == "done"
    assert [re.sub(r".*/", "", note) for note in told["notes"]] == [
        "a.jsonl:3: this is no record of a job; it was left out."
    ]


def test_a_record_that_was_cut_short_keeps_what_is_whole(records):
    records.add("t/a", "train")
    text = records.path("t/a").read_text()
    for cut in range(1, len(text), 97):
        records.path("t/a").write_text(text[:cut])
        records.add("t/b", "train")
        rows, told = tables(records)
        assert ("t/a" in rows) == (cut > text.index("\n"))
        assert len(told["notes"]) == (text[cut - 1] != "\n" and text[cut] != "\n")


def test_tables_have_their_columns_and_can_be_read_back(records, tmp_path):
    # Names that look like numbers stay names.
    records.add("t/a", "train", commit="012345678912", slurm={"job": "0012"})
    jobs, _ = read_jobs(records.root / RESULTS / "logs")
    for table, schema in ((jobs_table(jobs), RECORDS), (rules_table(jobs), RECORD_RULES)):
        assert table.schema == schema
        write_table(tmp_path / "t.tsv", table)
        assert_frame_equal(read_tsv(tmp_path / "t.tsv", schema), table)


def test_the_page_shows_both(records):
    records.add("t/<b>", "train", asked={"mem_mb": 200}, seconds=3600.0)
    records.add("t/b", "train", "failed")
    jobs, notes = read_jobs(records.root / RESULTS / "logs")
    page = records_page("logs", jobs_table(jobs), rules_table(jobs), [*notes, "something to say"])
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page))
    assert "1 of 2 jobs are done, in 2 attempts: 1.02 core hours, 0 GPU hours." in text
    assert "t/&lt;b&gt; done 1 60 min" in text
    # Memory: 400 MiB of the 200 or 1000 that were asked for; time: 60 min of 60.
    assert "400 MiB 1,000 MiB 40%" in text
    assert "something to say" in text
    assert "mem_mb: 750 * 2 ** (attempt - 1)" in text


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.003891, "0.00389"), (12.34, "12.3"), (1234.5, "1,234"), (0, "0"), (None, ""), (1e-7, "0.0000001")],
)
def test_numbers_have_three_digits(value, shown):
    assert number(value, 3) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(1.26, "1.3 s"), (119, "119.0 s"), (120, "2 min"), (7200, "2.0 h"), (None, "")]
)
def test_times_have_a_unit(seconds, shown):
    assert span(seconds) == shown


@pytest.fixture
def shown(root, records, tmp_path):
    """Return a function: what `cisflow records` prints for these records."""
    project = load_project("config/demo/config.yaml", root)
    object.__setattr__(project, "root", tmp_path)

    def show(**options) -> str:
        console = Console(width=200, force_terminal=False)
        with console.capture() as captured:
            show_records(project, console, **options)
        return captured.get()

    return show


def test_the_command_shows_rules_and_the_jobs_of_one(records, shown, tmp_path):
    records.add("t/a", "train")
    records.add("t/b", "train", "failed")
    records.add("d/a", "draw")
    text = shown()
    assert re.search(r"train +2 +2", text)
    assert "set-resources:\n  draw:\n" in text
    text = shown(rule="train", tsv=tmp_path / "jobs.tsv")
    assert re.search(r"t/b +failed", text)
    assert "d/a" not in text
    assert read_tsv(tmp_path / "jobs.tsv", RECORDS)["job"].to_list() == ["t/a", "t/b"]


def test_the_command_says_what_is_not_there(records, shown):
    with pytest.raises(CisflowError, match="there is no record of a job"):
        shown()
    records.add("t/a", "train")
    with pytest.raises(CisflowError, match="no record of a rule 'trian'. Did you mean 'train'"):
        shown(rule="trian")


def test_records_of_thousands_of_jobs_are_read_at_once(records):
    records.add("t/0", "train")
    events = [json.loads(line) for line in records.path("t/0").read_text().splitlines()]
    for count in range(1, 2000):
        text = "".join(json.dumps(event | {"id": str(count)}) + "\n" for event in events)
        records.path(f"t/{count}").write_text(text)
    jobs, _ = read_jobs(records.root / RESULTS / "logs")
    assert rules_table(jobs).select("jobs", "hours").row(0) == (2000, pytest.approx(2000 / 60))
    assert len(jobs_table(jobs)) == 2000
