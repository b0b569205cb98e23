"""GPUs of one machine, shared without a scheduler: each job claims its own.

Snakemake counts the GPUs that jobs ask for, and does not say which; two jobs would share the first one. Here a job
locks a file of each GPU that it takes, the same for all users, and sees no other GPU. The kernel frees the lock however
the job ends. On a machine without `nvidia-smi` nothing is claimed.
"""

import logging
import os
import re
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cisflow import locks
from cisflow.errors import CisflowError

VISIBLE = "CUDA_VISIBLE_DEVICES"
# Says to the children of a job that what they see is claimed already.
CLAIMED = "CISFLOW_GPUS_CLAIMED"
# Not TMPDIR, which may be a user's or a job's own: all who share a machine must find the same files. Empty: no claims.
LOCKS, FOLDER = "CISFLOW_GPU_LOCKS", "/tmp/cisflow-gpus"
TRY_EVERY, TELL_EVERY = 1.0, 600.0  # seconds
LISTED = re.compile(r"^(?: +MIG .*|GPU \d+: (?P<model>.*?)) \(UUID: (?P<uuid>[^)\s]+)\)", re.MULTILINE)

logger = logging.getLogger(__name__)
# The open files of this process's locks; None: not asked yet.
_held: list[int] | None = None


@dataclass(frozen=True)
class Gpu:
    """A GPU as `nvidia-smi -L` lists it, with the parts that it is divided into (MIG)."""

    uuid: str
    model: str
    parts: list[str] = field(default_factory=list)

    def units(self) -> list[str]:
        """Return what jobs can take: the parts, or the GPU."""
        return self.parts or [self.uuid]


def listed() -> list[Gpu]:
    """Return the GPUs of this machine in the order of their indices; none without `nvidia-smi`, or if it fails."""
    if shutil.which("nvidia-smi") is None:
        return []
    try:
        done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        logger.warning("nvidia-smi does not list GPUs, so none is claimed: %s", error)
        return []
    found: list[Gpu] = []
    for line in LISTED.finditer(done.stdout):
        if line["model"] is not None:
            found.append(Gpu(line["uuid"], line["model"]))
        elif found:
            found[-1].parts.append(line["uuid"])
    return found


def allowed(gpus: list[Gpu], environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return what CUDA_VISIBLE_DEVICES allows of these GPUs, in its order; all, if it is not set.

    As CUDA reads it: indices, UUIDs and their beginnings, until the first that there is not. An index stays an index if
    CUDA may count otherwise than nvidia-smi: GPUs of several models, and no CUDA_DEVICE_ORDER=PCI_BUS_ID.
    """
    units = [unit for gpu in gpus for unit in gpu.units()]
    if environment.get(VISIBLE) is None:
        return units
    counted_alike = len({gpu.model for gpu in gpus}) < 2 or environment.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID"
    chosen: list[str] = []
    for entry in map(str.strip, environment[VISIBLE].split(",")):
        if entry.isdecimal() and int(entry) < len(gpus):
            unit = gpus[int(entry)].units()[0] if counted_alike else entry
        else:
            fitting = [unit for unit in [*units, *(gpu.uuid for gpu in gpus)] if entry and unit.startswith(entry)]
            # Of old, MIG-<UUID of the GPU>/<numbers>, which nvidia-smi lists no more.
            old = entry if entry.startswith("MIG-GPU-") else None
            unit = fitting[0] if len(set(fitting)) == 1 and not entry.isdecimal() else old
        if unit is None:
            break
        chosen.append(unit)
    return list(dict.fromkeys(chosen))


def count() -> int:
    """Return how many GPUs jobs on this machine may take."""
    return len(allowed(listed()))


def claim(number: int = 1, wait: bool = True) -> None:
    """Take GPUs that no other job has, and let this process see no others; before CUDA is used, and once a process.

    Parameters
    ----------
    number
        How many GPUs.
    wait
        Wait while others have them; False: go on and share, with a word in the log.

    Nothing is claimed where none is listed, in a child of a job that has claimed some, in a job of Slurm that was given
    no more than it wants, and if CISFLOW_GPU_LOCKS is set to nothing.

    Raises
    ------
    CisflowError
        More GPUs are wanted than are allowed, or the locks cannot be made.
    """
    global _held
    if _held is not None:
        return
    _held = []
    inherited = os.environ.get(VISIBLE) is not None and os.environ.get(CLAIMED) == os.environ[VISIBLE]
    if inherited or os.environ.get(LOCKS) == "":
        return
    units = allowed(listed())
    if not units or ("SLURM_JOB_ID" in os.environ and len(units) <= number):
        return
    if number > len(units):
        raise CisflowError(f"{number} GPUs are wanted, and {len(units)} may be used ({', '.join(units)}).")
    folder = _folder()
    taken = _take(folder, units, number)
    if len(taken) < number and not wait:
        logger.warning("all GPUs that may be used are taken (%s); this shares them", "; ".join(_holders(folder, units)))
        return
    taken = taken if len(taken) == number else _wait(folder, units, number)
    _held = list(taken.values())
    os.environ[VISIBLE] = os.environ[CLAIMED] = ",".join(taken)
    logger.info("GPU %s is claimed by this job", ", ".join(taken))


def _wait(folder: Path, units: list[str], number: int) -> dict[str, int]:
    started, told = time.monotonic(), -TELL_EVERY
    while len(taken := _take(folder, units, number)) < number:
        if time.monotonic() - told >= TELL_EVERY:
            told = time.monotonic()
            logger.info("waiting for a GPU; taken are: %s", "; ".join(_holders(folder, units)))
        time.sleep(TRY_EVERY)
    logger.info("waited %.0f s for a GPU", time.monotonic() - started)
    return taken


def _take(folder: Path, units: list[str], number: int) -> dict[str, int]:
    """Lock so many of the units, or none; return the open file of each."""
    taken: dict[str, int] = {}
    for unit in units:
        if len(taken) < number and (lock := _lock(folder / _name(unit))) is not None:
            taken[unit] = lock
    if len(taken) == number:
        for lock in taken.values():
            _sign(lock)
        return taken
    for lock in taken.values():
        os.close(lock)
    return {}


def _name(unit: str) -> str:
    return f"{re.sub('[^A-Za-z0-9-]', '_', unit)}.lock"


def _folder() -> Path:
    """Return the folder of locks, which every user may write to, and only owners of files delete from (as /tmp)."""
    folder = Path(os.environ.get(LOCKS, FOLDER))
    try:
        folder.mkdir()
        folder.chmod(0o1777)
    except FileExistsError:
        pass
    except OSError as error:
        raise CisflowError(f"{folder}: no folder for locks of GPUs can be made ({error}). {_mend()}") from error
    if not stat.S_ISDIR(folder.lstat().st_mode):
        raise CisflowError(f"{folder}: not a folder, and the locks of GPUs belong there. {_mend()}")
    return folder


def _mend() -> str:
    return f"Remove it, or name another folder of this machine, the same for all who use its GPUs, in {LOCKS}."


def _open(path: Path) -> int:
    """Open a lock file of whichever user; it is never a link, and a pipe cannot keep this waiting."""
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    while True:
        try:
            # Not created here: of a file of another user in a folder of all, the kernel refuses that.
            return os.open(path, flags)
        except FileNotFoundError:
            pass
        try:
            lock = os.open(path, flags | os.O_CREAT | os.O_EXCL)
        except FileExistsError:
            continue
        os.fchmod(lock, 0o666)
        return lock


def _lock(path: Path) -> int | None:
    """Return the open file if this process has its lock now, None if another one has it."""
    try:
        lock = _open(path)
    except OSError as error:
        raise CisflowError(f"{path}: the lock of a GPU cannot be opened ({error}). {_mend()}") from error
    about = os.fstat(lock)
    if not stat.S_ISREG(about.st_mode) or about.st_nlink > 1:
        os.close(lock)
        raise CisflowError(f"{path}: not a file of its own, as the lock of a GPU is. {_mend()}")
    if locks.lock(lock, path):
        return lock
    os.close(lock)
    return None


def _sign(lock: int) -> None:
    """Write into the lock who has it, for those who wait."""
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"pid {os.getpid()} ({' '.join(sys.argv)})"[:200].encode(errors="replace"), 0)


def _holders(folder: Path, units: list[str]) -> Iterator[str]:
    for unit in units:
        lock = _open(folder / _name(unit))
        try:
            # Anybody may have written it.
            said = os.pread(lock, 200, 0).decode(errors="replace")
        finally:
            os.close(lock)
        yield f"{unit} by {''.join(filter(str.isprintable, said)) or 'another process'}"


def _let_go() -> None:
    """Close the locks in a forked child, which would keep them when the job has ended."""
    global _held
    held, _held = _held, _held and []
    for lock in held or ():
        os.close(lock)


os.register_at_fork(after_in_child=_let_go)
