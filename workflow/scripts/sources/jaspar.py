"""Export a JASPAR release from the package pyjaspar: counts and MEME."""

import logging

from cisflow.script import parser, run
from cisflow.sources.jaspar import export


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--release", required=True, help="for example JASPAR2016")
    flags.add_argument("--collection", required=True, help="for example CORE")
    flags.add_argument("--tax-group", required=True, nargs="+", help="for example vertebrates")
    flags.add_argument("--counts", required=True, help="JASPAR file to write")
    flags.add_argument("--meme", required=True, help="MEME file to write")
    args = flags.parse_args()
    count = export(args.release, args.collection, args.tax_group, args.counts, args.meme)
    logging.info("%s %s %s: %d motifs", args.release, args.collection, args.tax_group, count)


run(main)
