"""Take one declared file out of the archive that it comes in."""

import logging

from cisflow.script import parser, run
from cisflow.sources.extract import extract


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--archive", required=True, help="tar file")
    flags.add_argument("--member", required=True, help="name of the file in it")
    flags.add_argument("--out", required=True)
    args = flags.parse_args()
    size = extract(args.archive, args.member, args.out)
    logging.info("%s: %s bytes, from %s", args.out, f"{size:,}", args.archive)


run(main)
