# Figures: a notebook reads tables and saves PDF, PNG and the plotted numbers.

from cisflow.figures.captions import CAPTIONS


rule figures:
    input:
        expand("<results>/figures/{figure}.pdf", figure=project.figures_of_all()),
    localrule: True


rule draw_figure:
    input:
        unpack(figure_tables),
    output:
        pdf=report(
            "<results>/figures/{figure}.pdf",
            caption="../report/figure.rst",
            category="Figures of papers",
            labels={"figure": "{figure}", "format": "PDF"},
        ),
        png=report(
            "<results>/figures/{figure}.png",
            caption="../report/figure.rst",
            category="Figures of papers",
            labels={"figure": "{figure}", "format": "PNG"},
        ),
        numbers=report(
            "<results>/figures/{figure}.tsv",
            caption="../report/figure.rst",
            category="Figures of papers",
            labels={"figure": "{figure}", "format": "numbers"},
        ),
        provenance=report(
            "<results>/figures/{figure}.json",
            caption="../report/figure.rst",
            category="Figures of papers",
            labels={"figure": "{figure}", "format": "provenance"},
        ),
    log:
        "<logs>/figures/{figure}.log",
        notebook="<logs>/figures/{figure}.ipynb",
    benchmark:
        "<benchmarks>/figures/{figure}.tsv"
    conda:
        "../envs/figures.yaml"
    envmodules:
        "cisflow/figures",
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing(30),
    params:
        tables=lambda wildcards, input: as_json(dict(input.items())),
        # Not sorted: panels stand in the order of the configuration.
        settings=lambda wildcards: as_json(project.figure(wildcards.figure).settings.model_dump()),
        title=lambda wildcards: project.figure(wildcards.figure).title,
        caption=lambda wildcards: project.figure(wildcards.figure).caption,
        paper=lambda wildcards: project.figure(wildcards.figure).paper,
        kind=lambda wildcards: project.figure(wildcards.figure).kind,
        notebook=NOTEBOOK,
        code=lambda wildcards: drawing_code(project.figure(wildcards.figure).kind),
    shell:
        r"""
        exec &> >(tee -i {log[0]:q})

        python workflow/scripts/figures/draw.py \
            --log {log[0]:q} \
            --asked rule=draw_figure threads={threads} mem_mb={resources.mem_mb:q} runtime={resources.runtime:q} \
            --reads {input:q} \
            --writes {output:q} \
            --notebook {params.notebook:q} \
            --kind {params.kind:q} \
            --tables {params.tables:q} \
            --settings {params.settings:q} \
            --executed {log.notebook:q} \
            --out {output.pdf:q}
        """


rule draw_task:
    input:
        unpack(plot_tables),
    output:
        pdf="<results>/tasks/{task}/figures/{plot}.pdf",
        png=report(
            "<results>/tasks/{task}/figures/{plot}.png",
            caption="../report/task.rst",
            category="Tasks",
            subcategory="{task}",
            labels={"figure": "{plot}"},
        ),
        numbers="<results>/tasks/{task}/figures/{plot}.tsv",
        provenance="<results>/tasks/{task}/figures/{plot}.json",
    log:
        "<logs>/figures/{task}/{plot}.log",
        notebook="<logs>/figures/{task}/{plot}.ipynb",
    benchmark:
        "<benchmarks>/figures/{task}/{plot}.tsv"
    wildcard_constraints:
        plot="|".join(PLOTS),
    conda:
        "../envs/figures.yaml"
    envmodules:
        "cisflow/figures",
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing(30),
    params:
        tables=lambda wildcards, input: as_json(dict(input.items())),
        settings=plot_settings,
        caption=lambda wildcards: CAPTIONS[wildcards.plot][1],
        kind=lambda wildcards: plot_kind(wildcards.plot),
        notebook=NOTEBOOK,
        code=lambda wildcards: drawing_code(plot_kind(wildcards.plot)),
    shell:
        r"""
        exec &> >(tee -i {log[0]:q})

        python workflow/scripts/figures/draw.py \
            --log {log[0]:q} \
            --asked rule=draw_task threads={threads} mem_mb={resources.mem_mb:q} runtime={resources.runtime:q} \
            --reads {input:q} \
            --writes {output:q} \
            --notebook {params.notebook:q} \
            --kind {params.kind:q} \
            --tables {params.tables:q} \
            --settings {params.settings:q} \
            --executed {log.notebook:q} \
            --out {output.pdf:q}
        """


rule task_report:
    input:
        figures=lambda wildcards: expand(
            "<results>/tasks/{task}/figures/{plot}.png", task=wildcards.task, plot=plots_of(wildcards.task)
        ),
        dataset=[f"<results>/tasks/{{task}}/{table}" for table in DATASET_TABLES.values()],
        metrics=metric_tables,
        motifs=motif_tables,
    output:
        report(
            "<results>/tasks/{task}/report.html",
            caption="../report/task.rst",
            category="Tasks",
            subcategory="{task}",
            labels={"figure": "report"},
        ),
    log:
        "<logs>/figures/{task}/report.log",
    benchmark:
        "<benchmarks>/figures/{task}/report.tsv"
    localrule: True
    conda:
        "../envs/figures.yaml"
    envmodules:
        "cisflow/figures",
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        title=lambda wildcards: task_of(wildcards).title or wildcards.task,
        settings=lambda wildcards: as_json(task_of(wildcards).model_dump()),
        caption="All about this task on one page: data, performance, filters, sequences, training, and its settings.",
        code=code("figures/report.py"),
    shell:
        r"""
        exec &> >(tee -i {log:q})

        python workflow/scripts/figures/report.py \
            --log {log:q} \
            --asked rule=task_report threads={threads} mem_mb={resources.mem_mb:q} runtime={resources.runtime:q} \
            --reads {input:q} \
            --writes {output:q} \
            --motifs {input.motifs:q} \
            --metrics {input.metrics:q} \
            --task {wildcards.task:q} \
            --title {params.title:q} \
            --settings {params.settings:q} \
            --figures {input.figures:q} \
            --dataset {input.dataset:q} \
            --out {output:q}
        """


rule modisco_report:
    input:
        signs="<results>/tasks/{task}/modisco/{run}/signs.tsv",
        patterns="<results>/tasks/{task}/modisco/{run}/patterns.tsv",
        hits="<results>/tasks/{task}/modisco/{run}/tomtom.tsv",
        bases="<results>/tasks/{task}/modisco/{run}/bases.tsv",
        database=lambda wildcards: project.motif_database(task_of(wildcards)),
    output:
        report(
            "<results>/tasks/{task}/modisco/{run}/report.html",
            caption="../report/modisco.rst",
            category="Tasks",
            subcategory="{task}",
            labels={"figure": "TF-MoDISco, {run}"},
        ),
    log:
        "<logs>/figures/{task}/{run}.modisco.log",
    benchmark:
        "<benchmarks>/figures/{task}/{run}.modisco.tsv"
    conda:
        "../envs/figures.yaml"
    envmodules:
        "cisflow/figures",
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        title=lambda wildcards: task_of(wildcards).title or wildcards.task,
        code=code("figures/modisco.py"),
    shell:
        r"""
        exec &> >(tee -i {log:q})

        python workflow/scripts/figures/modisco.py \
            --log {log:q} \
            --asked rule=modisco_report threads={threads} mem_mb={resources.mem_mb:q} runtime={resources.runtime:q} \
            --reads {input:q} \
            --writes {output:q} \
            --title {params.title:q} \
            --signs {input.signs:q} \
            --patterns {input.patterns:q} \
            --hits {input.hits:q} \
            --bases {input.bases:q} \
            --database {input.database:q} \
            --out {output:q}
        """
