"""Gather the records of all jobs: a table of jobs, a table of rules, and a page."""

import logging
from pathlib import Path

from cisflow.io import atomic
from cisflow.records.page import in_all, records_page
from cisflow.records.read import read_jobs
from cisflow.records.table import jobs_table, rules_table
from cisflow.script import parser, run
from cisflow.tables import write_table


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--logs", required=True, type=Path, help="folder of logs, which has the records")
    flags.add_argument("--jobs", required=True, help="TSV file to write")
    flags.add_argument("--rules", required=True, help="TSV file to write")
    flags.add_argument("--page", required=True, help="HTML file to write")
    args = flags.parse_args()
    jobs, notes = read_jobs(args.logs)
    own = [job for job in jobs if job.rule != "gather_records"]
    by_job, by_rule = jobs_table(own), rules_table(own)
    for note in notes:
        logging.warning("%s", note)
    write_table(args.jobs, by_job)
    write_table(args.rules, by_rule)
    with atomic(args.page) as partial:
        partial.write_text(records_page(str(args.logs), by_job, by_rule, notes), encoding="utf-8")
    logging.info("%s", in_all(by_rule))


run(main)
