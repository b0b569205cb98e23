# What all rules use: the task that a wildcard names, settings as JSON, hashes of code, resources.

import functools
import hashlib
import json
import os
import re
import sys
from pathlib import Path
from urllib.parse import quote, unquote

from cisflow.checksums import checksum, remember_in
from cisflow.config.project import BASE
from cisflow.config.strict import listed
from cisflow.gpus import count
from cisflow.provenance import code_hash

SCRIPTS = "workflow/scripts"
NOTEBOOK = "workflow/notebooks/figure.ipynb"

if project.settings.container:

    container: project.settings.container


# The checksums of users' files are computed once, as those in the records of jobs are.
remember_in(Path(project.settings.results, "logs", ".checksums"))

# On one machine (a cluster has `jobs`) as many jobs as there are GPUs take one at a time; each claims its own.
one_machine = workflow.is_main_process and workflow.resource_settings.nodes is None
local_gpus = count() if one_machine else 0
if local_gpus and "gpu" not in workflow.global_resources:
    workflow.register_resource("gpu", local_gpus)


def one_of(names):
    """Return a wildcard's constraint to these names."""
    return "|".join(map(re.escape, sorted(names))) or "none"


def told(ask):
    """Return a function that rules call, whose errors are said before any job, without the lines of the package."""

    @functools.wraps(ask)
    def asked(wildcards):
        try:
            return ask(wildcards)
        except CisflowError as error:
            raise WorkflowError(str(error)) from None

    return asked


# Where a file would be that is asked for in place of a user's own one that is missing: see the rule missing_file.
MISSING = ".missing"


def present(path):
    """Return a file that something is made from; of a user's own one that is missing, what says so if it is needed.

    An error raised here would also stop what was made before the file went.
    """
    if not is_users_own(path) or not workflow.is_main_process or os.path.exists(path):
        return path
    return f"{MISSING}/{quote(path, safe='')}"


@told
def say_missing(wildcards):
    """Refuse a user's own file that is missing, before any job, with a name that is close."""
    from cisflow.config.preflight import missing_files  # only this rule has to wait for it

    path = unquote(wildcards.path)
    raise CisflowError(missing_files(project).get(path, f"{path}: there is no such file."))


@functools.cache
def unsound_tasks():
    """Return the problems of users' files, by task; a job of a cluster has no time to look for them again."""
    if not workflow.is_main_process:
        return {}
    from cisflow.config.preflight import file_problems

    return file_problems(project)


@told
def task_of(wildcards):
    """Return a task; one that there is not is refused before any job, with a name that is close.

    So is one whose files have problems, which stop nothing that does not need it.
    """
    task = project.task(wildcards.task)
    check_files_of([wildcards.task])
    return task


def check_files_of(tasks):
    """Refuse tasks whose files have problems.

    Raises
    ------
    CisflowError
        All problems of these tasks.
    """
    if problems := [problem for name in tasks for problem in unsound_tasks().get(name, [])]:
        from cisflow.config.preflight import HEADING

        raise CisflowError(HEADING + listed(problems))


def tasks_by_name():
    """Return the tasks of which files are asked for on the command line."""
    folder = f"{project.settings.results}/tasks/"
    paths = map(os.path.normpath, sys.argv[1:])
    below = (path.removeprefix(folder) for path in paths if path.startswith(folder))
    return [name for name in sorted({path.partition("/")[0] for path in below}) if name in project.tasks]


# Said here, since Snakemake adds the lines of the rules to what an input function says.
told(check_files_of)(tasks_by_name())


def as_json(value):
    """Return a setting for the command line, quoted by `:q`; mappings keep their order, which can mean something."""
    return json.dumps(value)


def untracked(ask):
    """Return a parameter that makes no job run again when it changes: how something is computed, and not what.

    Snakemake does not look at parameters that are made from `output`.
    """
    return lambda wildcards, output: ask(wildcards)


def is_users_own(path):
    """Return whether a path is a file of the user: not fetched, and not made by a rule."""
    return not path.startswith((f"{project.settings.resources}/", f"{project.settings.results}/"))


def by_content(ask):
    """Return an input function for which the content of users' own files counts, not their time.

    A copy, a checkout or a touch changes times alone, and a file that is replaced may be an older one. So Snakemake is
    told to pass over the times, and the content is a parameter of the rule (`content_of`).
    """

    def mark(path):
        return ancient(path) if is_users_own(path) else path

    @functools.wraps(ask)
    def inputs(wildcards):
        found = ask(wildcards)
        if isinstance(found, str):
            return mark(found)
        if isinstance(found, dict):
            return {
                name: mark(value) if isinstance(value, str) else [*map(mark, value)] for name, value in found.items()
            }
        return [*map(mark, found)]

    return inputs


def content_of(ask):
    """Return a parameter: a digest of the users' own files that an input function returns."""

    def content(wildcards):
        found = ask(wildcards)
        groups = found.values() if isinstance(found, dict) else [found]
        paths = {path for group in groups for path in ([group] if isinstance(group, str) else group)}
        return content_digest(tuple(sorted(filter(is_users_own, paths))))

    return content


@functools.cache
def content_digest(paths):
    # Only the process that schedules compares parameters; a file that is missing is said by Snakemake.
    if not workflow.is_main_process or not paths:
        return ""
    lines = [f"{path} {checksum(path) if os.path.isfile(path) else 'missing'}" for path in paths]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def code(script):
    """Return a parameter of every rule: a function that gives the hash of a script and of the modules that it imports.

    A job of a cluster reads the Snakefile again, and asks for no other script than its own.
    """
    return lambda wildcards: script_hash(script)


@functools.cache
def script_hash(script, *others):
    """Return the hash of a script of a stage, and of other files below the repository that it is told to run."""
    return code_hash(f"{workflow.basedir}/{SCRIPTS}/{script}", *(f"{workflow.basedir}/{other}" for other in others))


def deployed():
    """Return the names of the methods by which software is deployed."""
    return [method.name.lower().replace("_", "-") for method in workflow.deployment_settings.deployment_method]


def environments():
    """Return the conda file of each script, as the rules have it; a job compares its Python with it."""
    files = {}
    for step in workflow.rules:
        script = re.search(rf"{SCRIPTS}/(\S+\.py)", step.shellcmd or "")
        if script:
            # The environments that a function chooses from differ in a program, and not in what Python imports.
            own = "../envs/motifs.yaml" if callable(step.conda_env) else step.conda_env
            files[script[1]] = os.path.normpath(f"{workflow.basedir}/workflow/rules/{own}")
    return files


def growing(amount):
    """Return a resource that doubles with each attempt."""
    return lambda wildcards, attempt: amount * 2 ** (attempt - 1)


def scale():
    """Return the configuration file that is laid on the first one; that one at paper scale."""
    files = map(os.path.relpath, workflow.configfiles)
    return next((file for file in reversed([*files]) if file != BASE), BASE)


def device_of(wildcards):
    return task_of(wildcards).training.device


def gpus(wildcards):
    return gpus_for(device_of(wildcards))


def gpus_for(device):
    """Return how many GPUs a job asks for; one that may use the CPU asks for one where they are at hand."""
    return int(device == "gpu" or (device == "any" and local_gpus > 0))
