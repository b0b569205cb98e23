"""Count the filters that match: statistics of each trial, and the best hit of each filter."""

import logging

from cisflow.io import write_tsv
from cisflow.motifs.compare import matches_of_task
from cisflow.script import json_value, parser, run
from cisflow.tables import FILTERS, LABELS, MATCHES, TOMTOM, read_tsv


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--filters", required=True, help="filter table (TSV)")
    flags.add_argument("--tomtom", required=True, help="Tomtom table (TSV)")
    flags.add_argument("--ground-truth", required=True, type=json_value, help="motif ids by factor, as JSON")
    flags.add_argument("--matches", required=True, help="TSV file to write: statistics of each trial")
    flags.add_argument("--labels", required=True, help="TSV file to write: best hit of each filter")
    args = flags.parse_args()
    filters, hits = read_tsv(args.filters, FILTERS), read_tsv(args.tomtom, TOMTOM)
    matches, labels = matches_of_task(filters, hits, args.ground_truth)
    write_tsv(args.matches, MATCHES, matches)
    write_tsv(args.labels, LABELS, labels)
    logging.info("%d trials, %d filters", len(matches) // 2, len(labels))


run(main)
