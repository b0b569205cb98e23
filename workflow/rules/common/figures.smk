# What the rules of figures, reports and claims ask of the configuration.

import functools
import glob
import os
import sys

from cisflow.trials import paths_of
from snakemake.logging import logger

# The tables of a data set that its page shows.
DATASET_TABLES = {name: f"dataset.{name}.tsv" for name in ("quality", "distributions", "accounting")}

# The standard figures of every task, and the tables they read.
PLOTS = {
    "dataset": DATASET_TABLES,
    "performance": {"metrics": "metrics.tsv"},
    "training": {"history": "history.tsv"},
    "filters": {"labels": "motifs/labels.tsv", "motifs": "motifs/meme"},
    "matches": {"matches": "motifs/matches.tsv"},
    "sequences": {"gallery": "attribution/galleries/best.tsv"},
    "quality": {"quality": "attribution/quality.tsv"},
}

# Those of the heads of a task, and the modules that draw them.
PLOTS |= {
    "heads": {"scores": "heads/scores.tsv", "comparison": "heads/comparison.tsv", "heads": "heads/heads.tsv"},
    "predictions": {"density": "heads/density.tsv", "scores": "heads/scores.tsv", "heads": "heads/heads.tsv"},
    "chromosomes": {
        "profiles": "heads/profiles.tsv",
        "composition": "heads/composition.tsv",
        "heads": "heads/heads.tsv",
    },
    "roc": {"domains": "heads/domains.tsv", "roc": "heads/roc.tsv", "heads": "heads/heads.tsv"},
}
OF_HEADS = {
    "heads": "heads_table",
    "predictions": "prediction_scatter",
    "chromosomes": "genome_tracks",
    "roc": "roc",
}


def plot_kind(plot):
    """Return what draws a standard figure: the function of `figures.task`, or the module of its own."""
    return OF_HEADS.get(plot, plot if plot == "dataset" else f"task.{plot}")


def plot_settings(wildcards):
    """Return what a standard figure is told about its task."""
    task = task_of(wildcards)
    if wildcards.plot not in OF_HEADS:
        truth = {} if task.ground_truth else {"ground_truth": False}
        return as_json({"runs": 4, "limits": task.attribution.limits} | truth)
    drawn = task.evaluation.drawn
    split = drawn.split if drawn.split in task.evaluation.splits else task.evaluation.splits[-1]
    tracks = drawn.along if wildcards.plot == "chromosomes" else drawn.tracks
    settings = {"split": split, "tracks": tracks, "chromosomes": drawn.chromosomes}
    return as_json(settings | {"runs": [], "names": []})


def drawing_code(kind):
    """Return the hash of the notebook and of the module that draws figures of a kind."""
    return script_hash("figures/draw.py", NOTEBOOK, f"src/cisflow/figures/{kind.partition('.')[0]}.py")


def below_tasks(tables):
    return {name: f"{project.settings.results}/tasks/{path}" for name, path in tables.items()}


# Snakemake puts its own report together from results that exist, and makes none.
REPORTING = any(word == "--report" or word.startswith("--report=") for word in sys.argv)


@functools.cache
def requested():
    """Return the files that this run of Snakemake is asked for."""
    return {os.path.normpath(target) for target in workflow.dag_settings.targets or ()}


def at_hand(path):
    """Return whether a file that is not needed, and joins what shows it, exists or is made in this run."""
    return os.path.exists(path) or path in requested()


@functools.cache
def quality_joins(task):
    """Return whether the quality of a task's attributions is on its page."""
    folder = f"{project.settings.results}/tasks/{task}"
    if not REPORTING:
        return at_hand(f"{folder}/attribution/quality.tsv")
    drawn = os.path.exists(f"{folder}/figures/quality.png")
    if not drawn and os.path.exists(f"{folder}/attribution/quality.tsv"):
        logger.warning(
            f"{folder}/report.html was made before attribution/quality.tsv, which this report lacks. To have it, first "
            f"run: snakemake {folder}/report.html"
        )
    return drawn


def figure_tables(wildcards):
    """Return the tables of a figure: those it needs, and the optional ones that are at hand."""
    figure = project.figure(wildcards.figure)
    optional = {name: path for name, path in below_tasks(figure.optional).items() if at_hand(path)}
    database = {"database": project.meme_file(figure.database)} if figure.database else {}
    return below_tasks(figure.tables) | optional | database


def plot_tables(wildcards):
    return below_tasks({name: f"{wildcards.task}/{path}" for name, path in PLOTS[wildcards.plot].items()})


@told
def plots_of(name):
    """Return the standard figures of a task's report; the quality of its attributions joins when it is at hand."""
    task = project.task(name)
    if task.model is None:
        return ["dataset"]
    there = {
        "quality": quality_joins(name),
        "filters": task.filters is not None,
        "matches": task.filters is not None,
        "sequences": task.attribution.gallery("best") is not None and not task.heads,
        **dict.fromkeys(OF_HEADS, task.heads),
    }
    there["roc"] &= bool(task.evaluation.domains or task.evaluation.differences)
    return [plot for plot in PLOTS if there.get(plot, True)]


def claimed_tables(wildcards):
    """Return the tables of all claims: of the tasks that are run for them, and of others where they are at hand."""
    run = project.settings.reproduce
    paths = {
        f"{project.settings.results}/tasks/{task}/{path}": task
        for claim in project.claims.values()
        for task in claim.task
        for path in paths_of(claim.table, claim.expected)
    }
    return [path for path, task in paths.items() if run is None or task in run or at_hand(path)]


def records_digest(wildcards):
    """Return what changes when a job of these results was recorded: the number and size of the records.

    It does not take `output`: of parameters that do, Snakemake does not look whether they have changed.
    """
    logs = f"{project.settings.results}/logs"
    records = [path for path in glob.iglob(f"{logs}/**/*.jsonl", recursive=True) if "/logs/records/" not in path]
    return f"{len(records)} records of {sum(map(os.path.getsize, records))} bytes"
