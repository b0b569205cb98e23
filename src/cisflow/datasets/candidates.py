"""Where negatives come from: random windows of the genome or those of a file, off the positives, in their splits."""

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
        There are no positives.
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
    split = _split_candidates(table, spec, sequences, axis, of_positives)
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
    table, split = table[drawn.rows], split[drawn.rows]
    return table, split, drawn.quality + _distances(table, split, axis, length, taken)


def _tiles(positives: pl.DataFrame, axis: Axis, length: int, count: int, rng: np.random.Generator) -> pl.DataFrame:
    """Return random windows of the contigs that have positives."""
    there = np.flatnonzero(np.isin(axis.names, positives["chrom"].drop_nulls().unique().to_numpy()))
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
    return assign_apart(splitting, table, axis, spec["length"], sizes, "dataset.negatives")


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
