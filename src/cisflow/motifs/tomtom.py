"""Motif comparison by Tomtom, with two engines behind one table.

memelite is the default: Tomtom in Python (Euclidean distance, complete scores), in the environment already. The MEME
Suite's own program is used where it is asked for and on PATH; its licence allows non-commercial use only.
"""

import csv
import io
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from memelite import tomtom as memelite_tomtom
from numpy.typing import NDArray

from cisflow.errors import CisflowError
from cisflow.pwm import Motif, write_meme

COLUMNS = (
    "query", "target", "target_name", "p_value", "e_value", "q_value", "offset", "overlap", "orientation", "engine",
)  # fmt: skip
ENGINES = ("memelite", "meme", "auto")


def tomtom(
    queries: Sequence[Motif], targets: Sequence[Motif], e_value: float, engine: str = "memelite"
) -> list[dict[str, Any]]:
    """Compare motifs with a database.

    Parameters
    ----------
    queries, targets
        The motifs; a query's id is its name in the table.
    e_value
        Rows with at most this E-value (p-value times the number of targets) are kept.
    engine
        'memelite', 'meme' (the MEME Suite's program), or 'auto' (that program where it is on PATH).

    Returns
    -------
    list of dict
        A row for each match, with the keys `COLUMNS`, by query and then by p-value. `q_value` is the Benjamini-Hochberg
        adjusted p-value over all targets of one query. `offset` is the position of the query's first column relative
        to the target's first (of its reverse complement, for orientation '-').

    Raises
    ------
    CisflowError
        The engine 'meme' is asked for and not installed, or it failed.
    """
    if engine == "auto":
        engine = "meme" if shutil.which("tomtom") else "memelite"
    if not queries:
        return []
    compare = _by_memelite if engine == "memelite" else _by_meme
    return compare(queries, targets, e_value)


def benjamini_hochberg(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the adjusted p-values along the last axis (Benjamini & Hochberg 1995)."""
    order = np.argsort(p, axis=-1)
    count = p.shape[-1]
    scaled = np.take_along_axis(p, order, -1) * count / np.arange(1, count + 1)
    adjusted = np.minimum.accumulate(scaled[..., ::-1], axis=-1)[..., ::-1].clip(max=1)
    result = np.empty_like(p)
    np.put_along_axis(result, order, adjusted, -1)
    return result


def _by_memelite(queries: Sequence[Motif], targets: Sequence[Motif], e_value: float) -> list[dict[str, Any]]:
    found = memelite_tomtom([q.probabilities for q in queries], [t.probabilities for t in targets])
    p, _, offsets, overlaps, strands = found
    q = benjamini_hochberg(p)
    rows = []
    for query, target in zip(*np.nonzero(p * len(targets) <= e_value), strict=True):
        rows.append(
            {
                "query": queries[query].id,
                "target": targets[target].id,
                "target_name": targets[target].name,
                "p_value": float(p[query, target]),
                "e_value": float(p[query, target]) * len(targets),
                "q_value": float(q[query, target]),
                "offset": int(offsets[query, target]),
                "overlap": int(overlaps[query, target]),
                "orientation": "-" if strands[query, target] else "+",
                "engine": "memelite",
            }
        )
    return _sorted(rows, queries)


def _by_meme(queries: Sequence[Motif], targets: Sequence[Motif], e_value: float) -> list[dict[str, Any]]:
    program = shutil.which("tomtom")
    if program is None:
        raise CisflowError(
            "tomtom.engine: 'meme' needs the MEME Suite's program tomtom on PATH (conda: bioconda's meme; its licence "
            "allows non-commercial use only). Install it, or use 'engine: memelite'."
        )
    with tempfile.TemporaryDirectory() as folder:
        query_file, target_file = Path(folder, "queries.meme"), Path(folder, "targets.meme")
        write_meme(query_file, queries)
        write_meme(target_file, targets)
        command = [program, "-text", "-evalue", "-thresh", str(e_value), str(query_file), str(target_file)]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        raise CisflowError(f"{program} failed with status {run.returncode}: {run.stderr.strip()[-500:]}")
    return _sorted(parse_meme(run.stdout, {t.id: t.name for t in targets}), queries)


def parse_meme(text: str, names: dict[str, str]) -> list[dict[str, Any]]:
    """Return the rows of the table that `tomtom -text` prints; its trailing comment lines are no rows."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [
        {
            "query": row["Query_ID"],
            "target": row["Target_ID"],
            "target_name": names[row["Target_ID"]],
            "p_value": float(row["p-value"]),
            "e_value": float(row["E-value"]),
            "q_value": float(row["q-value"]),
            "offset": int(row["Optimal_offset"]),
            "overlap": int(row["Overlap"]),
            "orientation": row["Orientation"],
            "engine": "meme",
        }
        for row in csv.DictReader(io.StringIO("\n".join(lines)), delimiter="\t")
    ]


def _sorted(rows: list[dict[str, Any]], queries: Sequence[Motif]) -> list[dict[str, Any]]:
    rank = {query.id: number for number, query in enumerate(queries)}
    return sorted(rows, key=lambda row: (rank[row["query"]], row["p_value"], row["target"]))


if __name__ == "__main__":
    # numba compiles memelite on its first call and keeps the result for later processes.
    tomtom([Motif("a", "a", np.eye(4))], [Motif(str(n), "", np.roll(np.eye(4), n, 1)) for n in range(30)], 1.0)
