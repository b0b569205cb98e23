# What the rules of data sets ask of the configuration: regions, tracks, shards, embeddings.

import functools

from cisflow.config.places import located_places, places_of, with_paths
from cisflow.config.strict import did_you_mean


@told
def dataset_inputs(wildcards):
    """Return the files that a data set is made from; those of ENCODE that are not pinned are refused."""
    check_files_of([wildcards.task])
    return [*map(present, project.dataset_inputs(wildcards.task))]


@told
def dataset_spec(wildcards):
    return as_json(project.dataset_spec(wildcards.task))


@told
def pinned_sums(wildcards):
    """Return the checksums of a task's pinned files: these are made into data, whatever Snakemake takes for new."""
    return as_json({project.pinned_path(row): row["md5"] for row in project.pinned(wildcards.task)})


def signal_of(wildcards):
    """Return the settings of a data set of signal; another kind is refused before any job."""
    dataset = task_of(wildcards).dataset
    if dataset.kind != "matrix":
        raise WorkflowError(f"task '{wildcards.task}': its data set (kind {dataset.kind}) has no regions.")
    return dataset


@told
def region_files(wildcards):
    """Return what regions are laid on: the genome, and the files that say where."""
    dataset = signal_of(wildcards)
    return {
        "genome": project.path(dataset.genome),
        "places": [present(project.path(place)) for place in places_of(dataset.regions)],
    }


@told
def regions_spec(wildcards):
    """Return what the regions of a data set depend on, with the paths of files."""
    dataset = signal_of(wildcards)
    keys = ("kind", "length", "crop", "bin", "edges")
    regions = with_paths(dataset.regions, project.path)
    return as_json({key: getattr(dataset, key) for key in keys} | {"regions": regions})


def dataset_of(wildcards):
    """Return the settings of a task's data set; one without tracks is refused before any job."""
    dataset = task_of(wildcards).dataset
    if not getattr(dataset, "tracks", None):
        raise WorkflowError(f"task '{wildcards.task}': its data set (kind {dataset.kind}) has no tracks.")
    return dataset


def track_of(wildcards):
    tracks = dataset_of(wildcards).tracks
    if wildcards.track not in tracks:
        raise WorkflowError(
            f"task '{wildcards.task}' has no track '{wildcards.track}'.{did_you_mean(wildcards.track, tracks)}"
        )
    return tracks[wildcards.track]


def once_a_track(ask):
    """Return a function that is asked once for all shards of a track, of which there are thousands."""
    known = {}

    @functools.wraps(ask)
    def asked(wildcards):
        track = (wildcards.task, wildcards.track)
        if track not in known:
            known[track] = ask(wildcards)
        return known[track]

    return asked


@once_a_track
def track_spec(wildcards):
    return as_json(with_paths(track_of(wildcards), project.path))


@told
def genome_source(wildcards):
    return present(project.genome_source(wildcards.genome))


@told
@once_a_track
def track_files(wildcards):
    """Return the files that a track is read from; of a BAM file below `resources` the index, too, which is made."""
    located = located_places(track_of(wildcards))
    paths = [project.path(place) for keys, place in located if "modified" not in keys]
    made = [path for path in paths if path.endswith(".bam") and path.startswith(f"{project.settings.resources}/")]
    return [*map(present, paths), *(f"{path}.bai" for path in made)]


@told
def genome_of(wildcards):
    path = project.path(dataset_of(wildcards).genome)
    return {"genome": path, "fai": f"{path}.fai", "gzi": f"{path}.gzi"}


@told
def modified_files(wildcards):
    modified = project.modified[wildcards.calls]
    bam, genome = project.path(modified.bam), project.path(modified.genome)
    return {
        "bam": present(bam),
        "bai": present(f"{bam}.bai"),
        "genome": genome,
        "fai": f"{genome}.fai",
        "gzi": f"{genome}.gzi",
    }


def shards_of(ending):
    """Return an input function: the files of all shards, track by track."""

    def paths(wildcards):
        dataset = dataset_of(wildcards)
        folder = f"{project.settings.results}/tasks/{wildcards.task}/tracks"
        return [f"{folder}/{track}/{shard}.{ending}" for track in dataset.tracks for shard in range(dataset.shards)]

    return paths


@told
def embedded(wildcards):
    """Return the files that a shard is made from: weights, their settings, genome, and the regions of the labels' task."""
    check_files_of(project.tasks_of_embedding(wildcards.embedding))
    dataset = project.embeddings[wildcards.embedding]
    genome = project.path(project.task(dataset.labels).dataset.genome)
    params = {"params": present(project.path(dataset.trunk.params))} if dataset.trunk.params else {}
    return params | {
        "weights": present(project.path(dataset.trunk.weights)),
        "genome": genome,
        "fai": f"{genome}.fai",
        "gzi": f"{genome}.gzi",
        "regions": f"{project.settings.results}/tasks/{dataset.labels}/regions.tsv",
    }


def trunk_of(wildcards):
    return project.embeddings[wildcards.embedding].trunk


def settings_flag(wildcards, input):
    return ["--params", input.params] if trunk_of(wildcards).params else []


def embedding_shards(wildcards):
    shards = project.embeddings[wildcards.embedding].shards
    return [f"{project.settings.results}/embeddings/{wildcards.embedding}/{shard}.h5" for shard in range(shards)]
