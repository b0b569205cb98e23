"""Fetching from a server on the loopback interface that misbehaves as real ones do."""

import gzip
import hashlib
import itertools
import os
import threading

import pytest
from tests.limits import LIMIT

from cisflow.errors import CisflowError
from cisflow.sources import http
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


def cut_then(server, path, *faults):
    """Fetch a file without a checksum: the connection is cut, and then these faults come; return the bytes."""
    server.faults = [("cut", 1_000_000), *faults]
    get(server, path)
    return path.read_bytes()


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Range": "bytes 0-2999999/3000000"},
        {"Content-Range": "bytes 500000-2999999/3000000"},
        {"Content-Range": "bytes 1000000-2999999/*"},
        {"Content-Range": "bytes 1000000-3000000/3000000"},
        {"Content-Range": "bytes 1000000-2999998/3000000"},
        {"Content-Range": "items 1-2/3"},
        {"Content-Range": None},
        {"ETag": '"two"'},
    ],
    ids=lambda headers: str(*headers.values()),
)
def test_a_part_that_was_not_asked_for_is_not_appended(server, tmp_path, headers):
    """The file would have the right size, with bytes at wrong places; it is fetched again as a whole."""
    found = cut_then(server, tmp_path / "data.bin", ("changed", None, headers, None))
    assert found == DATA
    assert server.requests == [None, "bytes=1000000-", None]


def test_a_part_is_not_asked_for_again_of_a_server_that_sends_others(server, tmp_path):
    other = ("changed", None, {"Content-Range": "bytes 0-1999999/3000000"}, None)
    assert cut_then(server, tmp_path / "data.bin", other, ("cut", 1_000_000)) == DATA
    assert server.requests == [None, "bytes=1000000-", None, None]


def test_a_part_that_comes_unasked_is_refused(server, tmp_path):
    server.faults = [("changed", 206, {"Content-Range": "bytes 0-2999999/9000000"}, None)]
    with pytest.raises(
        CisflowError, match=r"a part of the file \(Content-Range: bytes 0-2999999/9000000\), and the whole"
    ):
        get(server, tmp_path / "data.bin")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(("status", "words"), [(204, "204"), (304, "304"), (203, "203")])
def test_an_answer_that_is_not_the_file_is_refused(server, tmp_path, status, words):
    server.faults = [("changed", status, {"Content-Length": "0"}, [])]
    with pytest.raises(CisflowError, match=f"the server answered {words}"):
        get(server, tmp_path / "data.bin")


@pytest.mark.parametrize(
    ("tag", "date"),
    [(None, None), ('W/"one"', None), (None, "Fri, 31 Dec 9999 23:59:59 GMT"), (None, "yesterday")],
    ids=["nothing", "weak tag", "changed within this second", "no date"],
)
def test_without_a_validator_a_part_is_appended_only_if_a_checksum_is_known(server, tmp_path, tag, date):
    """The file has changed between two requests, and the server does not say so."""
    server.tag, server.date = tag, date
    server.faults = [("cut", 1_000_000), 404]
    with pytest.raises(CisflowError, match="404"):
        get(server, tmp_path / "data.bin")
    server.data = DATA[::-1]
    get(server, tmp_path / "data.bin")
    assert (tmp_path / "data.bin").read_bytes() == DATA[::-1]
    assert server.requests == [None, None, None]


def test_a_date_is_a_validator(server, tmp_path):
    server.tag, server.date = 'W/"one"', "Mon, 02 Mar 2020 10:00:00 GMT"
    assert cut_then(server, tmp_path / "data.bin") == DATA
    assert server.requests == [None, "bytes=1000000-"]
    assert server.asked[1]["If-Range"] == server.date
    (tmp_path / "data.bin").unlink()
    changed = ("changed", None, {"Last-Modified": "Tue, 03 Mar 2020 10:00:00 GMT"}, None)
    assert cut_then(server, tmp_path / "data.bin", changed) == DATA
    assert server.requests[2:] == [None, "bytes=1000000-", None]


def test_a_compressed_file_that_is_labelled_as_encoded_is_kept_as_it_is(server, tmp_path):
    """As servers label the .gz files that they store; curl and wget keep them, too."""
    server.data = gzip.compress(DATA, 1)
    server.headers = {"Content-Encoding": "gzip"}
    server.faults = [("cut", 1_000_000)]
    path = tmp_path / "peaks.bed.gz"
    fetch(Wanted(path.name, server.url), path, wait=lambda seconds: None)
    assert path.read_bytes() == server.data
    assert server.requests == [None, "bytes=1000000-"]
    assert {asked["Accept-Encoding"] for asked in server.asked} == {"identity"}


@pytest.mark.parametrize(
    ("name", "encoding", "words"),
    [
        (
            "data.bed",
            "gzip",
            r"encoded \(Content-Encoding: gzip\), although it was asked not to",
        ),
        ("data.bed.gz", "br", r"encoded \(Content-Encoding: br\)"),
        ("data.bed.gz", "gzip, gzip", r"encoded \(Content-Encoding: gzip, gzip\)"),
        ("data.bed.gz", "gzip", r"compressed the file once more"),
    ],
)
def test_a_body_that_is_not_the_file_is_refused_and_not_decoded(server, tmp_path, name, encoding, words):
    server.data = gzip.compress(gzip.compress(b"chr1\t1\t2\n"))
    server.headers = {"Content-Encoding": encoding}
    with pytest.raises(CisflowError, match=words):
        fetch(Wanted(name, server.url), tmp_path / name)
    assert os.listdir(tmp_path) == []


def test_chunks_that_are_cut_are_noticed(server, tmp_path):
    """No length is announced, and the last chunk is missing."""
    server.faults = [("chunks", [DATA[:1_000_000]])]
    get(server, tmp_path / "data.bin")
    assert (tmp_path / "data.bin").read_bytes() == DATA
    assert server.requests == [None, "bytes=1000000-"]


def test_a_body_without_a_length_is_held_against_the_declared_size(server, tmp_path):
    server.faults = [("changed", None, {"Content-Length": None}, [DATA[:1_000_000]])]
    get(server, tmp_path / "data.bin", size=len(DATA))
    assert (tmp_path / "data.bin").read_bytes() == DATA


@pytest.mark.parametrize("kind", ["chunks", "no length"])
def test_an_endless_body_is_stopped_at_the_declared_size(server, tmp_path, kind):
    endless = itertools.repeat(bytes(1 << 16))
    server.faults = [("chunks", endless) if kind == "chunks" else ("changed", None, {"Content-Length": None}, endless)]
    seen = []
    wanted = Wanted("data.bin", server.url, size=1_000_000)
    with pytest.raises(CisflowError, match="sends more than the 1,000,000 bytes that the file should have"):
        fetch(wanted, tmp_path / "data.bin", progress=lambda done, total: seen.append((done, total)))
    assert seen[-1][0] <= 1_000_000 + (1 << 16)
    assert {total for _, total in seen} == {1_000_000}
    assert os.listdir(tmp_path) == []


def test_a_file_that_is_larger_than_declared_is_refused_before_it_comes(server, tmp_path):
    with pytest.raises(CisflowError, match="the server's file has 3,000,000 bytes and should have 2,999,999"):
        get(server, tmp_path / "data.bin", size=2_999_999)
    assert os.listdir(tmp_path) == []


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is told to go on: a list of the seconds that have passed."""
    passed = [0.0]
    monkeypatch.setattr(http.time, "monotonic", lambda: passed[0])
    return passed


def test_a_connection_that_hardly_brings_anything_is_given_up(server, tmp_path, clock, monkeypatch):
    """Each byte takes a second, and each comes in time for the timeout between two blocks."""
    monkeypatch.setattr(http, "LOWEST_RATE", 2)
    monkeypatch.setattr(http, "WINDOW", 5.0)
    given_up, waits = [threading.Event() for _ in range(5)], []

    def drip(n):
        yield DATA[5 * n : 5 * n + 5]
        given_up[n].wait(timeout=LIMIT)

    def progress(done, total):
        clock[0] = done

    def wait(seconds):
        given_up[len(waits)].set()
        waits.append(seconds)

    server.faults = [("changed", None, {}, drip(n)) for n in range(5)]
    with pytest.raises(CisflowError, match=r"given up after 5 tries .*: the connection is too slow: 5 bytes in 5 s"):
        fetch(Wanted("data.bin", server.url), tmp_path / "data.bin", progress=progress, wait=wait)
    given_up[-1].set()
    assert waits == [2, 4, 8, 16]
    assert (tmp_path / "data.bin.part").read_bytes() == DATA[:25]


def test_a_connection_that_is_slow_and_above_the_lowest_rate_is_kept(server, tmp_path, clock, monkeypatch):
    monkeypatch.setattr(http, "LOWEST_RATE", 1)
    monkeypatch.setattr(http, "WINDOW", 5.0)
    server.data = DATA[:100]
    server.faults = [("changed", None, {}, (DATA[n : n + 1] for n in range(100)))]

    def progress(done, total):
        clock[0] += 0.5

    fetch(Wanted("data.bin", server.url), tmp_path / "data.bin", progress=progress)
    assert (tmp_path / "data.bin").read_bytes() == DATA[:100]
    assert len(server.requests) == 1


def test_a_few_bytes_in_each_try_are_no_progress(server, tmp_path):
    server.faults = [("cut", 10)] * 5
    with pytest.raises(CisflowError, match="given up after 5 tries without progress"):
        get(server, tmp_path / "data.bin")
    assert server.requests == [None, "bytes=10-", "bytes=20-", "bytes=30-", "bytes=40-"]


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
    words = "it has no direct address. Ask the authors for access. Put the file in a folder 'mine', and name the folder"
    with pytest.raises(CisflowError, match=words):
        fetch(wanted, tmp_path / "mine/reads.bam")
