"""Names of genome assemblies: most have two, and files of two assemblies do not belong together."""

import re

# By ENCODE's name: other names, and the organism.
_KNOWN = {
    "GRCh38": (("hg38",), "Homo sapiens"),
    "hg19": (("GRCh37",), "Homo sapiens"),
    "hg18": (("NCBI36",), "Homo sapiens"),
    "hs1": (("T2T-CHM13", "chm13"), "Homo sapiens"),
    "mm39": (("GRCm39",), "Mus musculus"),
    "mm10": (("GRCm38",), "Mus musculus"),
    "mm9": (("NCBI37", "MGSCv37"), "Mus musculus"),
    "dm6": (("BDGP6",), "Drosophila melanogaster"),
    "dm3": (("BDGP5",), "Drosophila melanogaster"),
    "ce11": (("WBcel235",), "Caenorhabditis elegans"),
    "ce10": (("WBcel215",), "Caenorhabditis elegans"),
}
_NAMES = {name.lower(): known for known, (others, _) in _KNOWN.items() for name in (known, *others)}


def assembly_of(text: str) -> str | None:
    """Return ENCODE's name of the assembly that a text begins with (hg38.p14: GRCh38), None if it is not known."""
    text = text.lower()
    return next((known for name, known in _NAMES.items() if re.match(rf"{re.escape(name)}(?![a-z0-9])", text)), None)


def organism_of(assembly: str) -> str | None:
    """Return the organism of an assembly, by ENCODE's name of it."""
    return _KNOWN[assembly][1] if assembly in _KNOWN else None
