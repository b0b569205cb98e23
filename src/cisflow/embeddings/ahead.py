"""Work in a thread of its own, some steps ahead of who takes its results."""

from collections.abc import Iterable, Iterator
from queue import Full, Queue
from threading import Event, Thread
from typing import Any, TypeVar

T = TypeVar("T")
_END = object()


def ahead(items: Iterable[T], depth: int) -> Iterator[T]:
    """Yield items that another thread makes, at most `depth` of them ahead; its exceptions are raised here.

    The thread ends when all items are made, or when the iterator is closed.
    """
    queue: Queue[Any] = Queue(depth)
    stop = Event()
    thread = Thread(target=_work, args=(items, queue, stop), daemon=True)
    thread.start()
    try:
        while True:
            item, error = queue.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
    finally:
        stop.set()
        thread.join()


def _work(items: Iterable[Any], queue: Queue, stop: Event) -> None:
    try:
        for item in items:
            if not _put(queue, (item, None), stop):
                break
        else:
            _put(queue, (_END, None), stop)
    except BaseException as error:
        _put(queue, (None, error), stop)
    finally:
        # A generator holds files, and threads of its own.
        if close := getattr(items, "close", None):
            close()


def _put(queue: Queue, item: Any, stop: Event) -> bool:
    while not stop.is_set():
        try:
            queue.put(item, timeout=0.1)
            return True
        except Full:
            continue
    return False
