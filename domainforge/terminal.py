"""The least that every command prints with; rich is imported when something is printed."""

import json
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

_PIPE_COLUMNS = 160


def make_console() -> "Console":
    """Return a console on standard output; `NO_COLOR` and pipes are respected."""
    from rich.console import Console

    # Without a terminal rich takes 80 columns, and would fold tables that nobody sees on a screen.
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _PIPE_COLUMNS
    return Console(highlight=False, width=width)


def say(console: "Console", text: str, style: str = "") -> None:
    """Print text as it is, without markup; wrapped on a terminal, in whole lines elsewhere."""
    from rich.text import Text

    console.print(Text(text, style=style), soft_wrap=not console.is_terminal)


def write_json(value: Any) -> None:
    """Write a value to standard output as one line of JSON."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")
