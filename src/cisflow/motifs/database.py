"""The known motifs that others are compared with."""

import logging
from collections.abc import Collection
from pathlib import Path

from cisflow.errors import CisflowError
from cisflow.pwm import Motif, read_meme

LOG = logging.getLogger("cisflow")

# Stands for the ids below.
PROMISCUOUS = "promiscuous"
# Matrices of JASPAR that one in twenty or more random filters matches, as `benchmarks/promiscuous.py` finds them.
PROMISCUOUS_IDS = {
    "MA0068.1": "Pax4",
    "MA0140.3": "GATA1::TAL1",
    "MA0243.1": "sd",
    "MA0299.1": "GAL4",
    "MA0535.1": "Mad",
    "MA0615.1": "Gmeb1",
    "MA1149.2": "RARA::RXRG",
    "MA1284.1": "TCP1",
    "MA1723.2": "PRDM9",
    "MA1929.1": "CTCF",
    "MA1929.2": "CTCF",
    "MA1930.1": "CTCF",
    "MA1930.2": "CTCF",
    "MA1978.2": "ZNF354A",
    "MA2376.1": "CAMTA5",
    "MA2387.1": "NAC094",
    "MA2460.1": "MGH6.1",
    "MA2472.1": "AT3G12910",
    "MA2510.1": "ZBTB41",
    "MA2703.1": "PPR1",
}


def read_database(path: str | Path, exclude: Collection[str] = ()) -> list[Motif]:
    """Read a MEME file of known motifs without those of the ids that are excluded.

    The word 'promiscuous' among the ids stands for those of `PROMISCUOUS_IDS` that the file has.

    Raises
    ------
    CisflowError
        The file is not in MEME format, or has no motif of an excluded id.
    """
    known = read_meme(path)
    ids = {motif.id for motif in known}
    named = {*exclude} - {PROMISCUOUS}
    if unknown := named - ids:
        raise CisflowError(f"tomtom.exclude: {path} has no motif {', '.join(sorted(unknown))}.")
    if PROMISCUOUS in exclude:
        named |= ids & PROMISCUOUS_IDS.keys()
    LOG.info("%s: %d motifs, without %s", path, len(known) - len(named), ", ".join(sorted(named)) or "none left out")
    return [motif for motif in known if motif.id not in named]
