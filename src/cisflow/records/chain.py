"""The chain of jobs behind a result: which job made each file, from the sources on."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from cisflow.errors import CisflowError
from cisflow.records.read import Job

# A file as a record has it: bytes, sha256, and of a folder the number of files.
File = Mapping[str, Any]


@dataclass(frozen=True)
class Chain:
    """Jobs in an order in which they can be run, and the files that none of them made, by path."""

    jobs: list[Job]
    given: dict[str, File]

    @property
    def target(self) -> Job:
        """The job that made the result."""
        return self.jobs[-1]

    def files(self) -> dict[str, File]:
        """Return all files and folders, by path: those given, and those that jobs wrote."""
        made = (job.result["writes"] for job in self.jobs)
        return self.given | {path: file for files in made for path, file in files.items()}


def chain_of(target: str, jobs: Iterable[Job], results: str) -> Chain:
    """Return the jobs that a file was made by, and of whose results, back to what was given.

    Parameters
    ----------
    target
        A file that a job wrote.
    jobs
        All jobs that have a record.
    results
        The folder of results: what is in it was made by a job, and must have a record.

    Raises
    ------
    CisflowError
        A result has no record, or is not what the next job read: it was made again, and that job was not.
    """
    made_by = {path: job for job in jobs if job.result for path in job.result["writes"]}
    if target not in made_by:
        raise CisflowError(
            f"{target}: there is no record of a job that made it, below {results}/logs. Make it with snakemake; of "
            "what an older version of cisflow made, there is no record."
        )
    order: dict[str, Job] = {}
    given: dict[str, File] = {}
    problems: list[str] = []

    def visit(job: Job) -> None:
        for path, file in job.result["reads"].items():
            maker = _maker(path, made_by)
            if maker is None:
                if PurePath(path).is_relative_to(results):
                    problems.append(f"{path}: there is no record of the job that made it, and {job.name} read it.")
                given[path] = file
            else:
                problems.extend(_changed(path, file, maker, job))
                if maker.name not in order:
                    visit(maker)
        order[job.name] = job

    visit(made_by[target])
    if problems:
        ask = "Make the result again by snakemake (--forcerun with the rule that made the file), and then the crate."
        raise CisflowError("\n".join([*dict.fromkeys(problems), ask]))
    return Chain(list(order.values()), given)


def _maker(path: str, made_by: Mapping[str, Job]) -> Job | None:
    """Return the job that wrote a file, or the folder that it is in."""
    return next((made_by[str(place)] for place in (path, *PurePath(path).parents) if str(place) in made_by), None)


def _changed(path: str, read: File, maker: Job, reader: Job) -> Iterator[str]:
    wrote = maker.result["writes"].get(path)
    # Of a file in a folder that a job wrote, the folder has the checksum.
    if wrote is not None and wrote.get("sha256") != read.get("sha256"):
        yield f"{path}: it was made again by {maker.name} after {reader.name} had read it."
