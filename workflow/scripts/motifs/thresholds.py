"""Put the match statistics at several thresholds of the filters' sites into one table."""

import polars as pl

from cisflow.script import parser, run
from cisflow.tables import MATCHES, read_tsv, write_table


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--matches", required=True, nargs="+", help="a table for each threshold")
    flags.add_argument("--thresholds", required=True, nargs="+", type=float, help="in the order of the tables")
    flags.add_argument("--out", required=True, help="TSV file to write")
    args = flags.parse_args()
    parts = [
        read_tsv(path, MATCHES).with_columns(pl.lit(threshold).alias("threshold"))
        for path, threshold in zip(args.matches, args.thresholds, strict=True)
    ]
    write_table(args.out, pl.concat(parts))


run(main)
