# What a pretrained trunk makes of the windows of a task, shard by shard, as one file that copies nothing. Tasks with the
# same settings share it; `project.embeddings` has them by name.


rule embed_shard:
    input:
        unpack(by_content(embedded)),
    output:
        "<results>/embeddings/{embedding}/{shard}.h5",
    log:
        "<logs>/embeddings/{embedding}/{shard}.log",
    benchmark:
        "<benchmarks>/embeddings/{embedding}/{shard}.tsv"
    wildcard_constraints:
        embedding=one_of(project.embeddings),
        shard="[0-9]+",
    conda:
        f"../envs/torch-{project.settings.torch}.yaml"
    envmodules:
        "cisflow/torch",
    # One computes (on the CPU, both), one reads and writes.
    threads: 2
    resources:
        mem_mb=growing(8000),
        runtime=growing(60),
        gpu=lambda wildcards: gpus_for(trunk_of(wildcards).device),
    params:
        settings=lambda wildcards, input: input.get("params", []),
        gelu=lambda wildcards: trunk_of(wildcards).gelu,
        keep=lambda wildcards: as_json(trunk_of(wildcards).keep),
        dtype=lambda wildcards: trunk_of(wildcards).dtype,
        precision=lambda wildcards: trunk_of(wildcards).precision,
        compression=lambda wildcards: trunk_of(wildcards).compression,
        batch=lambda wildcards: trunk_of(wildcards).batch,
        device=untracked(lambda wildcards: trunk_of(wildcards).device),
        edges=lambda wildcards: project.task(project.embeddings[wildcards.embedding].labels).dataset.edges,
        shards=lambda wildcards: project.embeddings[wildcards.embedding].shards,
        content=content_of(embedded),
        code=code("embeddings/embed.py"),
    shell:
        r"""
        exec &> >(tee -i {log:q})

        # Threads that wait do not take a core from one that works, where there are other jobs.
        OMP_WAIT_POLICY=passive python workflow/scripts/embeddings/embed.py \
            --log {log:q} \
            --asked rule=embed_shard threads={threads} mem_mb={resources.mem_mb:q} runtime={resources.runtime:q} \
            --asked gpu={resources.gpu:q} \
            --reads {input:q} \
            --writes {output:q} \
            --params {params.settings:q} \
            --weights {input.weights:q} \
            --genome {input.genome:q} \
            --regions {input.regions:q} \
            --gelu {params.gelu:q} \
            --keep {params.keep:q} \
            --dtype {params.dtype:q} \
            --precision {params.precision:q} \
            --compression {params.compression:q} \
            --batch {params.batch:q} \
            --device {params.device:q} \
            --edges {params.edges:q} \
            --threads {threads} \
            --shard {wildcards.shard:q} \
            --shards {params.shards:q} \
            --out {output:q}
        """


rule gather_embeddings:
    input:
        embedding_shards,
    output:
        "<results>/embeddings/{embedding}.h5",
    log:
        "<logs>/embeddings/{embedding}/gather.log",
    benchmark:
        "<benchmarks>/embeddings/{embedding}/gather.tsv"
    wildcard_constraints:
        embedding=one_of(project.embeddings),
    conda:
        f"../envs/torch-{project.settings.torch}.yaml"
    envmodules:
        "cisflow/torch",
    threads: 1
    resources:
        mem_mb=1000,
        runtime=growing(10),
    params:
        code=code("embeddings/gather.py"),
    shell:
        r"""
        exec &> >(tee -i {log:q})

        python workflow/scripts/embeddings/gather.py \
            --log {log:q} \
            --asked rule=gather_embeddings threads={threads} mem_mb={resources.mem_mb:q} runtime={resources.runtime:q} \
            --reads {input:q} \
            --writes {output:q} \
            --shards {input:q} \
            --out {output:q}
        """


# The same windows through the same weights in TensorFlow: ask for <results>/embeddings/<name>.parity.tsv. It has an
# environment of its own; without conda, CISFLOW_TENSORFLOW_PYTHON names an interpreter that has it.


rule windows_to_verify:
    input:
        unpack(by_content(embedded)),
    output:
        "<results>/embeddings/{embedding}.windows.h5",
    log:
        "<logs>/embeddings/{embedding}/windows_to_verify.log",
    benchmark:
        "<benchmarks>/embeddings/{embedding}/windows_to_verify.tsv"
    wildcard_constraints:
        embedding=one_of(project.embeddings),
    conda:
        f"../envs/torch-{project.settings.torch}.yaml"
    envmodules:
        "cisflow/torch",
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(30),
    params:
        settings=settings_flag,
        content=content_of(embedded),
        code=code("embeddings/verify_windows.py"),
    shell:
        r"""
        exec &> >(tee -i {log:q})

        python workflow/scripts/embeddings/verify_windows.py {params.settings:q} \
            --log {log:q} \
            --asked rule=windows_to_verify threads={threads} mem_mb={resources.mem_mb:q} runtime={resources.runtime:q} \
            --reads {input:q} \
            --writes {output:q} \
            --fasta {input.genome:q} \
            --regions {input.regions:q} \
            --out {output:q}
        """


rule basenji2_in_tensorflow:
    input:
        unpack(by_content(embedded)),
        windows="<results>/embeddings/{embedding}.windows.h5",
    output:
        "<results>/embeddings/{embedding}.tensorflow.h5",
    log:
        "<logs>/embeddings/{embedding}/tensorflow.log",
    benchmark:
        "<benchmarks>/embeddings/{embedding}/tensorflow.tsv"
    wildcard_constraints:
        embedding=one_of(project.embeddings),
    conda:
        "../envs/basenji2-tensorflow.yaml"
    envmodules:
        "cisflow/basenji2-tensorflow",
    threads: 2
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        python=os.environ.get("CISFLOW_TENSORFLOW_PYTHON", "python"),
        content=content_of(embedded),
        code=code("embeddings/verify_tensorflow.py"),
    shell:
        r"""
        exec &> >(tee -i {log:q})

        {params.python:q} workflow/scripts/embeddings/verify_tensorflow.py \
            --log {log:q} \
            --asked rule=basenji2_in_tensorflow threads={threads} mem_mb={resources.mem_mb:q} runtime={resources.runtime:q} \
            --reads {input:q} \
            --writes {output:q} \
            --weights {input.weights:q} \
            --windows {input.windows:q} \
            --out {output:q}
        """


rule verify_basenji2:
    input:
        unpack(by_content(embedded)),
        windows="<results>/embeddings/{embedding}.windows.h5",
        reference="<results>/embeddings/{embedding}.tensorflow.h5",
    output:
        "<results>/embeddings/{embedding}.parity.tsv",
    log:
        "<logs>/embeddings/{embedding}/verify_basenji2.log",
    benchmark:
        "<benchmarks>/embeddings/{embedding}/verify_basenji2.tsv"
    wildcard_constraints:
        embedding=one_of(project.embeddings),
    conda:
        f"../envs/torch-{project.settings.torch}.yaml"
    envmodules:
        "cisflow/torch",
    threads: 2
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        settings=settings_flag,
        gelu=lambda wildcards: trunk_of(wildcards).gelu,
        content=content_of(embedded),
        code=code("embeddings/verify.py"),
    shell:
        r"""
        exec &> >(tee -i {log:q})

        python workflow/scripts/embeddings/verify.py {params.settings:q} \
            --log {log:q} \
            --asked rule=verify_basenji2 threads={threads} mem_mb={resources.mem_mb:q} runtime={resources.runtime:q} \
            --reads {input:q} \
            --writes {output:q} \
            --weights {input.weights:q} \
            --gelu {params.gelu:q} \
            --windows {input.windows:q} \
            --reference {input.reference:q} \
            --threads {threads} \
            --out {output:q}
        """
