"""The tables that published numbers are checked against, and the numbers that each has."""

from cisflow.attribution.presets import METHODS

# Below the folder of a task.
TABLES = {"metrics": "metrics.tsv", "matches": "motifs/matches.tsv", "attribution": "attribution/scores.tsv"}
NUMBERS = {
    "metrics": ("auroc", "aupr", "accuracy", "f1", "pearson", "spearman", "mse"),
    "matches": ("match_fraction", "match_any", "factors_found"),
    "attribution": tuple(f"{area}_{method}" for area in ("auroc", "aupr") for method in METHODS),
}
