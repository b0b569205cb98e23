# First-layer filters as motifs, their hits in a database of known motifs, and how many match.


rule filters:
    input:
        dataset="<results>/tasks/{task}/dataset.h5",
        runs=networks_of,
    output:
        motifs=directory("<results>/tasks/{task}/motifs/meme"),
        filters="<results>/tasks/{task}/motifs/filters.tsv",
        provenance="<results>/tasks/{task}/motifs/filters.provenance.json",
    log:
        "<logs>/motifs/{task}/filters.log",
    benchmark:
        "<benchmarks>/motifs/{task}/filters.tsv"
    conda:
        f"../envs/torch-{project.settings.torch}.yaml"
    envmodules:
        "cisflow/torch",
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
        gpu=gpus,
    params:
        split=lambda wildcards: task_of(wildcards).filters.split,
        settings=filter_settings,
        device=untracked(device_of),
        code=code("motifs/filters.py"),
    shell:
        r"""
        exec &> >(tee -i {log:q})

        python workflow/scripts/motifs/filters.py \
            --log {log:q} \
            --asked rule=filters threads={threads} mem_mb={resources.mem_mb:q} runtime={resources.runtime:q} \
            --asked gpu={resources.gpu:q} \
            --reads {input:q} \
            --writes {output:q} \
            --task {wildcards.task:q} \
            --dataset {input.dataset:q} \
            --runs {input.runs:q} \
            --split {params.split:q} \
            --settings {params.settings:q} \
            --device {params.device:q} \
            --threads {threads} \
            --motifs {output.motifs:q} \
            --out {output.filters:q} \
            --provenance {output.provenance:q}
        """


rule tomtom:
    input:
        motifs="<results>/tasks/{task}/motifs/meme",
        filters="<results>/tasks/{task}/motifs/filters.tsv",
        database=lambda wildcards: project.motif_database(task_of(wildcards)),
    output:
        hits="<results>/tasks/{task}/motifs/tomtom.tsv",
        provenance="<results>/tasks/{task}/motifs/tomtom.provenance.json",
    log:
        "<logs>/motifs/{task}/tomtom.log",
    benchmark:
        "<benchmarks>/motifs/{task}/tomtom.tsv"
    conda:
        motifs_environment
    envmodules:
        "cisflow/motifs",
    threads: 2
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        exclude=lambda wildcards: task_of(wildcards).tomtom.exclude,
        engine=lambda wildcards: task_of(wildcards).tomtom.engine,
        e_value=lambda wildcards: task_of(wildcards).tomtom.e_value,
        shuffles=lambda wildcards: task_of(wildcards).tomtom.shuffles,
        code=code("motifs/tomtom.py"),
    shell:
        r"""
        exec &> >(tee -i {log:q})
        export NUMBA_NUM_THREADS={threads}

        python workflow/scripts/motifs/tomtom.py \
            --log {log:q} \
            --asked rule=tomtom threads={threads} mem_mb={resources.mem_mb:q} runtime={resources.runtime:q} \
            --reads {input:q} \
            --writes {output:q} \
            --exclude {params.exclude:q} \
            --filters {input.filters:q} \
            --motifs {input.motifs:q} \
            --database {input.database:q} \
            --engine {params.engine:q} \
            --e-value {params.e_value:q} \
            --shuffles {params.shuffles:q} \
            --out {output.hits:q} \
            --provenance {output.provenance:q}
        """


rule matches:
    input:
        filters="<results>/tasks/{task}/motifs/filters.tsv",
        hits="<results>/tasks/{task}/motifs/tomtom.tsv",
    output:
        matches="<results>/tasks/{task}/motifs/matches.tsv",
        labels="<results>/tasks/{task}/motifs/labels.tsv",
    log:
        "<logs>/motifs/{task}/matches.log",
    benchmark:
        "<benchmarks>/motifs/{task}/matches.tsv"
    conda:
        "../envs/motifs.yaml"
    envmodules:
        "cisflow/motifs",
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        ground_truth=lambda wildcards: as_json(task_of(wildcards).ground_truth),
        code=code("motifs/matches.py"),
    shell:
        r"""
        exec &> >(tee -i {log:q})

        python workflow/scripts/motifs/matches.py \
            --log {log:q} \
            --asked rule=matches threads={threads} mem_mb={resources.mem_mb:q} runtime={resources.runtime:q} \
            --reads {input:q} \
            --writes {output:q} \
            --filters {input.filters:q} \
            --tomtom {input.hits:q} \
            --ground-truth {params.ground_truth:q} \
            --matches {output.matches:q} \
            --labels {output.labels:q}
        """


rule activations:
    input:
        dataset="<results>/tasks/{task}/dataset.h5",
        run=run_of,
    output:
        table="<results>/tasks/{task}/motifs/activations/{run}.tsv",
        provenance="<results>/tasks/{task}/motifs/activations/{run}.provenance.json",
    log:
        "<logs>/motifs/{task}/activations/{run}.log",
    benchmark:
        "<benchmarks>/motifs/{task}/activations/{run}.tsv"
    conda:
        f"../envs/torch-{project.settings.torch}.yaml"
    envmodules:
        "cisflow/torch",
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
        gpu=gpus,
    params:
        settings=lambda wildcards: as_json(task_of(wildcards).activations.model_dump()),
        device=untracked(device_of),
        code=code("motifs/activations.py"),
    shell:
        r"""
        exec &> >(tee -i {log:q})

        python workflow/scripts/motifs/activations.py \
            --log {log:q} \
            --asked rule=activations threads={threads} mem_mb={resources.mem_mb:q} runtime={resources.runtime:q} \
            --asked gpu={resources.gpu:q} \
            --reads {input:q} \
            --writes {output:q} \
            --task {wildcards.task:q} \
            --dataset {input.dataset:q} \
            --run {input.run:q} \
            --settings {params.settings:q} \
            --device {params.device:q} \
            --threads {threads} \
            --out {output.table:q} \
            --provenance {output.provenance:q}
        """


# The same at another threshold of the filters' sites, for the same trained runs.


wildcard_constraints:
    threshold="[^/]+",


use rule filters as filters_at_threshold with:
    output:
        motifs=directory("<results>/tasks/{task}/motifs/threshold-{threshold}/meme"),
        filters="<results>/tasks/{task}/motifs/threshold-{threshold}/filters.tsv",
        provenance="<results>/tasks/{task}/motifs/threshold-{threshold}/filters.provenance.json",
    log:
        "<logs>/motifs/{task}/threshold-{threshold}/filters.log",
    benchmark:
        "<benchmarks>/motifs/{task}/threshold-{threshold}/filters.tsv"


use rule tomtom as tomtom_at_threshold with:
    input:
        motifs="<results>/tasks/{task}/motifs/threshold-{threshold}/meme",
        filters="<results>/tasks/{task}/motifs/threshold-{threshold}/filters.tsv",
        database=lambda wildcards: project.motif_database(task_of(wildcards)),
    output:
        hits="<results>/tasks/{task}/motifs/threshold-{threshold}/tomtom.tsv",
        provenance="<results>/tasks/{task}/motifs/threshold-{threshold}/tomtom.provenance.json",
    log:
        "<logs>/motifs/{task}/threshold-{threshold}/tomtom.log",
    benchmark:
        "<benchmarks>/motifs/{task}/threshold-{threshold}/tomtom.tsv"


use rule matches as matches_at_threshold with:
    input:
        filters="<results>/tasks/{task}/motifs/threshold-{threshold}/filters.tsv",
        hits="<results>/tasks/{task}/motifs/threshold-{threshold}/tomtom.tsv",
    output:
        matches="<results>/tasks/{task}/motifs/threshold-{threshold}/matches.tsv",
        labels="<results>/tasks/{task}/motifs/threshold-{threshold}/labels.tsv",
    log:
        "<logs>/motifs/{task}/threshold-{threshold}/matches.log",
    benchmark:
        "<benchmarks>/motifs/{task}/threshold-{threshold}/matches.tsv"


rule thresholds:
    input:
        matches=lambda wildcards: expand(
            "<results>/tasks/{task}/motifs/threshold-{threshold}/matches.tsv",
            task=wildcards.task,
            threshold=task_of(wildcards).filters.thresholds,
        ),
    output:
        "<results>/tasks/{task}/motifs/thresholds.tsv",
    log:
        "<logs>/motifs/{task}/thresholds.log",
    benchmark:
        "<benchmarks>/motifs/{task}/thresholds.tsv"
    conda:
        "../envs/motifs.yaml"
    envmodules:
        "cisflow/motifs",
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        thresholds=lambda wildcards: task_of(wildcards).filters.thresholds,
        code=code("motifs/thresholds.py"),
    shell:
        r"""
        exec &> >(tee -i {log:q})

        python workflow/scripts/motifs/thresholds.py \
            --log {log:q} \
            --asked rule=thresholds threads={threads} mem_mb={resources.mem_mb:q} runtime={resources.runtime:q} \
            --reads {input:q} \
            --writes {output:q} \
            --matches {input.matches:q} \
            --thresholds {params.thresholds:q} \
            --out {output:q}
        """


# How well known motifs and first-layer filters find the motifs of synthetic sequences.


rule scan_motifs:
    input:
        dataset=with_truth("<results>/tasks/{task}/dataset.h5", OF_SCANS),
        motifs=lambda wildcards: project.dataset_inputs(wildcards.task),
    output:
        scores="<results>/tasks/{task}/motifs/scan/motifs.tsv",
        examples="<results>/tasks/{task}/motifs/scan/examples/motifs.tsv",
        provenance="<results>/tasks/{task}/motifs/scan/motifs.provenance.json",
    log:
        "<logs>/motifs/{task}/scan/motifs.log",
    benchmark:
        "<benchmarks>/motifs/{task}/scan/motifs.tsv"
    conda:
        f"../envs/torch-{project.settings.torch}.yaml"
    envmodules:
        "cisflow/torch",
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        planted=lambda wildcards: as_json(task_of(wildcards).dataset.model_dump()),
        split=lambda wildcards: task_of(wildcards).scan.split,
        buffers=lambda wildcards: task_of(wildcards).scan.buffers,
        examples=lambda wildcards: task_of(wildcards).scan.examples,
        code=code("motifs/scan_motifs.py"),
    shell:
        r"""
        exec &> >(tee -i {log:q})

        python workflow/scripts/motifs/scan_motifs.py \
            --log {log:q} \
            --asked rule=scan_motifs threads={threads} mem_mb={resources.mem_mb:q} runtime={resources.runtime:q} \
            --reads {input:q} \
            --writes {output:q} \
            --task {wildcards.task:q} \
            --dataset {input.dataset:q} \
            --planted {params.planted:q} \
            --motifs {input.motifs:q} \
            --split {params.split:q} \
            --buffers {params.buffers:q} \
            --examples {params.examples:q} \
            --scores {output.scores:q} \
            --examples-out {output.examples:q} \
            --provenance {output.provenance:q}
        """


rule scan_run:
    input:
        dataset=with_truth("<results>/tasks/{task}/dataset.h5", OF_SCANS),
        run="<results>/tasks/{task}/runs/{run}",
    output:
        scores="<results>/tasks/{task}/motifs/scan/{run}.tsv",
        examples="<results>/tasks/{task}/motifs/scan/examples/{run}.tsv",
        provenance="<results>/tasks/{task}/motifs/scan/{run}.provenance.json",
    log:
        "<logs>/motifs/{task}/scan/{run}.log",
    benchmark:
        "<benchmarks>/motifs/{task}/scan/{run}.tsv"
    wildcard_constraints:
        # Every run has its model and its activation in its name, so that 'motifs' is none.
        run="[^/]+_[^/]+",
    conda:
        f"../envs/torch-{project.settings.torch}.yaml"
    envmodules:
        "cisflow/torch",
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
        gpu=gpus,
    params:
        layer=lambda wildcards: task_of(wildcards).scan.layer,
        split=lambda wildcards: task_of(wildcards).scan.split,
        buffers=lambda wildcards: task_of(wildcards).scan.buffers,
        examples=lambda wildcards: task_of(wildcards).scan.examples,
        device=untracked(device_of),
        code=code("motifs/scan_run.py"),
    shell:
        r"""
        exec &> >(tee -i {log:q})

        python workflow/scripts/motifs/scan_run.py \
            --log {log:q} \
            --asked rule=scan_run threads={threads} mem_mb={resources.mem_mb:q} runtime={resources.runtime:q} \
            --asked gpu={resources.gpu:q} \
            --reads {input:q} \
            --writes {output:q} \
            --task {wildcards.task:q} \
            --dataset {input.dataset:q} \
            --run {input.run:q} \
            --layer {params.layer:q} \
            --split {params.split:q} \
            --buffers {params.buffers:q} \
            --examples {params.examples:q} \
            --device {params.device:q} \
            --threads {threads} \
            --scores {output.scores:q} \
            --examples-out {output.examples:q} \
            --provenance {output.provenance:q}
        """
