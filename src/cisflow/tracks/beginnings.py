"""Is a file what it should be, as far as its first bytes tell? Cheap: nothing but these is read."""

import zlib
from pathlib import Path

from cisflow.tracks.bam_index import index_of, wrong_index
from cisflow.tracks.bed_lines import fields_of, is_no_row, is_table_row
from cisflow.tracks.bigwig_trees import SIGNATURES, wrong_trees
from cisflow.tracks.endings import format_of
from cisflow.tracks.fasta import GZIP, wrong_start

HEAD = 1 << 16
FASTA = (".fa", ".fasta", ".fna")
# The first four bytes of blocked gzip data with extra fields.
BAM = b"\x1f\x8b\x08\x04"
COLUMNS = {"bed": 3, "bedgraph": 4, "places": 3}
WANTED = {
    "bed": "a row of contig, start and end",
    "places": "a row of contig, start and end",
    "bedgraph": "a row of contig, start, end and value",
    "chain": "a header 'chain score source ...'",
}


def kind_of(name: str) -> str | None:
    """Return what a file with this name should be: a format of signal, fasta or chain; None if the name tells none."""
    plain = name.lower().removesuffix(".gz")
    return "fasta" if plain.endswith(FASTA) else "chain" if plain.endswith(".chain") else format_of(name)


def wrong_beginning(path: Path, kind: str | None) -> str | None:
    """Return why a file cannot be of a kind, or None; of no kind, it may not be empty or a web page.

    Kinds are those of `kind_of`, and `places`: a BED file, or a table of UCSC such as gap.txt.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        return f"it cannot be read ({error.strerror or error})."
    if not head:
        return "the file is empty."
    if head.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html")):
        return "it is an HTML page, perhaps a server's error or login page. Fetch it again."
    if kind == "bigwig":
        wrong = wrong_trees(path) if head[:4] in SIGNATURES else f"it is not a BigWig file, it begins with {head[:8]!r}"
        return wrong and f"{wrong}."
    if kind == "bam":
        return _bam(path, head)
    return _text(head, kind) if kind == "fasta" or kind in WANTED else None


def _bam(path: Path, head: bytes) -> str | None:
    if not head.startswith(BAM):
        return f"it is not a BAM file, it begins with {head[:8]!r}."
    if index := index_of(path):
        wrong = wrong_index(path, index)
        return wrong and f"{wrong} ({index.name}). Make it again: samtools index {path}"
    return f"it has no index ({path.name}.bai beside it). Make it: samtools index {path}"


def _text(head: bytes, kind: str) -> str | None:
    """Return what is wrong with the first line with data, plain or gzipped."""
    whole = len(head) < HEAD
    if head.startswith(GZIP):
        unzip = zlib.decompressobj(31)
        try:
            head = unzip.decompress(head, HEAD)
        except zlib.error as error:
            return f"the gzip data are damaged ({error}). Fetch it again."
        whole = unzip.eof and not unzip.unused_data
    if kind == "fasta":
        return wrong_start(head)
    # What is cut off is no whole line.
    lines = head.decode("latin-1").splitlines()[: None if whole else -1]
    rows = ((number, line) for number, line in enumerate(lines, 1) if line.strip() and not is_no_row(fields_of(line)))
    number, line = next(rows, (0, ""))
    if not number:
        return "there is no row in it." if whole else None
    if _is(kind, line):
        return None
    return f"line {number}: {WANTED[kind]} is expected, and {line[:60]!r} is found."


def _is(kind: str, line: str) -> bool:
    if kind == "chain":
        return line.startswith("chain ")
    fields = fields_of(line)
    if kind == "places" and is_table_row(fields):
        return True
    return len(fields) >= COLUMNS[kind] and all(text.strip().isdecimal() for text in fields[1:3])
