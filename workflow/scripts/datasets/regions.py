"""Lay out the regions of a data set of signal: windows with their splits, and the account of how they came about."""

import logging
import time
from pathlib import Path

from cisflow.datasets.regions import make_regions
from cisflow.provenance import record
from cisflow.script import json_value, parser, run
from cisflow.tables import write_table
from cisflow.tracks.genome import Genome


def main() -> None:
    started = time.time()
    flags = parser(__doc__)
    flags.add_argument("--dataset", required=True, type=json_value, help="the task's 'dataset', as JSON")
    flags.add_argument("--genome", required=True, help="indexed genome")
    flags.add_argument("--inputs", required=True, nargs="+", help="files it is made from")
    flags.add_argument("--out", required=True, help="TSV file of regions to write")
    flags.add_argument("--accounting", required=True, help="TSV file of the account to write")
    flags.add_argument("--provenance", required=True, help="JSON file to write")
    args = flags.parse_args()
    with Genome(args.genome) as genome:
        table, account = make_regions(args.dataset, genome.sizes, Path(args.genome).name)
    account.write(args.accounting)
    write_table(args.out, table)
    counts = table["split"].value_counts(sort=True).rows()
    logging.info("%s: %s", args.out, ", ".join(f"{count:,} {split}" for split, count in counts))
    record(args.provenance, args.inputs, {"dataset": args.dataset}, started)


run(main)
