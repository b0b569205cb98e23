"""Titles and paths as users write them: what can be shown and found everywhere, and what is refused."""

import os.path
import re
from typing import Annotated

from pydantic import AfterValidator

# What Snakemake takes for a wildcard in a path, and for a variable in the path of a result.
WILDCARD, VARIABLE = re.compile(r"[{}]"), re.compile(r"[<>]")


def _title(text: str) -> str:
    if "<" in text or "\n" in text:
        raise ValueError(
            f"{text[:60]!r}: a title is one line without '<', which the report of Snakemake would take for HTML"
        )
    return text


def _prose(text: str) -> str:
    if "<" in text:
        raise ValueError("a text without '<' is needed, which the report of Snakemake would take for HTML")
    return text


def local_path(text: str, placeholder: str = "") -> str:
    """Return the path of a file or folder, with the home folder in place of a `~` at its beginning.

    Parameters
    ----------
    text
        The path.
    placeholder
        What may stand in curly brackets, brackets and all.

    Raises
    ------
    ValueError
        It is empty, has several lines, or curly brackets, which Snakemake takes for wildcards; or there is no such
        home folder.
    """
    if not text.strip() or "\n" in text:
        raise ValueError(f"{text!r} is no path")
    if WILDCARD.search(text.replace(placeholder, "") if placeholder else text):
        raise ValueError(f"'{text}': Snakemake takes curly brackets in a path for a wildcard; rename what has them")
    path = os.path.expanduser(text)
    if path.startswith("~"):
        raise ValueError(f"'{text}': there is no home folder '{text.split('/')[0]}'; give the path in full")
    return path


def _folder(text: str) -> str:
    path = os.path.normpath(local_path(text))
    if VARIABLE.search(path):
        raise ValueError(f"'{text}': Snakemake takes '<' and '>' in this path for a variable; name another folder")
    if path in (".", "/"):
        raise ValueError(f"'{text}': name a folder of its own, as 'results'")
    return path


# A line of text that stands in reports, and text of several lines there.
Title = Annotated[str, AfterValidator(_title)]
Prose = Annotated[str, AfterValidator(_prose)]
# A folder that results or fetched files are written to: with one slash between its parts, and none at the end.
Folder = Annotated[str, AfterValidator(_folder)]
LocalPath = Annotated[str, AfterValidator(local_path)]
