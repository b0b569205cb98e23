"""Bin the signal of a track over a shard of regions."""

import logging

from cisflow.script import json_value, parser, run
from cisflow.tracks.genome import Genome
from cisflow.tracks.matrix import bin_track


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--name", required=True, help="the track's")
    flags.add_argument("--track", required=True, type=json_value, help="its settings, as JSON, with paths of its files")
    flags.add_argument("--regions", required=True, help="TSV file of all regions")
    flags.add_argument("--genome", required=True, help="indexed genome of the regions")
    flags.add_argument("--bin", required=True, type=int, help="width of a bin, in bases")
    flags.add_argument("--shard", required=True, type=int, help="which part of the regions, from 0")
    flags.add_argument("--shards", required=True, type=int, help="how many parts there are")
    flags.add_argument("--out", required=True, help="HDF5 file to write")
    flags.add_argument("--counts", required=True, help="TSV file to write")
    args = flags.parse_args()
    with Genome(args.genome) as genome:
        sizes = genome.sizes
    told = bin_track(
        args.regions,
        args.name,
        args.track,
        sizes,
        args.genome,
        args.bin,
        args.shard,
        args.shards,
        args.out,
        args.counts,
    )
    for note in told:
        logging.info(note)


run(main)
