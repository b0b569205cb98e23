"""Make the data set of a task from its configuration: one function for each `kind`."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from cisflow.datasets.hdf5 import Layout, open_hdf5
from cisflow.datasets.store import Split, Stream, write_dataset, write_quality
from cisflow.datasets.synthetic import Planting, find_motifs, synthetic_grammar, synthetic_motifs
from cisflow.errors import CisflowError
from cisflow.io import h5_reader, sha256
from cisflow.pwm import Motif, read_jaspar

Made = tuple[Mapping[str, Split | Stream], list[str], str]


def _planting(spec: dict[str, Any]) -> Planting:
    counts = {int(number): probability for number, probability in spec["counts"].items()}
    return Planting(spec["length"], counts, spec.get("spacer", 1.0))


def planted_motifs(spec: dict[str, Any], counts: str | Path) -> list[Motif]:
    """Return the motifs of a synthetic data set, each once, in the order of its configuration.

    Parameters
    ----------
    spec
        A task's `dataset`, as the configuration has it.
    counts
        The file of count matrices that it is made from.
    """
    ids = spec["classes"].values() if "classes" in spec else [*spec["core"].values(), *spec["background"]]
    return find_motifs(read_jaspar(counts), list(dict.fromkeys(ids)), str(counts))


@contextmanager
def _synthetic_motifs(spec: dict[str, Any], inputs: list[str], scratch: Path) -> Iterator[Made]:
    motifs = find_motifs(read_jaspar(inputs[0]), list(spec["classes"].values()), inputs[0])
    classes = dict(zip(spec["classes"], motifs, strict=True))
    splits = synthetic_motifs(classes, spec["sequences"], _planting(spec), spec["seed"], spec["split"])
    yield splits, list(classes), "binary"


@contextmanager
def _synthetic_grammar(spec: dict[str, Any], inputs: list[str], scratch: Path) -> Iterator[Made]:
    known = read_jaspar(inputs[0])
    core = find_motifs(known, list(spec["core"].values()), inputs[0])
    background = find_motifs(known, spec["background"], inputs[0])
    splits = synthetic_grammar(
        core, background, len(known), spec["sequences"], _planting(spec), spec["seed"], spec["split"]
    )
    yield splits, ["core-only"], "binary"


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
        yield splits, targets, layout.target


KINDS: dict[str, Callable[[dict[str, Any], list[str], Path], AbstractContextManager[Made]]] = {
    "synthetic_motifs": _synthetic_motifs,
    "synthetic_grammar": _synthetic_grammar,
    "hdf5": _hdf5,
}


def make_dataset(spec: dict[str, Any], inputs: list[str], out: str | Path, quality: str | Path) -> dict[str, int]:
    """Make a data set and its table of quality.

    Parameters
    ----------
    spec
        A task's `dataset`, as the configuration has it.
    inputs
        The files it is made from.
    out, quality
        Where the data set (HDF5) and the table (TSV) go.

    Returns
    -------
    dict
        Number of rows by split.

    Raises
    ------
    CisflowError
        The input is not as the configuration says.
    """
    with KINDS[spec["kind"]](spec, inputs, Path(out).parent) as (splits, targets, kind):
        write_dataset(out, splits, targets, kind, {Path(file).name: sha256(file) for file in inputs})
    write_quality(quality, out)
    with h5_reader(out, "dataset/1") as h5:
        return {split: len(h5[split]["x"]) for split in splits}
