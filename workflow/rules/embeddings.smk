# What a pretrained trunk makes of the windows of a task, shard by shard, as one file that copies nothing. Tasks with the
# same settings share it; `project.embeddings` has them by name.


rule embed_shard:
    input:
        unpack(embedded),
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
        "../envs/torch.yaml"
    # One computes (on the CPU, both), one reads and writes.
    threads: 2
    resources:
        mem_mb=growing(8000),
        runtime=growing(60),
        gpu=lambda wildcards: int(trunk_of(wildcards).device == "gpu"),
    params:
        settings=lambda wildcards, input: input.get("params", []),
        gelu=lambda wildcards: trunk_of(wildcards).gelu,
        keep=lambda wildcards: as_json(trunk_of(wildcards).keep),
        dtype=lambda wildcards: trunk_of(wildcards).dtype,
        precision=lambda wildcards: trunk_of(wildcards).precision,
        compression=lambda wildcards: trunk_of(wildcards).compression,
        batch=lambda wildcards: trunk_of(wildcards).batch,
        device=lambda wildcards: trunk_of(wildcards).device,
        edges=lambda wildcards: project.task(project.embeddings[wildcards.embedding].labels).dataset.edges,
        shards=lambda wildcards: project.embeddings[wildcards.embedding].shards,
        code=code("embeddings/embed.py"),
    shell:
        r"""
        exec &> >(tee -i {log:q})

        python workflow/scripts/embeddings/embed.py \
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
        "../envs/torch.yaml"
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
            --shards {input:q} \
            --out {output:q}
        """
