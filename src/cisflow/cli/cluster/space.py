"""Room on disks: bytes and files that are free, that a quota leaves, and that jobs will need."""

import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from getpass import getuser
from pathlib import Path

from cisflow.cli.cluster.findings import Finding
from cisflow.cli.cluster.slurm import answer
from cisflow.errors import CisflowError

MOUNTS = Path("/proc/self/mounts")
# Disks of one machine; others (nfs, lustre, gpfs, beegfs, ceph, ...) can be those that all nodes share.
OWN_DISKS = ("ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "overlay", "tmpfs", "ramfs", "f2fs", "jfs")
SECONDS = 10  # that a file server may take to tell a quota


@dataclass(frozen=True)
class Mount:
    """A file system: its device, where it is mounted, and its kind."""

    device: str
    point: str
    kind: str


@dataclass(frozen=True)
class Room:
    """What may still be written: bytes and files, and the one who says so ('the disk', 'your quota')."""

    bytes: float = math.inf
    files: float = math.inf
    of: str = "the disk"


@dataclass(frozen=True)
class Need:
    """What will be written: bytes and files, and what was not known when that was summed up."""

    bytes: float = 0
    files: float = 0
    unknown: tuple[str, ...] = ()


def existing(folder: str | Path) -> Path:
    """Return a folder, or the nearest above it that exists."""
    absolute = Path(folder).absolute()
    return next(place for place in (absolute, *absolute.parents) if place.exists())


def mount_of(folder: str | Path, mounts: str | None = None) -> Mount | None:
    """Return the file system that a folder is on; None where the system does not tell."""
    if mounts is None:
        if not MOUNTS.exists():
            return None
        mounts = MOUNTS.read_text(errors="replace", encoding="utf-8")
    path = os.path.realpath(folder)
    found = None
    for line in mounts.splitlines():
        device, point, kind = [field.replace("\\040", " ") for field in line.split(" ")[:3]]
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and (found is None or len(point) >= len(found.point)):
            found = Mount(device, point, kind)
    return found


def disk_room(folder: str | Path) -> Room:
    """Return what is free on the disk of a folder; of file systems that do not count files, any number."""
    told = os.statvfs(existing(folder))
    return Room(told.f_bavail * told.f_frsize, told.f_favail if told.f_files else math.inf)


def quota_room(folder: str | Path, seconds: float = SECONDS) -> Room | None:
    """Return what the user's quota leaves on the file system of a folder; None where none is told."""
    mount = mount_of(existing(folder))
    if mount is None:
        return None
    try:
        if mount.kind == "lustre":
            return parse_lfs_quota(answer(["lfs", "quota", "-q", "-u", getuser(), mount.point], seconds))
        return parse_quota(answer(["quota", "-w", "-p"], seconds), mount.device)
    except CisflowError:
        return None  # there is no such command, or no quota: the disk's own numbers hold


def parse_quota(text: str, device: str) -> Room | None:
    """Read `quota -w -p`: of the row of a device, what is left of blocks of 1 kB and of files."""
    for line in text.splitlines():
        name, *numbers = line.split() or [""]
        if name == device and len(numbers) >= 8:
            return _left([*numbers[:3], *numbers[4:7]])
    return None


def parse_lfs_quota(text: str) -> Room | None:
    """Read `lfs quota -q`: a row of used, soft and hard limit and grace, first of kB and then of files."""
    for line in text.splitlines():
        numbers = re.findall(r"(?<=\s)\[?(\d+\*?)\]?(?=\s|$)|(?<=\s)(-)(?=\s)", f" {line}")
        plain = [number for number, _ in numbers if number]
        if len(plain) >= 6:
            return _left(plain[:6])
    return None


def _left(numbers: list[str]) -> Room:
    used, soft, hard, files, soft_files, hard_files = (int(re.sub(r"\D", "", n) or 0) for n in numbers)
    return Room(_rest(used, soft, hard) * 1024, _rest(files, soft_files, hard_files), "your quota")


def _rest(used: int, soft: int, hard: int) -> float:
    """Return what is left below the lower limit that is set; 0 is no limit."""
    limits = [limit for limit in (soft, hard) if limit]
    return max(0, min(limits) - used) if limits else math.inf


def room_findings(folder: str | Path, need: Need, what: str, mend: str) -> Iterator[Finding]:
    """Yield whether a folder has room for what will be written to it, on its disk and by the user's quota.

    Parameters
    ----------
    folder
        The folder, which need not exist.
    need
        What will be written.
    what
        What the folder is for, for the text.
    mend
        What is done if it has no room.
    """
    short = False
    rooms = [disk_room(folder), *filter(None, [quota_room(folder)])]
    for room in rooms:
        if room.bytes < need.bytes:
            short = True
            yield Finding(
                "problem",
                f"{what} {folder}: {room.of} leaves {_gb(room.bytes)}, and {_gb(need.bytes)} are needed",
                mend,
            )
        if room.files < need.files:
            short = True
            text = f"{what} {folder}: {room.of} leaves {room.files:,.0f} files, and about {need.files:,.0f} are needed"
            yield Finding("problem", text, mend)
    if not short:
        left = ", ".join(f"{room.of} leaves {_gb(room.bytes)}{_files(room.files)}" for room in rooms)
        wanted = f"; {_gb(need.bytes)} are needed" if need.bytes else ""
        yield Finding("ok", f"{what} {folder}: {left}{wanted}")
    if need.unknown:
        yield Finding(
            "note", f"the space for {', '.join(need.unknown)} is not known before their data is here",
            "fetch the data, and ask again",
        )  # fmt: skip


def _gb(size: float) -> str:
    if math.isinf(size):
        return "no limit"
    return f"{size / 1e6:,.0f} MB" if size < 1e8 else f"{size / 1e9:,.{0 if size >= 1e10 else 1}f} GB"


def _files(files: float) -> str:
    return "" if math.isinf(files) else f" and {files:,.0f} files"


def shared_findings(folder: str | Path, nodes: int, mount: Mount | None) -> Iterator[Finding]:
    """Yield a note if a folder that jobs need is on a disk of this machine alone, and there are other machines."""
    if mount is not None and nodes > 1 and mount.kind in OWN_DISKS:
        yield Finding(
            "note",
            f"{folder} is on a disk of this machine ({mount.kind} at {mount.point}); jobs on other nodes must see it",
            "work in a folder that all nodes share (home, project or scratch; df --print-type tells the kind)",
        )  # fmt: skip


def summed(needs: Iterable[Need]) -> Need:
    """Return several needs as one."""
    needs = list(needs)
    unknown = dict.fromkeys(name for need in needs for name in need.unknown)
    return Need(sum(n.bytes for n in needs), sum(n.files for n in needs), tuple(unknown))


def sized(sizes: Mapping[str, float | None], files: float = 0) -> Need:
    """Return the need of things by their sizes; those of None are not known."""
    known = sum(size for size in sizes.values() if size is not None)
    return Need(known, files, tuple(name for name, size in sizes.items() if size is None))
