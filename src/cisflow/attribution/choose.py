"""Which sequences of a data set are explained."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cisflow.attribution.store import Sequences
from cisflow.errors import CisflowError
from cisflow.evaluation.evaluate import read_sets
from cisflow.sequence import UNKNOWN

log = logging.getLogger(__name__)


def choose(dataset: str | Path, split: str, target: str | None, count: int) -> tuple[Sequences, int, str]:
    """Return the first sequences of a split without unknown bases, and the number and the kind of the target.

    Parameters
    ----------
    dataset
        HDF5 file (contract dataset/1).
    split, target
        Where they are from, and the target that is explained (None: the first). For binary labels only sequences that
        are positive for it are taken.
    count
        How many; fewer if there are not so many.

    Raises
    ------
    CisflowError
        There is no such target, or no such sequence.
    """
    sets = read_sets(dataset, [split])
    number, arrays = find_target(sets.targets, target, dataset), sets.splits[split]
    wanted = arrays["y"][:, number] == 1 if sets.kind == "binary" else np.ones(len(arrays["y"]), bool)
    known = (arrays["x"] != UNKNOWN).all(1)
    rows = np.flatnonzero(wanted & known)
    if not len(rows):
        raise CisflowError(
            f"{dataset}: no sequence of the split '{split}' is positive for '{sets.targets[number]}' and free of "
            f"unknown bases ({int(wanted.sum())} are positive). Choose another split or target under 'attribution'."
        )
    log.info(
        "explaining %d of %d sequences (left out for unknown bases: %d)",
        min(count, len(rows)), int(wanted.sum()), int((wanted & ~known).sum()),
    )  # fmt: skip
    rows = rows[:count]
    return Sequences(arrays["x"][rows], arrays["id"][rows], rows), number, sets.kind


def find_target(targets: Sequence[str], target: str | int | None, dataset: str | Path) -> int:
    """Return the number of a target that is given by name or number; of None the first.

    Raises
    ------
    CisflowError
        There is no such target.
    """
    if isinstance(target, str) and target in targets:
        return targets.index(target)
    if not isinstance(target, str) and (target or 0) < len(targets):
        return target or 0
    shown = f"{', '.join(targets[:12])}{', ...' * (len(targets) > 12)}"
    what = f"'{target}'" if isinstance(target, str) else f"number {target}, counted from 0"
    raise CisflowError(f"{dataset}: there is no target {what}; there are {shown} ({len(targets)} in all).")
