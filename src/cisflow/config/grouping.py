"""Which files of peaks make one label, and which labels make rows; known before any file is there."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cisflow.errors import CisflowError

ABOUT = ("factor", "biosample", "biosample_type")


@dataclass(frozen=True)
class Group:
    """The files of one label: its name, what is known of it, and their numbers among the endpoints."""

    name: str
    about: dict[str, str]
    files: list[int]


def group_files(endpoints: Sequence[Mapping[str, Any]], group_by: Sequence[str]) -> list[Group]:
    """Return the labels that files make, in the order in which they come first.

    A label's name is made of the words of what its files have in common, in lower case (k562_ctcf), unless it is given.

    Raises
    ------
    CisflowError
        Two labels have one name.
    """
    found: dict[tuple[str, ...], list[int]] = {}
    for number, endpoint in enumerate(endpoints):
        key = (endpoint["name"],) if endpoint["name"] else ("", *(endpoint[part] for part in group_by))
        found.setdefault(key, []).append(number)
    groups: list[Group] = []
    for key, files in found.items():
        rows = [endpoints[number] for number in files]
        name = key[0] or re.sub(r"[^a-z0-9.-]+", "_", "_".join(key[1:]).lower()).strip("_.-")
        about = {part: _common(row[part] for row in rows) for part in ABOUT}
        about["files"] = ", ".join(Path(row["file"]).name for row in rows)
        if name in {group.name for group in groups} or name == "mean":
            raise CisflowError(
                f"dataset.endpoints: two labels have the name '{name}' ('mean' is the name of their average); group by "
                "more, or give a name to the endpoints of one."
            )
        groups.append(Group(name, about, files))
    return groups


def _common(values: Iterator[str]) -> str:
    return ", ".join(dict.fromkeys(value for value in values if value))


def is_out(group: Group, spec: Mapping[str, Any]) -> bool:
    """Return whether a label alone makes no row; `spec` has the fields of `cisflow.config.windows.Peaks`.

    Raises
    ------
    CisflowError
        Its files are of several factors, not all of which are said to make no row.
    """
    without = spec["regions"]["without"]
    named = {spec["endpoints"][number]["factor"] in without for number in group.files}
    if len(named) > 1:
        raise CisflowError(
            f"dataset.regions.without: the label '{group.name}' is of the factors {group.about['factor']}, some of "
            "them named there and some not. Group by factor."
        )
    return named.pop()
