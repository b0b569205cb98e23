"""Compress a FASTA file of a genome in blocks and index it, so that any stretch is read without the rest."""

import logging

from cisflow.script import parser, run
from cisflow.tracks.genome import Genome, index_genome


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--fasta", required=True, help="FASTA file, gzipped or not")
    flags.add_argument("--out", required=True, help="file to write, which ends in .fa.gz; its indices are beside it")
    args = flags.parse_args()
    others = index_genome(args.fasta, args.out)
    with Genome(args.out) as genome:
        logging.info("%s: %d contigs, %s bases", args.out, len(genome.sizes), f"{sum(genome.sizes.values()):,}")
    for letter, count in others.items():
        logging.info("  %s times %s, which is an unknown base", f"{count:,}", letter)


run(main)
