"""When jobs that wait for each other end, if so many run at once."""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

Before = Mapping[str, Iterable[str]]


@dataclass(frozen=True)
class Unit:
    """What is started as one, a job or the jobs of a group: its seconds, and how much it holds of what there is."""

    seconds: float
    needs: tuple[tuple[str, float], ...] = ()


def in_order(before: Before) -> Iterator[str]:
    """Yield the keys, each after those of its values that are keys."""
    after, waits = _turned(before)
    ready = [name for name, count in waits.items() if not count]
    while ready:
        yield (name := ready.pop())
        ready += _ended(name, after, waits)


def ends(seconds: Mapping[str, float], before: Before) -> dict[str, float]:
    """Return when each job ends, if each starts as soon as those that it waits for have ended."""
    found: dict[str, float] = {}
    for name in in_order({name: before[name] for name in seconds}):
        found[name] = seconds[name] + max((found[other] for other in before[name] if other in found), default=0.0)
    return found


def longest(seconds: Mapping[str, float], before: Before) -> list[str]:
    """Return the chain of jobs that wait for each other which takes longest; the first one first."""
    when = ends(seconds, before)
    if not when:
        return []
    chain = [max(when, key=when.__getitem__)]
    while others := [other for other in before[chain[-1]] if other in when]:
        chain.append(max(others, key=when.__getitem__))
    return chain[::-1]


def played(units: Mapping[str, Unit], before: Before, capacity: Mapping[str, float]) -> float:
    """Return when the last unit ends: whenever one ends those that fit are started, of the longest rest first.

    Parameters
    ----------
    units
        By name. A unit that needs more than there is gets all there is.
    before
        The names that each one waits for; all are names of units.
    capacity
        How much there is of what units hold; what is not named is not limited.
    """
    after, waits = _turned(before)
    rest: dict[str, float] = {}
    for name in reversed(list(in_order(before))):
        rest[name] = units[name].seconds + max((rest[other] for other in after[name]), default=0.0)
    needs = {name: _within(unit, capacity) for name, unit in units.items()}
    # Ready units by what they need, so that no start has to look at all of them.
    ready: dict[tuple[tuple[str, float], ...], list[tuple[float, str]]] = defaultdict(list)
    free, running, now = dict(capacity), [], 0.0
    new: Iterable[str] = [name for name, count in waits.items() if not count]
    while True:
        for name in new:
            heapq.heappush(ready[needs[name]], (-rest[name], name))
        while fitting := [queue for need, queue in ready.items() if queue and all(free[k] >= v for k, v in need)]:
            _, name = heapq.heappop(min(fitting))
            _take(free, needs[name], 1)
            heapq.heappush(running, (now + units[name].seconds, name))
        if not running:
            return now
        now, ended = heapq.heappop(running)
        _take(free, needs[ended], -1)
        new = _ended(ended, after, waits)


def _turned(before: Before) -> tuple[dict[str, list[str]], dict[str, int]]:
    """Return who waits for each one, and for how many each one waits."""
    after = defaultdict(list)
    waits = dict.fromkeys(before, 0)
    for name, others in before.items():
        for other in set(others) & before.keys():
            after[other].append(name)
            waits[name] += 1
    return after, waits


def _ended(name: str, after: Mapping[str, list[str]], waits: dict[str, int]) -> list[str]:
    """Count one as ended, and return those that now wait for nothing."""
    for other in after[name]:
        waits[other] -= 1
    return [other for other in after[name] if not waits[other]]


def _within(unit: Unit, capacity: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    return tuple((key, min(value, capacity[key])) for key, value in unit.needs if key in capacity)


def _take(free: dict[str, float], needs: Iterable[tuple[str, float]], sign: int) -> None:
    for key, value in needs:
        free[key] -= sign * value
