# Sequences, labels and splits of each task, in one file of the data-set contract.


rule make_dataset:
    input:
        by_content(dataset_inputs),
    output:
        dataset="<results>/tasks/{task}/dataset.h5",
        quality="<results>/tasks/{task}/dataset.quality.tsv",
        distributions="<results>/tasks/{task}/dataset.distributions.tsv",
        accounting="<results>/tasks/{task}/dataset.accounting.tsv",
        targets="<results>/tasks/{task}/dataset.targets.tsv",
        provenance="<results>/tasks/{task}/dataset.provenance.json",
    log:
        "<logs>/datasets/{task}.log",
    benchmark:
        "<benchmarks>/datasets/{task}.tsv"
    conda:
        "../envs/base.yaml"
    envmodules:
        "cisflow/base",
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        dataset=dataset_spec,
        content=content_of(dataset_inputs),
        pinned=pinned_sums,
        code=code("datasets/make.py"),
    shell:
        r"""
        exec &> >(tee -i {log:q})

        python workflow/scripts/datasets/make.py \
            --log {log:q} \
            --asked rule=make_dataset threads={threads} mem_mb={resources.mem_mb:q} runtime={resources.runtime:q} \
            --reads {input:q} \
            --writes {output:q} \
            --dataset {params.dataset:q} \
            --inputs {input:q} \
            --pinned {params.pinned:q} \
            --out {output.dataset:q} \
            --provenance {output.provenance:q}
        """


rule make_regions:
    input:
        unpack(by_content(region_files)),
    output:
        regions="<results>/tasks/{task}/regions.tsv",
        accounting="<results>/tasks/{task}/regions.accounting.tsv",
        provenance="<results>/tasks/{task}/regions.provenance.json",
    log:
        "<logs>/datasets/{task}/regions.log",
    benchmark:
        "<benchmarks>/datasets/{task}/regions.tsv"
    conda:
        "../envs/base.yaml"
    envmodules:
        "cisflow/base",
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        dataset=regions_spec,
        content=content_of(region_files),
        code=code("datasets/regions.py"),
    shell:
        r"""
        exec &> >(tee -i {log:q})

        python workflow/scripts/datasets/regions.py \
            --log {log:q} \
            --asked rule=make_regions threads={threads} mem_mb={resources.mem_mb:q} runtime={resources.runtime:q} \
            --reads {input:q} \
            --writes {output:q} \
            --dataset {params.dataset:q} \
            --genome {input.genome:q} \
            --inputs {input:q} \
            --out {output.regions:q} \
            --accounting {output.accounting:q} \
            --provenance {output.provenance:q}
        """
