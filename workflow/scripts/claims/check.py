"""Check published numbers against our tables, and write the comparison as a table and as a page."""

import logging
from collections import Counter
from pathlib import Path

from cisflow.claims.check import COLUMNS, check_claim, read_table
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
    rows = [
        row for name, claim in args.claims.items() for row in check_claim(name, claim, read_table(args.results, claim))
    ]
    write_tsv(args.out, COLUMNS, rows)
    tasks = sorted({task for claim in args.claims.values() for task in claim["task"]})
    runs = [path.parent for task in tasks for path in (args.results / "tasks" / task).glob("runs/*/provenance.json")]
    with atomic(args.page) as partial:
        partial.write_text(write_page(args.claims, rows, runs, str(args.results), args.command), encoding="utf-8")
    counts = Counter(row["verdict"] for row in rows)
    logging.info("%s", ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common()))


run(main)
