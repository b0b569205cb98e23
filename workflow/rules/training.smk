# One job trains all trials of one run (one point of a task's model grid).


rule train:
    input:
        dataset=trainable,
    output:
        directory("<results>/tasks/{task}/runs/{run}"),
    log:
        "<logs>/training/{task}/{run}.log",
    benchmark:
        "<benchmarks>/training/{task}/{run}.tsv"
    conda:
        f"../envs/torch-{project.settings.torch}.yaml"
    envmodules:
        "cisflow/torch",
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(240),
        gpu=gpus,
    params:
        model=lambda wildcards: as_json(model_of(wildcards)),
        training=lambda wildcards: as_json(task_of(wildcards).learning_settings(wildcards.run)),
        trials=lambda wildcards: task_of(wildcards).trials,
        precision=lambda wildcards: task_of(wildcards).training.precision,
        # What is kept of earlier jobs is not trained again: other weights are only named.
        weights=lambda wildcards: task_of(wildcards).training_settings(wildcards.run)["weights"],
        device=untracked(device_of),
        data=untracked(lambda wildcards: task_of(wildcards).data),
        replicates=untracked(lambda wildcards: task_of(wildcards).training.replicates or []),
        save_minutes=untracked(lambda wildcards: task_of(wildcards).training.save_minutes),
        loggers=untracked(lambda wildcards: task_of(wildcards).training.loggers),
        # Not an output: Snakemake deletes the outputs of a failed job, and this is what it goes on from.
        work=subpath(output[0], ancestor=2),
        code=code("training/train.py"),
    shell:
        r"""
        exec &> >(tee -i {log:q})

        python workflow/scripts/training/train.py \
            --log {log:q} \
            --asked rule=train threads={threads} mem_mb={resources.mem_mb:q} runtime={resources.runtime:q} \
            --asked gpu={resources.gpu:q} \
            --reads {input:q} \
            --writes {output:q} \
            --loggers {params.loggers:q} \
            --replicates {params.replicates:q} \
            --task {wildcards.task:q} \
            --run {wildcards.run:q} \
            --dataset {input.dataset:q} \
            --model {params.model:q} \
            --training {params.training:q} \
            --trials {params.trials:q} \
            --weights {params.weights:q} \
            --save-minutes {params.save_minutes:q} \
            --device {params.device:q} \
            --precision {params.precision:q} \
            --data {params.data:q} \
            --threads {threads} \
            --work {params.work:q}/work/{wildcards.run:q} \
            --out {output:q}
        """
