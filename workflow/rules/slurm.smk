# Before the first Slurm job: is Slurm fit for it, and is nobody else at work here?


onstart:
    if workflow.executor_plugin.name == "slurm":
        import snakemake_executor_plugin_slurm as plugin
        from pathlib import Path
        from cisflow.cli.cluster import accounting

        try:
            accounting.check(Path(workflow.workdir_init))
        except CisflowError as error:
            raise WorkflowError(str(error)) from None
        # What it would misunderstand (in version 2.8.0), and then wait for ever.
        plugin.query_job_status = accounting.lasting(plugin.query_job_status)
