"""Formats of files of signal, by the ends of their names; the configuration reads this, so nothing is imported."""

ENDINGS = {
    ".bw": "bigwig",
    ".bigwig": "bigwig",
    ".bedgraph": "bedgraph",
    ".bdg": "bedgraph",
    ".bg": "bedgraph",
    ".bed": "bed",
    ".narrowpeak": "bed",
    ".broadpeak": "bed",
    ".bam": "bam",
}


def format_of(name: str, given: str = "auto") -> str | None:
    """Return the format that is given or that a file's name ends in; None if neither tells."""
    name = name.lower().removesuffix(".gz")
    return given if given != "auto" else next((kind for ending, kind in ENDINGS.items() if name.endswith(ending)), None)
