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
        "../envs/torch.yaml"
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
