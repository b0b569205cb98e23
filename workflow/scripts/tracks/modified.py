"""Count the calls of modified bases in a BAM file (tags MM and ML), base by base, into BigWig files."""

import logging

from cisflow.script import parser, run
from cisflow.tracks.modified import KINDS, Calls, write_calls


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--bam", required=True, help="BAM file with index")
    flags.add_argument("--genome", required=True, help="indexed genome that it is aligned to")
    flags.add_argument("--threshold", type=int, default=Calls.threshold, help="lowest probability, of 255")
    flags.add_argument("--min-mapping-quality", type=int, default=Calls.min_mapping_quality)
    for kind in KINDS:
        flags.add_argument(f"--{kind}", required=True, nargs=2, help="BigWig files of modified and of all calls")
    flags.add_argument("--counts", required=True, help="TSV file of reads, used and left out, to write")
    args = flags.parse_args()
    outputs = {kind: getattr(args, kind) for kind in KINDS}
    calls = Calls(args.threshold, args.min_mapping_quality)
    for what, count in write_calls(args.bam, args.genome, outputs, args.counts, calls).items():
        logging.info("%s: %s %s", args.bam, f"{count:,}", what)


run(main)
