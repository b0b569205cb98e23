"""What all scripts share: flags, logging, and how they end."""

import argparse
import io
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cisflow import job
from cisflow.errors import CisflowError, visible
from cisflow.io import abandon, failing_message, system_error
from cisflow.software import check

# 75 is EX_TEMPFAIL: the same command, run again, goes on.
TRY_AGAIN = 75


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser for a script; `type=json_value` takes a flag's value as JSON.

    The flags that all scripts have are those of the record of the job (`cisflow.job`), which starts when they are read.
    """
    flags = _Parser(description=description, allow_abbrev=False)
    own = flags.add_argument_group("record of the job")
    own.add_argument("--log", type=Path, help="the job's log; its record is beside it. Default: no record")
    own.add_argument(
        "--asked", nargs="+", action="extend", default=[], metavar="NAME=VALUE", type=_pair,
        help="rule, and what it asks for: threads, mem_mb (MiB), runtime (minutes), gpu",
    )  # fmt: skip
    own.add_argument("--reads", nargs="*", default=[], metavar="PATH", help="all files and folders it reads")
    own.add_argument("--writes", nargs="*", default=[], metavar="PATH", help="all files and folders it writes")
    return flags


class _Parser(argparse.ArgumentParser):
    """Tells the record what the flags are, as soon as they are known."""

    def parse_known_args(self, *arguments: Any, **more: Any) -> tuple[argparse.Namespace, list[str]]:
        flags, rest = super().parse_known_args(*arguments, **more)
        if not rest:
            job.begin(flags)
        return flags, rest


def _pair(text: str) -> str:
    if "=" not in text:
        raise argparse.ArgumentTypeError(f"not NAME=VALUE: {text}")
    return text


def json_value(text: str) -> Any:
    """Read a flag's value as JSON."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"not JSON: {error}") from error


def show_all_letters() -> None:
    """Let what is printed have letters that the locale does not: their escapes stand in their place, as on stderr."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


class VisibleFormatter(logging.Formatter):
    """Shows the escapes of control characters, which names in files may have."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a line of the log."""
        return visible(super().format(record))


def run(main: Callable[[], None]) -> None:
    """Run a script's main and end the process.

    A CisflowError, a full disk, a file system that is read-only or fails, Ctrl-C and a terminated job end with one
    message and a status that says which; everything else is a defect and shows its traceback.
    """
    show_all_letters()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(VisibleFormatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    # Ends the program by an exception, so that every open temporary file is removed on the way out.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: sys.exit(128 + received))
    sys.unraisablehook = watch
    with job.recorded():
        _run(main)


def _run(main: Callable[[], None]) -> None:
    try:
        check(sys.argv[0])
        main()
    except CisflowError as error:
        if isinstance(error.__cause__, Exception) and system_error(error.__cause__) is not None:
            _leave(f"error: {error}")
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        print("stopped by Ctrl-C; nothing partial was left", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except OSError as error:
        if (message := failing_message(error)) is None:
            raise
        _leave(f"error: {message}")


def watch(told: "sys.UnraisableHookArgs") -> None:
    """End the process when h5py could not write what it lets go of; it would go on, and crash."""
    if (number := system_error(told.exc_value)) is not None:
        _leave(f"error: {abandon(number)}")
    sys.__unraisablehook__(told)


def _leave(message: str) -> None:
    """End at once; HDF5 would crash when it closes, at the regular end, what it could not write."""
    print(visible(message), file=sys.stderr, flush=True)
    job.end("failed", message)
    sys.stdout.flush()
    os._exit(1)


class Clock:
    """Says how far a long work is, at most every few seconds."""

    def __init__(self, what: str, every: float = 5.0):
        self.what, self.every = what, every
        self.last = time.monotonic()

    def __call__(self, done: int, total: int | None) -> None:
        """Take the progress in bytes."""
        if time.monotonic() - self.last >= self.every:
            self.last = time.monotonic()
            of = f" of {total / 1e6:,.0f}" if total else ""
            logging.getLogger("cisflow").info("%s: %.0f%s MB", self.what, done / 1e6, of)
