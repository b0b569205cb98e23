"""Turn the first-layer filters of all runs of a task into position matrices: MEME files and one table."""

import logging
import time
from pathlib import Path

import torch

from cisflow.evaluation.evaluate import read_sets
from cisflow.io import write_tsv
from cisflow.motifs.filters import FilterSettings
from cisflow.motifs.read_out import filters_of_run
from cisflow.provenance import record
from cisflow.script import json_value, parser, run
from cisflow.tables import FILTERS
from cisflow.training.checkpoint import checkpoint_files
from cisflow.training.engine import DEVICES, choose_device


def main() -> None:
    started = time.time()
    flags = parser(__doc__)
    flags.add_argument("--task", required=True)
    flags.add_argument("--dataset", required=True, help="HDF5 file (contract dataset/1)")
    flags.add_argument("--runs", required=True, nargs="+", type=Path, help="folders of checkpoints")
    flags.add_argument("--split", required=True, help="sequences that are searched")
    flags.add_argument("--settings", required=True, type=json_value, help="layer, threshold, window, clipping, as JSON")
    flags.add_argument("--device", required=True, choices=DEVICES)
    flags.add_argument("--threads", type=int, default=1)
    flags.add_argument("--motifs", required=True, type=Path, help="folder of MEME files to write")
    flags.add_argument("--out", required=True, help="TSV file to write")
    flags.add_argument("--provenance", required=True, help="JSON file to write")
    args = flags.parse_args()
    torch.set_num_threads(args.threads)
    device = choose_device(args.device)
    x, rows = read_sets(args.dataset, [args.split]).splits[args.split]["x"], []
    for folder in args.runs:
        found = list(filters_of_run(args.task, folder, x, FilterSettings(**args.settings), args.motifs, device))
        lacking = [row for row in found if row["status"] != "ok"]
        logging.info("%s %s: %d filters, %d without a matrix", args.task, folder.name, len(found), len(lacking))
        rows += found
    write_tsv(args.out, FILTERS, rows)
    inputs, settings = [args.dataset, *checkpoint_files(args.runs)], args.settings | {"split": args.split}
    record(args.provenance, inputs, settings, started, device=str(device))


run(main)
