"""Draw a figure: run the notebook, which reads tables and saves a PDF, a PNG and the plotted numbers."""

import logging
import tempfile
from pathlib import Path
from typing import Any

import papermill
from traitlets.config import Config

from cisflow.checksums import files_below
from cisflow.errors import CisflowError
from cisflow.io import partial_folder, publish
from cisflow.provenance import record
from cisflow.script import json_value, parser, run


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--notebook", required=True)
    flags.add_argument("--kind", required=True, help="what draws it: module of cisflow.figures")
    flags.add_argument("--tables", required=True, type=json_value, help="paths of the tables it reads, as JSON")
    flags.add_argument("--settings", default={}, type=json_value, help="what the notebook lets one choose, as JSON")
    flags.add_argument("--executed", required=True, help="notebook with its outputs, to write")
    flags.add_argument("--out", required=True, type=Path, help="PDF to write; PNG, TSV and JSON go beside it")
    args = flags.parse_args()
    # The notebook's process does not know whether the outputs are still this job's own.
    with partial_folder(args.out) as folder:
        output = str(folder / args.out.name)
        parameters = {"kind": args.kind, "tables": args.tables, "settings": args.settings, "output": output}
        try:
            execute(args.notebook, args.executed, parameters)
        except papermill.PapermillExecutionError as error:
            if error.ename == "CisflowError":
                raise CisflowError(error.evalue) from error
            raise
        for file in sorted(folder.iterdir()):
            publish(file, args.out.with_name(file.name))
    tables = [Path(path) for path in args.tables.values()]
    files = [file for path in tables for file in (files_below(path) if path.is_dir() else [path])]
    settings = {"notebook": args.notebook, "kind": args.kind, "tables": args.tables, "settings": args.settings}
    # Without times, which are in the record of the job: the same figure has the same four files.
    record(args.out.with_suffix(".json"), files, settings, started=None)
    logging.info("%s is drawn", args.out)


def execute(notebook: str, executed: str, parameters: dict[str, Any]) -> None:
    """Run the notebook, talking to its kernel through files of its own.

    Kernels that start together may choose the same TCP ports, and then one of them never answers. The folder is not
    that of TMPDIR: names of sockets have 107 characters at most.
    """
    with tempfile.TemporaryDirectory(prefix="cisflow-", dir="/tmp") as folder:
        config = Config({"KernelManager": {"transport": "ipc", "ip": f"{folder}/kernel"}})
        papermill.execute_notebook(
            notebook, executed, parameters, kernel_name="python3", progress_bar=False, config=config
        )


run(main)
