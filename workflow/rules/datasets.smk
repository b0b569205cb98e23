# Sequences, labels and splits of each task, in one file of the data-set contract.


rule make_dataset:
    input:
        dataset_inputs,
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
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        dataset=dataset_spec,
        code=code("datasets/make.py"),
    shell:
        r"""
        exec &> >(tee -i {log:q})

        python workflow/scripts/datasets/make.py \
            --dataset {params.dataset:q} \
            --inputs {input:q} \
            --out {output.dataset:q} \
            --provenance {output.provenance:q}
        """
