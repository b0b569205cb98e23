"""Scan sequences by the motifs that their data set plants, and measure how well the scans find them."""

import logging
import time
from pathlib import Path

from cisflow.datasets.synthetic import planted_motifs
from cisflow.datasets.truth import INFORMATIVE, bits, read_truth
from cisflow.evaluation.evaluate import read_sets
from cisflow.io import write_tsv
from cisflow.motifs.scan import choose_examples, divided, example_rows, motif_scans
from cisflow.provenance import record
from cisflow.script import json_value, parser, run
from cisflow.tables import SCAN, SCAN_EXAMPLES


def main() -> None:
    started = time.time()
    flags = parser(__doc__)
    flags.add_argument("--task", required=True)
    flags.add_argument("--dataset", required=True, help="HDF5 file (contract dataset/1) with a ground truth")
    flags.add_argument("--planted", required=True, type=json_value, help="the task's `dataset`, as JSON")
    flags.add_argument("--motifs", required=True, type=Path, help="count matrices it was made from")
    flags.add_argument("--split", required=True, help="sequences that are scanned")
    flags.add_argument("--buffers", required=True, nargs="+", type=int, help="how far motifs are widened, in bases")
    flags.add_argument("--examples", required=True, type=int, help="sequences to keep")
    flags.add_argument("--scores", required=True, help="TSV file to write")
    flags.add_argument("--examples-out", required=True, help="TSV file to write")
    flags.add_argument("--provenance", required=True, help="JSON file to write")
    args = flags.parse_args()
    arrays = read_sets(args.dataset, [args.split]).splits[args.split]
    height = bits(read_truth(args.dataset, args.split))
    motif, motifs = height > INFORMATIVE, planted_motifs(args.planted, args.motifs)
    parts = divided(motif, args.buffers)
    rows, scores = motif_scans(args.task, arrays["x"], motifs, parts)
    logging.info("%d sequences scanned by %d motifs, both strands", len(motif), len(motifs))
    chosen, examples = choose_examples(motif, args.examples), []
    for scanner, values in {"truth": height, "ppm": scores["ppm"], "pwm": scores["pwm"]}.items():
        about = {"task": args.task, "run": "motifs"}
        examples += example_rows(about, scanner, values, arrays["id"], chosen)
    write_tsv(args.scores, SCAN, rows)
    write_tsv(args.examples_out, SCAN_EXAMPLES, examples)
    settings = {"split": args.split, "buffers": args.buffers, "motifs": [motif.id for motif in motifs]}
    record(args.provenance, [args.dataset, args.motifs], settings, started)


run(main)
