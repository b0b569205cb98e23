"""Attributions against the ground truth, by the number of references that they are means over."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cisflow.attribution.explained import Explained
from cisflow.attribution.maps import reduce
from cisflow.attribution.methods import nested_maps
from cisflow.attribution.presets import Settings
from cisflow.attribution.quality import median_row
from cisflow.attribution.score import localisation, score_row

Row = dict[str, Any]


def reference_rows(
    about: Row, explained: Explained, x: NDArray[np.uint8], motif: NDArray[np.bool_], method: str, settings: Settings,
    counts: Sequence[int], seed: int,
) -> tuple[list[Row], Row]:  # fmt: skip
    """Return rows of `tables.ATTRIBUTION_REFERENCES`, one a number of references, and the convergence's quality row.

    Parameters
    ----------
    about
        The columns that tell the trial.
    explained, x, method, settings, counts, seed
        As of `methods.nested_maps`.
    motif
        Positions of motifs (n, length).
    """
    maps, rows = nested_maps(explained, x, method, settings, counts, seed), []
    for count, map_ in maps.items():
        areas = localisation(reduce(map_.scores, x, method, settings), motif)
        rows.append(score_row(about | {"method": method, "references": count}, *areas))
    return rows, median_row(about, method, "convergence_error", maps[max(counts)].convergence)
