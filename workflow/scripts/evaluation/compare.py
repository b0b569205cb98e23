"""Score the heads of a task on windows of a genome, with bootstrap intervals, and compare them in pairs."""

import logging
import time
from pathlib import Path

from cisflow.evaluation.describe import head_rows
from cisflow.evaluation.heads import FEWEST, Bootstrap, comparison_rows, score_rows, score_split, undefined
from cisflow.evaluation.windows import read_predictions, training_means
from cisflow.io import write_tsv
from cisflow.provenance import record
from cisflow.script import json_value, parser, run
from cisflow.tables import HEAD_COMPARISON, HEAD_SCORES, HEADS


def main() -> None:
    started = time.time()
    flags = parser(__doc__)
    flags.add_argument("--task", required=True)
    flags.add_argument("--dataset", required=True, help="HDF5 file (contract dataset/1), for the baseline")
    flags.add_argument("--predictions", required=True, type=Path, help="folder of Parquet files, one a run")
    flags.add_argument("--runs", required=True, nargs="+", type=Path, help="folders of checkpoints, for their sizes")
    flags.add_argument("--bootstrap", required=True, type=json_value, help="resamples, block and level, as JSON")
    flags.add_argument("--heads", required=True, help="TSV file to write: the runs")
    flags.add_argument("--scores", required=True, help="TSV file to write")
    flags.add_argument("--comparison", required=True, help="TSV file to write")
    flags.add_argument("--provenance", required=True, help="JSON file to write")
    args = flags.parse_args()
    how = Bootstrap(**args.bootstrap)
    files = [args.predictions / f"{folder.name}.parquet" for folder in args.runs]
    found = read_predictions(files)
    means = training_means(args.dataset, found.targets)
    scores, pairs = [], []
    for split in found.splits:
        own = score_split(args.task, split, found, means, how)
        scores += score_rows(args.task, split, own, found, how)
        pairs += comparison_rows(args.task, split, own, found, how)
        windows = len(found.splits[split].start)
        logging.info("%s %s: %d windows in %d blocks of %d bases", args.task, split, windows, own.blocks, how.block)
        if own.blocks < FEWEST:
            logging.warning("%s: fewer than %d blocks, so no intervals; see bootstrap.block", split, FEWEST)
    for metric, count in undefined(scores).items():
        logging.warning(
            "%s: %d values are not defined and are left empty (labels or predictions all alike, as the baseline's, or "
            "predictions that are no numbers)", metric, count,
        )  # fmt: skip
    write_tsv(args.heads, HEADS, [row | args.bootstrap for row in head_rows(args.task, args.runs)])
    write_tsv(args.scores, HEAD_SCORES, scores)
    write_tsv(args.comparison, HEAD_COMPARISON, pairs)
    record(args.provenance, [args.dataset, *files], {"bootstrap": args.bootstrap}, started)


run(main)
