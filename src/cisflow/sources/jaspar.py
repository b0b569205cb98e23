"""JASPAR releases from the package pyjaspar, which carries their databases: no network is needed."""

import warnings
from pathlib import Path

import numpy as np
from Bio import BiopythonWarning
from pyjaspar import jaspardb

from cisflow.errors import CisflowError
from cisflow.pwm import Motif, write_jaspar, write_meme


def release_motifs(release: str, collection: str, tax_group: str) -> list[Motif]:
    """Return the count matrices of a release, the newest version of each, by id.

    Parameters
    ----------
    release
        For example 'JASPAR2016'.
    collection, tax_group
        For example 'CORE' and 'vertebrates'.

    Raises
    ------
    CisflowError
        The installed pyjaspar has no such release, or it has no such motifs.
    """
    known = jaspardb().get_releases()
    if release not in known:
        raise CisflowError(f"pyjaspar has no release '{release}'; it has {', '.join(sorted(known))}.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BiopythonWarning)  # of an empty answer, which is an error here
        found = jaspardb(release=release).fetch_motifs(collection=collection, tax_group=[tax_group])
    if not found:
        raise CisflowError(f"{release} has no motifs of collection '{collection}' and group '{tax_group}'.")
    motifs = [_motif(m) for m in found]
    return sorted(motifs, key=lambda motif: motif.id)


def _motif(found) -> Motif:
    counts = np.array([found.counts[base] for base in "ACGT"], dtype=float)
    return Motif(found.matrix_id, found.name, counts, float(counts.sum(axis=0).max()))


def export(release: str, collection: str, tax_group: str, counts: str | Path, meme: str | Path) -> int:
    """Write a release as counts (JASPAR format) and as probabilities (MEME format); return the number of motifs."""
    motifs = release_motifs(release, collection, tax_group)
    write_jaspar(counts, motifs)
    write_meme(meme, motifs)
    return len(motifs)
