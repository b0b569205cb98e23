"""The one error that a user is meant to see, and texts that are safe to show."""

import re

# Characters that change what a terminal shows: control characters but tab and newline, and changes of direction.
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """Return a text with the escapes of control characters in their place, as \\x1b.

    Names in files (contigs, motifs, targets) may have them, and a terminal would obey.
    """
    return CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class CisflowError(Exception):
    """A problem that the user can mend.

    Its text says what is wrong, in which file and line or key, and what to do. Scripts and the command line print
    it without a traceback; any other exception is a defect of cisflow and keeps its traceback.
    """

    def __str__(self) -> str:
        return visible(super().__str__())
