"""Score the attributions of all trials of a run against the ground truth, for several numbers of references."""

import logging
import time
from dataclasses import asdict
from pathlib import Path

import polars as pl
import torch

from cisflow.attribution.choose import choose
from cisflow.attribution.explained import Explained
from cisflow.attribution.presets import PRESETS, REFERENCED, resolve
from cisflow.attribution.quality import check_limits
from cisflow.attribution.sweep import reference_rows
from cisflow.datasets.truth import INFORMATIVE, bits, read_truth
from cisflow.evaluation.evaluate import describe, trial_folders
from cisflow.io import write_tsv
from cisflow.provenance import record
from cisflow.script import json_value, parser, run
from cisflow.seeds import seed_of
from cisflow.tables import ATTRIBUTION_QUALITY, ATTRIBUTION_REFERENCES
from cisflow.training.checkpoint import checkpoint_files, load_model
from cisflow.training.engine import DEVICES, choose_device


def main() -> None:
    started = time.time()
    flags = parser(__doc__)
    flags.add_argument("--task", required=True)
    flags.add_argument("--dataset", required=True, help="HDF5 file (contract dataset/1) with a ground truth")
    flags.add_argument("--run", required=True, type=Path, help="folder of checkpoints")
    flags.add_argument("--methods", required=True, nargs="+", choices=REFERENCED)
    flags.add_argument("--counts", required=True, nargs="+", type=int, help="numbers of references")
    flags.add_argument("--split", required=True)
    flags.add_argument("--sequences", required=True, type=int, help="at most so many")
    flags.add_argument("--target", nargs="?", help="default: the first")
    flags.add_argument("--preset", required=True, choices=PRESETS)
    flags.add_argument("--changes", required=True, type=json_value, help="what differs from the preset, as JSON")
    flags.add_argument("--limits", required=True, type=json_value, help="of the convergence error, by method, as JSON")
    flags.add_argument("--device", required=True, choices=DEVICES)
    flags.add_argument("--threads", type=int, default=1)
    flags.add_argument("--out", required=True, help="TSV file to write")
    flags.add_argument("--provenance", required=True, help="JSON file to write")
    args = flags.parse_args()
    torch.set_num_threads(args.threads)
    device, settings = choose_device(args.device), resolve(args.preset, args.changes)
    sequences, target, kind = choose(args.dataset, args.split, args.target, args.sequences, settings.reference)
    motif = bits(read_truth(args.dataset, args.split, sequences.id)) > INFORMATIVE
    probability = kind == "binary" and settings.output == "probability"
    # The same references for every run and trial, as for the maps.
    seed, counts, rows, quality = seed_of(args.task, "references"), sorted(set(args.counts)), [], []
    for trial in trial_folders(args.run):
        explained = Explained(load_model(trial, device=device), target, probability)
        about = {"task": args.task, **describe(trial)}
        for method in args.methods:
            found, error = reference_rows(about, explained, sequences.x, motif, method, settings, counts, seed)
            logging.info("%s %s %s: %s", args.task, args.run.name, trial.name, method)
            rows += found
            quality.append(error)
    check_limits(pl.DataFrame(quality, schema=ATTRIBUTION_QUALITY), args.limits)
    write_tsv(args.out, ATTRIBUTION_REFERENCES, rows)
    parameters = {"preset": args.preset, "settings": asdict(settings), "counts": counts}
    inputs = [args.dataset, *checkpoint_files([args.run])]
    record(args.provenance, inputs, parameters | {"sequences": len(motif)}, started, device=str(device))


run(main)
