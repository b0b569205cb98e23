"""Compress a FASTA file of a genome in blocks and index it, so that any stretch is read without the rest."""

import logging

from cisflow.script import json_value, parser, run
from cisflow.tracks.genome import Genome, index_genome
from cisflow.tracks.records import genome_of_records, lines


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--fasta", required=True, help="FASTA file, gzipped or not")
    flags.add_argument("--out", required=True, help="file to write, which ends in .fa.gz; its indices are beside it")
    flags.add_argument(
        "--records", type=json_value, help="sizes of contigs, as JSON: the file has records with coordinates"
    )
    args = flags.parse_args()
    if args.records is None:
        others = index_genome(args.fasta, args.out)
    else:
        others = {}
        for line in lines(genome_of_records(args.fasta, args.out, args.records)):
            logging.info("%s", line)
    with Genome(args.out) as genome:
        logging.info("%s: %d contigs, %s bases", args.out, len(genome.sizes), f"{sum(genome.sizes.values()):,}")
    for letter, count in others.items():
        logging.info("  %s times %s, which is an unknown base", f"{count:,}", letter)


run(main)
