"""Draw a figure: run the notebook, which reads tables and saves a PDF, a PNG and the plotted numbers."""

import logging
import time
from pathlib import Path

import papermill

from cisflow.errors import CisflowError
from cisflow.provenance import record
from cisflow.script import json_value, parser, run


def main() -> None:
    started = time.time()
    flags = parser(__doc__)
    flags.add_argument("--notebook", required=True)
    flags.add_argument("--kind", required=True, help="what draws it: module of cisflow.figures")
    flags.add_argument("--tables", required=True, type=json_value, help="paths of the tables it reads, as JSON")
    flags.add_argument("--settings", default={}, type=json_value, help="what the notebook lets one choose, as JSON")
    flags.add_argument("--executed", required=True, help="notebook with its outputs, to write")
    flags.add_argument("--out", required=True, type=Path, help="PDF to write; PNG, TSV and JSON go beside it")
    args = flags.parse_args()
    parameters = {"kind": args.kind, "tables": args.tables, "settings": args.settings, "output": str(args.out)}
    try:
        papermill.execute_notebook(args.notebook, args.executed, parameters, kernel_name="python3", progress_bar=False)
    except papermill.PapermillExecutionError as error:
        if error.ename == "CisflowError":
            raise CisflowError(error.evalue) from error
        raise
    tables = [Path(path) for path in args.tables.values()]
    # Snakemake keeps a hidden file in folders that are outputs.
    files = [file for path in tables for file in (sorted(path.rglob("[!.]*.*")) if path.is_dir() else [path])]
    settings = {"notebook": args.notebook, "kind": args.kind, "tables": args.tables, "settings": args.settings}
    record(args.out.with_suffix(".json"), files, settings, started)
    logging.info("%s is drawn", args.out)


run(main)
