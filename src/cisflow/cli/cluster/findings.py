"""What `cisflow doctor` found, and how it is shown."""

from collections.abc import Iterable
from typing import NamedTuple

from rich.console import Console
from rich.markup import escape

MARKS = {"ok": "[green]ok     [/]", "note": "[yellow]note   [/]", "problem": "[bold red]problem[/]"}


class Finding(NamedTuple):
    """One thing that was looked at: 'ok', 'note' or 'problem', what was found, and what mends it."""

    level: str
    text: str
    mend: str = ""


def show(findings: Iterable[Finding], out: Console) -> bool:
    """Print every finding with its mend, then how many problems there are; return whether there is none."""
    problems = 0
    for finding in findings:
        problems += finding.level == "problem"
        out.print(f"{MARKS[finding.level]} {escape(finding.text)}", soft_wrap=True)
        if finding.mend:
            out.print(f"        → {escape(finding.mend)}", soft_wrap=True)
    out.print(f"\n{problems} problem{'s' * (problems > 1)}" if problems else "\nready")
    return not problems
