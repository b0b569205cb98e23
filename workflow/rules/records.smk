# What the jobs took. Records are no outputs of rules, so they cannot be inputs of this one: it is run when it is asked
# for and they have changed, and nothing waits for it.


rule gather_records:
    output:
        jobs="<results>/records.tsv",
        rules="<results>/records.rules.tsv",
        page=report(
            "<results>/records.html",
            caption="../report/records.rst",
            category="Jobs",
            labels={"page": "what the jobs took"},
        ),
    log:
        "<logs>/records/gather.log",
    benchmark:
        "<benchmarks>/records/gather.tsv"
    localrule: True
    conda:
        "../envs/figures.yaml"
    envmodules:
        "cisflow/figures",
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        logs=lambda wildcards, output: os.path.join(os.path.dirname(output.jobs), "logs"),
        records=records_digest,
        code=code("records/gather.py"),
    shell:
        r"""
        exec &> >(tee -i {log:q})

        python workflow/scripts/records/gather.py \
            --log {log:q} \
            --asked rule=gather_records threads={threads} mem_mb={resources.mem_mb:q} runtime={resources.runtime:q} \
            --reads {input:q} \
            --writes {output:q} \
            --logs {params.logs:q} \
            --jobs {output.jobs:q} \
            --rules {output.rules:q} \
            --page {output.page:q}
        """
