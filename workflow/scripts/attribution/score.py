"""Score all attributions of a task against its ground truth, and keep some sequences as examples."""

import logging
import time
from pathlib import Path

import numpy as np

from cisflow.attribution import score
from cisflow.attribution.store import read_map
from cisflow.datasets.truth import INFORMATIVE, bits, read_truth
from cisflow.evaluation.evaluate import describe, trial_folders
from cisflow.io import write_tsv
from cisflow.provenance import record
from cisflow.script import parser, run
from cisflow.tables import ATTRIBUTION_EXAMPLES, ATTRIBUTION_SCORES


def main() -> None:
    started = time.time()
    flags = parser(__doc__)
    flags.add_argument("--task", required=True)
    flags.add_argument("--dataset", required=True, help="HDF5 file (contract dataset/1) with a ground truth")
    flags.add_argument("--split", required=True)
    flags.add_argument("--runs", required=True, nargs="+", type=Path, help="folders of checkpoints")
    flags.add_argument("--maps", required=True, type=Path, help="folder of the folders of maps, one a run")
    flags.add_argument("--methods", required=True, nargs="+")
    flags.add_argument("--examples", required=True, type=int, help="sequences to keep")
    flags.add_argument("--scores", required=True, help="TSV file to write")
    flags.add_argument("--examples-out", required=True, help="TSV file to write")
    flags.add_argument("--provenance", required=True, help="JSON file to write")
    args = flags.parse_args()
    trials = [(folder, trial) for folder in args.runs for trial in trial_folders(folder)]
    first = read_map(args.maps / args.runs[0].name / f"{trials[0][1].name}.{args.methods[0]}.h5")
    truth = read_truth(args.dataset, args.split, first.id)
    motif, scored, rows = bits(truth) > INFORMATIVE, [], []
    for folder, trial in trials:
        about = {"task": args.task, **describe(trial)}
        for method in args.methods:
            stored = read_map(args.maps / folder.name / f"{trial.name}.{method}.h5")
            auroc, aupr = score.localisation(stored.scores, motif)
            rows.append(score.score_row(about | {"method": method}, auroc, aupr))
            # Maps of the first trial are drawn; those of the others are needed for the choice alone.
            scored.append((about, stored if about["trial"] == 0 else None, auroc, aupr))
        logging.info("%s %s %s: scored", args.task, folder.name, trial.name)
    chosen = score.clearest([auroc for *_, auroc, _ in scored], args.examples)
    examples = [
        row for about, stored, *areas in scored if stored for row in score.example_rows(about, stored, *areas, chosen)
    ]
    examples += score.truth_rows(args.task, truth, first.id, chosen)
    write_tsv(args.scores, ATTRIBUTION_SCORES, rows)
    write_tsv(args.examples_out, ATTRIBUTION_EXAMPLES, examples)
    undefined = int(np.isnan(scored[0][2]).sum())
    logging.info("%d of %d sequences have no motif or nothing else, and no score", undefined, len(truth))
    maps = sorted(args.maps.rglob("*.h5"))
    record(args.provenance, [args.dataset, *maps], {"methods": args.methods, "examples": args.examples}, started)


run(main)
