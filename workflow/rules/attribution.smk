# What the models read in single sequences: maps, their quality, and their scores against the ground truth.


rule attribute:
    input:
        dataset="<results>/tasks/{task}/dataset.h5",
        run=run_of,
    output:
        directory("<results>/tasks/{task}/attribution/maps/{run}"),
    log:
        "<logs>/attribution/{task}/{run}.log",
    benchmark:
        "<benchmarks>/attribution/{task}/{run}.tsv"
    conda:
        f"../envs/attribution-{project.settings.torch}.yaml"
    envmodules:
        "cisflow/attribution",
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
        device=untracked(device_of),
        code=code("attribution/attribute.py"),
    shell:
        r"""
        exec &> >(tee -i {log:q})

        python workflow/scripts/attribution/attribute.py \
            --log {log:q} \
            --asked rule=attribute threads={threads} mem_mb={resources.mem_mb:q} runtime={resources.runtime:q} \
            --asked gpu={resources.gpu:q} \
            --reads {input:q} \
            --writes {output:q} \
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
        "<logs>/attribution/{task}/quality.log",
    benchmark:
        "<benchmarks>/attribution/{task}/quality.tsv"
    conda:
        f"../envs/attribution-{project.settings.torch}.yaml"
    envmodules:
        "cisflow/attribution",
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
            --log {log:q} \
            --asked rule=attribution_quality threads={threads} mem_mb={resources.mem_mb:q} runtime={resources.runtime:q} \
            --reads {input:q} \
            --writes {output:q} \
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
        "<logs>/attribution/{task}/score.log",
    benchmark:
        "<benchmarks>/attribution/{task}/score.tsv"
    conda:
        f"../envs/attribution-{project.settings.torch}.yaml"
    envmodules:
        "cisflow/attribution",
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
            --log {log:q} \
            --asked rule=score_attribution threads={threads} mem_mb={resources.mem_mb:q} runtime={resources.runtime:q} \
            --reads {input:q} \
            --writes {output:q} \
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


# The same scores by the number of references, of one run at a time.
rule sweep_references:
    input:
        dataset=with_references("<results>/tasks/{task}/dataset.h5"),
        run="<results>/tasks/{task}/runs/{run}",
    output:
        scores="<results>/tasks/{task}/attribution/references/{run}.tsv",
        provenance="<results>/tasks/{task}/attribution/references/{run}.provenance.json",
    log:
        "<logs>/attribution/{task}/{run}.references.log",
    benchmark:
        "<benchmarks>/attribution/{task}/{run}.references.tsv"
    conda:
        f"../envs/attribution-{project.settings.torch}.yaml"
    envmodules:
        "cisflow/attribution",
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(240),
        gpu=gpus,
    params:
        methods=referenced,
        counts=lambda wildcards: task_of(wildcards).attribution.reference_counts,
        split=lambda wildcards: task_of(wildcards).attribution.split,
        sequences=lambda wildcards: task_of(wildcards).attribution.sequences,
        target=lambda wildcards: task_of(wildcards).attribution.target or [],
        preset=lambda wildcards: task_of(wildcards).attribution.preset,
        changes=lambda wildcards: as_json(task_of(wildcards).attribution.changes()),
        limits=lambda wildcards: as_json(task_of(wildcards).attribution.limits),
        device=untracked(device_of),
        code=code("attribution/references.py"),
    shell:
        r"""
        exec &> >(tee -i {log:q})

        python workflow/scripts/attribution/references.py \
            --log {log:q} \
            --asked rule=sweep_references threads={threads} mem_mb={resources.mem_mb:q} runtime={resources.runtime:q} \
            --asked gpu={resources.gpu:q} \
            --reads {input:q} \
            --writes {output:q} \
            --target {params.target:q} \
            --task {wildcards.task:q} \
            --dataset {input.dataset:q} \
            --run {input.run:q} \
            --methods {params.methods:q} \
            --counts {params.counts:q} \
            --split {params.split:q} \
            --sequences {params.sequences:q} \
            --preset {params.preset:q} \
            --changes {params.changes:q} \
            --limits {params.limits:q} \
            --device {params.device:q} \
            --threads {threads} \
            --out {output.scores:q} \
            --provenance {output.provenance:q}
        """


# Patterns that recur in the attributions of a run. The maps of a run are enough: the script looks at their quality.
rule modisco:
    input:
        maps=modisco_maps,
        database=lambda wildcards: project.motif_database(task_of(wildcards)),
    output:
        patterns="<results>/tasks/{task}/modisco/{run}/patterns.tsv",
        signs="<results>/tasks/{task}/modisco/{run}/signs.tsv",
        hits="<results>/tasks/{task}/modisco/{run}/tomtom.tsv",
        bases="<results>/tasks/{task}/modisco/{run}/bases.tsv",
        motifs="<results>/tasks/{task}/modisco/{run}/patterns.meme",
        h5="<results>/tasks/{task}/modisco/{run}/modisco.h5",
        provenance="<results>/tasks/{task}/modisco/{run}/provenance.json",
    log:
        "<logs>/attribution/{task}/{run}.modisco.log",
    benchmark:
        "<benchmarks>/attribution/{task}/{run}.modisco.tsv"
    conda:
        "../envs/modisco.yaml"
    envmodules:
        "cisflow/modisco",
    threads: 4
    resources:
        mem_mb=growing(4000),
        runtime=growing(240),
    params:
        method=lambda wildcards: task_of(wildcards).modisco_method(),
        trial=lambda wildcards: [t for t in [task_of(wildcards).modisco.trial] if t is not None],
        limits=lambda wildcards: as_json(task_of(wildcards).attribution.limits),
        settings=lambda wildcards: as_json(task_of(wildcards).modisco.model_dump(exclude={"method", "trial"})),
        exclude=lambda wildcards: task_of(wildcards).tomtom.exclude,
        engine=lambda wildcards: task_of(wildcards).tomtom.engine,
        e_value=lambda wildcards: task_of(wildcards).tomtom.e_value,
        folder=subpath(output.patterns, parent=True),
        code=code("attribution/modisco.py"),
    shell:
        r"""
        exec &> >(tee -i {log:q})
        export NUMBA_NUM_THREADS={threads} OMP_NUM_THREADS={threads} OPENBLAS_NUM_THREADS={threads}

        python workflow/scripts/attribution/modisco.py \
            --log {log:q} \
            --asked rule=modisco threads={threads} mem_mb={resources.mem_mb:q} runtime={resources.runtime:q} \
            --reads {input:q} \
            --writes {output:q} \
            --exclude {params.exclude:q} \
            --trial {params.trial:q} \
            --task {wildcards.task:q} \
            --maps {input.maps:q} \
            --method {params.method:q} \
            --limits {params.limits:q} \
            --settings {params.settings:q} \
            --database {input.database:q} \
            --engine {params.engine:q} \
            --e-value {params.e_value:q} \
            --out {params.folder:q}
        """


# Chosen sequences, explained for their logos; the gallery `best` is in every task's report.


wildcard_constraints:
    gallery="[^/]+",


rule explain_gallery:
    input:
        dataset="<results>/tasks/{task}/dataset.h5",
        genome=lambda wildcards: project.genome(task_of(wildcards), wildcards.gallery) or [],
        runs=gallery_runs,
    output:
        table="<results>/tasks/{task}/attribution/galleries/{gallery}.tsv",
        provenance="<results>/tasks/{task}/attribution/galleries/{gallery}.provenance.json",
    log:
        "<logs>/attribution/{task}/galleries/{gallery}.log",
    benchmark:
        "<benchmarks>/attribution/{task}/galleries/{gallery}.tsv"
    conda:
        f"../envs/attribution-{project.settings.torch}.yaml"
    envmodules:
        "cisflow/attribution",
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
        gpu=gpus,
    params:
        gallery=lambda wildcards: as_json(gallery_of(wildcards).model_dump(exclude={"runs", "output"})),
        preset=lambda wildcards: task_of(wildcards).attribution.preset,
        changes=lambda wildcards: as_json(
            task_of(wildcards).attribution.changes() | {"output": gallery_of(wildcards).output}
        ),
        device=untracked(device_of),
        code=code("attribution/gallery.py"),
    shell:
        r"""
        exec &> >(tee -i {log:q})

        python workflow/scripts/attribution/gallery.py \
            --log {log:q} \
            --asked rule=explain_gallery threads={threads} mem_mb={resources.mem_mb:q} runtime={resources.runtime:q} \
            --asked gpu={resources.gpu:q} \
            --reads {input:q} \
            --writes {output:q} \
            --genome {input.genome:q} \
            --task {wildcards.task:q} \
            --dataset {input.dataset:q} \
            --runs {input.runs:q} \
            --gallery {params.gallery:q} \
            --preset {params.preset:q} \
            --changes {params.changes:q} \
            --device {params.device:q} \
            --threads {threads} \
            --out {output.table:q} \
            --provenance {output.provenance:q}
        """
