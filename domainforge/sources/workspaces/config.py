"""Keys of `sources:` that name an exported workspace."""

from typing import Any

from pydantic import Field, model_validator

from domainforge.stage import Settings


class _Place(Settings):
    """A workspace that is written as its path alone, or as a path with options."""

    path: str = Field(description="Folder or file of the export, relative to the project folder.")

    @model_validator(mode="before")
    @classmethod
    def _accept_path(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str) else value


class MediaWiki(_Place):
    """A MediaWiki XML dump: plain, or compressed with bzip2, gzip or Zstandard."""

    namespaces: tuple[int, ...] = Field(
        (0,),
        min_length=1,
        description="Numbers of the namespaces to read; 0 is the articles, 12 the help pages.",
    )
