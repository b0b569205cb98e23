"""Patterns that recur in the attributions of a run, by TF-MoDISco (modisco-lite; Shrikumar et al., arXiv:1811.00416).

The defaults are those of its command line, which differ from those of the function that it calls.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import modiscolite
import numpy as np
from modiscolite.extract_seqlets import extract_seqlets
from modiscolite.tfmodisco import TFMoDISco
from numpy.typing import NDArray

from cisflow import __version__
from cisflow.attribution.contributions import hypothetical, shortest
from cisflow.attribution.store import Whole, read_whole
from cisflow.errors import CisflowError
from cisflow.io import atomic
from cisflow.sequence import one_hot

log = logging.getLogger(__name__)

SCHEMA = "modisco/1"
SIGNS = {"positive": "pos_patterns", "negative": "neg_patterns"}
# What the program's command line sets, and its function does not.
FDR = 0.05
PASSING = {"min_passing_windows_frac": 0.03, "max_passing_windows_frac": 0.2}
WEAK = 0.8


@dataclass(frozen=True)
class Search:
    """How patterns are found; the sizes have the names of modisco-lite's options.

    Attributes
    ----------
    window
        Bases around the middle of the sequences; None for the whole length.
    max_seqlets
        Seqlets of each sign that are clustered: the first, by sequence and then by contribution.
    min_seqlets
        A sign with no more than these is not clustered.
    min_pattern_seqlets
        A pattern has at least so many.
    n_leiden
        Clusterings with different seeds, of which the one of highest modularity is taken.
    size, seqlet_flank_size
        Core of a seqlet, and its flanks, in bases.
    trim_size, initial_flank_to_add
        Core of a pattern, and its flanks, in bases.
    """

    window: int | None
    max_seqlets: int
    min_seqlets: int
    min_pattern_seqlets: int
    n_leiden: int
    size: int
    seqlet_flank_size: int
    trim_size: int
    initial_flank_to_add: int


@dataclass(frozen=True)
class Contributions:
    """Hypothetical contributions of one run.

    Attributes
    ----------
    scores
        float32 (n, length, 4): the mean over the trials, and so the contributions to the mean of their outputs.
    x, id
        Base indices (n, length) and identities (n,) of the sequences.
    target
        What is explained.
    trials, left_out
        Trials that are averaged, and those whose map is not finite.
    """

    scores: NDArray[np.float32]
    x: NDArray[np.uint8]
    id: NDArray[np.bytes_]
    target: str
    trials: list[int]
    left_out: list[int]


@dataclass(frozen=True)
class Sign:
    """What was found among the positive or the negative contributions.

    Attributes
    ----------
    seqlets, used
        How many there are, and how many were clustered.
    patterns
        modisco-lite's patterns.
    note
        Why there is none; empty if there are.
    """

    seqlets: int
    used: int
    patterns: Sequence[Any]
    note: str


def read_contributions(folder: Path, method: str, trial: int | None) -> Contributions:
    """Read the maps of a method of a run: of one trial, or the mean over all.

    Parameters
    ----------
    folder
        Maps of a run, `trial-<k>.<method>.h5`.
    method, trial
        Which of them; trial None for the mean.

    Raises
    ------
    CisflowError
        There is no such map, none is finite, one cannot give hypothetical contributions, or the maps are not of the
        same sequences.
    """
    paths = {int(path.name.split(".")[0].removeprefix("trial-")): path for path in folder.glob(f"trial-*.{method}.h5")}
    chosen = sorted(paths) if trial is None else [trial]
    missing = [f"trial-{number}.{method}.h5" for number in chosen or [0] if number not in paths]
    if missing:
        raise CisflowError(f"{folder}: there is no map {missing[0]}. The rule 'attribute' makes it.")
    first, total, used = read_whole(paths[chosen[0]]), 0.0, []
    for number in chosen:
        whole = read_whole(paths[number])
        if not np.array_equal(whole.id, first.id) or not np.array_equal(whole.x, first.x):
            raise CisflowError(f"{paths[number]}: not the sequences of trial {chosen[0]}. Make the maps again.")
        if np.isfinite(whole.scores).all():
            total = total + _hypothetical(paths[number], whole).astype(np.float64)
            used.append(number)
    left_out = [number for number in chosen if number not in used]
    if not used:
        numbers = ", ".join(map(str, left_out))
        raise CisflowError(f"{folder}: the {method} map of trial {numbers} is not finite. Take another run.")
    if left_out:
        log.info("left out, since their maps are not finite: trial %s", ", ".join(map(str, left_out)))
    return Contributions((total / len(used)).astype(np.float32), first.x, first.id, first.target, used, left_out)


def _hypothetical(path: Path, whole: Whole) -> NDArray[np.float32]:
    try:
        return hypothetical(whole.scores, whole.method, whole.settings)
    except ValueError as error:
        raise CisflowError(f"{path}: {error}.") from None


def middle(length: int, search: Search) -> tuple[int, int]:
    """Return the half-open range of positions that are searched.

    Raises
    ------
    CisflowError
        The sequences are shorter than it, or it is too short for a seqlet or a pattern.
    """
    window = search.window or length
    if window > length:
        raise CisflowError(f"modisco.window: {window} bases do not fit into sequences of {length}.")
    sizes = (search.size, search.seqlet_flank_size, search.trim_size, search.initial_flank_to_add)
    if window < shortest(*sizes):
        raise CisflowError(
            f"modisco: seqlets of {sizes[0]} + 2 x {sizes[1]} bases and patterns of {sizes[2]} + 2 x {sizes[3]} do not "
            f"fit into {window}. Make them smaller under the task's 'modisco', as "
            "{size: 11, seqlet_flank_size: 3, trim_size: 11, initial_flank_to_add: 3}."
        )
    start = (length - window) // 2
    return start, start + window


def discover(x: NDArray[np.uint8], scores: NDArray[np.float32], search: Search) -> dict[str, Sign]:
    """Return what TF-MoDISco finds, by sign ('positive', 'negative').

    Parameters
    ----------
    x, scores
        Base indices (n, window) and hypothetical contributions (n, window, 4).
    search
        How; sequences are taken as they are here, whatever its window.
    """
    letters = one_hot(x)
    one_sign = _why_no_seqlets((letters * scores).sum(2), search.size)
    if one_sign:
        return {sign: Sign(0, 0, [], one_sign) for sign in SIGNS}
    found = TFMoDISco(
        letters, scores, min_metacluster_size=search.min_seqlets, max_seqlets_per_metacluster=search.max_seqlets,
        n_leiden_runs=search.n_leiden, final_min_cluster_size=search.min_pattern_seqlets,
        sliding_window_size=search.size, flank_size=search.seqlet_flank_size, trim_to_window_size=search.trim_size,
        initial_flank_to_add=search.initial_flank_to_add, target_seqlet_fdr=FDR,
        weak_threshold_for_counting_sign=WEAK, **PASSING,
    )  # fmt: skip
    # Counted afterwards: before its first call, modisco-lite can fork processes that compile it and keep the result.
    counts = _count_seqlets(letters * scores, search)
    return {
        sign: _sign(count, patterns or [], search)
        for (sign, count), patterns in zip(counts.items(), found, strict=True)
    }


def _sign(seqlets: int, patterns: Sequence[Any], search: Search) -> Sign:
    if seqlets <= search.min_seqlets:
        return Sign(seqlets, 0, [], f"too few seqlets: more than {search.min_seqlets} are needed (modisco.min_seqlets)")
    least = f"none of {search.min_pattern_seqlets} or more seqlets (modisco.min_pattern_seqlets) that are alike"
    return Sign(seqlets, min(seqlets, search.max_seqlets), patterns, "" if patterns else least)


def _why_no_seqlets(contributions: NDArray[np.float32], size: int) -> str:
    """Return why contributions (n, length) have no seqlets; empty if they may have.

    Seqlets are windows that stand out from a null distribution of either sign; modisco-lite fails without one.
    """
    if not contributions.any():
        return "all contributions are zero: the model's output does not depend on the sequence"
    sums = np.lib.stride_tricks.sliding_window_view(contributions, size, axis=1).sum(2)
    if (sums >= 0).all() or (sums < 0).all():
        return f"the contributions of all windows of {size} bases have the same sign, and none stands out"
    return ""


def _count_seqlets(contributions: NDArray[np.float32], search: Search) -> dict[str, int]:
    """Return how many seqlets of each sign there are: what modisco-lite finds first, and does not tell."""
    flank = search.seqlet_flank_size
    seqlets, threshold = extract_seqlets(
        contributions.sum(2), window_size=search.size, flank=flank, suppress=search.size // 2 + flank, target_fdr=FDR,
        weak_threshold_for_counting_sign=WEAK, **PASSING,
    )  # fmt: skip
    sums = [contributions[seqlet.example_idx, seqlet.start + flank : seqlet.end - flank].sum() for seqlet in seqlets]
    return {"positive": int(np.sum(np.array(sums) > threshold)), "negative": int(np.sum(np.array(sums) < -threshold))}


def save(
    path: str | Path, found: Mapping[str, Sign], contributions: Contributions, start: int, end: int,
    inputs: Mapping[str, str],
) -> None:  # fmt: skip
    """Write patterns in modisco-lite's own format, atomically.

    Its readers ignore what is added: `id` (n,), the sequences that `example_idx` counts, and the attributes `schema`,
    `created_by`, `inputs` and `window_start`, the position that `start` and `end` of seqlets count from.
    """
    with atomic(path) as partial:
        patterns = [sign.patterns if sign.patterns else None for sign in found.values()]
        modiscolite.io.save_hdf5(partial, *patterns, window_size=end - start)
        with h5py.File(partial, "r+") as h5:
            h5.attrs["schema"], h5.attrs["created_by"] = SCHEMA, f"cisflow {__version__}"
            h5.attrs["inputs"], h5.attrs["window_start"] = json.dumps(dict(inputs), sort_keys=True), start
            h5.create_dataset("id", data=contributions.id)
