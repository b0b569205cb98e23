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
    counted = {name: sum(row[name] for row in matches[::2]) for name in ("uninformative", "withheld")}
    logging.info(
        "%d trials, %d filters, of which %d are uninformative; the best hit of %d is withheld, since shuffled copies "
        "of the filter match it as well", len(matches) // 2, len(labels), counted["uninformative"], counted["withheld"],
    )  # fmt: skip


run(main)
