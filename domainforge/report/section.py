"""What a section of the report is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Section:
    """One part of the page.

    Attributes:
        title: Its heading.
        template: The file that shows it; its name is the part's address on the page.
        values: What the template names.
    """

    title: str
    template: str
    values: Mapping[str, Any]
