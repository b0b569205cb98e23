"""The one error that a user is meant to see, and texts that are safe to show."""

import re

# Characters that change what a terminal shows: control characters but tab and newline, and changes of direction.
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
# What of an address nobody else is to read: user and password, and values that let one in.
USER = re.compile(r"(?<=://)[^/?#\s\"'<>\\]*@")
KEY = re.compile(
    r"""([?&](?:amp;)?(?:[\w.-]*(?:token|secret|passw|signature|credential|api[_-]?key|access[_-]?key)[\w.-]*|sig|key)=)
    [^&#\s"'<>\\]+""",
    re.IGNORECASE | re.VERBOSE,
)
MASK = "***"


def without_secrets(text: str) -> str:
    """Return a text with MASK in the place of passwords and keys in addresses, as https://***@host/file?token=***."""
    if "://" not in text:
        return text
    return KEY.sub(rf"\1{MASK}", USER.sub(f"{MASK}@", text))


def visible(text: str) -> str:
    """Return a text that is safe to show: without passwords in addresses, and without control characters.

    Names in files (contigs, motifs, targets) may have these, and a terminal would obey; their escapes, such as \\x1b,
    stand in their place.
    """
    return CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), without_secrets(text))


class CisflowError(Exception):
    """A problem that the user can mend.

    Its text says what is wrong, in which file and line or key, and what to do. Scripts and the command line print
    it without a traceback; any other exception is a defect of cisflow and keeps its traceback.
    """

    def __str__(self) -> str:
        return visible(super().__str__())
