"""Where negatives come from: random windows of the genome or those of a file, off the positives, in their splits."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cisflow.datasets.account import Account
from cisflow.datasets.identity import strand_fingerprints
from cisflow.datasets.negatives import draw, tiles
from cisflow.datasets.rows import (
    FAR,
    STRAND,
    WINDOW,
    Sequences,
    as_windows,
    assign_apart,
    blacklisted,
    groups,
    identify,
    on_axis,
    read_strand,
)
from cisflow.datasets.store import SPLITS
from cisflow.errors import CisflowError
from cisflow.seeds import generator
from cisflow.tracks.contigs import on_genome
from cisflow.tracks.intervals import read_intervals
from cisflow.tracks.linear import Axis, Intervals, covered, distance

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DatasetRows:
    """Rows of a data set to which negatives are added: their windows, splits, and which have a positive label, (n,)."""

    table: pl.DataFrame
    split: NDArray[np.str_]
    positive: NDArray[np.bool_]


def add_negatives(
    spec: Mapping[str, Any],
    sequences: Sequences,
    axis: Axis,
    taken: Intervals,
    rows: DatasetRows,
    pool: pl.DataFrame | None,
    account: Account,
) -> tuple[pl.DataFrame, NDArray[np.str_], list[dict[str, Any]]]:
    """Draw negatives: their windows, their splits, and rows of the table of quality.

    Parameters
    ----------
    spec
        The data set: negatives, length, split, blacklist, max_unknown, genome.
    sequences
        Where sequences are read.
    axis
        Of the contigs, `FAR` from each other.
    taken
        What negatives keep their distance of, merged.
    rows
        What the data set has without them.
    pool
        What `read_pool` returned.
    account
        Candidates are entered with their own unit, and negatives as windows.

    Raises
    ------
    CisflowError
        There are no positives, no candidates in a split that has positives, or repeats are to be matched and a file has
        no soft-masked bases.
    """
    positives, of_positives = rows.table.filter(rows.positive), rows.split[rows.positive]
    if not len(positives):
        raise CisflowError("dataset.negatives: no row has a positive label, which negatives could be like.")
    settings, length = spec["negatives"], spec["length"]
    count = int(np.ceil(len(positives) * settings["ratio"])) * settings["candidates"]
    rng = generator("candidates", settings["seed"])
    if pool is None:
        table = _tiles(positives, axis, length, count, rng)
        account.enter(len(table), "drawn", unit="candidates")
    else:
        table = pool[np.sort(rng.permutation(len(pool))[:count])]
        account.drop(len(pool) - len(table), "drawn", "more_than_asked", unit="candidates")
    table = _off(table, settings["distance"], length, axis, taken, "near_window", account)
    table = _off(table, 0, length, axis, blacklisted(spec, axis), "blacklist", account)
    table = _unlike(table, rows.table, sequences, account)
    if "repeats" in settings["match"]:
        _check_case(pl.concat([positives.select("file"), table.select("file")]), sequences)
    split = _split_candidates(table, spec, sequences, axis, of_positives)
    _check_candidates(split, of_positives, settings, count, account)
    own = sequences.pool(positives, of_positives)
    drawn = draw(own, sequences.pool(table, split), settings, spec["max_unknown"])
    kept = len(drawn.rows)
    reasons = {
        "left_out": (split == "").sum(),
        "unknown_bases": drawn.unknown,
        "not_looked_at": (split != "").sum() - drawn.looked_at,
        "no_place": drawn.looked_at - drawn.unknown - kept,
    }
    for reason, rows in reasons.items():
        account.drop(int(rows), "match", reason, unit="candidates")
    account.keep(kept, unit="candidates")
    account.enter(kept, "negatives", "drawn")
    _tell_missing(drawn.quality)
    table, split = table[drawn.rows], split[drawn.rows]
    return table, split, drawn.quality + _distances(table, split, axis, length, taken)


def _tell_missing(quality: list[dict[str, Any]]) -> None:
    """Log in which splits negatives are missing."""
    numbers = {(row["split"], row["quantity"]): int(row["value"]) for row in quality}
    for name in SPLITS:
        if missing := numbers[name, "missing"]:
            wanted = numbers[name, "wanted"]
            log.warning("negatives: %s of %s that are wanted in %s are missing", f"{missing:,}", f"{wanted:,}", name)


def _tiles(positives: pl.DataFrame, axis: Axis, length: int, count: int, rng: np.random.Generator) -> pl.DataFrame:
    """Return random windows of the contigs that have positives."""
    own = set(positives["chrom"].drop_nulls())
    there = np.flatnonzero([name in own for name in axis.names.tolist()])
    contig, start = tiles(axis.sizes[there], length, count, rng)
    names = pl.Series(axis.names[there].tolist(), dtype=pl.String)
    return as_windows(pl.DataFrame({"chrom": names[contig], "start": start})).select(*WINDOW)


def read_pool(spec: Mapping[str, Any], sequences: Sequences, account: Account) -> pl.DataFrame | None:
    """Return the windows of a pool, or None if there is none.

    They are the sequences of a FASTA file, or around the middles of the intervals of a BED file.

    Raises
    ------
    CisflowError
        The file is not as it should be, or a BED file has no genome.
    """
    path = (spec["negatives"] or {}).get("pool")
    if path is None:
        return None
    if path.removesuffix(".gz").endswith((".fa", ".fasta", ".fna")):
        table = sequences.read(path)
        account.enter(len(table), "read", "", path, "candidates")
        return _once(table, sequences, path, account)
    if sequences.genome is None:
        raise CisflowError(f"{path}: 'genome' is needed for a pool that is no FASTA file (.fa, .fasta, .fna).")
    sizes = sequences.genome.sizes
    table = read_intervals(path, STRAND, optional=STRAND)
    account.enter(len(table), "read", "", path, "candidates")
    table = read_strand(table, spec.get("strand", False), path, account)
    beyond = spec.get("rows_beyond_contig", "fail")
    table, elsewhere, wrong = on_genome(table, sizes, path, sequences.genome.path, beyond)
    account.drop(elsewhere, "contig", "not_in_genome", path, "candidates")
    account.drop(wrong, "contig", "row_beyond_contig", path, "candidates")
    table = table.with_columns(start=(pl.col("start") + pl.col("end") - spec["length"]).floordiv(2))
    size = pl.col("chrom").replace_strict(sizes, return_dtype=pl.Int64)
    inside = table.filter((pl.col("start") >= 0) & (pl.col("start") + spec["length"] <= size))
    account.drop(len(table) - len(inside), "edges", "beyond_contig", path, "candidates")
    return _once(as_windows(inside), sequences, path, account)


def _once(table: pl.DataFrame, sequences: Sequences, path: str, account: Account) -> pl.DataFrame:
    """Keep each candidate once: a sequence of a place, or, where no place is known, a sequence."""
    table = table.with_columns(identify(table, sequences))
    once = table.unique(["chrom", "start", "identity"], keep="first", maintain_order=True)
    account.drop(len(table) - len(once), "duplicates", "same", path, "candidates")
    return once.select(*WINDOW)


def _off(
    table: pl.DataFrame, gap: int, length: int, axis: Axis, taken: Intervals, reason: str, account: Account
) -> pl.DataFrame:
    """Leave out candidates that overlap intervals, or are less than `gap` bases from one."""
    near = np.zeros(len(table), bool)
    start, end = on_axis(table, axis, length)
    close = (covered(start, end, taken) > 0) | (distance(start, end, taken) < gap)
    near[table["start"].is_not_null().to_numpy()] = close
    account.drop(int(near.sum()), "place", reason, unit="candidates")
    return table.filter(~near)


def _unlike(table: pl.DataFrame, rows: pl.DataFrame, sequences: Sequences, account: Account) -> pl.DataFrame:
    """Leave out candidates of a FASTA file that have the sequence of a row, or its reverse complement."""
    if table["file"].null_count() == len(table):
        return table
    same = np.isin(table["fingerprint"].to_numpy(), sequences.fingerprints(rows, strand_fingerprints))
    account.drop(int(same.sum()), "place", "same_sequence", unit="candidates")
    return table.filter(~same)


def _split_candidates(
    table: pl.DataFrame, spec: Mapping[str, Any], sequences: Sequences, axis: Axis, split: NDArray[np.str_]
) -> NDArray[np.str_]:
    """Return the split of each candidate: as the positives' are, or, where files tell those, at random."""
    splitting = spec["split"]
    if splitting is None or splitting["column"] is not None:
        group = groups(table, axis, spec["length"])
        shares = [(split == name).mean() for name in SPLITS]
        rng = generator("splits of candidates", spec["negatives"]["seed"])
        return rng.choice(SPLITS, group.max(initial=-1) + 1, p=shares)[group].astype("U5")
    sizes = sequences.genome.sizes if sequences.genome else None
    return assign_apart(splitting, table, axis, spec["length"], sizes, "dataset.negatives", may_be_empty=True)


def _check_case(table: pl.DataFrame, sequences: Sequences) -> None:
    path = sequences.without_case(table)
    if path is not None:
        raise CisflowError(
            f"dataset.negatives.match: {path} has no lower-case (soft-masked) bases beside upper-case ones, so that "
            "'repeats' matches nothing. Give a soft-masked genome (UCSC's, or dna_sm of Ensembl), and sequences with "
            "its case or as a BED file; or leave 'repeats' out."
        )


def _check_candidates(
    split: NDArray[np.str_],
    of_positives: NDArray[np.str_],
    settings: Mapping[str, Any],
    asked: int,
    account: Account,
) -> None:
    """Refuse a split where negatives are wanted and there is no candidate at all."""
    wanted = {name: int((of_positives == name).sum() * settings["ratio"]) for name in SPLITS}
    empty = {name: count for name, count in wanted.items() if count and not (split == name).any()}
    if not empty:
        return
    rows = [row for row in account.rows if row["unit"] == "candidates"]
    came = sum(row["rows"] for row in rows if row["rows"] > 0)
    gone = ", ".join(f"{-row['rows']:,} {row['reason']}" for row in rows if row["rows"] < 0)
    advice = [f"a 'distance' below {settings['distance']:,}"] * bool(settings["distance"])
    advice += ["more 'candidates'"] * (came >= asked)
    advice += ["another 'pool'" if settings["pool"] else "a 'pool' (the contigs of positives have no more windows)"]
    raise CisflowError(
        f"dataset.negatives: there is no candidate in {' and '.join(empty)}, where negatives are wanted "
        f"({', '.join(f'{count:,} in {name}' for name, count in empty.items())}). Of {came:,} candidates in all splits "
        f"were left out: {gone or 'none'}. What may help: {', '.join(advice)}."
    )


def _distances(
    table: pl.DataFrame, split: NDArray[np.str_], axis: Axis, length: int, taken: Intervals
) -> list[dict[str, Any]]:
    """Return quantiles of the distances of negatives to what they keep off, where their contig has any."""
    rows = []
    for name in SPLITS:
        gaps = distance(*on_axis(table.filter(split == name), axis, length), taken)
        gaps = gaps[gaps < FAR // 2]
        for at in (5, 50, 95) if len(gaps) else ():
            value = float(np.quantile(gaps, at / 100))
            rows.append({"split": name, "target": "negatives", "quantity": f"distance_q{at:02}", "value": value})
    return rows
