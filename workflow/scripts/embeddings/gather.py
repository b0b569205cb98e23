"""Make one file over the shards of embeddings, without copying them."""

import logging

import polars as pl

from cisflow.embeddings.store import gather
from cisflow.script import parser, run


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--shards", required=True, nargs="+", help="HDF5 files, in the order of their regions")
    flags.add_argument("--out", required=True, help="HDF5 file to write")
    args = flags.parse_args()
    regions = gather(args.shards, args.out)
    padded = regions.filter(pl.col("padded") > 0)
    logging.info("%s: %s windows", args.out, f"{len(regions):,}")
    if len(padded):
        logging.info(
            "  %s reach beyond their contig (%s bases of N)", f"{len(padded):,}", f"{padded['padded'].sum():,}"
        )


run(main)
