"""`cisflow predict`: trained models on a user's sequences."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from cisflow.datasets.fasta import read_fasta
from cisflow.errors import CisflowError
from cisflow.evaluation.evaluate import write_parquet
from cisflow.evaluation.predict import predict
from cisflow.sequence import UNKNOWN
from cisflow.tables import write_table
from cisflow.training.checkpoint import load_model, read_description
from cisflow.training.engine import choose_device

WRITERS = {".tsv": write_table, ".parquet": write_parquet}
# Columns of the table before those of the targets.
ROW = ("checkpoint", "sequence")


def predict_fasta(
    checkpoints: list[Path], fasta: Path, output: Path, weights: str | None, device: str
) -> tuple[int, int]:
    """Write the predictions of all checkpoints on all sequences; return the numbers of sequences and unknown bases.

    Raises
    ------
    CisflowError
        A checkpoint or the FASTA file is not right, or the models do not take sequences of one length.
    """
    if output.suffix not in WRITERS:
        raise CisflowError(f"--out {output}: the name must end in {' or '.join(WRITERS)}.")
    if len(set(checkpoints)) < len(checkpoints):
        raise CisflowError("a checkpoint is given twice; name each once.")
    descriptions = {folder: read_description(folder) for folder in checkpoints}
    lengths = {description["length"] for description in descriptions.values()}
    if len(lengths) > 1:
        raise CisflowError(
            f"the models take sequences of different lengths ({sorted(lengths)}); predict them one by one."
        )
    names, x = read_fasta(fasta, lengths.pop())
    place = choose_device(device, wait=False)
    tables = []
    for folder, description in descriptions.items():
        p = predict(load_model(folder, weights, place), x, description["kind"])
        columns = dict(zip(ROW, ([str(folder)] * len(x), names), strict=True))
        tables.append(pl.DataFrame(columns | dict(zip(target_columns(description["targets"]), p.T, strict=True))))
    WRITERS[output.suffix](output, pl.concat(tables, how="diagonal"))
    return len(x), int((x == UNKNOWN).sum())


def target_columns(targets: Sequence[str]) -> list[str]:
    """Return the column of each target: its name, or, if the table has another column of that name, `p.` before it."""
    taken = {*ROW, *targets}
    columns = []
    for target in targets:
        column = target
        while column in ROW or (column != target and column in taken):
            column = f"p.{column}"
        columns.append(column)
    return columns
