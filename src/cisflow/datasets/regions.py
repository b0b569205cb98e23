"""The regions of a data set of signal: windows of a BED file, or windows laid over the genome, with their splits."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from cisflow.datasets.account import KEPT, Account
from cisflow.datasets.splits import assign
from cisflow.datasets.store import SPLITS
from cisflow.errors import CisflowError
from cisflow.tables import ACCOUNTING, read_tsv
from cisflow.tracks.contig_windows import Layout, contig_windows
from cisflow.tracks.contigs import on_genome, reconcile
from cisflow.tracks.intervals import read_intervals

UNIT = "windows"


def make_regions(spec: Mapping[str, Any], sizes: Mapping[str, int], genome: str | Path) -> tuple[pl.DataFrame, Account]:
    """Return the regions of a data set and how they came about.

    Parameters
    ----------
    spec
        A task's `dataset` of kind matrix, as the configuration has it, with paths in the places of files.
    sizes
        The genome's contigs.
    genome
        Its name, for messages.

    Returns
    -------
    DataFrame
        chrom, start, end (of the target window, which has labels), split, input_start, input_end (of the sequence,
        which has `crop` bases more on both sides, and may reach beyond the contig). Train, valid and test follow each
        other.
    Account
        Windows, closed; where they are laid over the genome, contigs and bases too.

    Raises
    ------
    CisflowError
        A file is not right, a row has another length than a window, or a split has no row.
    """
    account = Account(UNIT)
    make = _of_bed if spec["regions"]["bed"] else _over_contigs
    table = make(spec, sizes, genome, account)
    table = _edges(table, spec, sizes, account)
    table = pl.concat([table.filter(pl.col("split") == split) for split in SPLITS])
    for split in SPLITS:
        rows = int((table["split"] == split).sum())
        account.keep(rows, split)
        if not rows:
            raise CisflowError(f"dataset.regions: no window of the split '{split}' is left. Change 'split' or 'edges'.")
    account.close()
    columns = {"start": pl.col("start") + spec["crop"], "end": pl.col("end") - spec["crop"]}
    return table.select("chrom", split="split", input_start="start", input_end="end", **columns).select(
        "chrom", "start", "end", "split", "input_start", "input_end"
    ), account


def _of_bed(spec: Mapping[str, Any], sizes: Mapping[str, int], genome: str | Path, account: Account) -> pl.DataFrame:
    """Return the input windows of a BED file, with their splits."""
    regions, path = spec["regions"], spec["regions"]["bed"]
    column = regions["split"]["column"]
    table = read_intervals(path, {} if column is None else {"split": column})
    account.enter(len(table), "read", input=Path(path).name)
    crop = spec["crop"]
    _one_length(table, spec["length"] - (2 * crop if regions["window"] == "target" else 0), path, regions["window"])
    inwards = crop if regions["window"] == "input" else 0
    table = table.with_columns(start=pl.col("start") + inwards, end=pl.col("end") - inwards)
    table, foreign, wrong = on_genome(table, sizes, path, genome, regions.get("rows_beyond_contig", "fail"))
    account.drop(foreign, "genome", "no_such_contig")
    account.drop(wrong, "genome", "row_beyond_contig")
    texts = table["split"].to_list() if column is not None else None
    splits = assign(regions["split"], table["chrom"].to_numpy(), sizes, texts, str(path))
    table = table.select(
        "chrom", pl.col("start") - crop, pl.col("end") + crop, "line", split=pl.Series(splits.tolist())
    )
    account.drop(int((splits == "").sum()), "split", "left_out")
    return _once(table.filter(pl.col("split") != ""), path, account)


def _one_length(table: pl.DataFrame, length: int, path: str | Path, window: str) -> None:
    wrong = table.filter(pl.col("end") - pl.col("start") != length)
    if len(wrong):
        row = wrong.row(0, named=True)
        raise CisflowError(
            f"{path}, line {row['line']}: the region has {row['end'] - row['start']:,} bases, and the {window} windows "
            f"of the data set have {length:,} ({len(wrong):,} such rows). Are length, crop and regions.window right?"
        )


def _once(table: pl.DataFrame, path: str | Path, account: Account) -> pl.DataFrame:
    key = ["chrom", "start", "end"]
    doubtful = table.group_by(key, maintain_order=True).agg(pl.col("split").n_unique(), pl.col("line").first())
    doubtful = doubtful.filter(pl.col("split") > 1)
    if len(doubtful):
        row = doubtful.row(0, named=True)
        raise CisflowError(
            f"{path}, line {row['line']}: the region is there again, in another split ({len(doubtful):,} such rows)."
        )
    once = table.unique(key, keep="first", maintain_order=True).drop("line")
    account.drop(len(table) - len(once), "read", "duplicate")
    return once


def _over_contigs(
    spec: Mapping[str, Any], sizes: Mapping[str, int], genome: str | Path, account: Account
) -> pl.DataFrame:
    """Return windows laid over the genome, with their splits."""
    contigs, split = spec["regions"]["contigs"], spec["regions"]["split"]
    chosen, left_out = _chosen(split, sizes, genome)
    cut = "cut" if spec["regions"].get("rows_beyond_contig") == "drop" else "fail"
    intervals = {}
    for key in ("gaps", "unmappable"):
        if path := contigs[key]:
            found = read_intervals(path, tables=True)
            # What is cut off a gap at the end of its contig is no base of the genome.
            intervals[key], foreign, _ = on_genome(found, sizes, path, genome, cut)
            account.enter(len(found), "read", input=Path(path).name, unit=key)
            account.drop(foreign, "genome", "no_such_contig", unit=key)
            account.drop(len(found) - foreign - len(intervals[key]), "genome", "row_beyond_contig", unit=key)
            account.keep(len(intervals[key]), unit=key)
    table, counts = contig_windows(chosen, _layout(spec, contigs, split, chosen, genome), **intervals)
    account.enter(left_out, "genome", "left_out", unit="bases")
    account.drop(left_out, "split", "left_out", unit="bases")
    for unit, step, reason, rows in counts:
        (account.enter if rows >= 0 else account.drop)(abs(rows), step, reason, unit=unit)
    for unit in ("contigs", "bases"):
        account.keep(sum(row["rows"] for row in account.rows if row["unit"] == unit), unit=unit)
    return table


def _chosen(
    split: Mapping[str, Any] | None, sizes: Mapping[str, int], genome: str | Path
) -> tuple[dict[str, int], int]:
    """Return the chromosomes that are in a split, and the bases of the others."""
    if split is None:
        return dict(sizes), 0
    named = {key: _names(split[key] or [], sizes, genome) for key in (*SPLITS, "leave_out")}
    only = split["train"] is not None
    out = set(named["leave_out"])
    chosen = {
        name: size
        for name, size in sizes.items()
        if name not in out and (not only or any(name in named[key] for key in SPLITS))
    }
    return chosen, sum(sizes.values()) - sum(chosen.values())


def _names(names: list[str], sizes: Mapping[str, int], genome: str | Path) -> list[str]:
    known = reconcile(names, sizes, "dataset.regions.split", genome) if names else {}
    if missing := [name for name in names if name not in known]:
        raise CisflowError(f"dataset.regions.split: {genome} has no contig {', '.join(missing)}.")
    return [known[name] for name in names]


def _layout(
    spec: Mapping[str, Any],
    contigs: Mapping[str, Any],
    split: Mapping[str, Any] | None,
    sizes: Mapping[str, int],
    genome: str | Path,
) -> Layout:
    fractions = chromosomes = None
    if split and split["fractions"] is not None:
        fractions = dict(zip(SPLITS[1:], split["fractions"][1:], strict=True))
    elif split:
        chromosomes = {key: _names(split[key], sizes, genome) for key in SPLITS[1:]}
    folds = contigs["folds"] and tuple(contigs["folds"][key] for key in ("count", "test", "valid"))
    same = ("break_above", "stride_train", "stride_test", "snap", "seed", "umap_threshold")
    return Layout(
        spec["length"], spec["crop"], fractions=fractions, chromosomes=chromosomes, folds=folds, bin=spec["bin"],
        lose_contig=contigs["compat"] == "basenji", **{key: contigs[key] for key in same},
    )  # fmt: skip


def _edges(table: pl.DataFrame, spec: Mapping[str, Any], sizes: Mapping[str, int], account: Account) -> pl.DataFrame:
    """Return the windows without those that the data set does not want since they reach beyond a contig."""
    size = pl.col("chrom").replace_strict(dict(sizes), return_dtype=pl.Int64)
    beyond = table.select((pl.col("start") < 0) | (pl.col("end") > size)).to_series()
    if not beyond.any() or spec["edges"] == "pad":
        return table
    if spec["edges"] == "fail":
        chrom, start, end = table.filter(beyond).row(0)[:3]
        raise CisflowError(
            f"dataset.regions: the input window {chrom}:{start}-{end} reaches beyond its contig ({beyond.sum():,} such "
            "windows). Say 'edges: pad' (filled with N) or 'edges: drop'."
        )
    for split in SPLITS:
        account.drop(int((beyond & (table["split"] == split)).sum()), "edges", f"beyond_contig_{split}")
    return table.filter(~beyond)


def read_account(path: str | Path, account: Account) -> None:
    """Enter the account of regions into that of the data set made of them; its rows are `UNIT`.

    Parameters
    ----------
    path
        Table that `Account.write` wrote.
    account
        Where it goes; without the windows that are kept, which its maker enters.
    """
    texts = pl.col("unit", "input", "step", "reason").fill_null("")
    for row in read_tsv(path, ACCOUNTING).with_columns(texts).iter_rows(named=True):
        if row["step"] == KEPT:
            if row["unit"] != UNIT:
                account.keep(row["rows"], row["reason"], row["unit"])
            continue
        add = account.enter if row["rows"] >= 0 else account.drop
        add(abs(row["rows"]), row["step"], row["reason"], row["input"], row["unit"])


def input_windows(table: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return contig and first position of the input windows of regions."""
    return table["chrom"].to_numpy().astype(np.str_), table["input_start"].to_numpy()
