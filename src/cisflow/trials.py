"""The tables with a row a trial: where they are, and the numbers in them.

No data frames here: the configuration checks names against these tables.
"""

import itertools
import re
from collections.abc import Iterable
from pathlib import Path

from cisflow.attribution.presets import METHODS, REFERENCED

# Where each kind of table is below the folder of a task; of the last two there is one for each run.
TABLES = {
    "metrics": "metrics.tsv",
    "matches": "motifs/matches.tsv",
    "thresholds": "motifs/thresholds.tsv",
    "attribution": "attribution/scores.tsv",
    "scan": "motifs/scan/{run}.tsv",
    "references": "attribution/references/{run}.tsv",
}
OF_MATCHES = ("match_fraction", "match_any", "factors_found")
AREAS = ("auroc", "aupr")


def _named(*parts: Iterable[str]) -> tuple[str, ...]:
    return tuple("_".join(words) for words in itertools.product(*parts))


# A metric of predictions for bins, not for windows, has this at its end.
OF_BINS = "_bins"
CORRELATIONS = ("pearson", "spearman", "mse")
# The numbers of each kind.
NUMBERS = {
    "metrics": ("auroc", "aupr", "accuracy", "f1", *CORRELATIONS, *(f"{name}{OF_BINS}" for name in CORRELATIONS)),
    "matches": OF_MATCHES,
    "thresholds": OF_MATCHES,
    "attribution": _named(AREAS, METHODS),
    "scan": _named(AREAS, ("ppm", "pwm", "first"), ("corrected", "published")),
    "references": _named(AREAS, REFERENCED),
}
# The same number of the same filters with shuffled positions has this at its end.
SHUFFLED = "_shuffled"


def kind_of(path: str | Path) -> str | None:
    """Return the kind of a table by the end of its path; None if it is no table of trials."""
    patterns = {kind: re.escape(end).replace(re.escape("{run}"), "[^/]+") for kind, end in TABLES.items()}
    return next((kind for kind, pattern in patterns.items() if re.search(f"/{pattern}$", str(path))), None)


def paths_of(kind: str, runs: Iterable[str]) -> list[str]:
    """Return the paths of a kind's tables below the folder of a task: one, or one for each of these runs."""
    return sorted({TABLES[kind].format(run=run) for run in runs})
