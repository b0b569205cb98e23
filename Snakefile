"""cisflow: from the public source to the finished figure.

Results have these names, below `results` (paper scale) or another folder named by the configuration:

    figures/<figure>.{pdf,png,tsv,json}     figures of papers (config/figures.yaml)
    tasks/<task>/report.html                everything about one task (config/tasks.yaml)
    tasks/<task>/runs/<run>/trial-<k>/      checkpoints
    tasks/<task>/motifs/                    filters as MEME files, Tomtom hits, match statistics
    reproduction.md                         published numbers against ours (config/claims.yaml)
"""

import os
import re
import sys
from snakemake.utils import min_version

min_version("9.16")


configfile: "config/config.yaml"


sys.path.insert(0, os.path.join(workflow.basedir, "src"))

from cisflow.config.project import load_project
from cisflow.errors import CisflowError
from cisflow.software import prepare
from snakemake.exceptions import WorkflowError

try:
    project = load_project(config, files=workflow.configfiles)
except CisflowError as error:
    raise WorkflowError(str(error)) from None


pathvars:
    results=project.settings.results,
    resources=project.settings.resources,
    logs=f"{project.settings.results}/logs",
    benchmarks=f"{project.settings.results}/benchmarks",


wildcard_constraints:
    # Of tasks there can be a thousand, and a pattern of so many names is slow; `task_of` refuses the others.
    task="[^/]+",
    source="|".join(map(re.escape, project.sources)),
    figure="|".join(map(re.escape, project.figures)),
    run="[^/]+",
    file="[^/]+",


report: "workflow/report/workflow.rst"


# What the rules ask of the configuration, by topic; then the rules, stage by stage.
ASKED = "general sources datasets models attribution figures"
STAGES = "sources tracks datasets embeddings training evaluation motifs attribution figures claims records"

for part in ["slurm", *(f"common/{topic}" for topic in ASKED.split()), *STAGES.split()]:

    include: f"workflow/rules/{part}.smk"


# Slurm ends a job with SIGTERM to all its processes, a closed terminal with SIGHUP: the script saves and says so, and its
# log is open until it has.
shell.prefix(f"trap '' TERM HUP; {prepare(deployed(), environments())}")


rule all:
    default_target: True
    input:
        rules.figures.input,
    localrule: True
