"""The tables that published numbers are checked against, below the folder of their task."""

TABLES = {"metrics": "metrics.tsv", "matches": "motifs/matches.tsv", "attribution": "attribution/scores.tsv"}
