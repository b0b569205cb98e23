# What the rules of models ask of the configuration: runs, and what is made of them.

from cisflow.config.places import with_paths
from cisflow.config.strict import did_you_mean


def motifs_environment(wildcards):
    """Return the conda file of Tomtom: with the MEME Suite only for a task that asks for it, because of its licence."""
    with_meme = task_of(wildcards).tomtom.engine == "meme"
    return "../envs/motifs-meme.yaml" if with_meme else "../envs/motifs.yaml"


def trainable(wildcards):
    """Return the data set of a task; one whose labels no model predicts yet is refused before any job."""
    dataset = task_of(wildcards).dataset
    if dataset.kind != "embeddings" and getattr(dataset, "labels", None) == "bins":
        raise WorkflowError(
            f"task '{wildcards.task}': its data set has a label for each bin (labels: bins), and the models predict one "
            "for the window. Say 'labels: window' to train them; the data set itself can be made as it is."
        )
    return f"{project.settings.results}/tasks/{wildcards.task}/dataset.h5"


def runs_of(wildcards):
    runs = task_of(wildcards).runs()
    if not runs:
        raise WorkflowError(
            f"task '{wildcards.task}' has no model (model: null): ask for its data set, "
            f"{project.settings.results}/tasks/{wildcards.task}/dataset.h5, or figures/dataset.pdf beside it."
        )
    return [f"{project.settings.results}/tasks/{wildcards.task}/runs/{run}" for run in runs]


def refuse_heads(wildcards):
    """Refuse a task whose models are heads on embeddings, before any job."""
    if task_of(wildcards).heads:
        raise WorkflowError(
            f"task '{wildcards.task}': its models are heads on embeddings, and filters, activations and attributions "
            "are those of networks that read bases. Ask for its metrics.tsv, or its report.html."
        )


def networks_of(wildcards):
    """Return the runs of a task whose models read bases; another task is refused before any job."""
    refuse_heads(wildcards)
    return runs_of(wildcards)


def run_of(wildcards):
    """Return a run of a task whose models read bases, as `networks_of`."""
    refuse_heads(wildcards)
    runs = task_of(wildcards).runs() or runs_of(wildcards)
    if wildcards.run not in runs:
        raise WorkflowError(f"task '{wildcards.task}' has no run '{wildcards.run}'; it has {', '.join(runs)}.")
    return f"{project.settings.results}/tasks/{wildcards.task}/runs/{wildcards.run}"


def model_of(wildcards):
    """Return the model settings of a run; a run that the task has not is refused before any job."""
    runs = task_of(wildcards).runs()
    if wildcards.run not in runs:
        raise WorkflowError(
            f"task '{wildcards.task}': there is no run '{wildcards.run}'.{did_you_mean(wildcards.run, runs)} "
            f"'cisflow explain {wildcards.task}' lists its runs."
        )
    return runs[wildcards.run]


def filter_settings(wildcards):
    """Return how filters become matrices: as the task says, but at the threshold that the output names, if it does."""
    settings = task_of(wildcards).filters.model_dump(exclude={"split", "thresholds"})
    if not settings["min_information"]:
        # As it was before there was this key.
        del settings["min_information"]
    if hasattr(wildcards, "threshold"):
        settings["threshold"] = threshold_of(wildcards)
    return as_json(settings)


def threshold_of(wildcards):
    """Return the threshold that an output names; what is no number between 0 and 1 is refused before any job."""
    try:
        threshold = float(wildcards.threshold)
    except ValueError:
        threshold = 0
    if not 0 < threshold < 1:
        raise WorkflowError(f"motifs/threshold-{wildcards.threshold}: a threshold is a number between 0 and 1.")
    return threshold


def windows_of(wildcards):
    """Return the settings of the windows that a task's labels are of; labels of another kind are refused before any job."""
    dataset = project.labels_of(wildcards.task)
    if dataset.kind != "matrix" or dataset.labels != "window":
        raise WorkflowError(
            f"task '{wildcards.task}': statistics of heads need labels of windows of a genome (kind: matrix, labels: "
            f"window, or embeddings of such), and its data set is of kind {task_of(wildcards).dataset.kind}."
        )
    return dataset


def genome_index(wildcards):
    return f"{project.path(windows_of(wildcards).genome)}.fai"


def track_units(wildcards):
    return as_json({name: track.unit for name, track in windows_of(wildcards).tracks.items()})


def evaluation_spec(key):
    """Return a function that gives a part of a task's `evaluation` as JSON, with paths of files, in its order."""

    def spec(wildcards):
        windows_of(wildcards)
        return as_json(with_paths(getattr(task_of(wildcards).evaluation, key), project.path))

    return spec


@told
def evaluation_files(wildcards):
    return [*map(present, project.evaluation_files(wildcards.task))]


def metric_tables(wildcards):
    return [f"{project.settings.results}/tasks/{wildcards.task}/metrics.tsv"] if task_of(wildcards).model else []


def motif_tables(wildcards):
    task = task_of(wildcards)
    tables = ("matches", "filters", "tomtom") if task.model and task.filters else ()
    return [f"{project.settings.results}/tasks/{wildcards.task}/motifs/{table}.tsv" for table in tables]
