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

ENGINES = ("memelite", "meme", "auto")
# Queries compared at a time, so that their matrices of all targets stay below 100 MB.
CHUNK = 2000


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
        A row for each match, with the keys `tables.HITS`, by query and then by p-value. `q_value` is adjusted over both
        strands of all targets of one query (memelite: Benjamini & Hochberg; the MEME Suite: Storey's estimate, which
        is at most that). `offset` is the column of the target, oriented as `orientation` says, that the query's first
        column faces; it is negative where the query begins before the target.

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


def _with_pseudocount(motif: Motif) -> NDArray[np.float64]:
    """Return probabilities as the MEME Suite's program takes them: 0.1 pseudocount, 20 sites where none are known."""
    sites = 20.0 if motif.sites is None else motif.sites
    return (motif.probabilities * sites + 0.1 * 0.25) / (sites + 0.1)


def _by_memelite(queries: Sequence[Motif], targets: Sequence[Motif], e_value: float) -> list[dict[str, Any]]:
    rows = []
    for start in range(0, len(queries), CHUNK):
        rows += _chunk_by_memelite(queries[start : start + CHUNK], targets, e_value)
    return _sorted(rows, queries)


def _chunk_by_memelite(queries: Sequence[Motif], targets: Sequence[Motif], e_value: float) -> list[dict[str, Any]]:
    # Both strands of each target are compared here, and not inside memelite, because the q-values are adjusted over
    # both, and because a palindrome's tie then goes to '+'; both as in the MEME Suite's program.
    strands = [m for target in targets for m in (target, target.reverse_complement())]
    found = memelite_tomtom(
        list(map(_with_pseudocount, queries)), list(map(_with_pseudocount, strands)), n_target_bins=None,
        reverse_complement=False,
    )  # fmt: skip
    p, offsets, overlaps = (found[part].reshape(len(queries), len(targets), 2) for part in (0, 2, 3))
    p = p * (2 - p)  # the better of two strands
    q = benjamini_hochberg(p.reshape(len(queries), -1)).reshape(p.shape)
    best = p.argmin(axis=2)
    rows = []
    for query, target in np.argwhere(p.min(axis=2) * len(targets) <= e_value):
        strand = best[query, target]
        rows.append(
            {
                "query": queries[query].id,
                "target": targets[target].id,
                "target_name": targets[target].name,
                "p_value": float(p[query, target, strand]),
                "e_value": float(p[query, target, strand]) * len(targets),
                "q_value": float(q[query, target, strand]),
                "offset": int(offsets[query, target, strand]),
                "overlap": int(overlaps[query, target, strand]),
                "orientation": "+-"[strand],
                "engine": "memelite",
            }
        )
    return rows


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
        command = [
            program,
            "-text",
            "-evalue",
            "-thresh",
            str(e_value),
            "-dist",
            "ed",
            str(query_file),
            str(target_file),
        ]
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
