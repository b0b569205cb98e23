"""Requests that are made again: after which answers, how often, and how long after."""

import errno
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

import requests

from cisflow.errors import CisflowError

log = logging.getLogger(__name__)

TIMEOUT = (20, 60)  # seconds to connect, and between two blocks
RETRIES = 5
# Answers after which the same request may yet succeed.
TRANSIENT = {408, 425, 429, 500, 502, 503, 504}
# A server that asks for a longer pause than this, in seconds, is left alone.
PATIENCE = 600.0
# Bytes per second, on average over so many seconds. A slower connection is closed, and the request is made again.
LOWEST_RATE, WINDOW = 1000, 60.0
# What another try does not change.
_LASTING = (requests.TooManyRedirects, requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema)

T = TypeVar("T")


class Retry(Exception):
    """An answer after which the request should be made again; `after` is the pause that the server asks for."""

    def __init__(self, text: str, after: float | None = None):
        super().__init__(text)
        self.after = after


class Pace:
    """Watches how fast a body comes."""

    def __init__(self) -> None:
        self._start, self._bytes = time.monotonic(), 0

    def add(self, count: int) -> None:
        """Count bytes that have come.

        Raises
        ------
        Retry
            Fewer than LOWEST_RATE bytes per second came in the last WINDOW seconds.
        """
        self._bytes += count
        seconds = time.monotonic() - self._start
        if seconds < WINDOW:
            return
        if self._bytes < LOWEST_RATE * seconds:
            raise Retry(f"the connection is too slow: {self._bytes:,} bytes in {seconds:,.0f} s")
        self._start, self._bytes = time.monotonic(), 0


def refuse_transient(answer: requests.Response) -> None:
    """Raise `Retry` if the same request may yet succeed, with the seconds of the answer's Retry-After."""
    if answer.status_code in TRANSIENT:
        after = _seconds(answer.headers.get("retry-after", ""))
        raise Retry(f"the server answered {answer.status_code} {answer.reason}", after)


def _seconds(text: str) -> float | None:
    """Return the pause that a Retry-After header asks for: seconds, or the time until a date; None if unreadable."""
    if text.isdigit():
        return float(text)
    with suppress(ValueError, TypeError):
        return max((parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds(), 0.0)
    return None


def persistently(
    url: str,
    attempt: Callable[[], T],
    advice: str,
    wait: Callable[[float], None] = time.sleep,
    gained: Callable[[], int] = lambda: 0,
) -> T:
    """Return what an attempt returns, made again after faults that pass: after 2, 4, 8, ... seconds, or as asked.

    Parameters
    ----------
    url
        What is asked for, for messages.
    attempt
        Makes one request.
    advice
        What to do, if it is given up.
    wait
        Called with the seconds between two tries.
    gained
        Bytes that have come so far. The count of failures begins again when a try has brought what comes in WINDOW at
        the lowest rate; a few bytes in each try are no progress.

    Raises
    ------
    CisflowError
        RETRIES tries without progress, a fault that lasts, no network at all before anything has come, or a server that
        asks for a pause longer than PATIENCE.
    """
    failures, start = 0, gained()
    while True:
        before = gained()
        try:
            return attempt()
        except _LASTING as error:
            raise CisflowError(f"{url}: {error}") from error
        except (requests.RequestException, Retry) as error:
            if _no_network(error) and gained() == start:
                raise CisflowError(f"{url}: there is no network here ({_why(error)}). {advice}") from error
            failures = 0 if gained() - before >= LOWEST_RATE * WINDOW else failures + 1
            if failures >= RETRIES:
                raise CisflowError(
                    f"{url}: given up after {RETRIES} tries without progress: {_why(error)}. {advice}"
                ) from error
            seconds = _pause(url, failures, error)
            log.warning("%s: %s; trying again in %.0f s", url, _why(error), seconds)
            wait(seconds)


def _no_network(error: Exception) -> bool:
    """Return whether a machine has no route to anywhere, as a compute node that is cut off."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return getattr(getattr(reason, "__cause__", None), "errno", None) == errno.ENETUNREACH


def _why(error: Exception) -> str:
    """Return what is wrong with a connection, without the address and the objects that requests puts before it."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return str(reason).partition(": ")[2] or str(reason) if isinstance(reason, Exception) else str(error)


def _pause(url: str, failures: int, error: Exception) -> float:
    after = getattr(error, "after", None) or 0.0
    if after > PATIENCE:
        raise CisflowError(f"{url}: {error}, and asks to wait {after:,.0f} s. Run it again after that.") from error
    return max(2.0 ** max(failures, 1), after)
