"""Keys of `sources:` that name an exported workspace."""

from typing import Any

from pydantic import Field, field_validator, model_validator

from domainforge.stage import Settings


class _Place(Settings):
    """A workspace that is written as its path alone, or as a path with options."""

    path: str = Field(description="Folder or file of the export, relative to the project folder.")

    @model_validator(mode="before")
    @classmethod
    def _accept_path(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str) else value


class Confluence(_Place):
    """A Confluence space, exported as HTML: the folder or the zip."""


class Notion(_Place):
    """A Notion workspace, exported as Markdown & CSV or as HTML: the folder or the zip."""


class Obsidian(_Place):
    """An Obsidian vault: its folder or a zip of it."""


class MediaWiki(_Place):
    """A MediaWiki XML dump: plain, or compressed with bzip2, gzip or Zstandard."""

    namespaces: tuple[int, ...] = Field(
        (0,),
        min_length=1,
        description="Numbers of the namespaces to read; 0 is the articles, 12 the help pages.",
    )


class Slack(_Place):
    """A Slack export: the folder or the zip."""

    private: bool = Field(
        False, description="Read private channels and direct messages too, if the export has them."
    )


class Git(_Place):
    """A Git repository on this machine: a working folder, a bare one, or a file:// address."""

    ref: str = Field("HEAD", description="Branch, tag or commit to read.", min_length=1)
    commits: bool = Field(
        False, description="Read the messages of all commits too, one document each."
    )

    @field_validator("path")
    @classmethod
    def _check_path(cls, path: str) -> str:
        if "://" in path and not path.startswith("file://"):
            raise ValueError("only a repository on this machine can be read: git clone it first")
        return path

    @field_validator("ref")
    @classmethod
    def _check_ref(cls, ref: str) -> str:
        if ref.startswith("-") or any(char in ref for char in "\0\n\r"):
            raise ValueError("no name of a branch, tag or commit")
        return ref
