"""Fetch one declared file: from a mirror folder, or over HTTP; checked before it takes its name."""

import json
import logging
import os
from dataclasses import replace

from cisflow.script import Clock, json_value, parser, run
from cisflow.sources.fetch import Wanted, fetch


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--name", required=True, help="file name")
    flags.add_argument("--file", required=True, type=json_value, help="its declaration: url, sha256, md5, size, manual")
    flags.add_argument("--mirror", nargs="*", default=[], help="folders to search, besides CISFLOW_MIRROR")
    flags.add_argument("--out", required=True)
    args = flags.parse_args()
    mirrors = args.mirror + [folder for folder in os.environ.get("CISFLOW_MIRROR", "").split(os.pathsep) if folder]
    # Addresses with a password or a key come without them, and are looked up (`cisflow.config.sources`).
    addresses = json.loads(os.environ.get("CISFLOW_ADDRESSES", "{}"))
    wanted = Wanted(args.name, **args.file)
    wanted = replace(wanted, url=addresses.get(wanted.url, wanted.url))
    logging.info("%s comes from %s", args.name, fetch(wanted, args.out, mirrors, Clock(args.name)))


run(main)
