"""Make one matrix over the shards of all tracks, without copying them."""

from cisflow.script import json_value, parser, run
from cisflow.tracks.matrix import gather, gather_counts


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--regions", required=True, help="TSV file that the shards were made for")
    flags.add_argument("--units", required=True, type=json_value, help="unit of each track, as JSON")
    flags.add_argument("--shards", required=True, nargs="+", help="HDF5 files, track by track in this order")
    flags.add_argument("--counts", required=True, nargs="+", help="TSV files of the shards")
    flags.add_argument("--out", required=True, help="HDF5 file to write")
    flags.add_argument("--out-counts", required=True, help="TSV file to write")
    args = flags.parse_args()
    count = len(args.shards) // len(args.units)
    shards = {name: args.shards[n * count : (n + 1) * count] for n, name in enumerate(args.units)}
    gather(args.regions, shards, args.units, args.out)
    gather_counts(args.counts, args.out_counts)


run(main)
