"""How long the jobs of a plan will take, what they hold and write: from earlier runs, or else from the estimates."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Literal

from cisflow.cli.planning.amounts import FETCHING, JOB, KINDS, STARTED, Amount, Amounts
from cisflow.cli.planning.plan import Job, Plan
from cisflow.cli.planning.schedule import Unit, ends, longest, played
from cisflow.config.project import Project
from cisflow.config.strict import did_you_mean
from cisflow.errors import CisflowError

# Where a time comes from: benchmarks of earlier jobs, the configuration's estimates, or what the job asks for.
Origin = Literal["measured", "estimated", "at most", "unknown"]
ORIGINS: tuple[Origin, ...] = ("measured", "estimated", "at most", "unknown")

LEAST = 0.1


@dataclass(frozen=True)
class Time:
    """Seconds of a job, and where they come from; `count` earlier jobs, if they are measured."""

    seconds: float | None
    origin: Origin
    count: int = 0


UNKNOWN = Time(None, "unknown")
NOTHING = Time(0.0, "estimated")


@dataclass
class Sum:
    """Hours, or bytes, and how many jobs they are of, by where they come from; of unknown ones only how many."""

    parts: dict[Origin, float] = field(default_factory=lambda: dict.fromkeys(ORIGINS, 0.0))
    counts: dict[Origin, int] = field(default_factory=lambda: dict.fromkeys(ORIGINS, 0))

    def add(self, value: float | None, origin: Origin) -> None:
        """Add a part."""
        origin = "unknown" if value is None else origin
        self.parts[origin] += value or 0.0
        self.counts[origin] += 1

    def join(self, other: "Sum") -> None:
        """Add all parts of another one."""
        for origin in ORIGINS:
            self.parts[origin] += other.parts[origin]
            self.counts[origin] += other.counts[origin]

    @property
    def expected(self) -> float:
        """What is measured or estimated."""
        return self.parts["measured"] + self.parts["estimated"]


class Earlier:
    """What earlier jobs took: the benchmarks below a project's results, by rule.

    Parameters
    ----------
    project, plan, amounts
        The configuration; a plan, whose rules tell which benchmark is whose; and what jobs have to do.
    """

    def __init__(self, project: Project, plan: Plan, amounts: Amounts):
        self.amounts, self.start = amounts, project.settings.estimates.start
        self.unreadable: list[str] = []
        self._found: dict[tuple[str, bool], list[tuple[float, Amount | None]]] = defaultdict(list)
        patterns = {rule: re.compile(pattern) for rule, pattern in plan.benchmarks.items()}
        folder = Path(project.root, project.settings.results, "benchmarks")
        for path in sorted(folder.rglob("*.tsv")):
            name = path.relative_to(project.root).as_posix()
            rule, wildcards = _rule_of(name, patterns)
            if rule is not None:
                self._add(rule, wildcards, path)

    def _add(self, rule: str, wildcards: Mapping[str, str], path: Path) -> None:
        seconds = seconds_of(path)
        if seconds is None:
            self.unreadable.append(str(path))
            return
        try:
            amount = self.amounts.of(rule, wildcards)
        except (CisflowError, KeyError, AttributeError):
            amount = None  # of a run, gallery or kind of data that the task has no more
        self._found[rule, self.amounts.gpu(rule, wildcards)].append((seconds, amount))

    def time(self, job: Job, amount: Amount | None) -> Time | None:
        """Return the median of earlier jobs of its rule on such a device, scaled by what they had to do, if any."""
        found = self._found.get((job.rule, self.amounts.gpu(job.rule, job.wildcards)), [])
        if amount is None or amount.unit == JOB:
            times = [seconds for seconds, _ in found]
            return Time(median(times), "measured", len(times)) if times and amount else None
        start = self.start if amount.unit in STARTED else 0.0
        # Of a job that is all start, little is told by what is left: at least this part is taken for its work.
        rates = [
            max(seconds - start, LEAST * seconds) / own.value
            for seconds, own in found
            if own and own.unit == amount.unit and own.value
        ]
        return Time(start + median(rates) * amount.value, "measured", len(rates)) if rates else None


def _rule_of(name: str, patterns: Mapping[str, re.Pattern]) -> tuple[str | None, dict[str, str]]:
    """Return the rule that a benchmark is of, and its wildcards: of several, the one whose wildcards are shortest."""
    matches = {rule: match for rule, pattern in patterns.items() if (match := pattern.fullmatch(name))}
    if not matches:
        return None, {}
    rule = min(matches, key=lambda rule: sum(map(len, matches[rule].groups())))
    return rule, matches[rule].groupdict()


def seconds_of(path: Path) -> float | None:
    """Return the seconds of a benchmark, the mean of its rows; None if it cannot be read."""
    try:
        header, *rows = path.read_text(encoding="utf-8").splitlines()
        column = header.split("\t").index("s")
        values = [float(row.split("\t")[column]) for row in rows if row]
        return sum(values) / len(values)
    except (OSError, UnicodeDecodeError, ValueError, IndexError, ZeroDivisionError):
        return None


class Forecast:
    """Times of the jobs of a plan that are to be run, and what follows from them.

    Parameters
    ----------
    project
        The configuration.
    plan
        The jobs.

    Raises
    ------
    CisflowError
        The estimates name a rule that there is not.
    """

    def __init__(self, project: Project, plan: Plan):
        self.project, self.plan, self.numbers = project, plan, plan.to_run
        self.amounts = Amounts(project)
        self.earlier = Earlier(project, plan, self.amounts)
        self._check_rules()
        self.times = {number: self._time(plan.jobs[number]) for number in self.numbers}

    def _check_rules(self) -> None:
        for rule in self.project.settings.estimates.seconds:
            if rule not in self.plan.benchmarks:
                known = did_you_mean(rule, self.plan.benchmarks)
                raise CisflowError(f"estimates.seconds.{rule}: there is no such rule.{known}")

    def _time(self, job: Job) -> Time:
        if job.empty:
            return NOTHING
        if job.rule in FETCHING:
            return UNKNOWN
        amount = self.amounts.of(job.rule, job.wildcards)
        if measured := self.earlier.time(job, amount):
            return measured
        if estimated := self._estimated(job, amount):
            return Time(estimated, "estimated")
        runtime = job.resources.get("runtime")
        return Time(60.0 * runtime, "at most") if isinstance(runtime, int) else UNKNOWN

    def _estimated(self, job: Job, amount: Amount | None) -> float | None:
        estimates = self.project.settings.estimates
        if amount is None:
            return None
        start = estimates.start if amount.unit in STARTED else 0
        if rates := self.amounts.rates(job, amount.unit):
            rate = rates.gpu if job.gpus else rates.cpu and rates.cpu * job.threads
            return start + amount.value / rate if rate else None
        seconds = estimates.seconds.get(job.rule)
        return seconds and start + seconds * amount.value

    def cores(self, numbers: Iterable[str]) -> Sum:
        """Return the core hours of some jobs: their time, by the cores that they hold."""
        return self._hours(numbers, lambda job: job.threads)

    def gpus(self, numbers: Iterable[str]) -> Sum:
        """Return the GPU hours of some jobs."""
        return self._hours(numbers, lambda job: job.gpus)

    def _hours(self, numbers: Iterable[str], holds: Callable[[Job], int]) -> Sum:
        total = Sum()
        for number in numbers:
            job, time = self.plan.jobs[number], self.times[number]
            if held := 0 if job.empty else holds(job):
                total.add(None if time.seconds is None else time.seconds * held / 3600, time.origin)
        return total

    def disk(self, numbers: Iterable[str]) -> dict[str, Sum]:
        """Return the bytes that some jobs write, by kind; what small tables and figures take is not told."""
        found: dict[str, Sum] = defaultdict(Sum)
        for number in numbers:
            if kind := KINDS.get(self.plan.jobs[number].rule):
                found[kind].add(self.amounts.writes(self.plan.jobs[number]), "estimated")
        return dict(found)

    def longer(self, number: str) -> bool:
        """Return whether a job is expected to take longer than the time that it asks for."""
        time, runtime = self.times.get(number), self.plan.jobs[number].resources.get("runtime")
        return bool(time and time.seconds and isinstance(runtime, int) and time.seconds > 60 * runtime)

    def not_told(self) -> list[str]:
        """Return the tasks whose data is not here, so that nothing tells how much some jobs have to do."""
        jobs = [job for number, job in self.plan.jobs.items() if number in self.times]
        tasks = {job.wildcards["task"]: None for job in jobs if "task" in job.wildcards}
        return [task for task in tasks if self.amounts.size(task) is None]

    @cached_property
    def units(self) -> dict[str, list[str]]:
        """What is submitted, or started, as one: the jobs of a group, or a job; by the number of the first job."""
        found: dict[object, list[str]] = defaultdict(list)
        for number in self.numbers:
            group = self.plan.jobs[number].group
            found[number if group is None else group].append(number)
        return {numbers[0]: numbers for numbers in found.values()}

    @property
    def submitted(self) -> int:
        """How many jobs are submitted to a cluster."""
        firsts = (self.plan.jobs[number] for number in self.units)
        return sum(not (job.here or job.empty) for job in firsts)

    def longest(self) -> list[str]:
        """Return the chain of jobs that wait for each other which takes longest."""
        return longest(self._seconds(self.numbers), self.plan.before)

    def length(self, chain: Iterable[str]) -> float:
        """Return the seconds of a chain of jobs."""
        return sum(self._seconds(chain).values())

    def wall(self) -> float:
        """Return the seconds until all is done, if as much runs at once as the profile lets."""
        owner = {number: name for name, numbers in self.units.items() for number in numbers}
        before = {
            name: {owner[other] for number in numbers for other in self.plan.before[number] if other in owner} - {name}
            for name, numbers in self.units.items()
        }
        return played({name: self._unit(numbers) for name, numbers in self.units.items()}, before, self._capacity())

    def _seconds(self, numbers: Iterable[str]) -> dict[str, float]:
        return {number: self.times[number].seconds or 0.0 for number in numbers}

    def _unit(self, numbers: list[str]) -> Unit:
        job = self.plan.jobs[numbers[0]]
        seconds = max(ends(self._seconds(numbers), self.plan.before).values())
        if job.empty:
            return Unit(seconds)
        if not self.plan.limits.local:
            return Unit(seconds, () if job.here else (("jobs", 1),))
        return Unit(seconds, (("cores", job.threads), ("gpu", job.gpus)))

    def _capacity(self) -> dict[str, float]:
        limits = self.plan.limits
        given = {"cores": limits.cores, "gpu": limits.resources.get("gpu")} if limits.local else {"jobs": limits.jobs}
        return {key: value for key, value in given.items() if value is not None}
