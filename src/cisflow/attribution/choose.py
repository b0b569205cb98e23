"""Which sequences of a data set are explained."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cisflow.attribution.references import is_its_only_shuffle
from cisflow.attribution.store import Sequences
from cisflow.errors import CisflowError
from cisflow.evaluation.evaluate import read_sets
from cisflow.sequence import UNKNOWN

log = logging.getLogger(__name__)


def choose(
    dataset: str | Path, split: str, target: str | None, count: int, reference: str | None = None
) -> tuple[Sequences, int, str]:
    """Return the first sequences of a split that can be explained, and the number and the kind of the target.

    Sequences with unknown bases are left out, and those of which all references would be themselves; they are counted.

    Parameters
    ----------
    dataset
        HDF5 file (contract dataset/1).
    split, target
        Where they are from, and the target that is explained (None: the first). For binary labels only sequences that
        are positive for it are taken.
    count
        How many; fewer if there are not so many.
    reference
        Kind of shuffles that methods start from (see `references`), if one of them does.

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
    left_out = {"unknown_bases": int((wanted & ~known).sum()), "low_complexity": 0}
    if reference:
        alone = is_its_only_shuffle(arrays["x"][rows], reference)
        left_out["low_complexity"], rows = int(alone.sum()), rows[~alone]
    if not len(rows):
        raise CisflowError(
            f"{dataset}: no sequence of the split '{split}' is positive for '{sets.targets[number]}', free of unknown "
            f"bases and no plain repeat ({int(wanted.sum())} are positive). Choose another split or target under "
            "'attribution'."
        )
    log.info(
        "explaining %d of %d sequences (left out for unknown bases: %d)",
        min(count, len(rows)), int(wanted.sum()), left_out["unknown_bases"],
    )  # fmt: skip
    if left_out["low_complexity"]:
        log.warning("left out, since all their shuffles are themselves: %d sequences", left_out["low_complexity"])
    rows = rows[:count]
    return Sequences(arrays["x"][rows], arrays["id"][rows], rows, left_out), number, sets.kind


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
