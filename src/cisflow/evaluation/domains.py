"""Classes that signal predicts: windows in domains, as lamina-associated ones, and windows where two tracks differ."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cisflow.errors import CisflowError
from cisflow.evaluation.heads import Bootstrap, Row, mean, resampling
from cisflow.evaluation.intervals import areas, blocks_of, interval
from cisflow.evaluation.roc import area, curve
from cisflow.evaluation.windows import Predictions, Windows, target_windows
from cisflow.tracks.contigs import reconcile
from cisflow.tracks.intervals import read_intervals

# What the scores of the labels themselves stand under.
LABELS = "labels"
NAME_COLUMN = 3


@dataclass(frozen=True)
class Classes:
    """A question: which windows of a split are positive, which are known at all, and what each run scores them by.

    Attributes
    ----------
    known, positive
        (n,): windows that have an answer, and the answer.
    scores
        By run: (trials, n).
    left_out
        Why windows have no answer, and how many.
    """

    known: NDArray[np.bool_]
    positive: NDArray[np.bool_]
    scores: dict[str, NDArray[np.float64]]
    left_out: dict[str, int]


@dataclass(frozen=True)
class Domains:
    """Domains of a BED file, by contig as windows name it: merged, sorted stretches (starts, ends)."""

    stretches: dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]]
    rows: int
    off_contigs: int

    def covered(self, chrom: NDArray[np.str_], start: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the part of each place that is covered; NaN on contigs without any domain."""
        part = np.full(len(start), np.nan)
        for name, (starts, ends) in self.stretches.items():
            rows = np.flatnonzero(chrom == name)
            before = np.append(0, np.cumsum(ends - starts))
            upto = [_covered_upto(at[rows], starts, ends, before) for at in (start, end)]
            part[rows] = (upto[1] - upto[0]) / (end[rows] - start[rows])
        return part


def _covered_upto(at: NDArray, starts: NDArray, ends: NDArray, before: NDArray) -> NDArray[np.int64]:
    """Return how many bases before a position are in stretches."""
    full = np.searchsorted(ends, at, side="right")
    following = np.minimum(full, len(starts) - 1)
    return before[full] + np.where(full < len(starts), np.maximum(at - starts[following], 0), 0)


def read_domains(path: str | Path, names: Sequence[str], contigs: Sequence[str]) -> Domains:
    """Read the domains of a BED file that have one of some names.

    Parameters
    ----------
    path
        BED file, plain or gzipped.
    names
        Patterns (* and ?) of the fourth column; empty for all rows.
    contigs
        Contigs of the windows.

    Raises
    ------
    CisflowError
        The file cannot be read, or no row has such a name, or none is on a contig of the windows.
    """
    table = read_intervals(path, {"name": NAME_COLUMN} if names else {})
    if names:
        there = table["name"].unique(maintain_order=True).to_list()
        chosen = [name for name in there if any(fnmatchcase(name, pattern) for pattern in names)]
        if not chosen:
            raise CisflowError(
                f"{path}: no domain has a name (column 4) like {' or '.join(names)}; there are "
                f"{', '.join(there[:3])}, ..."
            )
        table = table.filter(pl.col("name").is_in(chosen))
    known = reconcile(table["chrom"].unique(maintain_order=True), dict.fromkeys(contigs, 0), path, "the windows")
    on = table.filter(pl.col("chrom").is_in(list(known))).with_columns(pl.col("chrom").replace_strict(known))
    stretches = {name: _merged(own) for (name,), own in on.partition_by("chrom", as_dict=True).items()}
    return Domains(stretches, len(table), len(table) - len(on))


def _merged(table: pl.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    table = table.sort("start", "end")
    starts, ends = table["start"].to_numpy(), np.maximum.accumulate(table["end"].to_numpy())
    first = np.append(True, starts[1:] > ends[:-1])
    return starts[first], ends[np.append(first[1:], True)]


def in_domains(found: Predictions, split: str, domains: Domains, track: str, above: float, crop: int) -> Classes:
    """Return the question whether a window's target region is in a domain, as the signal of a track tells.

    Parameters
    ----------
    found, split
        Labels and predictions.
    domains
        The domains.
    track
        Its labels and predictions are the scores.
    above
        A window is positive if more than this part of its target region is covered; 0: any overlap.
    crop
        Bases at both ends of a window that are no part of its target region.
    """
    windows, column = found.splits[split], found.targets.index(track)
    part = domains.covered(windows.chrom, *target_windows(windows, crop))
    labels = windows.labels[:, column]
    on, measured = ~np.isnan(part), ~np.isnan(labels)
    left_out = {"no domain on the contig": int((~on).sum()), "label not measured": int((on & ~measured).sum())}
    scores = {LABELS: labels[None]} | {run: own[split][:, :, column] for run, own in found.runs.items()}
    return Classes(on & measured, np.nan_to_num(part) > above, scores, left_out)


def different(found: Predictions, split: str, track: str, minus: str, threshold: float, zscore: bool) -> Classes:
    """Return the question whether the label of a track is higher than that of another one, by more than a threshold.

    With `zscore` both are scaled before: labels by mean and standard deviation of the labels of the training split,
    predictions by those of the same trial's predictions there, over the windows where the track is measured.
    """
    columns = [found.targets.index(name) for name in (track, minus)]
    labels = [found.splits[split].labels[:, column] for column in columns]
    known = ~np.isnan(labels[0]) & ~np.isnan(labels[1])
    predicted = {run: [own[split][:, :, column] for column in columns] for run, own in found.runs.items()}
    if zscore:
        train = [found.splits["train"].labels[:, column] for column in columns]
        measured = [~np.isnan(own) for own in train]
        labels = [_scaled(own, whole[there]) for own, whole, there in zip(labels, train, measured, strict=True)]
        for run, both in predicted.items():
            of_train = [found.runs[run]["train"][:, :, column] for column in columns]
            predicted[run] = [
                np.stack([_scaled(one, other[there]) for one, other in zip(own, whole, strict=True)])
                for own, whole, there in zip(both, of_train, measured, strict=True)
            ]
    difference = labels[0] - labels[1]
    with np.errstate(invalid="ignore"):
        scores = {run: first - second for run, (first, second) in predicted.items()}
        return Classes(known, difference > threshold, scores, {"label not measured": int((~known).sum())})


def _scaled(values: NDArray[np.float64], training: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values less the mean of the training split's, divided by its standard deviation; NaN where it is 0."""
    if not np.isfinite(training).all() or not training.size or np.ptp(training) == 0:
        return np.full(values.shape, np.nan)
    return (values - training.mean()) / training.std()


def questions(
    found: Predictions, domains: Mapping[str, Mapping[str, Any]], differences: Mapping[str, Mapping[str, Any]],
    crop: int, log: Any,
) -> Iterator[tuple[Row, Classes]]:  # fmt: skip
    """Yield all questions of a task's `evaluation`: what the rows of their tables begin with, and the classes.

    Parameters
    ----------
    found
        Labels and predictions.
    domains, differences
        As in the configuration, with paths of files.
    crop
        As of `in_domains`.
    log
        Logger that is told what the files have.
    """
    contigs = sorted({name for windows in found.splits.values() for name in set(windows.chrom.tolist())})
    for name, spec in domains.items():
        read = read_domains(spec["bed"], spec["names"], contigs)
        log.info("%s: %d domains, %d of them on contigs without windows", name, read.rows, read.off_contigs)
        about = {"name": name, "kind": "domains", "target": spec["track"]}
        for split in found.splits:
            yield about | {"set": split}, in_domains(found, split, read, spec["track"], spec["above"], crop)
    for name, spec in differences.items():
        about = {"name": name, "kind": "difference", "target": f"{spec['track']} - {spec['minus']}"}
        for split in found.splits:
            yield about | {"set": split}, different(found, split, **spec)


def area_rows(
    task: str, about: Row, classes: Classes, windows: Windows, trials: Mapping[str, list[int]], how: Bootstrap
) -> tuple[list[Row], list[Row]]:
    """Return rows of the tables `tables.HEAD_DOMAINS` and `tables.HEAD_ROC` of one question in one split.

    Areas are of each trial, and with intervals of the mean over trials; labels have one 'trial' without a number.
    """
    block = blocks_of(windows, how.block)
    counts = resampling(task, about["set"], int(block.max()) + 1, how)
    known, positive = classes.known, classes.positive[classes.known]
    numbers = {"positives": int(positive.sum()), "negatives": int((~positive).sum())}
    numbers |= {"left_out": sum(classes.left_out.values()), "why": _reasons(classes.left_out)}
    rows, points = [], []
    for run, scores in classes.scores.items():
        own = {"task": task, "run": run, **about}
        scores = scores[:, known]
        values = np.array([area(positive, score) for score in scores])
        drawn, fine = np.full((len(scores), len(counts)), np.nan), ~np.isnan(values)
        if fine.any():
            drawn[fine] = areas(positive, scores[fine], block[known], counts)
        for trial, value, score in zip(trials.get(run, [None]), values, scores, strict=True):
            if run != LABELS:
                rows.append(own | numbers | {"trial": trial, "auroc": None if np.isnan(value) else float(value)})
            if not np.isnan(value):
                fpr, tpr = curve(positive, score)
                points += [
                    own | {"trial": trial, "fpr": float(x), "tpr": float(y)} for x, y in zip(fpr, tpr, strict=True)
                ]
        whole, (low, high) = mean(values, 0), interval(mean(drawn, 0), how.level)
        counted = {"trials": int(fine.sum())} if run != LABELS else {}
        rows.append(
            own | numbers | counted | {"auroc": None if np.isnan(whole) else float(whole), "low": low, "high": high}
        )
    return rows, points


def _reasons(left_out: Mapping[str, int]) -> str:
    return ", ".join(f"{reason}: {count}" for reason, count in left_out.items() if count)
