"""Find the patterns that recur in the attributions of a run by TF-MoDISco, and compare them with known motifs."""

import logging
import time
from importlib import metadata
from pathlib import Path

import polars as pl

from cisflow.attribution import patterns as tabulate
from cisflow.attribution.modisco import Search, discover, middle, read_contributions, save
from cisflow.attribution.presets import METHODS
from cisflow.attribution.quality import check_limits
from cisflow.io import sha256, write_tsv
from cisflow.motifs.database import read_database
from cisflow.motifs.tomtom import ENGINES, tomtom
from cisflow.provenance import record
from cisflow.pwm import write_meme
from cisflow.script import json_value, parser, run
from cisflow.tables import (
    ATTRIBUTION_QUALITY,
    MODISCO_BASES,
    MODISCO_HITS,
    MODISCO_PATTERNS,
    MODISCO_SIGNS,
    read_tsv,
)


def main() -> None:
    started = time.time()
    flags = parser(__doc__)
    flags.add_argument("--task", required=True)
    flags.add_argument("--maps", required=True, type=Path, help="folder of maps of a run")
    flags.add_argument("--method", required=True, choices=METHODS)
    flags.add_argument("--trial", nargs="?", type=int, help="default: the mean over all trials")
    flags.add_argument("--limits", required=True, type=json_value, help="of convergence errors by method, as JSON")
    flags.add_argument("--settings", required=True, type=json_value, help="of the search, as JSON")
    flags.add_argument("--database", required=True, help="MEME file of known motifs")
    flags.add_argument("--exclude", nargs="*", default=[], help="motif ids left out of it")
    flags.add_argument("--engine", required=True, choices=ENGINES)
    flags.add_argument("--e-value", required=True, type=float)
    flags.add_argument("--out", required=True, type=Path, help="folder to write")
    args = flags.parse_args()
    targets, search = read_database(args.database, args.exclude), Search(**args.settings)
    read = read_contributions(args.maps, args.method, args.trial)
    quality = read_tsv(args.maps / "quality.tsv", ATTRIBUTION_QUALITY)
    check_limits(quality.filter((pl.col("method") == args.method) & pl.col("trial").is_in(read.trials)), args.limits)
    start, end = middle(read.x.shape[1], search)
    logging.info("%s of %d trials, %d sequences of %d bases", args.method, len(read.trials), len(read.x), end - start)
    found = discover(read.x[:, start:end], read.scores[:, start:end], search)
    maps = [args.maps / f"trial-{trial}.{args.method}.h5" for trial in (*read.trials, *read.left_out)]
    save(args.out / "modisco.h5", found, read, start, end, {path.name: sha256(path) for path in maps})
    patterns = tabulate.read_patterns(args.out / "modisco.h5")
    write_meme(args.out / "patterns.meme", [pattern.motif() for pattern in patterns])
    hits = tomtom([pattern.motif() for pattern in patterns], targets, args.e_value, args.engine)
    about = {"task": args.task, "run": args.maps.name, "method": args.method}
    counts = {
        "trials": len(read.trials),
        "left_out": len(read.left_out),
        "sequences": len(read.x),
        "window": end - start,
    }
    signs = list(tabulate.sign_rows({**about, "target": read.target, **counts}, found))
    write_tsv(args.out / "signs.tsv", MODISCO_SIGNS, signs)
    write_tsv(args.out / "patterns.tsv", MODISCO_PATTERNS, tabulate.pattern_rows(about, patterns, hits))
    write_tsv(args.out / "tomtom.tsv", MODISCO_HITS, ({**about, **hit} for hit in hits))
    write_tsv(args.out / "bases.tsv", MODISCO_BASES, tabulate.base_rows(patterns))
    for row in signs:
        logging.info("%(sign)s: %(seqlets)d seqlets, %(patterns)d patterns. %(note)s", row)
    settings = {"method": args.method, "trials": read.trials, "left_out": read.left_out, "search": args.settings}
    settings |= {"exclude": args.exclude, "engine": args.engine, "e_value": args.e_value}
    libraries = {name: metadata.version(name) for name in ("modisco-lite", "leidenalg", "igraph", "numba")}
    record(args.out / "provenance.json", [*maps, args.database], settings, started, libraries=libraries)


run(main)
