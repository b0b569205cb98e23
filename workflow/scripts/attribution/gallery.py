"""Explain the sequences of a gallery by one trial of each run: a table of every base and its score."""

import logging
import time
from dataclasses import asdict
from pathlib import Path

import torch

from cisflow.attribution.choose import find_target
from cisflow.attribution.explained import Explained
from cisflow.attribution.gallery import from_genome, from_split, gallery_rows, kept
from cisflow.attribution.presets import PRESETS, resolve
from cisflow.attribution.references import reference_seed
from cisflow.evaluation.evaluate import describe, read_sets
from cisflow.io import write_tsv
from cisflow.provenance import record
from cisflow.script import json_value, parser, run
from cisflow.tables import GALLERY
from cisflow.training.checkpoint import checkpoint_files, load_model
from cisflow.training.engine import DEVICES, choose_device


def main() -> None:
    started = time.time()
    flags = parser(__doc__)
    flags.add_argument("--task", required=True)
    flags.add_argument("--dataset", required=True, help="HDF5 file (contract dataset/1)")
    flags.add_argument("--genome", nargs="?", help="FASTA file, if the gallery is a region of it")
    flags.add_argument("--runs", required=True, nargs="+", type=Path, help="folders of checkpoints")
    flags.add_argument("--gallery", required=True, type=json_value, help="its settings, as JSON")
    flags.add_argument("--preset", required=True, choices=PRESETS)
    flags.add_argument("--changes", required=True, type=json_value, help="what differs from the preset, as JSON")
    flags.add_argument("--device", required=True, choices=DEVICES)
    flags.add_argument("--threads", type=int, default=1)
    flags.add_argument("--out", required=True, help="TSV file to write")
    flags.add_argument("--provenance", required=True, help="JSON file to write")
    args = flags.parse_args()
    torch.set_num_threads(args.threads)
    device, gallery, settings = choose_device(args.device), args.gallery, resolve(args.preset, args.changes)
    sets = read_sets(args.dataset, [] if args.genome else [gallery["split"]])
    target = find_target(sets.targets, gallery["target"], args.dataset)
    trials = [folder / f"trial-{gallery['trial']}" for folder in args.runs]
    models = [load_model(trial, device=device) for trial in trials]
    positions = kept(gallery["window"], models[0].length)
    if args.genome:
        selected = from_genome(args.genome, gallery["region"], models[0].length)
    else:
        selected = from_split(sets.splits[gallery["split"]], target, gallery, models)
    rows, seed = [], reference_seed(args.task)
    for trial, model in zip(trials, models, strict=True):
        output = settings.output if sets.kind == "binary" else "value"
        about = {"task": args.task, **describe(trial), "target": sets.targets[target], "output": output}
        explained = Explained.by(settings, model, target, sets.kind)
        own = list(gallery_rows(about, explained, selected, gallery["method"], positions, settings, seed, sets.kind))
        undefined = len({row["sequence"] for row in own if row["score"] is None})
        logging.info("%s: %d sequences, of them without a number: %d", trial, len(selected.names), undefined)
        rows += own
    write_tsv(args.out, GALLERY, rows)
    inputs = [args.dataset, *checkpoint_files(args.runs), *filter(None, [args.genome])]
    found = {"sequences": selected.names, "left_out": selected.left_out}
    record(
        args.provenance,
        inputs,
        {"gallery": gallery, "settings": asdict(settings), **found},
        started,
        device=str(device),
    )


run(main)
