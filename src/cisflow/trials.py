"""The tables with a row a trial: where they are, and the numbers in them.

No data frames here: the configuration checks names against these tables.
"""

from pathlib import Path

from cisflow.attribution.presets import METHODS

# Where each kind of table is below the folder of a task.
TABLES = {
    "metrics": "metrics.tsv",
    "matches": "motifs/matches.tsv",
    "thresholds": "motifs/thresholds.tsv",
    "attribution": "attribution/scores.tsv",
}
OF_MATCHES = ("match_fraction", "match_any", "factors_found")
# The numbers of each kind.
NUMBERS = {
    "metrics": ("auroc", "aupr", "accuracy", "f1", "pearson", "spearman", "mse"),
    "matches": OF_MATCHES,
    "thresholds": OF_MATCHES,
    "attribution": tuple(f"{area}_{method}" for area in ("auroc", "aupr") for method in METHODS),
}
# The same number of the same filters with shuffled positions has this at its end.
SHUFFLED = "_shuffled"


def kind_of(path: str | Path) -> str | None:
    """Return the kind of a table by the end of its path; None if it is no table of trials."""
    return next((kind for kind, end in TABLES.items() if str(path).endswith(f"/{end}")), None)
