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
    motifs = [motif for group in _groups(tax_group) for motif in _motifs(release, collection, group)]
    return sorted({motif.id: motif for motif in motifs}.values(), key=lambda motif: motif.id)


def release_ids(release: str, collection: str, tax_group: str | Sequence[str]) -> set[str]:
    """Return the ids of `release_motifs`, without their matrices, at once; raises the same."""
    return {found for group in _groups(tax_group) for found in _ids(release, collection, group)}


# Matrices of a collection and a group of which there is no newer version; not a look-up for each matrix, since some
# releases have no index.
NEWEST = """
with newest as (select BASE_ID, max(VERSION) as VERSION from MATRIX group by BASE_ID)
select m.BASE_ID || '.' || m.VERSION from newest join MATRIX m using (BASE_ID, VERSION)
where m.COLLECTION = upper(?) and m.ID in (select ID from MATRIX_ANNOTATION where TAG = 'tax_group' and VAL = lower(?))
"""


def _groups(tax_group: str | Sequence[str]) -> Sequence[str]:
    return [tax_group] if isinstance(tax_group, str) else tax_group


def _motifs(release: str, collection: str, tax_group: str) -> list[Motif]:
    database = _database(release)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BiopythonWarning)  # of an empty answer, which is an error here
        found = database.fetch_motifs(collection=collection, tax_group=[tax_group])
    return [_motif(m) for m in _some(found, release, collection, tax_group)]


def _ids(release: str, collection: str, tax_group: str) -> list[str]:
    found = [found for (found,) in _database(release).conn.execute(NEWEST, (collection, tax_group))]
    return _some(found, release, collection, tax_group)


def _database(release: str) -> jaspardb:
    known = jaspardb().get_releases()
    if release not in known:
        raise CisflowError(f"pyjaspar has no release '{release}'; it has {', '.join(sorted(known))}.")
    return jaspardb(release=release)


def _some(found: list, release: str, collection: str, tax_group: str) -> list:
    if not found:
        raise CisflowError(f"{release} has no motifs of collection '{collection}' and group '{tax_group}'.")
    return found


def _motif(found) -> Motif:
    counts = np.array([found.counts[base] for base in "ACGT"], dtype=float)
    return Motif(found.matrix_id, found.name, counts, float(counts.sum(axis=0).max()))


def export(release: str, collection: str, tax_group: str | Sequence[str], counts: str | Path, meme: str | Path) -> int:
    """Write a release as counts (JASPAR format) and as probabilities (MEME format); return the number of motifs."""
    motifs = release_motifs(release, collection, tax_group)
    write_jaspar(counts, motifs)
    write_meme(meme, motifs)
    return len(motifs)
