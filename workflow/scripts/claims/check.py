"""Check published numbers against our tables, and write the comparison as a table and as a page."""

import logging
from collections import Counter
from pathlib import Path

from cisflow.claims.check import COLUMNS, check_claim, read_tables
from cisflow.claims.page import write_page
from cisflow.io import atomic, write_tsv
from cisflow.script import json_value, parser, run


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--claims", required=True, type=json_value, help="config/claims.yaml, as JSON")
    flags.add_argument("--results", required=True, type=Path, help="folder of results; tables are below its tasks/")
    flags.add_argument("--command", required=True, help="the command that makes them, for the page")
    flags.add_argument("--out", required=True, help="TSV file to write")
    flags.add_argument("--page", required=True, help="Markdown file to write")
    args = flags.parse_args()
    tasks = {claim["task"]: args.results / "tasks" / claim["task"] for claim in args.claims.values()}
    tables = {task: read_tables(folder) for task, folder in tasks.items()}
    rows = [row for name, claim in args.claims.items() for row in check_claim(name, claim, tables[claim["task"]])]
    write_tsv(args.out, COLUMNS, rows)
    runs = [run for folder in tasks.values() for run in folder.glob("runs/*") if (run / "provenance.json").exists()]
    with atomic(args.page) as partial:
        partial.write_text(write_page(args.claims, rows, runs, str(args.results), args.command))
    counts = Counter(row["verdict"] for row in rows)
    logging.info("%s", ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common()))


run(main)
