"""Lay out labels and predictions of heads for figures: densities, and both along chromosomes."""

import logging
import time
from pathlib import Path

from cisflow.errors import CisflowError
from cisflow.evaluation.drawn import composition_rows, density_rows, most_tested, profile_rows, unit_of
from cisflow.evaluation.windows import contig_sizes, dataset_windows, read_predictions
from cisflow.io import write_tsv
from cisflow.provenance import record
from cisflow.script import json_value, parser, run
from cisflow.tables import HEAD_COMPOSITION, HEAD_DENSITY, HEAD_PROFILES


def main() -> None:
    started = time.time()
    flags = parser(__doc__)
    flags.add_argument("--task", required=True)
    flags.add_argument("--dataset", required=True, help="HDF5 file (contract dataset/1), for the windows of all splits")
    flags.add_argument("--predictions", required=True, type=Path, help="folder of Parquet files, one a run")
    flags.add_argument("--runs", required=True, nargs="+", help="names of the runs")
    flags.add_argument("--crop", required=True, type=int, help="bases at both ends of a window without labels")
    flags.add_argument("--index", required=True, help="index (.fai) of the genome, for the sizes of chromosomes")
    flags.add_argument("--units", required=True, type=json_value, help="units by track or pattern, as JSON")
    flags.add_argument("--known", required=True, type=json_value, help="units that the tracks have, as JSON")
    flags.add_argument("--drawn", required=True, type=json_value, help="tracks and chromosomes along, as JSON")
    flags.add_argument("--density", required=True, help="TSV file to write")
    flags.add_argument("--profiles", required=True, help="TSV file to write")
    flags.add_argument("--composition", required=True, help="TSV file to write")
    flags.add_argument("--provenance", required=True, help="JSON file to write")
    args = flags.parse_args()
    files = [args.predictions / f"{name}.parquet" for name in args.runs]
    found, windows, sizes = read_predictions(files), dataset_windows(args.dataset), contig_sizes(args.index)
    units = {target: unit_of(target, args.units, args.known) for target in found.targets}
    chromosomes = args.drawn["chromosomes"] or [most_tested(windows)]
    if lacking := [name for name in chromosomes if name not in sizes]:
        raise CisflowError(f"{args.index}: there is no chromosome '{lacking[0]}' (evaluation.drawn.chromosomes).")
    along = args.drawn["along"] or found.targets[:4]
    density = [row for split in found.splits for row in density_rows(args.task, split, found, units)]
    profiles = [row for name in chromosomes for row in profile_rows(args.task, name, along, found, units, args.crop)]
    parts = [row for name in chromosomes for row in composition_rows(args.task, name, windows, args.crop, sizes)]
    write_tsv(args.density, HEAD_DENSITY, density)
    write_tsv(args.profiles, HEAD_PROFILES, profiles)
    write_tsv(args.composition, HEAD_COMPOSITION, parts)
    logging.info("%s: %s along %s", args.task, ", ".join(along), ", ".join(chromosomes))
    record(args.provenance, [args.dataset, *files, args.index], {"units": args.units, "drawn": args.drawn}, started)


run(main)
