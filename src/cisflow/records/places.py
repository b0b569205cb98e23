"""Paths and texts as a crate shows them: without passwords, and without the places of the machine that made it."""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path, PurePath

from cisflow.errors import without_secrets

# Folders of an absolute path; those that every system has say nothing about a user.
FOLDERS = re.compile(
    r"""(?: file:// | (?<![\w./*~<>{}%$-]) )
    / (?! / | (?:dev|proc|sys|usr|bin|etc)\b )
    (?: [^/\s"',;:\\\[\]{}()<>|]+ / )+""",
    re.VERBOSE,
)
SHORT = ".../"
# Where a crate has files from outside the repository.
OUTSIDE = "data"


class Places:
    """The names that paths have in a crate.

    A path inside the repository keeps its name, relative to it. Files from elsewhere are below `data/`, and in a text
    other absolute paths lose their folders (.../name).

    Parameters
    ----------
    root
        The repository.
    paths
        All paths in the records, absolute or relative to the repository.
    """

    def __init__(self, root: Path, paths: Iterable[str]):
        self._outside: dict[str, str] = {}
        for path in sorted(set(paths)):
            place = PurePath(path)
            if place.is_absolute() or ".." in place.parts:
                taken = f"{OUTSIDE}/{place.name}" in self._outside.values()
                digest = f"{hashlib.sha256(path.encode()).hexdigest()[:8]}-" if taken else ""
                self._outside[path] = f"{OUTSIDE}/{digest}{place.name}"
        absolute = {PurePath(path) for path in self._outside if PurePath(path).is_absolute()}
        parts = {str(path): self._outside[str(path)] for path in absolute}
        # Their names may have blanks, which elsewhere in a text end a path.
        folders = {Path.home(), *(folder for path in absolute for folder in path.parents)}
        parts |= {f"{folder}/": SHORT for folder in folders if len(folder.parts) > 1}
        parts |= {f"{place}/": "" for place in (root, root.absolute(), root.resolve()) if len(place.parts) > 1}
        self._parts = dict(sorted(parts.items(), key=lambda item: -len(item[0])))

    def inside(self, path: str) -> str:
        """Return where a file is in the crate."""
        return self._outside.get(path) or PurePath(path).as_posix()

    def shown(self, text: str) -> str:
        """Return a text, such as a command or a file of the configuration, as it is published."""
        text = without_secrets(text)
        for part, name in self._parts.items():
            text = re.sub(rf"(?<![\w./-])(?:file://)?{re.escape(part)}", name, text)
        return FOLDERS.sub(SHORT, text)
