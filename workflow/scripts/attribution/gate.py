"""Gather the quality tables of a task's attributions, and fail if a convergence error is beyond its limit."""

import logging
from pathlib import Path

import polars as pl

from cisflow.attribution.quality import check_limits
from cisflow.script import json_value, parser, run
from cisflow.tables import ATTRIBUTION_QUALITY, read_tsv, write_table


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--maps", required=True, nargs="+", type=Path, help="folders of maps")
    flags.add_argument("--limits", required=True, type=json_value, help="by method, as JSON")
    flags.add_argument("--out", required=True, help="TSV file to write")
    args = flags.parse_args()
    table = pl.concat([read_tsv(folder / "quality.tsv", ATTRIBUTION_QUALITY) for folder in args.maps])
    medians = table.group_by("method", "quantity", maintain_order=True).agg(pl.median("value"))
    for method, quantity, median in medians.iter_rows():
        logging.info("%s, %s: median %s", method, quantity, "undefined" if median is None else f"{median:.3g}")
    check_limits(table, args.limits)
    write_table(args.out, table)


run(main)
