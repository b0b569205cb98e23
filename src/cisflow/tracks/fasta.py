"""FASTA files: the one reader of genomes, sets of sequences, promoters and what is predicted.

Most readers pass over what they do not expect: Biopython skips all text before the first line that begins with '>', and
htslib takes a '>' inside a line, as of two files that were joined where the first had no line end, for a base. Either
loses sequences, so both are errors here.
"""

import gzip
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cisflow.errors import CisflowError

BLOCK = 1 << 22
# UTF-8's byte-order mark, which some editors write at the beginning of a file.
BOM = b"\xef\xbb\xbf"
GZIP = b"\x1f\x8b"
NO_SEQUENCE = "there is no sequence in it (a header line '>name' is expected)."
_NEWLINE = ord("\n")
_BLANK_LINES = re.compile(rb"(?:[ \t\r]*\n)*")
# As on Windows, also where its carriage return is there twice, or on old Macintoshes.
_LINE_END = re.compile(rb"\r+\n|\r")

# The letter on the other strand, in the case of the letter.
_COMPLEMENT = np.arange(256, dtype=np.uint8)
for _letters, _others in (("ACGTRYKMBDHV", "TGCAYRMKVHDB"), ("acgtrykmbdhv", "tgcayrmkvhdb")):
    _COMPLEMENT[list(_letters.encode())] = list(_others.encode())


@dataclass(frozen=True)
class Block:
    """Whole lines of a FASTA file.

    Attributes
    ----------
    text
        The lines, each with its end, which is one newline.
    headers
        Where the header lines begin and end in `text`, without their newline.
    """

    text: bytes
    headers: list[tuple[int, int]]

    def parts(self) -> Iterator[tuple[bytes | None, bytes]]:
        """Yield each header, without '>', and the lines of bases below it.

        The header of lines that belong to the last record of the block before is None.
        """
        header, start = None, 0
        for first, last in self.headers:
            if first > start or header is not None:
                yield header, self.text[start:first]
            header, start = self.text[first + 1 : last], last + 1
        yield header, self.text[start:]


def read_blocks(path: str | Path) -> Iterator[Block]:
    """Read a FASTA file in blocks of whole lines; a byte-order mark and blank lines at its beginning are passed over.

    Parameters
    ----------
    path
        FASTA file, gzipped or not, whatever its name ends in. Lines may end as on Unix, Windows or old Macintoshes.

    Raises
    ------
    CisflowError
        The file is missing or not whole, has text before its first header or no header at all, or a '>' inside a line
        of bases; with its line.
    """
    path = Path(path)
    line, begun = 1, False
    for text in _whole_lines(path):
        if not begun:
            blank = _BLANK_LINES.match(text).end()
            line += text.count(b"\n", 0, blank)
            text = text[blank:]
            begun = bool(text)
            if begun and (wrong := wrong_start(text, line)):
                raise CisflowError(f"{path}: {wrong}")
        headers = _headers(path, text, line)
        line += text.count(b"\n")
        if text:
            yield Block(text, headers)
    if not begun:
        raise CisflowError(f"{path}: {NO_SEQUENCE}")


def read_records(path: str | Path) -> Iterator[tuple[str, str]]:
    """Read a FASTA file record by record: the header, without '>', and the bases, without line ends and blanks.

    Parameters and errors are those of `read_blocks`.
    """
    title, parts = None, []
    for block in read_blocks(path):
        for header, lines in block.parts():
            if header is not None:
                if title is not None:
                    yield _text(title), _bases(parts)
                title, parts = header, []
            parts.append(lines)
    yield _text(title), _bases(parts)


def wrong_start(text: bytes, line: int = 1) -> str | None:
    """Return why a FASTA file cannot begin with this text, or None; `line` is the number of its first line."""
    text = text.removeprefix(BOM)
    blank = _BLANK_LINES.match(text).end()
    line += text.count(b"\n", 0, blank)
    first = text[blank : blank + 200].partition(b"\n")[0].decode("latin-1").rstrip()
    if not first:
        return NO_SEQUENCE
    if first.startswith(">"):
        return None
    page = " It is an HTML or XML page." if first.lstrip().startswith("<") else ""
    return f"line {line}: a header line '>name' is expected, and {first[:60]!r} is found.{page}"


def other_strand(letters: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the reverse complement of letters (ASCII) of shape (..., length), in their case."""
    return _COMPLEMENT[letters[..., ::-1]]


def _whole_lines(path: Path) -> Iterator[bytes]:
    """Yield the text of a file in parts that end with a line, without the byte-order mark."""
    try:
        with path.open("rb") as raw:
            zipped = raw.read(len(GZIP)) == GZIP
        with gzip.open(path) if zipped else path.open("rb") as file:
            # Parts of a line that is longer than a block; they are joined once.
            begun: list[bytes] = []
            mark = file.read(len(BOM))
            block = mark.removeprefix(BOM) + file.read(BLOCK)
            while block:
                while block.endswith(b"\r") and (further := file.read(1)):
                    block += further
                block = _LINE_END.sub(b"\n", block) if b"\r" in block else block
                lines, newline, rest = block.rpartition(b"\n")
                if newline:
                    yield b"".join([*begun, lines, newline])
                    begun = []
                begun.append(rest)
                block = file.read(BLOCK)
            if last := b"".join(begun):
                yield last + b"\n"
    except FileNotFoundError:
        raise CisflowError(f"{path}: there is no such file.") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CisflowError(f"{path}: the gzip data are truncated or damaged ({error}). Fetch it again.") from None
    except OSError as error:
        raise CisflowError(f"{path}: it cannot be read ({error.strerror or error}).") from error


def _headers(path: Path, text: bytes, line: int) -> list[tuple[int, int]]:
    found = []
    at = text.find(b">")
    while at >= 0:
        if at and text[at - 1] != _NEWLINE:
            _refuse_inside(path, text, line, at)
        end = text.find(b"\n", at)
        found.append((at, end))
        # What is in a header is no matter.
        at = text.find(b">", end)
    return found


def _refuse_inside(path: Path, text: bytes, line: int, at: int) -> None:
    line += text.count(b"\n", 0, at)
    around = text[max(text.rfind(b"\n", 0, at) + 1, at - 20) : at + 20].partition(b"\n")[0].decode("latin-1")
    raise CisflowError(
        f"{path}, line {line}: there is a '>' inside a line ({around!r}). A header begins a line: was a file without a "
        "line end joined to another? Put a line end before it."
    )


def _text(header: bytes) -> str:
    """Return a header as text, without blanks at its end: UTF-8, or Latin-1 where it is none."""
    try:
        return header.decode().rstrip()
    except UnicodeDecodeError:
        return header.decode("latin-1").rstrip()


def _bases(parts: list[bytes]) -> str:
    return b"".join(parts).translate(None, b" \t\n").decode("latin-1")
