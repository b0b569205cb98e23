# What the models read in single sequences: maps, their quality, and their scores against the ground truth.


rule attribute:
    input:
        dataset="<results>/tasks/{task}/dataset.h5",
        run="<results>/tasks/{task}/runs/{run}",
    output:
        directory("<results>/tasks/{task}/attribution/maps/{run}"),
    log:
        "<logs>/attribution/{task}/{run}.log",
    benchmark:
        "<benchmarks>/attribution/{task}/{run}.tsv"
    conda:
        "../envs/attribution.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
        gpu=gpus,
    params:
        methods=lambda wildcards: task_of(wildcards).attribution.methods,
        split=lambda wildcards: task_of(wildcards).attribution.split,
        sequences=lambda wildcards: task_of(wildcards).attribution.sequences,
        target=lambda wildcards: task_of(wildcards).attribution.target or [],
        preset=lambda wildcards: task_of(wildcards).attribution.preset,
        changes=lambda wildcards: as_json(task_of(wildcards).attribution.changes()),
        device=lambda wildcards: task_of(wildcards).training.device,
        code=code("attribution/attribute.py"),
    shell:
        r"""
        exec &> >(tee -i {log:q})

        python workflow/scripts/attribution/attribute.py \
            --target {params.target:q} \
            --task {wildcards.task:q} \
            --dataset {input.dataset:q} \
            --run {input.run:q} \
            --methods {params.methods:q} \
            --split {params.split:q} \
            --sequences {params.sequences:q} \
            --preset {params.preset:q} \
            --changes {params.changes:q} \
            --device {params.device:q} \
            --threads {threads} \
            --out {output:q}
        """


rule attribution_quality:
    input:
        maps_of,
    output:
        "<results>/tasks/{task}/attribution/quality.tsv",
    log:
        "<logs>/attribution/{task}.quality.log",
    benchmark:
        "<benchmarks>/attribution/{task}.quality.tsv"
    conda:
        "../envs/attribution.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        limits=lambda wildcards: as_json(task_of(wildcards).attribution.limits),
        code=code("attribution/gate.py"),
    shell:
        r"""
        exec &> >(tee -i {log:q})

        python workflow/scripts/attribution/gate.py \
            --maps {input:q} \
            --limits {params.limits:q} \
            --out {output:q}
        """


# The quality table is an input: what did not pass the gate is not scored.
rule score_attribution:
    input:
        dataset=with_truth("<results>/tasks/{task}/dataset.h5"),
        runs=runs_of,
        maps=maps_of,
        quality="<results>/tasks/{task}/attribution/quality.tsv",
    output:
        scores="<results>/tasks/{task}/attribution/scores.tsv",
        examples="<results>/tasks/{task}/attribution/examples.tsv",
        provenance="<results>/tasks/{task}/attribution/scores.provenance.json",
    log:
        "<logs>/attribution/{task}.score.log",
    benchmark:
        "<benchmarks>/attribution/{task}.score.tsv"
    conda:
        "../envs/attribution.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        split=lambda wildcards: task_of(wildcards).attribution.split,
        methods=lambda wildcards: task_of(wildcards).attribution.methods,
        examples=lambda wildcards: task_of(wildcards).attribution.examples,
        maps=subpath(output.scores, parent=True),
        code=code("attribution/score.py"),
    shell:
        r"""
        exec &> >(tee -i {log:q})

        python workflow/scripts/attribution/score.py \
            --task {wildcards.task:q} \
            --dataset {input.dataset:q} \
            --split {params.split:q} \
            --runs {input.runs:q} \
            --maps {params.maps:q}/maps \
            --methods {params.methods:q} \
            --examples {params.examples:q} \
            --scores {output.scores:q} \
            --examples-out {output.examples:q} \
            --provenance {output.provenance:q}
        """
