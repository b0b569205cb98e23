"""Write the index of a BAM file that is sorted by place."""

from pathlib import Path

import pysam

from cisflow.errors import CisflowError
from cisflow.io import atomic, full_message
from cisflow.script import parser, run


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--bam", required=True, type=Path)
    flags.add_argument("--out", required=True, help="its index, to write")
    args = flags.parse_args()
    with atomic(args.out) as partial:
        try:
            pysam.index(str(args.bam), "-o", str(partial))
        except pysam.SamtoolsError as error:
            if "write index" in str(error):
                raise CisflowError(full_message(Path(args.out))) from error
            raise CisflowError(f"{args.bam}: it cannot be indexed ({error}). Is it sorted by place?") from None


run(main)
