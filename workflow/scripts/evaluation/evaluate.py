"""Evaluate all runs of a task: predictions of every trial, a table of metrics, and one of all training histories."""

import logging
import time
from pathlib import Path

import polars as pl
import torch

from cisflow.evaluation.baselines import BASELINES
from cisflow.evaluation.evaluate import evaluate_baseline, evaluate_run, histories, read_sets, write_parquet
from cisflow.io import write_tsv
from cisflow.provenance import record
from cisflow.script import parser, run
from cisflow.tables import METRICS, write_table
from cisflow.training.checkpoint import checkpoint_files
from cisflow.training.engine import DEVICES, choose_device


def main() -> None:
    started = time.time()
    flags = parser(__doc__)
    flags.add_argument("--task", required=True)
    flags.add_argument("--dataset", required=True, help="HDF5 file (contract dataset/1)")
    flags.add_argument("--runs", required=True, nargs="+", type=Path, help="folders of checkpoints")
    flags.add_argument("--splits", required=True, nargs="+")
    flags.add_argument("--baselines", nargs="*", default=[], choices=sorted(BASELINES))
    flags.add_argument("--device", required=True, choices=DEVICES)
    flags.add_argument("--threads", type=int, default=1)
    flags.add_argument("--predictions", required=True, type=Path, help="folder of Parquet files to write, one a run")
    flags.add_argument("--metrics", required=True, help="TSV file to write")
    flags.add_argument("--history", required=True, help="TSV file to write")
    flags.add_argument("--provenance", required=True, help="JSON file to write")
    args = flags.parse_args()
    torch.set_num_threads(args.threads)
    device = choose_device(args.device)
    sets, rows = read_sets(args.dataset, args.splits), []
    for folder in args.runs:
        table, found = evaluate_run(args.task, folder, sets, device, args.predictions / f"{folder.name}.bins.h5")
        write_parquet(args.predictions / f"{folder.name}.parquet", table)
        rows += found
        logging.info("%s %s: %d predictions", args.task, folder.name, len(table))
    if args.baselines:
        train = read_sets(args.dataset, ["train"]).splits["train"]
        for name in args.baselines:
            rows += evaluate_baseline(args.task, name, train, sets)
    undefined = sum(row["value"] is None for row in rows)
    if undefined:
        why = "labels all alike, or predictions that are no numbers"
        logging.warning("%d of %d values are undefined (%s) and are left empty", undefined, len(rows), why)
    write_tsv(args.metrics, METRICS, rows)
    write_table(args.history, pl.concat([histories(args.task, folder) for folder in args.runs]))
    inputs = [args.dataset, *checkpoint_files(args.runs)]
    record(args.provenance, inputs, {"splits": args.splits, "baselines": args.baselines}, started, device=str(device))


run(main)
