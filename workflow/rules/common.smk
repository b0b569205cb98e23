# What the rules ask of the configuration (`project`, from the Snakefile).

import functools
import glob
import json
import re
import shlex

from cisflow.attribution.presets import REFERENCED
from cisflow.config.places import located_places, places_of, with_paths
from cisflow.config.project import BASE
from cisflow.config.sources import share_mirrors
from cisflow.config.strict import did_you_mean
from cisflow.figures.captions import CAPTIONS
from cisflow.gpus import count
from cisflow.provenance import code_hash
from cisflow.software import prepare
from cisflow.trials import paths_of

SCRIPTS = "workflow/scripts"
NOTEBOOK = "workflow/notebooks/figure.ipynb"

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

# Every file of every source, and those that come in an archive.
FILES = {name: file for source in project.sources.values() for name, file in source.files.items()}
MEMBERS = {name: file for name, file in FILES.items() if file.archive}

if project.settings.container:

    container: project.settings.container


# On one machine (a cluster has `jobs`) as many jobs as there are GPUs take one at a time; each claims its own.
one_machine = workflow.is_main_process and workflow.resource_settings.nodes is None
local_gpus = count() if one_machine else 0
if local_gpus and "gpu" not in workflow.global_resources:
    workflow.register_resource("gpu", local_gpus)


def one_of(names):
    """Return a wildcard's constraint to these names."""
    return "|".join(map(re.escape, sorted(names))) or "none"


def told(ask):
    """Return a function that rules call, whose errors are said before any job, in a message without a traceback."""

    @functools.wraps(ask)
    def asked(wildcards):
        try:
            return ask(wildcards)
        except CisflowError as error:
            raise WorkflowError(str(error)) from None

    return asked


@told
def task_of(wildcards):
    """Return a task; one that there is not is refused before any job, with a name that is close."""
    return project.task(wildcards.task)


def as_json(value):
    """Return a setting for the command line: exact, quoted by `:q`, and the same text for the same value."""
    return json.dumps(value, sort_keys=True)


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


def motifs_environment(wildcards):
    """Return the conda file of Tomtom: with the MEME Suite only for a task that asks for it, because of its licence."""
    with_meme = task_of(wildcards).tomtom.engine == "meme"
    return "../envs/motifs-meme.yaml" if with_meme else "../envs/motifs.yaml"


@told
def dataset_inputs(wildcards):
    """Return the files that a data set is made from; those of ENCODE that are not pinned are refused."""
    return project.dataset_inputs(wildcards.task)


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
        "places": [project.path(place) for place in places_of(dataset.regions)],
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
@once_a_track
def track_files(wildcards):
    """Return the files that a track is read from; of a BAM file below `resources` the index, too, which is made."""
    located = located_places(track_of(wildcards))
    paths = [project.path(place) for keys, place in located if "modified" not in keys]
    made = [path for path in paths if path.endswith(".bam") and path.startswith(project.settings.resources)]
    return paths + [f"{path}.bai" for path in made]


@told
def genome_of(wildcards):
    path = project.path(dataset_of(wildcards).genome)
    return {"genome": path, "fai": f"{path}.fai", "gzi": f"{path}.gzi"}


@told
def modified_files(wildcards):
    modified = project.modified[wildcards.calls]
    bam, genome = project.path(modified.bam), project.path(modified.genome)
    return {"bam": bam, "bai": f"{bam}.bai", "genome": genome, "fai": f"{genome}.fai", "gzi": f"{genome}.gzi"}


def shards_of(ending):
    """Return an input function: the files of all shards, track by track."""

    def paths(wildcards):
        dataset = dataset_of(wildcards)
        folder = f"{project.settings.results}/tasks/{wildcards.task}/tracks"
        return [f"{folder}/{track}/{shard}.{ending}" for track in dataset.tracks for shard in range(dataset.shards)]

    return paths


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


def model_of(wildcards):
    """Return the model settings of a run; a run that the task has not is refused before any job."""
    runs = task_of(wildcards).runs()
    if wildcards.run not in runs:
        raise WorkflowError(
            f"task '{wildcards.task}': there is no run '{wildcards.run}'.{did_you_mean(wildcards.run, runs)} "
            f"'cisflow explain {wildcards.task}' lists its runs."
        )
    return runs[wildcards.run]


OF_MAPS = "to score attributions against", "attribution/quality.tsv or attribution/maps"
OF_SCANS = "to measure scans against", "motifs/matches.tsv"


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


def embedded(wildcards):
    """Return the files that a shard is made from: weights, their settings, genome, and the regions of the labels' task."""
    dataset = project.embeddings[wildcards.embedding]
    genome = project.path(project.task(dataset.labels).dataset.genome)
    params = {"params": project.path(dataset.trunk.params)} if dataset.trunk.params else {}
    return params | {
        "weights": project.path(dataset.trunk.weights),
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


def records_of(wildcards):
    """Return the sizes of contigs if a genome is made out of records with coordinates, else None."""
    genome = project.genomes[wildcards.genome]
    return genome.sizes if genome.records else None


def growing(amount):
    """Return a resource that doubles with each attempt."""
    return lambda wildcards, attempt: amount * 2 ** (attempt - 1)


def declaration(wildcards):
    return as_json(project.sources[wildcards.source].declaration(wildcards.file))


def scale():
    """Return the configuration file that is laid on the first one; that one at paper scale."""
    files = map(os.path.relpath, workflow.configfiles)
    return next((file for file in reversed([*files]) if file != BASE), BASE)


@told
def sources_of_all(wildcards):
    """Return all files that the default target needs and the workflow fetches or exports, by Snakemake's own graph."""
    from cisflow.cli.sources import needed  # only this rule has to wait for it

    items, releases = needed(project, scale(), [])
    exported = [project.source_file(name, f"{name}.{kind}") for name in releases for kind in ("jaspar", "meme")]
    return [project.source_file(item.source, item.wanted.name) for item in items] + exported


def tell_missing():
    """Say which files could not be fetched, and what fetches them; nothing, if that is not why a run has failed."""
    jobs = [job for job in workflow.dag.jobs if job.rule.name == "fetch_source" and not os.path.exists(job.output[0])]
    if not any(os.path.exists(job.log[0]) for job in jobs):
        return
    targets = sorted(set(workflow.dag_settings.targets) - {"sources"})
    words = [word for target in targets for word in ("--for", target)] + ["--config", scale()] * (scale() != BASE)
    print(
        f"\n{len(jobs)} files of sources are missing:",
        *(f"  {job.output[0]}{missing_why(job)}" for job in jobs),
        "Where there is a network, as on a login node, this fetches them all:",
        f"  {shlex.join(['cisflow', 'sources', 'fetch', *words])}",
        "If that machine does not see this folder, add --mirror FOLDER, bring FOLDER here, and name it in "
        "CISFLOW_MIRROR ('mirror:' in the configuration).",
        *(
            ["Snakemake runs in a job of Slurm here; started on a login node, it fetches by itself."]
            * ("SLURM_JOB_ID" in os.environ)
        ),
        sep="\n",
        file=sys.stderr,
    )


def missing_why(job):
    """Return what is known of a file that is missing: that it was not tried yet, or has to be got by hand."""
    source = project.sources[job.wildcards.source]
    file = source.files[job.wildcards.file]
    if not file.url and not file.package:
        return f", by hand: {source.manual}"
    return "" if os.path.exists(job.log[0]) else " (not tried yet)"


def gpus(wildcards):
    return gpus_for(task_of(wildcards).training.device)


def gpus_for(device):
    """Return how many GPUs a job asks for; one that may use the CPU asks for one where they are at hand."""
    return int(device == "gpu" or (device == "any" and local_gpus > 0))


def filter_settings(wildcards):
    """Return how filters become matrices: as the task says, but at the threshold that the output names, if it does."""
    own = {"threshold": float(wildcards.threshold)} if hasattr(wildcards, "threshold") else {}
    return as_json(task_of(wildcards).filters.model_dump(exclude={"split", "thresholds"}) | own)


def plot_kind(plot):
    """Return what draws a standard figure: the function of `figures.task`, or the module of its own."""
    return OF_HEADS.get(plot, plot if plot == "dataset" else f"task.{plot}")


def plot_settings(wildcards):
    """Return what a standard figure is told about its task."""
    task = task_of(wildcards)
    if wildcards.plot not in OF_HEADS:
        return as_json({"runs": 4, "limits": task.attribution.limits})
    drawn = task.evaluation.drawn
    split = drawn.split if drawn.split in task.evaluation.splits else task.evaluation.splits[-1]
    tracks = drawn.along if wildcards.plot == "chromosomes" else drawn.tracks
    # Not sorted: tracks and chromosomes stand in the order of the configuration.
    settings = {"split": split, "tracks": tracks, "chromosomes": drawn.chromosomes}
    return json.dumps(settings | {"runs": [], "names": []})


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
        return json.dumps(with_paths(getattr(task_of(wildcards).evaluation, key), project.path))

    return spec


def drawing_code(kind):
    """Return the hash of the notebook and of the module that draws figures of a kind."""
    return script_hash("figures/draw.py", NOTEBOOK, f"src/cisflow/figures/{kind.partition('.')[0]}.py")


def below_tasks(tables):
    return {name: f"{project.settings.results}/tasks/{path}" for name, path in tables.items()}


def figure_tables(wildcards):
    """Return the tables of a figure: those it needs, and the optional ones that exist."""
    figure = project.figure(wildcards.figure)
    optional = {name: path for name, path in below_tasks(figure.optional).items() if os.path.exists(path)}
    database = {"database": project.meme_file(figure.database)} if figure.database else {}
    return below_tasks(figure.tables) | optional | database


def plot_tables(wildcards):
    return below_tasks({name: f"{wildcards.task}/{path}" for name, path in PLOTS[wildcards.plot].items()})


@told
def plots_of(name):
    """Return the standard figures of a task's report; the quality of its attributions joins when it exists."""
    task, quality = project.task(name), f"{project.settings.results}/tasks/{name}/attribution/quality.tsv"
    if task.model is None:
        return ["dataset"]
    there = {
        "quality": os.path.exists(quality),
        "filters": task.filters is not None,
        "matches": task.filters is not None,
        "sequences": task.attribution.gallery("best") is not None and not task.heads,
        **dict.fromkeys(OF_HEADS, task.heads),
    }
    there["roc"] &= bool(task.evaluation.domains or task.evaluation.differences)
    return [plot for plot in PLOTS if there.get(plot, True)]


def metric_tables(wildcards):
    return [f"{project.settings.results}/tasks/{wildcards.task}/metrics.tsv"] if task_of(wildcards).model else []


def motif_tables(wildcards):
    task = task_of(wildcards)
    tables = ("matches", "filters", "tomtom") if task.model and task.filters else ()
    return [f"{project.settings.results}/tasks/{wildcards.task}/motifs/{table}.tsv" for table in tables]


def claimed_tables(wildcards):
    """Return the tables of all claims: of the tasks that are run for them, and of others where they exist."""
    run = project.settings.reproduce
    paths = {
        f"{project.settings.results}/tasks/{task}/{path}": task
        for claim in project.claims.values()
        for task in claim.task
        for path in paths_of(claim.table, claim.expected)
    }
    return [path for path, task in paths.items() if run is None or task in run or os.path.exists(path)]


def records_digest(wildcards):
    """Return what changes when a job of these results was recorded: the number and size of the records.

    It does not take `output`: of parameters that do, Snakemake does not look whether they have changed.
    """
    logs = f"{project.settings.results}/logs"
    records = [path for path in glob.iglob(f"{logs}/**/*.jsonl", recursive=True) if "/logs/records/" not in path]
    return f"{len(records)} records of {sum(map(os.path.getsize, records))} bytes"
