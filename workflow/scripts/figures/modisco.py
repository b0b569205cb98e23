"""Write the page of the patterns that TF-MoDISco found in the attributions of a run: one HTML file."""

from pathlib import Path

from cisflow.figures.modisco import modisco_page
from cisflow.figures.report import write_report
from cisflow.script import parser, run

TABLES = ("signs", "patterns", "hits", "bases")


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--title", required=True)
    for name in TABLES:
        flags.add_argument(f"--{name}", required=True, type=Path, help="TSV file")
    flags.add_argument("--database", required=True, type=Path, help="MEME file of known motifs")
    flags.add_argument("--out", required=True, type=Path)
    args = flags.parse_args()
    write_report(args.out, modisco_page(args.title, {name: getattr(args, name) for name in TABLES}, args.database))


run(main)
