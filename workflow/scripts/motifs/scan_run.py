"""Measure how well the first-layer filters of all trials of a run find the motifs of sequences."""

import logging
import time
from pathlib import Path

import torch

from cisflow.datasets.truth import INFORMATIVE, bits, read_truth
from cisflow.evaluation.evaluate import describe, read_sets, trial_folders
from cisflow.io import write_tsv
from cisflow.motifs.scan import choose_examples, divided, example_rows, filter_scan, localisation_rows
from cisflow.provenance import record
from cisflow.script import parser, run
from cisflow.tables import SCAN, SCAN_EXAMPLES
from cisflow.training.checkpoint import checkpoint_files, load_model
from cisflow.training.engine import DEVICES, choose_device


def main() -> None:
    started = time.time()
    flags = parser(__doc__)
    flags.add_argument("--task", required=True)
    flags.add_argument("--dataset", required=True, help="HDF5 file (contract dataset/1) with a ground truth")
    flags.add_argument("--run", required=True, type=Path, help="folder of checkpoints")
    flags.add_argument("--layer", required=True, help="whose units scan")
    flags.add_argument("--split", required=True, help="sequences that are scanned")
    flags.add_argument("--buffers", required=True, nargs="+", type=int, help="how far motifs are widened, in bases")
    flags.add_argument("--examples", required=True, type=int, help="sequences to keep, of the first trial")
    flags.add_argument("--device", required=True, choices=DEVICES)
    flags.add_argument("--threads", type=int, default=1)
    flags.add_argument("--scores", required=True, help="TSV file to write")
    flags.add_argument("--examples-out", required=True, help="TSV file to write")
    flags.add_argument("--provenance", required=True, help="JSON file to write")
    args = flags.parse_args()
    torch.set_num_threads(args.threads)
    device, arrays = choose_device(args.device), read_sets(args.dataset, [args.split]).splits[args.split]
    motif, rows, examples = bits(read_truth(args.dataset, args.split)) > INFORMATIVE, [], []
    parts, chosen = divided(motif, args.buffers), choose_examples(motif, args.examples)
    for trial in trial_folders(args.run):
        about = {"task": args.task, **describe(trial)}
        scores = filter_scan(load_model(trial, device=device), arrays["x"], args.layer)
        rows += localisation_rows(about, args.layer, scores, parts)
        if about["trial"] == 0:
            examples += example_rows(about, args.layer, scores, arrays["id"], chosen)
        logging.info("%s %s %s: %d sequences scanned", args.task, args.run.name, trial.name, len(motif))
    write_tsv(args.scores, SCAN, rows)
    write_tsv(args.examples_out, SCAN_EXAMPLES, examples)
    settings = {"split": args.split, "buffers": args.buffers, "layer": args.layer}
    record(args.provenance, [args.dataset, *checkpoint_files([args.run])], settings, started, device=str(device))


run(main)
