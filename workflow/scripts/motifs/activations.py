"""Read what the first activation of a run is given and what it makes of it, before and after the training."""

import logging
import time
from pathlib import Path

import torch

from cisflow.evaluation.evaluate import read_sets, trial_folders
from cisflow.io import write_tsv
from cisflow.motifs.activations import activation_rows
from cisflow.provenance import record
from cisflow.script import json_value, parser, run
from cisflow.tables import ACTIVATIONS
from cisflow.training.checkpoint import read_description
from cisflow.training.engine import DEVICES, choose_device


def main() -> None:
    started = time.time()
    flags = parser(__doc__)
    flags.add_argument("--task", required=True)
    flags.add_argument("--dataset", required=True, help="HDF5 file (contract dataset/1)")
    flags.add_argument("--run", required=True, type=Path, help="folder of checkpoints, of which the first is read")
    flags.add_argument("--settings", required=True, type=json_value, help="split, sequences, bins, pairs, as JSON")
    flags.add_argument("--device", required=True, choices=DEVICES)
    flags.add_argument("--threads", type=int, default=1)
    flags.add_argument("--out", required=True, help="TSV file to write")
    flags.add_argument("--provenance", required=True, help="JSON file to write")
    args = flags.parse_args()
    torch.set_num_threads(args.threads)
    device, settings = choose_device(args.device), args.settings
    trial = trial_folders(args.run)[0]
    x = read_sets(args.dataset, [settings["split"]]).splits[settings["split"]]["x"][: settings["sequences"]]
    rows = list(activation_rows(args.task, trial, x, settings["bins"], settings["pairs"], device))
    write_tsv(args.out, ACTIVATIONS, rows)
    logging.info("%s %s %s: %d sequences", args.task, args.run.name, trial.name, len(x))
    weights = trial / f"{read_description(trial)['weights']}.safetensors"
    record(args.provenance, [args.dataset, trial / "model.json", weights], settings, started, device=str(device))


run(main)
