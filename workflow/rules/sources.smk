# Every external file, as config/sources.yaml declares it: fetched and checked, taken out of an archive, or exported
# from a package.

from cisflow.config.sources import share_addresses, share_mirrors

# Not a parameter of jobs: another mirror brings the same file, and so does another password.
share_mirrors(project.settings.mirror)
share_addresses(project.sources)


# Its rules are local: they run where Snakemake runs, which may be the only place with a network.


onerror:
    tell_missing()


rule sources:
    input:
        sources_of_all,
    localrule: True


# No file is made: what asks for it needs a user's own file that is missing, and is refused before any job.
rule missing_file:
    input:
        say_missing,
    output:
        f"{MISSING}/{{path}}",
    localrule: True


# What comes depends on its declaration alone, so this rule does not follow its code: where there is no network, files
# that have come once are not asked for again.
rule fetch_source:
    output:
        "<resources>/{source}/{file}",
    log:
        "<logs>/sources/{source}/{file}.log",
    benchmark:
        "<benchmarks>/sources/{source}/{file}.tsv"
    wildcard_constraints:
        source=one_of(name for name, source in project.sources.items() if source.files),
        file=one_of(set(FILES) - set(MEMBERS)),
    localrule: True
    conda:
        "../envs/base.yaml"
    envmodules:
        "cisflow/base",
    threads: 1
    resources:
        mem_mb=1000,
        runtime=growing(720),
    params:
        file=declaration,
    shell:
        r"""
        exec &> >(tee -i {log:q})

        python workflow/scripts/sources/fetch.py \
            --log {log:q} \
            --asked rule=fetch_source threads={threads} mem_mb={resources.mem_mb:q} runtime={resources.runtime:q} \
            --reads {input:q} \
            --writes {output:q} \
            --name {wildcards.file:q} \
            --file {params.file:q} \
            --out {output:q}
        """


rule extract_member:
    input:
        lambda wildcards: f"<resources>/{wildcards.source}/{MEMBERS[wildcards.file].archive}",
    output:
        "<resources>/{source}/{file}",
    log:
        "<logs>/sources/{source}/{file}.log",
    benchmark:
        "<benchmarks>/sources/{source}/{file}.tsv"
    wildcard_constraints:
        file=one_of(MEMBERS),
    conda:
        "../envs/base.yaml"
    envmodules:
        "cisflow/base",
    threads: 1
    resources:
        mem_mb=1000,
        runtime=growing(60),
    params:
        member=lambda wildcards: MEMBERS[wildcards.file].member,
        code=code("sources/extract.py"),
    shell:
        r"""
        exec &> >(tee -i {log:q})

        python workflow/scripts/sources/extract.py \
            --log {log:q} \
            --asked rule=extract_member threads={threads} mem_mb={resources.mem_mb:q} runtime={resources.runtime:q} \
            --reads {input:q} \
            --writes {output:q} \
            --archive {input:q} \
            --member {params.member:q} \
            --out {output:q}
        """


rule export_jaspar:
    output:
        counts="<resources>/{source}/{source}.jaspar",
        meme="<resources>/{source}/{source}.meme",
    log:
        "<logs>/sources/{source}.log",
    benchmark:
        "<benchmarks>/sources/{source}.tsv"
    wildcard_constraints:
        source=one_of(name for name, source in project.sources.items() if source.jaspar),
    localrule: True
    conda:
        "../envs/base.yaml"
    envmodules:
        "cisflow/base",
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        jaspar=lambda wildcards: project.sources[wildcards.source].jaspar,
        code=code("sources/jaspar.py"),
    shell:
        r"""
        exec &> >(tee -i {log:q})

        python workflow/scripts/sources/jaspar.py \
            --log {log:q} \
            --asked rule=export_jaspar threads={threads} mem_mb={resources.mem_mb:q} runtime={resources.runtime:q} \
            --reads {input:q} \
            --writes {output:q} \
            --release {params.jaspar.release:q} \
            --collection {params.jaspar.collection:q} \
            --tax-group {params.jaspar.tax_groups:q} \
            --counts {output.counts:q} \
            --meme {output.meme:q}
        """
