"""Compare all filters of a task, and the same filters shuffled, with a motif database."""

import logging
import time
from pathlib import Path

from cisflow.io import write_tsv
from cisflow.motifs.compare import tomtom_of_task
from cisflow.motifs.database import read_database
from cisflow.motifs.tomtom import ENGINES
from cisflow.provenance import record
from cisflow.script import parser, run
from cisflow.tables import FILTERS, TOMTOM, read_tsv


def main() -> None:
    started = time.time()
    flags = parser(__doc__)
    flags.add_argument("--filters", required=True, help="filter table (TSV)")
    flags.add_argument("--motifs", required=True, type=Path, help="folder of its MEME files")
    flags.add_argument("--database", required=True, help="MEME file of known motifs")
    flags.add_argument("--exclude", nargs="*", default=[], help="motif ids left out of it")
    flags.add_argument("--engine", required=True, choices=ENGINES)
    flags.add_argument("--e-value", required=True, type=float)
    flags.add_argument("--shuffles", required=True, type=int, help="shuffled copies of each filter beside the null")
    flags.add_argument("--out", required=True, help="TSV file to write")
    flags.add_argument("--provenance", required=True, help="JSON file to write")
    args = flags.parse_args()
    targets = read_database(args.database, args.exclude)
    filters = read_tsv(args.filters, FILTERS)
    logging.info("comparing with %d motifs of %s", len(targets), args.database)
    rows = list(tomtom_of_task(filters, args.motifs, targets, args.e_value, args.engine, args.shuffles))
    write_tsv(args.out, TOMTOM, rows)
    settings = {"exclude": args.exclude, "engine": args.engine, "e_value": args.e_value, "shuffles": args.shuffles}
    record(args.provenance, [args.filters, args.database, *sorted(args.motifs.rglob("*.meme"))], settings, started)


run(main)
