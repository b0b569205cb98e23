"""Which matrices of JASPAR match filters that are no motifs, so that comparisons leave them out (`motifs.database`).

    python benchmarks/promiscuous.py [--filters 3000]

Random filters have 8 to 20 columns, of which 1 to 7 prefer a base and the others are nearly flat; those of less than
3 bits, which are not compared, are left out. Of each release and group it prints how many of them match any matrix
(E at most 0.1, so that a tenth would by chance), which matrices one in twenty or more of them match, and how many
match without these.
"""

import argparse
from collections import Counter

import numpy as np
from pyjaspar import jaspardb

from cisflow.motifs.tomtom import tomtom
from cisflow.pwm import Motif, information
from cisflow.sources.jaspar import release_motifs

LEAST_BITS, E_VALUE, SHARE = 3.0, 0.1, 0.05
GROUPS = ("vertebrates", "insects", "nematodes", "plants", "fungi")
# Concentrations of Dirichlet distributions: of a flat column, and of the preferred base of another.
FLAT, PREFERRED = 20.0, (18.0, 36.0, 120.0)


def random_filters(count: int) -> list[Motif]:
    """Return random filters of at least `LEAST_BITS`."""
    rng, filters = np.random.default_rng(1), []
    while len(filters) < count:
        width, informative = rng.integers(8, 21), rng.integers(1, 8)
        columns = rng.dirichlet([FLAT] * 4, width)
        for position in rng.choice(width, min(informative, width), replace=False):
            concentration = np.full(4, 3.0)
            concentration[rng.integers(4)] = rng.choice(PREFERRED)
            columns[position] = rng.dirichlet(concentration)
        if information(columns.T).sum() >= LEAST_BITS:
            filters.append(Motif(str(len(filters)), "", columns.T, 300))
    return filters


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--filters", type=int, default=3000)
    filters = random_filters(flags.parse_args().filters)
    print("| release | group | matrices | filters that match | matched by 5 % or more | that match the others |")
    print("|---|---|---|---|---|---|")
    for release in sorted(jaspardb().get_releases()):
        for group in GROUPS:
            report(release, group, filters)


def report(release: str, group: str, filters: list[Motif]) -> None:
    """Print the row of a release and group."""
    targets = release_motifs(release, "CORE", group)
    hits = tomtom(filters, targets, E_VALUE)
    counts = Counter(hit["target"] for hit in hits)
    often = {target: count for target, count in counts.most_common() if count >= SHARE * len(filters)}
    names = {motif.id: motif.name for motif in targets}
    listed = ", ".join(f"{target} {names[target]} ({count / len(filters):.0%})" for target, count in often.items())
    matched = len({hit["query"] for hit in hits}) / len(filters)
    others = len({hit["query"] for hit in hits if hit["target"] not in often}) / len(filters)
    print(f"| {release} | {group} | {len(targets)} | {matched:.0%} | {listed or 'none'} | {others:.0%} |", flush=True)


if __name__ == "__main__":
    main()
