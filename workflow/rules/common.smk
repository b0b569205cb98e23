# What the rule files share: look-ups in the configuration, and how resources grow when a job is tried again.

import json

SCRIPTS = "workflow/scripts"


def task_of(wildcards):
    return project.task(wildcards.task)


def as_json(value):
    """Return a setting for the command line: exact, quoted by `:q`, and the same text for the same value."""
    return json.dumps(value, sort_keys=True)


def code(script):
    """Return the hash of a script and of the modules that it imports; a parameter of every rule."""
    return code_hash(f"{workflow.basedir}/{SCRIPTS}/{script}")


def runs_of(wildcards):
    task = task_of(wildcards)
    return [f"{project.settings.results}/tasks/{wildcards.task}/runs/{run}" for run in task.runs()]


def growing(amount):
    """Return a resource that doubles with each attempt."""
    return lambda wildcards, attempt: amount * 2 ** (attempt - 1)
