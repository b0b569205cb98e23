# Genomes, indexed once; and the signal of tracks in the bins of regions, shard by shard, as one matrix that copies
# nothing. The rule 'make_regions' of each kind of data set writes <results>/tasks/{task}/regions.tsv.


# An index that a source declares is fetched.
ruleorder: fetch_source > index_bam
ruleorder: extract_member > index_bam


rule index_genome:
    input:
        genome_source,
    output:
        genome="<resources>/genomes/{genome}/{genome}.fa.gz",
        fai="<resources>/genomes/{genome}/{genome}.fa.gz.fai",
        gzi="<resources>/genomes/{genome}/{genome}.fa.gz.gzi",
    log:
        "<logs>/tracks/index_genome/{genome}.log",
    benchmark:
        "<benchmarks>/tracks/index_genome/{genome}.tsv"
    wildcard_constraints:
        genome="[^/]+",
    conda:
        "../envs/tracks.yaml"
    envmodules:
        "cisflow/tracks",
    threads: 1
    resources:
        mem_mb=1000,
        runtime=growing(60),
    params:
        records=lambda wildcards: as_json(records_of(wildcards)),
        code=code("tracks/index_genome.py"),
    shell:
        r"""
        exec &> >(tee -i {log:q})

        python workflow/scripts/tracks/index_genome.py \
            --log {log:q} \
            --asked rule=index_genome threads={threads} mem_mb={resources.mem_mb:q} runtime={resources.runtime:q} \
            --reads {input:q} \
            --writes {output:q} \
            --fasta {input:q} \
            --records {params.records:q} \
            --out {output.genome:q}
        """


rule index_bam:
    input:
        "<resources>/{bam}.bam",
    output:
        "<resources>/{bam}.bam.bai",
    log:
        "<logs>/tracks/index_bam/{bam}.log",
    benchmark:
        "<benchmarks>/tracks/index_bam/{bam}.tsv"
    wildcard_constraints:
        bam=".+",
    conda:
        "../envs/tracks.yaml"
    envmodules:
        "cisflow/tracks",
    threads: 1
    resources:
        mem_mb=1000,
        runtime=growing(120),
    params:
        code=code("tracks/index_bam.py"),
    shell:
        r"""
        exec &> >(tee -i {log:q})

        python workflow/scripts/tracks/index_bam.py \
            --log {log:q} \
            --asked rule=index_bam threads={threads} mem_mb={resources.mem_mb:q} runtime={resources.runtime:q} \
            --reads {input:q} \
            --writes {output:q} \
            --bam {input:q} \
            --out {output:q}
        """


rule modified_bases:
    input:
        unpack(modified_files),
    output:
        mA=["<resources>/modified/{calls}/modmA.bw", "<resources>/modified/{calls}/validmA.bw"],
        CpG=["<resources>/modified/{calls}/modCpG.bw", "<resources>/modified/{calls}/validCpG.bw"],
        counts="<resources>/modified/{calls}/reads.tsv",
    log:
        "<logs>/tracks/modified/{calls}.log",
    benchmark:
        "<benchmarks>/tracks/modified/{calls}.tsv"
    wildcard_constraints:
        calls=one_of(project.modified),
    conda:
        "../envs/tracks.yaml"
    envmodules:
        "cisflow/tracks",
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(1440),
    params:
        threshold=lambda wildcards: project.modified[wildcards.calls].threshold,
        quality=lambda wildcards: project.modified[wildcards.calls].min_mapping_quality,
        code=code("tracks/modified.py"),
    shell:
        r"""
        exec &> >(tee -i {log:q})

        python workflow/scripts/tracks/modified.py \
            --log {log:q} \
            --asked rule=modified_bases threads={threads} mem_mb={resources.mem_mb:q} runtime={resources.runtime:q} \
            --reads {input:q} \
            --writes {output:q} \
            --bam {input.bam:q} \
            --genome {input.genome:q} \
            --mA {output.mA:q} \
            --CpG {output.CpG:q} \
            --threshold {params.threshold:q} \
            --min-mapping-quality {params.quality:q} \
            --counts {output.counts:q}
        """


rule bin_track:
    input:
        unpack(genome_of),
        files=track_files,
        regions="<results>/tasks/{task}/regions.tsv",
    output:
        shard="<results>/tasks/{task}/tracks/{track}/{shard}.h5",
        counts="<results>/tasks/{task}/tracks/{track}/{shard}.tsv",
    log:
        "<logs>/tracks/{task}/{track}/{shard}.log",
    benchmark:
        "<benchmarks>/tracks/{task}/{track}/{shard}.tsv"
    wildcard_constraints:
        track="[^/]+",
        shard="[0-9]+",
    conda:
        "../envs/tracks.yaml"
    envmodules:
        "cisflow/tracks",
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(120),
    params:
        track=track_spec,
        bin=lambda wildcards: dataset_of(wildcards).bin,
        shards=lambda wildcards: dataset_of(wildcards).shards,
        code=code("tracks/bin_track.py"),
    shell:
        r"""
        exec &> >(tee -i {log:q})

        python workflow/scripts/tracks/bin_track.py \
            --log {log:q} \
            --asked rule=bin_track threads={threads} mem_mb={resources.mem_mb:q} runtime={resources.runtime:q} \
            --reads {input:q} \
            --writes {output:q} \
            --name {wildcards.track:q} \
            --track {params.track:q} \
            --regions {input.regions:q} \
            --genome {input.genome:q} \
            --bin {params.bin:q} \
            --shard {wildcards.shard:q} \
            --shards {params.shards:q} \
            --out {output.shard:q} \
            --counts {output.counts:q}
        """


rule gather_tracks:
    input:
        regions="<results>/tasks/{task}/regions.tsv",
        shards=shards_of("h5"),
        counts=shards_of("tsv"),
    output:
        matrix="<results>/tasks/{task}/tracks.h5",
        counts="<results>/tasks/{task}/tracks.counts.tsv",
    log:
        "<logs>/tracks/{task}/gather.log",
    benchmark:
        "<benchmarks>/tracks/{task}/gather.tsv"
    conda:
        "../envs/tracks.yaml"
    envmodules:
        "cisflow/tracks",
    threads: 1
    resources:
        mem_mb=1000,
        runtime=growing(10),
    params:
        # Pairs keep the order of the tracks; the keys of a mapping would be sorted.
        units=lambda wildcards: as_json([[name, track.unit] for name, track in dataset_of(wildcards).tracks.items()]),
        code=code("tracks/gather.py"),
    shell:
        r"""
        exec &> >(tee -i {log:q})

        python workflow/scripts/tracks/gather.py \
            --log {log:q} \
            --asked rule=gather_tracks threads={threads} mem_mb={resources.mem_mb:q} runtime={resources.runtime:q} \
            --reads {input:q} \
            --writes {output:q} \
            --units {params.units:q} \
            --regions {input.regions:q} \
            --shards {input.shards:q} \
            --counts {input.counts:q} \
            --out {output.matrix:q} \
            --out-counts {output.counts:q}
        """
