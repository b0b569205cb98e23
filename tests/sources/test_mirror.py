"""Mirror folders: filled from a server on the loopback interface, checked, and used."""

import errno
import fcntl
import hashlib
import os
import shutil
import threading
import time
from collections import namedtuple

import pytest
from tests.limits import LIMIT
from tests.portal import serving

from cisflow.errors import CisflowError
from cisflow.locks import locked
from cisflow.sources import fetch as fetching
from cisflow.sources import mirror as module
from cisflow.sources.checksums import COLUMNS, TABLE, Record, read_records, write_records
from cisflow.sources.fetch import Wanted, fetch
from cisflow.sources.mirror import Item, Mirror, fill

DATA = os.urandom(300_000)
SHA = hashlib.sha256(DATA).hexdigest()
MD5 = hashlib.md5(DATA).hexdigest()


@pytest.fixture
def server(server):
    server.data = DATA
    return server


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "mirror"


def item(server, name="a.bin", source="one", **known):
    return Item(source, Wanted(name, server.url, **known), "CC0")


def line(**changes):
    known = {"file": "one/a.bin", "bytes": "3", "sha256": "0" * 64, "url": "u", "licence": "l", "fetched": "2026-11-21"}
    return "\t".join((known | changes).values())


def test_a_table_is_read_as_it_was_written(tmp_path):
    records = {file: Record(file, 3, SHA, 'u"u', "CC0", "2026-11-21") for file in ("one/b", "one/a")}
    write_records(tmp_path, records)
    assert read_records(tmp_path) == records
    assert list(read_records(tmp_path)) == ["one/a", "one/b"]
    assert read_records(tmp_path / "none") == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"checksums.tsv:1: the columns must be file, bytes, sha256"),
        ("x\ty\n", r"checksums.tsv:1: the columns must be"),
        (line() + "\tmore", r"checksums.tsv:2: it has 7 fields and should have 6\."),
        (line(file="/etc/passwd"), r"checksums.tsv:2: file: '/etc/passwd' is no path inside the folder"),
        (line(file="one/../../x"), r"file: 'one/../../x' is no path inside"),
        (line(bytes="3.5"), r"bytes: '3.5' is no number of bytes"),
        (line(sha256="ABC"), r"sha256: 'ABC' is no SHA-256 checksum"),
        (line() + "\n" + line(), r"checksums.tsv:3: one/a.bin stands there again\."),
        (line(licence="\udcff"), r"checksums.tsv: it is not a text file in UTF-8"),
    ],
    ids=["empty", "columns", "fields", "absolute", "outside", "bytes", "sha256", "twice", "encoding"],
)
def test_a_broken_table_is_refused_with_what_mends_it(tmp_path, content, message):
    head = "" if "columns" in message else "\t".join(COLUMNS) + "\n"
    (tmp_path / TABLE).write_text(head + content, errors="surrogateescape")
    with pytest.raises(CisflowError, match=message) as error:
        Mirror(tmp_path)
    assert "delete checksums.tsv and fetch again" in str(error.value)


def test_all_wrong_lines_are_told(tmp_path):
    (tmp_path / TABLE).write_text("\n".join(["\t".join(COLUMNS), line(bytes="x"), line(sha256="y")]))
    with pytest.raises(CisflowError) as error:
        read_records(tmp_path)
    assert "checksums.tsv:2:" in str(error.value)
    assert "checksums.tsv:3:" in str(error.value)


def test_a_mirror_is_filled_and_written_down(server, folder):
    items = [item(server), item(server, "b.bin", sha256=SHA, size=len(DATA)), item(server, "a.bin", "two", md5=MD5)]
    told = {}
    assert fill(Mirror(folder), items, told=lambda item, origin: told.update({item.file: origin})) == {}
    assert told == dict.fromkeys(("one/a.bin", "one/b.bin", "two/a.bin"), f"from {server.url}")
    records = read_records(folder)
    today = time.strftime("%Y-%m-%d", time.gmtime())
    assert records["one/a.bin"] == Record("one/a.bin", len(DATA), SHA, server.url, "CC0", today)
    assert {(folder / file).read_bytes() for file in records} == {DATA}
    assert len(server.requests) == 3


def test_a_second_time_only_what_is_missing_is_fetched(server, folder):
    items = [item(server), item(server, "b.bin", sha256=SHA), item(server, "c.bin", md5=MD5)]
    fill(Mirror(folder), items)
    server.requests.clear()
    fill(Mirror(folder), items)
    assert server.requests == []
    (folder / "one/b.bin").unlink()
    (folder / "one/c.bin").write_bytes(DATA[:-1])
    fill(Mirror(folder), items)
    assert len(server.requests) == 2
    assert (folder / "one/c.bin").read_bytes() == DATA


def test_a_file_whose_declaration_has_changed_is_fetched_again(server, folder):
    fill(Mirror(folder), [item(server), item(server, "b.bin", sha256=SHA)])
    server.data = DATA + b"more"
    newer = hashlib.sha256(server.data).hexdigest()
    moved = Item("one", Wanted("a.bin", server.url + "?new"), "CC0")
    assert fill(Mirror(folder), [moved, item(server, "b.bin", sha256=newer)]) == {}
    assert {path.read_bytes() for path in (folder / "one").iterdir()} == {server.data}
    assert read_records(folder)["one/a.bin"].url == server.url + "?new"


def test_files_that_are_there_are_checked_and_written_down(server, folder, caplog):
    """As those that Snakemake has fetched, or that were got by hand."""
    (folder / "one").mkdir(parents=True)
    for name, content in (("a.bin", DATA), ("b.bin", DATA[:-1]), ("hand.bin", b"by hand")):
        (folder / "one" / name).write_bytes(content)
    hand = Item("one", Wanted("hand.bin", manual="Ask Ada."), "unknown")
    assert fill(Mirror(folder), [item(server, sha256=SHA), item(server, "b.bin", sha256=SHA), hand]) == {}
    assert len(server.requests) == 1
    assert "b.bin: its sha256 is" in caplog.text
    records = read_records(folder)
    assert records["one/b.bin"].sha256 == SHA
    assert records["one/hand.bin"].url == "by hand"


def test_other_folders_go_before_a_download(server, folder, tmp_path):
    (tmp_path / "resources/one").mkdir(parents=True)
    (tmp_path / "resources/one/a.bin").write_bytes(DATA)
    assert fill(Mirror(folder), [item(server, sha256=SHA)], [tmp_path / "resources"]) == {}
    assert server.requests == []
    assert read_records(folder)["one/a.bin"].url == server.url, "the table tells where it is to be had"


def test_an_interrupted_transfer_is_gone_on_with(server, folder):
    (folder / "one").mkdir(parents=True)
    (folder / "one/a.bin.part").write_bytes(DATA[:200_000])
    fill(Mirror(folder), [item(server, sha256=SHA)])
    assert server.requests == ["bytes=200000-"]


def test_all_failures_are_told_together_and_the_rest_is_fetched(server, folder, tmp_path):
    server.faults = [404, 404]
    hand = Item("one", Wanted("hand.bin", manual="Ask Ada."), "unknown")
    items = [item(server), item(server, "b.bin"), item(server, "c.bin"), hand]
    failures = fill(Mirror(folder), items, parallel=1)
    assert list(failures) == ["one/a.bin", "one/b.bin", "one/hand.bin"]
    assert "the server answered 404" in failures["one/a.bin"]
    assert "Ask Ada." in failures["one/hand.bin"]
    assert list(read_records(folder)) == ["one/c.bin"]
    assert sorted(path.name for path in (folder / "one").iterdir()) == ["c.bin"]


def test_files_are_fetched_together(folder):
    """Four downloads meet at a barrier, which one after the other could not."""
    met = threading.Barrier(4, timeout=LIMIT)
    with serving() as portal:
        portal.contents = {f"{n}.bin": b"content" for n in range(4)}
        items = [Item("one", Wanted(name, f"{portal.url}/cloud/{name}"), "CC0") for name in portal.contents]

        def progress_of(_):
            return lambda done, total: met.wait()

        assert fill(Mirror(folder), items, parallel=4, progress_of=progress_of) == {}
    assert len(read_records(folder)) == 4


def test_ctrl_c_stops_all_transfers_and_keeps_what_has_come(server, folder):
    items = [item(server, f"{n}.bin") for n in range(20)]

    def stopped(item, origin):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fill(Mirror(folder), items, parallel=2, told=stopped)
    assert len(server.requests) < 20
    done = read_records(folder)
    assert 0 < len(done) < 20
    assert fill(Mirror(folder), items) == {}
    assert len(read_records(folder)) == 20


def test_a_folder_is_filled_by_one_process(server, folder):
    folder.mkdir()
    busy = r"\.fetching: another 'cisflow sources fetch' is filling this folder\. Wait for it"
    with locked(folder / ".fetching", "busy"), pytest.raises(CisflowError, match=busy):
        fill(Mirror(folder), [item(server)])
    assert fill(Mirror(folder), [item(server)]) == {}


def test_a_file_is_fetched_by_one_process(server, tmp_path):
    with locked(tmp_path / "a.bin.part", "busy"), pytest.raises(CisflowError, match="another process is fetching this"):
        fetch(Wanted("a.bin", server.url), tmp_path / "a.bin")
    assert server.requests == []


def test_a_full_disk_is_told_before_anything_comes(server, folder, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**12, 10**12, 2 * 10**9))
    with pytest.raises(CisflowError, match=r"2\.0 GB are free on its disk, and at least 3\.0 GB have to come"):
        fill(Mirror(folder), [item(server, size=3 * 10**9)])
    assert server.requests == []


def test_a_disk_that_is_full_in_the_middle_is_told(server, folder, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "fetch", full)
    assert "no space is left on the disk of" in fill(Mirror(folder), [item(server)])["one/a.bin"]


def test_a_folder_that_cannot_be_written_is_told(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CisflowError, match=r"file/mirror: it cannot be written to \(Not a directory\)"):
        fill(Mirror(tmp_path / "file/mirror"), [item(server)])


def test_a_check_reads_every_file(server, folder):
    fill(Mirror(folder), [item(server, f"{name}.bin") for name in ("good", "gone", "short", "other")])
    (folder / "one/gone.bin").unlink()
    (folder / "one/short.bin").write_bytes(DATA[:-1])
    (folder / "one/other.bin").write_bytes(bytes([DATA[0] ^ 1]) + DATA[1:])
    (folder / "one/mine.txt").write_text("x")
    (folder / "one/late.bin.part").write_text("x")
    found = Mirror(folder).check()
    assert (found.good, found.missing) == (["one/good.bin"], ["one/gone.bin"])
    assert found.corrupt["one/short.bin"] == "it has 299,999 bytes and had 300,000 when it was fetched"
    assert found.corrupt["one/other.bin"].endswith(f"and was {SHA} when it was fetched")
    assert (found.extra, found.left) == (["one/mine.txt"], ["one/late.bin.part"])


def test_a_file_of_a_mirror_that_is_not_as_it_was_fetched_is_not_used(server, folder, tmp_path, caplog):
    """Even one of which nothing else is known."""
    wanted = Wanted("a.bin", server.url)
    fill(Mirror(folder), [Item("one", wanted, "CC0")])
    assert fetch(wanted, tmp_path / "a.bin", [folder]) == str(folder / "one/a.bin")
    (folder / "one/a.bin").write_bytes(bytes([DATA[0] ^ 1]) + DATA[1:])
    assert fetch(wanted, tmp_path / "b/a.bin", [folder]) == server.url
    assert "a.bin is not used: its sha256 is" in caplog.text


@pytest.mark.parametrize(
    ("place", "recorded", "known", "used"),
    [
        ("one/a.bin", None, {}, True),
        ("deep/one/a.bin", None, {}, True),
        ("two/a.bin", None, {}, False),
        ("a.bin", None, {}, False),
        ("two/a.bin", None, {"md5": MD5}, True),
        ("two/a.bin", "URL", {}, True),
        ("one/a.bin", "https://x.org/a.bin", {}, False),
        ("one/a.bin", "https://x.org/a.bin", {"sha256": SHA}, True),
    ],
)
def test_a_file_without_a_checksum_is_taken_from_its_own_place_only(
    server, folder, tmp_path, caplog, place, recorded, known, used
):
    """Files of two sources may have one name: peaks.bed is no rare one."""
    path = folder / place
    path.parent.mkdir(parents=True)
    path.write_bytes(DATA)
    if recorded:
        url = recorded.replace("URL", server.url)
        write_records(folder, {place: Record(place, len(DATA), SHA, url, "CC0", "2026-11-21")})
    came = fetch(Wanted("a.bin", server.url, **known), tmp_path / "resources/one/a.bin", [folder])
    assert came == (str(path) if used else server.url)
    assert ("a.bin is not used" in caplog.text) != used


def test_a_mirror_that_is_the_folder_of_a_source_serves_it(server, tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one/a.bin").write_bytes(DATA)
    assert fetch(Wanted("a.bin"), tmp_path / "resources/one/a.bin", [tmp_path / "one"]) == str(tmp_path / "one/a.bin")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_passed_over(server, folder, tmp_path, caplog, make):
    """Opening a named pipe would wait for ever."""
    for name in ("one", "two"):
        (folder / name).mkdir(parents=True)
    make(folder / "one/a.bin")
    (folder / "two/a.bin").write_bytes(DATA)
    come = fetch(Wanted("a.bin", server.url, md5=MD5), tmp_path / "resources/one/a.bin", [folder])
    assert come == str(folder / "two/a.bin")
    assert "one/a.bin is not used: it is no file" in caplog.text


def test_a_folder_where_a_file_should_go_is_told(server, folder):
    (folder / "one/a.bin").mkdir(parents=True)
    failures = fill(Mirror(folder), [item(server)])
    assert "one/a.bin: a folder is there, and the file should be" in failures["one/a.bin"]
    assert server.requests == []


def test_a_table_that_is_no_file_is_passed_over(folder):
    folder.mkdir()
    os.mkfifo(folder / TABLE)
    assert read_records(folder) == {}


def test_a_file_that_cannot_be_read_is_said_and_not_used(server, folder, tmp_path, caplog, monkeypatch):
    (folder / "one").mkdir(parents=True)
    (folder / "one/a.bin").write_bytes(DATA)

    def fail(path):
        raise OSError(errno.EIO, "Input/output error", str(path))

    wanted = Wanted("a.bin", server.url, md5=MD5)
    monkeypatch.setattr(fetching, "md5", lambda path: fail(path) if folder in path.parents else MD5)
    assert fetch(wanted, tmp_path / "resources/one/a.bin", [folder]) == server.url
    assert "a.bin is not used: it cannot be read (Input/output error)" in caplog.text


def test_a_table_has_no_passwords(server, folder):
    """And a file that was recorded with one is still the wanted one."""
    secret = server.url.replace("http://", "http://ada:hunter2@") + "?version=2&token=s3cret"
    wanted = Item("one", Wanted("a.bin", secret), "CC0")
    assert fill(Mirror(folder), [wanted]) == {}
    assert server.asked[0]["Authorization"].startswith("Basic ")
    text = (folder / TABLE).read_text()
    assert "hunter2" not in text
    assert "s3cret" not in text
    assert server.url.replace("http://", "http://***@") + "?version=2&token=***" in text
    assert Mirror(folder).has(wanted)


def test_origins_are_told_of_packages_and_addresses():
    package = {"kind": "python", "name": "x", "version": "1.2", "member": "x/a.bin"}
    assert Item("s", Wanted("a.bin", package=package), "l").origin == "python package x==1.2: x/a.bin"
    assert Item("s", Wanted("a.bin", "https://x.org/a", package=package), "l").origin == "https://x.org/a"
    assert [Item("s", Wanted("a.bin", **known), "l").by_hand for known in ({}, {"package": package})] == [True, False]


def test_a_file_system_without_locks_is_told(tmp_path, monkeypatch, caplog):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with locked(tmp_path / "a.part", "busy"):
        pass
    assert "a.part: no lock can be had there (No locks available); no other process may work on it" in caplog.text
