"""How the command line prints: names out of files do nothing to a terminal."""

from typing import Any

from rich.console import Console
from rich.text import Text

from cisflow.errors import visible


class VisibleConsole(Console):
    """A console that shows the escapes of control characters."""

    def __init__(self, **options: Any):
        super().__init__(highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a text as it is shown."""
        return super().render_str(visible(text), **options)
