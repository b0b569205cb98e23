# Published numbers against ours.


def claimed_tables(wildcards):
    tasks = {claim.task for claim in project.claims.values()}
    tables = [f"{project.settings.results}/tasks/{task}/metrics.tsv" for task in sorted(tasks)]
    filters = [task for task in sorted(tasks) if project.task(task).filters]
    return tables + [f"{project.settings.results}/tasks/{task}/motifs/matches.tsv" for task in filters]


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
    conda:
        "../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        claims=as_json({name: claim.model_dump() for name, claim in project.claims.items()}),
        results=project.settings.results,
        command=f"{project.settings.command} {project.settings.results}/reproduction.md",
        code=code("claims/check.py"),
    shell:
        r"""
        exec &> >(tee -i {log:q})

        python workflow/scripts/claims/check.py \
            --claims {params.claims:q} \
            --results {params.results:q} \
            --command {params.command:q} \
            --out {output.table:q} \
            --page {output.page:q}
        """
