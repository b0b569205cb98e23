# What the rules of attribution ask of the configuration.

from cisflow.attribution.presets import REFERENCED

OF_MAPS = "to score attributions against", "attribution/quality.tsv or attribution/maps"
OF_SCANS = "to measure scans against", "motifs/matches.tsv"


def maps_of(wildcards):
    networks_of(wildcards)
    task = task_of(wildcards)
    return [f"{project.settings.results}/tasks/{wildcards.task}/attribution/maps/{run}" for run in task.runs()]


def modisco_maps(wildcards):
    """Return the maps of a run that TF-MoDISco reads; what it cannot read is refused before any job."""
    model_of(wildcards)
    try:
        task_of(wildcards).modisco_method()
    except ValueError as error:
        raise WorkflowError(f"task '{wildcards.task}': modisco.method: {error}.") from None
    return f"{project.settings.results}/tasks/{wildcards.task}/attribution/maps/{wildcards.run}"


def gallery_of(wildcards):
    """Return a gallery of a task; one that there is not is refused before any job."""
    attribution = task_of(wildcards).attribution
    gallery = attribution.gallery(wildcards.gallery)
    if gallery is None:
        known = ", ".join(name for name, own in attribution.galleries.items() if own) or "none"
        raise WorkflowError(f"task '{wildcards.task}' has no gallery '{wildcards.gallery}'; its galleries: {known}.")
    return gallery


def gallery_runs(wildcards):
    networks_of(wildcards)
    runs = gallery_of(wildcards).runs or task_of(wildcards).runs()
    return [f"{project.settings.results}/tasks/{wildcards.task}/runs/{run}" for run in runs]


def with_truth(path, what=OF_MAPS):
    """Return an input function for a data set with a ground truth; a task without one is refused before any job."""

    def checked(wildcards):
        if not task_of(wildcards).dataset.kind.startswith("synthetic"):
            purpose, instead = what
            raise WorkflowError(
                f"task '{wildcards.task}': its data set has no ground truth {purpose}; only synthetic data sets have "
                f"one. Ask for {instead} instead."
            )
        return path

    return checked


def referenced(wildcards):
    """Return the attribution methods of a task that start from references."""
    return [method for method in task_of(wildcards).attribution.methods if method in REFERENCED]


def with_references(path):
    """Return `with_truth`'s input function; a task whose methods have no references is refused as well."""

    def checked(wildcards):
        path_of_set = with_truth(path)(wildcards)
        if not referenced(wildcards):
            raise WorkflowError(
                f"task '{wildcards.task}': none of its attribution.methods starts from references; add "
                f"{' or '.join(REFERENCED)}."
            )
        return path_of_set

    return checked
