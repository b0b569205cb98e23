"""Write the report page of a task: one HTML file with its figures and tables."""

from pathlib import Path

from cisflow.figures.report import Dataset, Motifs, task_report, write_report
from cisflow.script import json_value, parser, run


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--task", required=True)
    flags.add_argument("--title", required=True)
    flags.add_argument("--settings", required=True, type=json_value, help="the task's configuration, as JSON")
    flags.add_argument("--figures", required=True, nargs="+", type=Path, help="PNG files of the standard figures")
    flags.add_argument("--dataset", required=True, nargs=3, type=Path, help="tables quality, distributions, accounting")
    flags.add_argument("--metrics", nargs="*", type=Path, help="table; none without a model")
    flags.add_argument("--motifs", nargs="*", type=Path, help="tables matches, filters, tomtom; none without filters")
    flags.add_argument("--out", required=True, type=Path)
    args = flags.parse_args()
    motifs = Motifs(*args.motifs) if args.motifs else None
    metrics = args.metrics[0] if args.metrics else None
    page = task_report(args.task, args.title, args.settings, args.figures, Dataset(*args.dataset), metrics, motifs)
    write_report(args.out, page)


run(main)
