"""Make the data set of a task from its configuration: one function for each `kind`."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cisflow.datasets.account import Account
from cisflow.datasets.embeddings import Inputs, open_embedded
from cisflow.datasets.hdf5 import Layout, open_hdf5
from cisflow.datasets.matrix import open_signal
from cisflow.datasets.peaks import open_peaks
from cisflow.datasets.quality import write_quality
from cisflow.datasets.regions import UNIT, read_account
from cisflow.datasets.splits import assign
from cisflow.datasets.store import About, Split, Stream, Virtual, write_dataset
from cisflow.datasets.synthetic import Planting, find_motifs, synthetic_grammar, synthetic_motifs
from cisflow.datasets.tfrecord import Shape, Tiles, open_tfrecords
from cisflow.datasets.windows import open_windows
from cisflow.errors import CisflowError
from cisflow.io import h5_reader, sha256, write_tsv
from cisflow.pwm import read_jaspar
from cisflow.tables import TARGETS
from cisflow.tracks.matrix import content_hash


@dataclass(frozen=True)
class Made:
    """A data set that is ready to be written.

    Attributes
    ----------
    splits
        Rows by split.
    targets
        Names of the columns of the labels.
    kind
        'binary' or 'real'.
    account
        What came in and was left out; the rows of the splits, and their other strands, are entered when they are
        written.
    about
        What is known of a target, by its name: keys of `tables.TARGETS`.
    quality
        Further rows of the table of quality.
    digests
        SHA-256 of what is in an input, by its path, where its bytes depend on how the work was divided.
    further
        What is told of a data set that stands on other files.
    """

    splits: Mapping[str, Split | Stream | Virtual]
    targets: list[str]
    kind: str
    account: Account
    about: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    quality: list[dict[str, str | float]] = field(default_factory=list)
    digests: Mapping[str, str] = field(default_factory=dict)
    further: About | None = None


def _planting(spec: dict[str, Any]) -> Planting:
    counts = {int(number): probability for number, probability in spec["counts"].items()}
    return Planting(spec["length"], counts, spec.get("spacer", 1.0))


@contextmanager
def _synthetic_motifs(spec: dict[str, Any], inputs: list[str], scratch: Path) -> Iterator[Made]:
    motifs = find_motifs(read_jaspar(inputs[0]), list(spec["classes"].values()), inputs[0])
    classes = dict(zip(spec["classes"], motifs, strict=True))
    splits = synthetic_motifs(classes, spec["sequences"], _planting(spec), spec["seed"], spec["split"])
    yield Made(splits, list(classes), "binary", _generated(splits))


@contextmanager
def _synthetic_grammar(spec: dict[str, Any], inputs: list[str], scratch: Path) -> Iterator[Made]:
    known = read_jaspar(inputs[0])
    core = find_motifs(known, list(spec["core"].values()), inputs[0])
    background = find_motifs(known, spec["background"], inputs[0])
    splits = synthetic_grammar(
        core, background, len(known), spec["sequences"], _planting(spec), spec["seed"], spec["split"]
    )
    yield Made(splits, ["core-only"], "binary", _generated(splits))


def _generated(splits: Mapping[str, Split]) -> Account:
    account = Account("sequences")
    account.enter(sum(len(split.x) for split in splits.values()), "generated")
    return account


@contextmanager
def _hdf5(spec: dict[str, Any], inputs: list[str], scratch: Path) -> Iterator[Made]:
    layout = Layout(**{field.name: spec[field.name] for field in fields(Layout)})
    with open_hdf5(inputs, layout, scratch) as splits:
        columns = splits["train"].targets
        targets = spec["targets"] or [f"target-{number}" for number in layout.columns or range(columns)]
        if len(targets) != columns:
            raise CisflowError(
                f"dataset.targets: {len(targets)} names are given, and the labels have {columns} columns."
            )
        yield Made(splits, targets, layout.target, _read(splits, inputs))


@contextmanager
def _matrix(spec: dict[str, Any], inputs: list[str], scratch: Path) -> Iterator[Made]:
    # In the order of `Project.dataset_inputs`.
    genome, regions, regions_account, tracks = inputs
    account = Account(UNIT)
    read_account(regions_account, account)
    with open_signal(spec, regions, tracks, genome) as made:
        digests = {tracks: content_hash(tracks)}
        yield Made(made.splits, made.targets, "real", account, made.about, made.quality, digests)


@contextmanager
def _embeddings(spec: dict[str, Any], inputs: list[str], scratch: Path) -> Iterator[Made]:
    paths = Inputs(*map(Path, inputs))
    account = Account(UNIT)
    read_account(paths.account, account)
    with open_embedded(paths) as made:
        yield Made(made.splits, made.targets, "real", account, made.about, made.quality, further=made.further)


@contextmanager
def _tfrecord(spec: dict[str, Any], inputs: list[str], scratch: Path) -> Iterator[Made]:
    tiles = Tiles(**{field.name: spec[field.name] for field in fields(Tiles)})
    shape = Shape(len(spec["targets"]), spec["bin"], spec["crop"])
    splits, counts = open_tfrecords(spec["files"], shape, tiles, lambda count: _of_records(spec, count))
    targets = [spec["targets"][column] for column in spec["columns"]] or spec["targets"]
    account = Account("windows")
    for unit, reason in (("records", "left_out"), ("bases", "without_window")):
        account.enter(counts[unit], unit=unit)
        account.drop(counts[f"{unit}_{reason}"], "cut", reason, unit=unit)
        account.keep(counts[unit] - counts[f"{unit}_{reason}"], unit=unit)
    for name, split in splits.items():
        split.other_strand = name in spec["reverse_complement"]
        account.enter(split.rows, "cut", name)
    yield Made(splits, targets, "real", account)


def _of_records(spec: dict[str, Any], count: int) -> NDArray[np.str_]:
    """Return the split of each of so many records."""
    if spec["split"] is not None:
        by_chance = {"column": None, "fractions": spec["split"], "seed": spec["seed"]}
        return assign(by_chance, [""] * count, where="dataset.split: records")
    found = np.full(count, "", "U5")
    for name, numbers in spec["records"].items():
        if max(numbers) >= count:
            raise CisflowError(f"dataset.records.{name}: there is no record {max(numbers)}; they are 0 to {count - 1}.")
        found[numbers] = name
    return found


def _read(splits: Mapping[str, Stream], inputs: list[str]) -> Account:
    account = Account("sequences")
    files = inputs * len(splits) if len(inputs) == 1 else inputs
    for (name, split), file in zip(splits.items(), files, strict=True):
        account.enter(split.rows + split.dropped, "read", name, file)
        account.drop(split.dropped, "keep", "no_positive", file)
    return account


@contextmanager
def _windows(spec: dict[str, Any], inputs: list[str], scratch: Path) -> Iterator[Made]:
    with open_windows(spec) as found:
        yield Made(found.splits, found.targets, spec["target"], found.account, found.about, found.quality)


@contextmanager
def _peaks(spec: dict[str, Any], inputs: list[str], scratch: Path) -> Iterator[Made]:
    with open_peaks(spec, scratch) as found:
        yield Made(found.splits, found.targets, "binary", found.account, found.about, found.quality)


KINDS: dict[str, Callable[[dict[str, Any], list[str], Path], AbstractContextManager[Made]]] = {
    "synthetic_motifs": _synthetic_motifs,
    "synthetic_grammar": _synthetic_grammar,
    "hdf5": _hdf5,
    "windows": _windows,
    "peaks": _peaks,
    "matrix": _matrix,
    "tfrecord": _tfrecord,
    "embeddings": _embeddings,
}


def table_path(dataset: str | Path, table: str) -> Path:
    """Return where a table of a data set is: beside it, as dataset.quality.tsv."""
    return Path(dataset).with_suffix(f".{table}.tsv")


def make_dataset(spec: dict[str, Any], inputs: list[str], out: str | Path) -> dict[str, int]:
    """Make a data set and, beside it, its tables: quality, distributions, accounting, targets (see `table_path`).

    Parameters
    ----------
    spec
        A task's `dataset`, as the configuration has it.
    inputs
        The files it is made from.
    out
        Where the data set (HDF5) goes.

    Returns
    -------
    dict
        Number of rows by split.

    Raises
    ------
    CisflowError
        The input is not as the configuration says.
    """
    with KINDS[spec["kind"]](spec, inputs, Path(out).parent) as made:
        write_dataset(out, made.splits, made.targets, made.kind, _checksums(inputs, made.digests), made.further)
    with h5_reader(out, "dataset/1") as h5:
        rows = {split: len(h5[split]["x"]) for split in made.splits}
    for name, split in made.splits.items():
        if getattr(split, "other_strand", False):
            made.account.enter(split.rows, "reverse_complement", name)
        made.account.keep(rows[name], name)
    made.account.write(table_path(out, "accounting"))
    about = ({"target": name} | dict(made.about.get(name, {})) for name in made.targets)
    write_tsv(table_path(out, "targets"), TARGETS, about)
    write_quality(table_path(out, "quality"), table_path(out, "distributions"), out, made.quality)
    return rows


def _checksums(inputs: list[str], known: Mapping[str, str]) -> dict[str, str]:
    """Return the checksums of files by their names; those of one name have that of their folder before it."""
    names = [Path(file).name for file in inputs]
    keys = (
        name if names.count(name) == 1 else "/".join(Path(file).parts[-2:])
        for name, file in zip(names, inputs, strict=True)
    )
    return {key: known.get(file) or sha256(file) for key, file in zip(keys, inputs, strict=True)}
