"""What Snakemake would do for some targets: the jobs of each, read from the graph that `snakemake --dag dot` prints."""

import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cisflow.errors import CisflowError

_NODE = re.compile(r'^\s*(\d+)\[label = "(.*?)", .*style="(.*?)"\];$', re.MULTILINE)
_EDGE = re.compile(r"^\s*(\d+) -> (\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Job:
    """A job of the graph.

    Attributes
    ----------
    rule
        Its rule.
    wildcards
        Those that its label shows: Snakemake leaves out what a job before it has shown.
    done
        Its outputs exist and are up to date.
    """

    rule: str
    wildcards: Mapping[str, str]
    done: bool


class Plan:
    """Jobs by number, and which of them each one waits for."""

    def __init__(self, dot: str):
        self.jobs = {number: _job(label, style) for number, label, style in _NODE.findall(dot)}
        self.before: dict[str, list[str]] = {number: [] for number in self.jobs}
        for first, then in _EDGE.findall(dot):
            self.before[then].append(first)

    def of(self, rule: str, **wildcards: str) -> set[str]:
        """Return the numbers of the jobs of a rule with these wildcards, and of all that they wait for."""
        wanted = [n for n, job in self.jobs.items() if job.rule == rule and wildcards.items() <= job.wildcards.items()]
        return set().union(*(self._behind(number) for number in wanted))

    def wildcard(self, number: str, name: str) -> str | None:
        """Return a wildcard of a job, its own or that of a job that it waits for."""
        found = (self.jobs[n].wildcards.get(name) for n in (number, *sorted(self._behind(number))))
        return next(filter(None, found), None)

    def _behind(self, number: str) -> set[str]:
        seen, queue = set(), [number]
        while queue:
            if (here := queue.pop()) not in seen:
                seen.add(here)
                queue += self.before[here]
        return seen


def _job(label: str, style: str) -> Job:
    rule, *lines = label.split("\\n")
    return Job(rule, dict(line.split(": ", 1) for line in lines if ": " in line), "dashed" in style)


def plan(config: str | Path, targets: Sequence[str], root: str | Path = ".") -> Plan:
    """Ask Snakemake what it would do.

    Raises
    ------
    CisflowError
        It cannot plan these targets, with what it says.
    """
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--configfile", str(config), "--dag", "dot", "--"]
    done = subprocess.run([*command, *targets], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CisflowError(f"Snakemake cannot plan {', '.join(targets)}:\n{done.stdout}{done.stderr}".strip())
    return Plan(done.stdout)
