"""A forecast for people: jobs by rule, where they run, and what they take together, each number with its origin."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.table import Table

from cisflow.cli.planning.amounts import FETCHING
from cisflow.cli.planning.forecast import ORIGINS, Forecast, Sum
from cisflow.cli.planning.plan import Job, Limits

UNKNOWN = "?"
PLACEHOLDER = re.compile(r"<[A-Za-z][A-Za-z -]*>")
HERE = "here, not submitted"
# Of a list of files, in a note.
SHOWN = 5
SIZES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def show(forecast: Forecast, profile: str | None, out: Console) -> None:
    """Print what a plan will take.

    Parameters
    ----------
    forecast
        The jobs and their times.
    profile
        That of the plan; None: no profile, and no limit on what runs at once.
    out
        Where to print.
    """
    out.print(_rules(forecast))
    if not forecast.plan.limits.local and forecast.numbers:
        out.print(_places(forecast))
    totals = Table.grid(padding=(0, 2))
    totals.add_column(style="bold", no_wrap=True)
    totals.add_column()
    for label, text in _totals(forecast, profile):
        totals.add_row(label, escape(text))
    out.print("", totals, sep="\n")


def _rules(forecast: Forecast) -> RenderableType:
    table = Table("rule", "run", "done", "cores", "GB", "time", "core h", "GPU h", "from", box=None, pad_edge=False)
    table.title, table.title_justify = "\nJobs, and what each asks for", "left"
    for column in table.columns[1:8]:
        column.justify, column.no_wrap = "right", True
    for rule, numbers in _by_rule(forecast).items():
        jobs = [forecast.plan.jobs[number] for number in numbers]
        run = [number for number in numbers if number in forecast.times]
        asked = ("", "", "") if all(job.empty for job in jobs) else _asked(jobs)
        core, gpu = (_hours(total(run)) for total in (forecast.cores, forecast.gpus))
        table.add_row(rule, str(len(run)), str(len(numbers) - len(run)), *asked, core, gpu, _origins(forecast, run))
    return table


def _by_rule(forecast: Forecast) -> dict[str, list[str]]:
    """Return the numbers of all jobs by rule, in the order of the workflow."""
    found: dict[str, list[str]] = {rule: [] for rule in forecast.plan.benchmarks}
    for number, job in forecast.plan.jobs.items():
        found.setdefault(job.rule, []).append(number)
    return {rule: numbers for rule, numbers in found.items() if numbers}


def _asked(jobs: list[Job]) -> tuple[str, str, str]:
    """Return the most that some jobs ask for: cores, memory and time."""
    memory = max(int(job.resources.get("mem_mb", 0)) for job in jobs)
    minutes = max(int(job.resources.get("runtime", 0)) for job in jobs)
    time = f"{minutes // 60}:{minutes % 60:02}" if minutes else UNKNOWN
    return str(max(job.threads for job in jobs)), f"{memory / 1000:.3g}" if memory else UNKNOWN, time


def _hours(total: Sum) -> str:
    """Return hours for a cell: what is expected, or at most; nothing where nothing is held."""
    if not any(total.counts.values()):
        return ""
    if total.counts["unknown"]:
        return UNKNOWN
    bound = total.parts["at most"]
    return f"{'≤' if bound else ''}{number(total.expected + bound)}"


def number(hours: float) -> str:
    """Return hours with as many digits as matter."""
    if hours < 0.005:
        return "0.00" if hours == 0 else "<0.01"
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.1f}" if hours >= 10 else f"{hours:.2f}"


def duration(seconds: float) -> str:
    """Return how long something takes, in a unit that suits it."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{number(seconds / 3600)} hours"


def size(count: float) -> str:
    """Return bytes in a unit that suits them."""
    for unit, name in SIZES:
        if count >= unit:
            return f"{count / unit:.3g} {name}"
    return f"{count:.0f} bytes"


def _origins(forecast: Forecast, numbers: Iterable[str]) -> str:
    """Return where the times of some jobs come from; of how many earlier jobs, if they are measured."""
    times = [forecast.times[n] for n in numbers if not forecast.plan.jobs[n].empty]
    names = {"estimated": "estimates", "at most": "time asked", "unknown": UNKNOWN}
    names["measured"] = f"{max((time.count for time in times), default=0)} measured"
    return ", ".join(names[origin] for origin in ORIGINS if any(time.origin == origin for time in times))


def _places(forecast: Forecast) -> RenderableType:
    table = Table("where", "jobs", "core h", "GPU h", box=None, pad_edge=False)
    table.title, table.title_justify = "\nWhere they run", "left"
    for column in table.columns[1:]:
        column.justify, column.no_wrap = "right", True
    places: dict[str, list[str]] = defaultdict(list)
    for name in forecast.numbers:
        job = forecast.plan.jobs[name]
        if not job.empty:
            places[HERE if job.here else str(job.resources.get("slurm_partition", "default partition"))].append(name)
    for place, numbers in sorted(places.items(), key=lambda item: item[0] == HERE):
        timed = _without_fetching(forecast, numbers)
        table.add_row(escape(place), str(len(numbers)), _hours(forecast.cores(timed)), _hours(forecast.gpus(timed)))
    return table


def _without_fetching(forecast: Forecast, numbers: Iterable[str]) -> list[str]:
    return [name for name in numbers if forecast.plan.jobs[name].rule not in FETCHING]


def _totals(forecast: Forecast, profile: str | None) -> Iterator[tuple[str, str]]:
    yield "jobs", _count(forecast)
    if forecast.numbers:
        timed = _without_fetching(forecast, forecast.numbers)
        yield "GPU", _total(forecast.gpus(timed))
        yield "cores", _total(forecast.cores(timed))
        yield "wall", _wall(forecast, profile)
        yield "disk", _disk(forecast)
    yield from (("note", note) for note in _notes(forecast, profile))


def _count(forecast: Forecast) -> str:
    run, done = len(forecast.numbers), len(forecast.plan.jobs) - len(forecast.numbers)
    text = f"{run:,} to run, {done:,} up to date"
    if forecast.plan.limits.local or not run:
        return text
    together = len(forecast.units) < run
    return f"{text}; {forecast.submitted:,} {'submissions, with groups' if together else 'submitted'}"


def _total(total: Sum) -> str:
    """Return hours of all jobs with their origins."""
    if not any(total.counts.values()):
        return "none"
    measured, estimated, bound = (total.parts[origin] for origin in ORIGINS[:3])
    texts = []
    if total.counts["measured"] and total.counts["estimated"]:
        own = f"{number(measured)} measured, {number(estimated)} estimated"
        texts.append(f"{number(total.expected)} hours ({own})")
    elif total.counts["measured"] or total.counts["estimated"]:
        texts.append(f"{number(total.expected)} hours ({'measured' if total.counts['measured'] else 'estimated'})")
    if jobs := total.counts["at most"]:
        texts.append(f"at most {number(bound)} hours, the time asked for, of {_jobs(jobs)}")
    if jobs := total.counts["unknown"]:
        texts = [f"at least {texts[0]}" if texts else UNKNOWN, *texts[1:], f"not known of {_jobs(jobs)}"]
    return "; ".join(texts)


def _jobs(count: int) -> str:
    return f"{count} job" if count == 1 else f"{count:,} jobs"


def _wall(forecast: Forecast, profile: str | None) -> str:
    chain = forecast.longest()
    named = [_name(forecast.plan.jobs[name]) for name in chain if (forecast.times[name].seconds or 0) > 0]
    origins = {forecast.times[name].origin for name in _without_fetching(forecast, forecast.numbers)}
    about = "at least" if "unknown" in origins else "at most" if "at most" in origins else "about"
    return (
        f"{about} {duration(forecast.wall())} with {_parallel(forecast.plan.limits)}"
        f"{f' ({profile})' if profile else ''}, without waiting in a queue"
        f"{' and for downloads' if _fetched(forecast) else ''}; longest chain "
        f"{duration(forecast.length(chain))}{': ' if named else ''}{', '.join(named)}"
    )


def _name(job: Job) -> str:
    """Return the rule of a job, with what tells it from others of the rule."""
    own = [job.wildcards[key] for key in ("run", "figure", "embedding", "gallery", "plot") if key in job.wildcards]
    return " ".join([job.rule, *own])


def _parallel(limits: Limits) -> str:
    if not limits.local:
        return f"{limits.jobs:,} jobs at once" if limits.jobs else "all jobs at once"
    cores = "as many cores as can be used" if limits.cores is None else f"{limits.cores} cores"
    gpus = limits.resources.get("gpu")
    return cores if gpus is None else f"{cores} and {gpus} GPU{'' if gpus == 1 else 's'}"


def _fetched(forecast: Forecast) -> list[str]:
    jobs = (forecast.plan.jobs[name] for name in forecast.numbers)
    return [path for job in jobs if job.rule in FETCHING for path in job.outputs]


def _disk(forecast: Forecast) -> str:
    kinds = forecast.disk(forecast.numbers)
    total, lacking = sum(kind.expected for kind in kinds.values()), sum(k.counts["unknown"] for k in kinds.values())
    if not kinds:
        return "tables and figures alone"
    texts = [f"{name} {_bytes(kind)}" for name, kind in kinds.items()]
    return f"{'at least ' if lacking else ''}{size(total)} (estimated): {', '.join(texts)}; besides tables and figures"


def _bytes(kind: Sum) -> str:
    lacking, known = kind.counts["unknown"], kind.counts["estimated"]
    if not known:
        return UNKNOWN
    return size(kind.expected) + (f" and {lacking} not known" if lacking else "")


def _notes(forecast: Forecast, profile: str | None) -> Iterator[str]:
    jobs = [forecast.plan.jobs[name] for name in forecast.numbers]
    if any(forecast.plan.jobs[n].rule == "train" and time.origin == "estimated" for n, time in forecast.times.items()):
        yield "Estimated trainings: if all epochs run."
    if "measured" in {time.origin for time in forecast.times.values()}:
        folder = Path(forecast.project.settings.results, "benchmarks")
        yield f"Measured: medians of earlier jobs of the same rule ({folder}), scaled by what they have to do."
    if tasks := forecast.not_told():
        yield f"How much there is to do is not known before the data is here: {', '.join(tasks)}."
    for rule, numbers in _by_rule(forecast).items():
        if long := [n for n in numbers if forecast.longer(n)]:
            most = max(forecast.times[n].seconds or 0 for n in long) / 3600
            asked = _asked([forecast.plan.jobs[n] for n in long])[2]
            yield f"{rule}: {_jobs(len(long))} may take longer than the {asked} asked for, up to {number(most)} hours."
    if unknown := [path for path in _fetched(forecast) if forecast.amounts.files.get(path, (None,))[0] is None]:
        yield f"Downloads of unknown size: {_listed([_download(forecast, path) for path in unknown])}."
    if forecast.earlier.unreadable:
        yield f"No benchmarks, and not used: {', '.join(forecast.earlier.unreadable)}."
    asked = {text for job in jobs for text in map(str, job.resources.values()) if PLACEHOLDER.search(text)}
    if asked:
        yield f"Fill these in before anything is submitted: {', '.join(sorted(asked))} in {profile}."


def _download(forecast: Forecast, path: str) -> str:
    about = forecast.amounts.files.get(path, (None, None))[1]
    return f"{Path(path).name} ({about})" if about else Path(path).name


def _listed(names: list[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names) if more <= 1 else f"{', '.join(names[:SHOWN])} and {more} others"
