"""Disks and quotas are read from what the system prints, and held against what will be written."""

import math
import os

import pytest
from tests.limits import HANG

from cisflow.cli.cluster import space
from cisflow.cli.cluster.space import (
    Mount,
    Need,
    Room,
    disk_room,
    existing,
    mount_of,
    parse_lfs_quota,
    parse_quota,
    quota_room,
    room_findings,
    shared_findings,
    sized,
    summed,
)

MOUNTS = """/dev/sda1 / ext4 rw 0 0
server:/export/home /home nfs4 rw 0 0
10.0.0.1@o2ib:/work /lustre/work lustre rw 0 0
server:/with\\040space /odd\\040place nfs rw 0 0
tmpfs /tmp tmpfs rw 0 0
"""

QUOTA = """Disk quotas for user ada (uid 1000):
     Filesystem  blocks   quota   limit   grace   files   quota   limit   grace
/dev/sda1     24       0       0       0       6       0       0       0
server:/export/home 9000000* 8000000 10000000 604800  90000  100000  120000       0
"""

LFS = """     /lustre/work 1000000  0 3000000       - 500000*  400000 450000       6d
"""


def test_a_folder_is_on_the_innermost_mount():
    assert mount_of("/home/ada/x", MOUNTS) == Mount("server:/export/home", "/home", "nfs4")
    assert mount_of("/homework", MOUNTS).point == "/"
    assert mount_of("/lustre/work", MOUNTS).kind == "lustre"
    assert mount_of("/odd place/x", MOUNTS) == Mount("server:/with space", "/odd place", "nfs")


def test_a_quota_leaves_what_is_below_its_lower_limit():
    assert parse_quota(QUOTA, "server:/export/home") == Room(0, 10_000, "your quota")
    assert parse_quota(QUOTA, "/dev/sda1") == Room(math.inf, math.inf, "your quota")
    assert parse_quota(QUOTA, "/dev/sdb1") is None
    assert parse_quota("quota: no quota information\n", "/dev/sda1") is None
    assert parse_lfs_quota(LFS) == Room(2_000_000 * 1024, 0, "your quota")
    assert parse_lfs_quota("Permission denied.\n") is None


def test_the_quota_of_a_folders_own_file_system_is_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(space, "mount_of", lambda folder: Mount("server:/export/home", "/home", "nfs4"))
    for name, text in (("quota", QUOTA), ("lfs", LFS)):
        (tmp_path / f"{name}.txt").write_text(text)
        (tmp_path / name).write_text(f"#!/bin/sh\ncat {tmp_path}/{name}.txt\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert quota_room(tmp_path) == Room(0, 10_000, "your quota")
    monkeypatch.setattr(space, "mount_of", lambda folder: Mount("x", "/lustre/work", "lustre"))
    assert quota_room(tmp_path).bytes == 2_000_000 * 1024
    (tmp_path / "lfs").write_text(f"#!/bin/sh\nsleep {HANG}\n")
    assert quota_room(tmp_path, seconds=0.5) is None


def test_a_folder_that_is_not_there_yet_has_the_room_of_the_one_above(tmp_path):
    assert existing(tmp_path / "a/b") == tmp_path
    assert disk_room(tmp_path / "a/b").bytes == pytest.approx(disk_room(tmp_path).bytes, rel=0.1)


@pytest.mark.parametrize(
    ("need", "quota", "fits", "texts"),
    [
        (Need(5e8, 10), None, True, ["results: the disk leaves 1.0 GB and 1,000 files; 0.5 GB are needed"]),
        (Need(2e9, 10), None, False, ["results: the disk leaves 1.0 GB, and 2.0 GB are needed"]),
        (Need(5e8, 2000), None, False, ["results: the disk leaves 1,000 files, and about 2,000 are needed"]),
        (Need(5e8, 10), Room(1e8, 5, "your quota"), False, ["your quota leaves 0.1 GB", "your quota leaves 5 files"]),
        (Need(5e8, 10), Room(math.inf, math.inf, "your quota"), True, ["1,000 files, your quota leaves no limit"]),
    ],
)
def test_bytes_and_files_are_held_against_disk_and_quota(monkeypatch, need, quota, fits, texts):
    monkeypatch.setattr(space, "disk_room", lambda folder: Room(1e9, 1000))
    monkeypatch.setattr(space, "quota_room", lambda folder: quota)
    found = list(room_findings("results", need, "project space", "free some space"))
    assert len(found) == len(texts)
    for finding, text in zip(found, texts, strict=True):
        assert text in finding.text
        assert (finding.level, finding.mend) == (("ok", "") if fits else ("problem", "free some space"))


def test_what_is_not_known_is_said():
    need = summed([sized({"a": 1e9, "b": None}), sized({"c": None}, files=7), sized({})])
    assert need == Need(1e9, 7, ("b", "c"))
    *_, finding = room_findings("/", Need(unknown=("b", "c")), "project space", "")
    assert finding.text == "the space for b, c is not known before their data is here"


def test_a_disk_of_one_machine_is_noted_where_there_are_others():
    own, shared = Mount("/dev/sda1", "/", "ext4"), Mount("server:/x", "/home", "nfs4")
    assert len(list(shared_findings("/x", 2, own))) == 1
    assert [*shared_findings("/x", 1, own), *shared_findings("/x", 9, shared), *shared_findings("/x", 9, None)] == []
