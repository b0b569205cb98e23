"""Make the data set of a task: sequences, labels and splits in one HDF5 file, and beside it its tables."""

import logging
import time

from cisflow.datasets.make import make_dataset
from cisflow.provenance import record
from cisflow.script import json_value, parser, run


def main() -> None:
    started = time.time()
    flags = parser(__doc__)
    flags.add_argument("--dataset", required=True, type=json_value, help="the task's 'dataset', as JSON")
    flags.add_argument("--inputs", required=True, nargs="+", help="files it is made from")
    flags.add_argument("--out", required=True, help="HDF5 file to write")
    flags.add_argument("--provenance", required=True, help="JSON file to write")
    args = flags.parse_args()
    rows = make_dataset(args.dataset, args.inputs, args.out)
    logging.info("%s: %s", args.out, ", ".join(f"{count:,} {split}" for split, count in rows.items()))
    record(args.provenance, args.inputs, {"dataset": args.dataset}, started)


run(main)
