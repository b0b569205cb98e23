"""Tell domains, and windows where two tracks differ, from labels and predictions: ROC curves and their areas."""

import logging
import time
from pathlib import Path

from cisflow.evaluation.domains import area_rows, questions
from cisflow.evaluation.heads import Bootstrap
from cisflow.evaluation.windows import read_predictions
from cisflow.io import write_tsv
from cisflow.provenance import record
from cisflow.script import json_value, parser, run
from cisflow.tables import HEAD_DOMAINS, HEAD_ROC


def main() -> None:
    started = time.time()
    flags = parser(__doc__)
    flags.add_argument("--task", required=True)
    flags.add_argument("--predictions", required=True, type=Path, help="folder of Parquet files, one a run")
    flags.add_argument("--runs", required=True, nargs="+", help="names of the runs")
    flags.add_argument("--crop", required=True, type=int, help="bases at both ends of a window without labels")
    flags.add_argument("--domains", required=True, type=json_value, help="domains by name, as JSON")
    flags.add_argument("--differences", required=True, type=json_value, help="differences by name, as JSON")
    flags.add_argument("--bootstrap", required=True, type=json_value, help="resamples, block and level, as JSON")
    flags.add_argument("--areas", required=True, help="TSV file to write")
    flags.add_argument("--curves", required=True, help="TSV file to write")
    flags.add_argument("--provenance", required=True, help="JSON file to write")
    args = flags.parse_args()
    how = Bootstrap(**args.bootstrap)
    files = [args.predictions / f"{name}.parquet" for name in args.runs]
    found, log = read_predictions(files), logging.getLogger("cisflow")
    areas, curves = [], []
    for about, classes in questions(found, args.domains, args.differences, args.crop, log):
        new, points = area_rows(args.task, about, classes, found.splits[about["set"]], found.trials, how)
        areas += new
        curves += points
        missing = ", ".join(f"{reason}: {count}" for reason, count in classes.left_out.items() if count)
        up, known = int((classes.positive & classes.known).sum()), int(classes.known.sum())
        log.info("%s, %s: %d of %d windows are positive; left out: %s", about["name"], about["set"], up, known,
            missing or "none")  # fmt: skip
    if undefined := sum(row["auroc"] is None for row in areas):
        log.warning("%d areas are not defined and are left empty (one class only, or predictions that are no numbers)",
            undefined)  # fmt: skip
    write_tsv(args.areas, HEAD_DOMAINS, areas)
    write_tsv(args.curves, HEAD_ROC, curves)
    settings = {key: getattr(args, key) for key in ("domains", "differences", "crop", "bootstrap")}
    beds = [spec["bed"] for spec in args.domains.values()]
    record(args.provenance, [*files, *beds], settings, started)


run(main)
