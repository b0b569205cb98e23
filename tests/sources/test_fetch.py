"""Fetching from a server on the loopback interface that misbehaves as real ones do."""

import hashlib
import os

import pytest

from cisflow.errors import CisflowError
from cisflow.sources.fetch import Wanted, fetch

DATA = os.urandom(3_000_000)
SHA = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def server(server):
    server.data = DATA
    return server


def get(server, path, waits=None, **known):
    wait = (waits if waits is not None else []).append
    return fetch(Wanted("data.bin", server.url, **known), path, wait=wait)


def test_a_file_arrives_whole_and_nothing_else_is_left(server, tmp_path):
    seen = []
    path = tmp_path / "new" / "data.bin"
    fetch(Wanted("data.bin", server.url, sha256=SHA, size=len(DATA)), path, progress=lambda d, t: seen.append((d, t)))
    assert path.read_bytes() == DATA
    assert os.listdir(path.parent) == ["data.bin"]
    assert seen[-1] == (len(DATA), len(DATA))


def test_a_cut_connection_is_resumed_where_it_ended(server, tmp_path):
    server.faults, waits = [("cut", 1_000_000), ("cut", 1_500_000)], []
    get(server, tmp_path / "data.bin", waits, sha256=SHA)
    assert (tmp_path / "data.bin").read_bytes() == DATA
    assert server.requests[0] is None
    resumed = [int(r.removeprefix("bytes=").rstrip("-")) for r in server.requests[1:]]
    assert resumed == sorted(resumed)
    assert resumed[0] > 0
    assert len(waits) == 2


def test_a_later_call_goes_on_from_the_partial_file(server, tmp_path):
    (tmp_path / "data.bin.part").write_bytes(DATA[:2_000_000])
    get(server, tmp_path / "data.bin", sha256=SHA)
    assert server.requests == ["bytes=2000000-"]
    assert (tmp_path / "data.bin").read_bytes() == DATA


def test_a_partial_file_that_is_complete_is_taken(server, tmp_path):
    (tmp_path / "data.bin.part").write_bytes(DATA)
    get(server, tmp_path / "data.bin", sha256=SHA)
    assert (tmp_path / "data.bin").read_bytes() == DATA


def test_a_partial_file_that_is_too_long_is_started_again(server, tmp_path):
    (tmp_path / "data.bin.part").write_bytes(DATA + b"more")
    get(server, tmp_path / "data.bin", sha256=SHA)
    assert (tmp_path / "data.bin").read_bytes() == DATA


def test_a_file_that_changed_at_the_server_is_not_mixed(server, tmp_path):
    server.faults = [("cut", 1_000_000), 404]
    with pytest.raises(CisflowError, match="404"):
        get(server, tmp_path / "data.bin")
    server.data, server.tag = DATA[::-1], '"two"'
    get(server, tmp_path / "data.bin", sha256=hashlib.sha256(DATA[::-1]).hexdigest())
    assert (tmp_path / "data.bin").read_bytes() == DATA[::-1]


def test_a_server_without_ranges_sends_the_whole_again(server, tmp_path):
    server.faults, server.ranges = [("cut", 1_000_000)], False
    get(server, tmp_path / "data.bin", sha256=SHA)
    assert (tmp_path / "data.bin").read_bytes() == DATA


def test_no_server_at_all(tmp_path):
    with pytest.raises(CisflowError, match="given up after 5 tries"):
        fetch(Wanted("data.bin", "http://127.0.0.1:9/data.bin"), tmp_path / "data.bin", wait=lambda seconds: None)


@pytest.mark.real_data
def test_real_files_pass_the_structural_checks(real_data, tmp_path):
    from cisflow.sources.structure import check_structure

    files = [path for path in real_data.rglob("*") if path.is_file() and path.suffix in (".bw", ".gz", ".h5", ".meme")]
    assert len(files) >= 8
    assert [(path.name, problem) for path in files if (problem := check_structure(path, path.name))] == []


def test_a_mirror_goes_before_any_download(server, tmp_path):
    folder = tmp_path / "mirror" / "deep" / "inside"
    folder.mkdir(parents=True)
    (folder / "data.bin").write_bytes(DATA)
    came = fetch(Wanted("data.bin", server.url, sha256=SHA), tmp_path / "data.bin", [tmp_path / "mirror"])
    assert came == str(folder / "data.bin")
    assert server.requests == []
    assert (tmp_path / "data.bin").read_bytes() == DATA


def test_a_wrong_file_in_a_mirror_is_said_and_not_used(server, tmp_path, caplog):
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "data.bin").write_bytes(b"another file of that name")
    came = fetch(Wanted("data.bin", server.url, sha256=SHA), tmp_path / "data.bin", [tmp_path / "mirror"])
    assert came == server.url
    assert "data.bin is not used: its sha256 is" in caplog.text


def test_a_mirror_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(CisflowError, match="there is no folder .*nowhere. Correct CISFLOW_MIRROR"):
        fetch(Wanted("data.bin", None), tmp_path / "data.bin", [tmp_path / "nowhere"])


def test_a_file_to_be_got_by_hand_says_how(tmp_path):
    wanted = Wanted("reads.bam", manual="Ask the authors for access.")
    with pytest.raises(CisflowError, match="it has no direct address. Ask the authors for access. Put the file in"):
        fetch(wanted, tmp_path / "reads.bam")
