# What the rules of sources ask of the configuration.

import os
import shlex
import sys

from cisflow.config.project import BASE
from cisflow.errors import without_secrets

# Every file of every source, and those that come in an archive.
FILES = {name: file for source in project.sources.values() for name, file in source.files.items()}
MEMBERS = {name: file for name, file in FILES.items() if file.archive}


def records_of(wildcards):
    """Return the sizes of contigs if a genome is made out of records with coordinates, else None."""
    genome = project.genomes[wildcards.genome]
    return genome.sizes if genome.records else None


def declaration(wildcards):
    """Return what is known of a file, as JSON; passwords and keys in its address go another way (share_addresses)."""
    return without_secrets(as_json(project.sources[wildcards.source].declaration(wildcards.file)))


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
