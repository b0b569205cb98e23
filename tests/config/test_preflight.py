"""Users' own files, looked at before the first job: all problems at once, and what is not there."""

import pytest

from cisflow.cli.doctor import _configuration
from cisflow.config import preflight
from cisflow.config.preflight import check_files, file_problems, missing_files
from cisflow.errors import CisflowError
from cisflow.tracks import beginnings
from tests.config.conftest import project
from tests.tracks.signals import write_bigwig

TASKS = """
tasks:
  a:
    dataset:
      kind: windows
      genome: g.fa
      sets: [{bed: good.bed, target: 1}, {bed: page.bed, target: 0}, {bed: godo.bed, target: 0}]
      length: 50
      split: {valid: [chr2], test: [chr3]}
      blacklist: [empty.txt]
    model: {name: cnn-2}
  b:
    dataset:
      kind: matrix
      genome: g.fa
      length: 400
      crop: 0
      bin: 10
      tracks:
        bed: {file: good.bw, no_data: nan, lift: [good.bed]}
        other: {file: cov.txt, format: bedgraph, no_data: nan}
      regions: {bed: good.bed, split: {valid: [chr2], test: [chr3]}}
    model: {name: cnn-2}
"""


@pytest.fixture
def loaded(root, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for name, text in {"g.fa": ">chr1\nACGT\n", "good.bed": "track x\n\nchr1\t5\t9\n", "page.bed": "<html>",
                       "empty.txt": "", "cov.txt": "chr1\t5\t9\n"}.items():  # fmt: skip
        (tmp_path / "here" / name).write_text(text)
    write_bigwig(tmp_path / "here" / "good.bw", [("chr1", 0, 10, 1.0)])
    return project(root, tmp_path, TASKS)


def test_all_problems_are_told_at_once(loaded):
    with pytest.raises(CisflowError) as error:
        check_files(loaded)
    assert str(error.value).splitlines()[1:] == [
        "tasks.a.dataset.sets.1.bed: page.bed: it is an HTML page, perhaps a server's error or login page. Fetch it "
        "again.",
        "tasks.a.dataset.blacklist.0: empty.txt: the file is empty.",
        "tasks.b.dataset.tracks.bed.lift.0: good.bed: line 3: a header 'chain score source ...' is expected, and "
        "'chr1\\t5\\t9' is found.",
        "tasks.b.dataset.tracks.other.file: cov.txt: line 1: a row of contig, start, end and value is expected, and "
        "'chr1\\t5\\t9' is found.",
    ]


def test_problems_are_those_of_their_tasks(loaded):
    found = file_problems(loaded)
    assert {name: len(problems) for name, problems in found.items()} == {"a": 2, "b": 2}


def test_a_file_that_cannot_be_looked_into_is_a_problem_of_its_task(loaded, monkeypatch):
    def unreadable(path, kind):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("cisflow.config.preflight.wrong_beginning", unreadable)
    assert file_problems(loaded)["a"] == ["tasks.a: [Errno 13] Permission denied: 'g.fa'"]


def test_a_file_that_is_not_there_holds_up_no_other_task(loaded):
    assert missing_files(loaded) == {
        "godo.bed": "tasks.a.dataset.sets.2.bed: godo.bed: there is no such file. Did you mean 'good.bed'?"
    }


def test_the_doctor_tells_what_is_not_there(loaded, monkeypatch):
    monkeypatch.setattr("cisflow.cli.doctor.load_project", lambda config: loaded)
    monkeypatch.setattr("cisflow.cli.doctor.check_files", lambda project: None)
    told = [finding for finding in _configuration(None) if "godo.bed" in finding.text]
    assert [finding.level for finding in told] == ["problem"], "it must not say that all is ready"


def test_only_the_head_of_a_file_is_read(loaded, tmp_path, monkeypatch):
    """A comment longer than the head hides what is after it, and is no problem."""
    monkeypatch.setattr(beginnings, "HEAD", 20)
    (tmp_path / "here" / "cov.txt").write_text("#" * 50 + "\nchr1\t5\t9\n")
    with pytest.raises(CisflowError) as error:
        check_files(loaded)
    assert "cov.txt" not in str(error.value)
    assert preflight.wrong_beginning(tmp_path, "bed") == "it cannot be read (Is a directory)."
