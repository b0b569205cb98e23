# Published numbers against ours.


rule check_claims:
    input:
        claimed_tables,
    output:
        table="<results>/claims.tsv",
        page="<results>/reproduction.md",
    log:
        "<logs>/claims/check.log",
    benchmark:
        "<benchmarks>/claims/check.tsv"
    localrule: True
    conda:
        "../envs/base.yaml"
    envmodules:
        "cisflow/base",
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        # Not sorted: the page is in the order of the configuration.
        claims=as_json({name: claim.model_dump() for name, claim in project.claims.items()}),
        results=lambda wildcards, output: os.path.dirname(output.table),
        command=f"{project.settings.command} {project.settings.results}/reproduction.md",
        code=code("claims/check.py"),
    shell:
        r"""
        exec &> >(tee -i {log:q})

        python workflow/scripts/claims/check.py \
            --log {log:q} \
            --asked rule=check_claims threads={threads} mem_mb={resources.mem_mb:q} runtime={resources.runtime:q} \
            --reads {input:q} \
            --writes {output:q} \
            --claims {params.claims:q} \
            --results {params.results:q} \
            --command {params.command:q} \
            --out {output.table:q} \
            --page {output.page:q}
        """
