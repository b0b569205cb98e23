"""Explain the predictions of all trials of a run: a map for each trial and method, and a table of their quality."""

import logging
import time
from dataclasses import asdict
from pathlib import Path

import torch

from cisflow.attribution.choose import choose
from cisflow.attribution.explained import Explained
from cisflow.attribution.maps import reduce
from cisflow.attribution.methods import attribute
from cisflow.attribution.presets import METHODS, PRESETS, REFERENCED, resolve
from cisflow.attribution.quality import quality_rows
from cisflow.attribution.references import reference_seed
from cisflow.attribution.store import write_map
from cisflow.evaluation.evaluate import describe, trial_folders
from cisflow.io import sha256, write_tsv
from cisflow.provenance import record
from cisflow.script import json_value, parser, run
from cisflow.sequence import reverse_complement
from cisflow.tables import ATTRIBUTION_QUALITY
from cisflow.training.checkpoint import checkpoint_files, load_model, read_description
from cisflow.training.engine import DEVICES, choose_device

# Sequences whose other strand is explained too.
TURNED = 50


def main() -> None:
    started = time.time()
    flags = parser(__doc__)
    flags.add_argument("--task", required=True)
    flags.add_argument("--dataset", required=True, help="HDF5 file (contract dataset/1)")
    flags.add_argument("--run", required=True, type=Path, help="folder of checkpoints")
    flags.add_argument("--methods", required=True, nargs="+", choices=METHODS)
    flags.add_argument("--split", required=True)
    flags.add_argument("--sequences", required=True, type=int, help="at most so many")
    flags.add_argument("--target", nargs="?", help="default: the first")
    flags.add_argument("--preset", required=True, choices=PRESETS)
    flags.add_argument("--changes", required=True, type=json_value, help="what differs from the preset, as JSON")
    flags.add_argument("--device", required=True, choices=DEVICES)
    flags.add_argument("--threads", type=int, default=1)
    flags.add_argument("--out", required=True, type=Path, help="folder of maps to write")
    args = flags.parse_args()
    torch.set_num_threads(args.threads)
    device = choose_device(args.device)
    settings = resolve(args.preset, args.changes)
    reference = settings.reference if set(args.methods) & set(REFERENCED) else None
    sequences, target, kind = choose(args.dataset, args.split, args.target, args.sequences, reference)
    other_strand = reverse_complement(sequences.x[:TURNED])
    # The same references for every run and trial, so that their maps differ by the models alone.
    seed, source, rows = reference_seed(args.task), {Path(args.dataset).name: sha256(args.dataset)}, []
    for trial in trial_folders(args.run):
        model = load_model(trial, device=device)
        explained = Explained.by(settings, model, target, kind)
        maps, reduced, turned = {}, {}, {}
        for method in args.methods:
            maps[method] = attribute(explained, sequences.x, method, settings, seed)
            reduced[method] = reduce(maps[method].scores, sequences.x, method, settings)
            back = attribute(explained, other_strand, method, settings, seed).scores
            turned[method] = reduce(back, other_strand, method, settings)[:, ::-1]
            name = read_description(trial)["targets"][target]
            write_map(args.out / f"{trial.name}.{method}.h5", maps[method], sequences, method, name, settings, source)
            logging.info("%s %s %s: %s", args.task, args.run.name, trial.name, method)
        rows += quality_rows({"task": args.task, **describe(trial)}, maps, reduced, turned)
    write_tsv(args.out / "quality.tsv", ATTRIBUTION_QUALITY, rows)
    parameters = {"preset": args.preset, "settings": asdict(settings), "sequences": len(sequences.x)}
    parameters |= {"left_out": sequences.left_out}
    inputs = [args.dataset, *checkpoint_files([args.run])]
    record(args.out / "provenance.json", inputs, parameters, started, device=str(device))


run(main)
