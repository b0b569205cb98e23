"""Assign rows to splits, as `cisflow.config.splitting.Splitting` says."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cisflow.datasets.store import SPLITS
from cisflow.errors import CisflowError
from cisflow.seeds import generator
from cisflow.tracks.contigs import reconcile

# Names that people use for the same split.
ALIASES = {"training": "train", "validation": "valid", "val": "valid", "testing": "test"} | {s: s for s in SPLITS}


def assign(
    splitting: Mapping[str, Any],
    chrom: NDArray[np.str_] | Sequence[str],
    sizes: Mapping[str, int] | None = None,
    column: Sequence[str] | None = None,
    where: str = "split",
    may_be_empty: bool = False,
) -> NDArray[np.str_]:
    """Return the split of each row: 'train', 'valid', 'test', or '' for a row that is left out.

    Parameters
    ----------
    splitting
        The model's fields.
    chrom
        Contig of each row, (n,), with the genome's names.
    sizes
        The genome's contigs: the names of `splitting` are brought to its (chr1 or 1) and must be among them. Without
        it they must be among `chrom`.
    column
        The text of the column that says it, (n,), where `splitting` names one.
    where
        What is split, for messages.
    may_be_empty
        Whether a split may have no row.

    Raises
    ------
    CisflowError
        A chromosome is not there, a text is no split, or a split has no row and must have one.
    """
    chrom = np.asarray(chrom, np.str_)
    if splitting["column"] is not None:
        found = _by_column(column or [], where)
    elif splitting["fractions"] is not None:
        found = _at_random(len(chrom), splitting["fractions"], splitting["seed"])
    else:
        found = _by_chromosome(splitting, chrom, sizes, where)
    empty = [split for split in SPLITS if not (found == split).any()]
    if empty and not may_be_empty:
        raise CisflowError(
            f"{where}: no row is in {', '.join(empty)} (the rows are on {', '.join(np.unique(chrom)[:8].tolist())}). "
            "Change 'split'."
        )
    return found


def _by_column(texts: Sequence[str], where: str) -> NDArray[np.str_]:
    wrong = sorted({text for text in texts if text not in ALIASES})
    if wrong:
        raise CisflowError(f"{where}: the split '{wrong[0]}' is not one of {', '.join(SPLITS)}.")
    return np.array([ALIASES[text] for text in texts], "U5")


def _at_random(count: int, fractions: Sequence[float], seed: int) -> NDArray[np.str_]:
    """Return splits of exactly these fractions, up to rounding."""
    bounds = np.round(np.cumsum([0.0, *fractions]) * count).astype(int)
    found = np.empty(count, "U5")
    order = generator("split", seed).permutation(count)
    for split, low, high in zip(SPLITS, bounds, bounds[1:], strict=False):
        found[order[low:high]] = split
    return found


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:30]) + ", ..." * (len(names) > 30)


def _by_chromosome(
    splitting: Mapping[str, Any], chrom: NDArray[np.str_], sizes: Mapping[str, int] | None, where: str
) -> NDArray[np.str_]:
    sizes = dict.fromkeys(np.unique(chrom).tolist(), 0) if sizes is None else sizes
    named = {key: splitting[key] or [] for key in (*SPLITS, "leave_out")}
    wanted = [name for names in named.values() for name in names]
    names = reconcile(wanted, sizes, f"{where}: 'split'", "the genome") if wanted else {}
    if missing := [name for name in wanted if name not in names]:
        raise CisflowError(
            f"{where}: 'split' names {', '.join(missing)}, and there is no such chromosome; there are {_some(sizes)}."
        )
    found = np.full(len(chrom), "" if splitting["train"] is not None else "train", "U5")
    for key, contigs in named.items():
        found[np.isin(chrom, [names[name] for name in contigs])] = "" if key == "leave_out" else key
    return found
