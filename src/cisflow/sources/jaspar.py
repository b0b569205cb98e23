"""JASPAR releases from the package pyjaspar, which carries their databases: no network is needed."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from Bio import BiopythonWarning
from pyjaspar import jaspardb

from cisflow.errors import CisflowError
from cisflow.pwm import Motif, write_jaspar, write_meme


def release_motifs(release: str, collection: str, tax_group: str | Sequence[str]) -> list[Motif]:
    """Return the count matrices of a release, the newest version of each, by id.

    Parameters
    ----------
    release
        For example 'JASPAR2016'.
    collection, tax_group
        For example 'CORE' and 'vertebrates'; of several groups, the motifs of all.

    Raises
    ------
    CisflowError
        The installed pyjaspar has no such release, or it has no such motifs of one of the groups.
    """
    groups = [tax_group] if isinstance(tax_group, str) else tax_group
    motifs = [motif for group in groups for motif in _motifs(release, collection, group)]
    return sorted({motif.id: motif for motif in motifs}.values(), key=lambda motif: motif.id)


def _motifs(release: str, collection: str, tax_group: str) -> list[Motif]:
    known = jaspardb().get_releases()
    if release not in known:
        raise CisflowError(f"pyjaspar has no release '{release}'; it has {', '.join(sorted(known))}.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BiopythonWarning)  # of an empty answer, which is an error here
        found = jaspardb(release=release).fetch_motifs(collection=collection, tax_group=[tax_group])
    if not found:
        raise CisflowError(f"{release} has no motifs of collection '{collection}' and group '{tax_group}'.")
    return [_motif(m) for m in found]


def _motif(found) -> Motif:
    counts = np.array([found.counts[base] for base in "ACGT"], dtype=float)
    return Motif(found.matrix_id, found.name, counts, float(counts.sum(axis=0).max()))


def export(release: str, collection: str, tax_group: str | Sequence[str], counts: str | Path, meme: str | Path) -> int:
    """Write a release as counts (JASPAR format) and as probabilities (MEME format); return the number of motifs."""
    motifs = release_motifs(release, collection, tax_group)
    write_jaspar(counts, motifs)
    write_meme(meme, motifs)
    return len(motifs)
