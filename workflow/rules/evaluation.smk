# Predictions and metrics of all runs of a task: one job, since loading the libraries takes longer than most runs.


rule evaluate:
    input:
        dataset="<results>/tasks/{task}/dataset.h5",
        runs=runs_of,
    output:
        predictions=directory("<results>/tasks/{task}/predictions"),
        metrics="<results>/tasks/{task}/metrics.tsv",
        history="<results>/tasks/{task}/history.tsv",
        provenance="<results>/tasks/{task}/metrics.provenance.json",
    log:
        "<logs>/evaluation/{task}.log",
    benchmark:
        "<benchmarks>/evaluation/{task}.tsv"
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
        splits=lambda wildcards: task_of(wildcards).evaluation.splits,
        baselines=lambda wildcards: task_of(wildcards).evaluation.baselines,
        device=lambda wildcards: task_of(wildcards).training.device,
        code=code("evaluation/evaluate.py"),
    shell:
        r"""
        exec &> >(tee -i {log:q})

        python workflow/scripts/evaluation/evaluate.py \
            --log {log:q} \
            --asked rule=evaluate threads={threads} mem_mb={resources.mem_mb:q} runtime={resources.runtime:q} \
            --asked gpu={resources.gpu:q} \
            --reads {input:q} \
            --writes {output:q} \
            --baselines {params.baselines:q} \
            --task {wildcards.task:q} \
            --dataset {input.dataset:q} \
            --runs {input.runs:q} \
            --splits {params.splits:q} \
            --device {params.device:q} \
            --threads {threads} \
            --predictions {output.predictions:q} \
            --metrics {output.metrics:q} \
            --history {output.history:q} \
            --provenance {output.provenance:q}
        """


# Statistics of heads on windows of a genome: scores and comparisons, domains, and what figures draw.


rule compare_heads:
    input:
        dataset="<results>/tasks/{task}/dataset.h5",
        predictions="<results>/tasks/{task}/predictions",
        runs=runs_of,
    output:
        heads="<results>/tasks/{task}/heads/heads.tsv",
        scores="<results>/tasks/{task}/heads/scores.tsv",
        comparison="<results>/tasks/{task}/heads/comparison.tsv",
        provenance="<results>/tasks/{task}/heads/scores.provenance.json",
    log:
        "<logs>/evaluation/{task}/heads.log",
    benchmark:
        "<benchmarks>/evaluation/{task}/heads.tsv"
    conda:
        f"../envs/torch-{project.settings.torch}.yaml"
    envmodules:
        "cisflow/torch",
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing(30),
    params:
        bootstrap=evaluation_spec("bootstrap"),
        code=code("evaluation/compare.py"),
    shell:
        r"""
        exec &> >(tee -i {log:q})

        python workflow/scripts/evaluation/compare.py \
            --log {log:q} \
            --asked rule=compare_heads threads={threads} mem_mb={resources.mem_mb:q} runtime={resources.runtime:q} \
            --reads {input:q} \
            --writes {output:q} \
            --task {wildcards.task:q} \
            --dataset {input.dataset:q} \
            --predictions {input.predictions:q} \
            --runs {input.runs:q} \
            --bootstrap {params.bootstrap:q} \
            --heads {output.heads:q} \
            --scores {output.scores:q} \
            --comparison {output.comparison:q} \
            --provenance {output.provenance:q}
        """


rule tell_domains:
    input:
        predictions="<results>/tasks/{task}/predictions",
        beds=evaluation_files,
    output:
        areas="<results>/tasks/{task}/heads/domains.tsv",
        curves="<results>/tasks/{task}/heads/roc.tsv",
        provenance="<results>/tasks/{task}/heads/domains.provenance.json",
    log:
        "<logs>/evaluation/{task}/domains.log",
    benchmark:
        "<benchmarks>/evaluation/{task}/domains.tsv"
    conda:
        f"../envs/torch-{project.settings.torch}.yaml"
    envmodules:
        "cisflow/torch",
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing(30),
    params:
        runs=lambda wildcards: list(task_of(wildcards).runs()),
        crop=lambda wildcards: windows_of(wildcards).crop,
        domains=evaluation_spec("domains"),
        differences=evaluation_spec("differences"),
        bootstrap=evaluation_spec("bootstrap"),
        code=code("evaluation/domains.py"),
    shell:
        r"""
        exec &> >(tee -i {log:q})

        python workflow/scripts/evaluation/domains.py \
            --log {log:q} \
            --asked rule=tell_domains threads={threads} mem_mb={resources.mem_mb:q} runtime={resources.runtime:q} \
            --reads {input:q} \
            --writes {output:q} \
            --task {wildcards.task:q} \
            --predictions {input.predictions:q} \
            --runs {params.runs:q} \
            --crop {params.crop:q} \
            --domains {params.domains:q} \
            --differences {params.differences:q} \
            --bootstrap {params.bootstrap:q} \
            --areas {output.areas:q} \
            --curves {output.curves:q} \
            --provenance {output.provenance:q}
        """


rule lay_out_heads:
    input:
        dataset="<results>/tasks/{task}/dataset.h5",
        predictions="<results>/tasks/{task}/predictions",
        index=genome_index,
    output:
        density="<results>/tasks/{task}/heads/density.tsv",
        profiles="<results>/tasks/{task}/heads/profiles.tsv",
        composition="<results>/tasks/{task}/heads/composition.tsv",
        provenance="<results>/tasks/{task}/heads/density.provenance.json",
    log:
        "<logs>/evaluation/{task}/plotted.log",
    benchmark:
        "<benchmarks>/evaluation/{task}/plotted.tsv"
    conda:
        f"../envs/torch-{project.settings.torch}.yaml"
    envmodules:
        "cisflow/torch",
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing(30),
    params:
        runs=lambda wildcards: list(task_of(wildcards).runs()),
        crop=lambda wildcards: windows_of(wildcards).crop,
        units=evaluation_spec("units"),
        known=track_units,
        drawn=evaluation_spec("drawn"),
        code=code("evaluation/plotted.py"),
    shell:
        r"""
        exec &> >(tee -i {log:q})

        python workflow/scripts/evaluation/plotted.py \
            --log {log:q} \
            --asked rule=lay_out_heads threads={threads} mem_mb={resources.mem_mb:q} runtime={resources.runtime:q} \
            --reads {input:q} \
            --writes {output:q} \
            --task {wildcards.task:q} \
            --dataset {input.dataset:q} \
            --predictions {input.predictions:q} \
            --runs {params.runs:q} \
            --crop {params.crop:q} \
            --index {input.index:q} \
            --units {params.units:q} \
            --known {params.known:q} \
            --drawn {params.drawn:q} \
            --density {output.density:q} \
            --profiles {output.profiles:q} \
            --composition {output.composition:q} \
            --provenance {output.provenance:q}
        """
