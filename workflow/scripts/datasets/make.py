"""Make the data set of a task: sequences, labels and splits in one HDF5 file, and beside it its tables."""

import logging
import time

from cisflow.datasets.make import make_dataset
from cisflow.io import check_md5
from cisflow.provenance import record
from cisflow.script import json_value, parser, run


def main() -> None:
    started = time.time()
    flags = parser(__doc__)
    flags.add_argument("--dataset", required=True, type=json_value, help="the task's 'dataset', as JSON")
    flags.add_argument("--inputs", required=True, nargs="+", help="files it is made from")
    flags.add_argument("--out", required=True, help="HDF5 file to write")
    flags.add_argument("--provenance", required=True, help="JSON file to write")
    flags.add_argument("--pinned", type=json_value, default={}, help="MD5 checksums of files of ENCODE, by path")
    args = flags.parse_args()
    check_md5({path: known for path, known in args.pinned.items() if path in args.inputs})
    rows = make_dataset(args.dataset, args.inputs, args.out)
    logging.info("%s: %s", args.out, ", ".join(f"{count:,} {split}" for split, count in rows.items()))
    record(args.provenance, args.inputs, {"dataset": args.dataset}, started)


run(main)
