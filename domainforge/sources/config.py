"""One entry of `sources:` in a pipeline file."""

import re
from typing import Any

from pydantic import Field, field_validator, model_validator
from pydantic.config import JsonDict

from domainforge.sources.corpora.config import (
    CommonCrawl,
    DeepLake,
    OpenAssistant,
    Pile,
    Wikipedia,
)
from domainforge.sources.hub_datasets.config import DatasetConfig
from domainforge.sources.sql.config import SqlConfig
from domainforge.sources.web.config import WebConfig
from domainforge.sources.workspaces.config import (
    Confluence,
    Git,
    MediaWiki,
    Notion,
    Obsidian,
    Slack,
)
from domainforge.stage import Settings

# A comparison without a value, or with an operator of another language.
_BAD_COMPARISON = re.compile(r"\s*(?:(?:>=|<=|!=|>|<)\s*$|=>|=<|==|<>)")


def place_field(description: str) -> Any:
    """Declare a key that says where documents are; an entry of `sources` has exactly one."""
    extra: JsonDict = {"place": True}
    return Field(None, description=description, json_schema_extra=extra)


class SourceConfig(Settings):
    """One place to read documents from, and which of them to take."""

    files: str | None = place_field("Folder, file or glob to read, relative to the project folder.")
    confluence: Confluence | None = place_field("Confluence space, exported as HTML.")
    notion: Notion | None = place_field("Notion workspace, exported as Markdown & CSV or as HTML.")
    obsidian: Obsidian | None = place_field("Obsidian vault to read.")
    mediawiki: MediaWiki | None = place_field("MediaWiki XML dump to read.")
    slack: Slack | None = place_field("Slack export to read.")
    git: Git | None = place_field("Git repository on this machine to read.")
    dataset: DatasetConfig | None = place_field(
        "Hugging Face dataset: a folder, or owner/name on the Hub; each row is a document."
    )
    sql: SqlConfig | None = place_field(
        "Query to a SQLite, PostgreSQL or MySQL database; each row is a document."
    )
    web: WebConfig | None = place_field("Page to read, or sitemap, feed and crawl of pages.")
    common_crawl: CommonCrawl | None = place_field("WARC or WET files, of Common Crawl or others.")
    wikipedia: Wikipedia | None = place_field("XML dump of Wikipedia or a sister project.")
    pile: Pile | None = place_field("Shards of The Pile: JSON lines, compressed.")
    openassistant: OpenAssistant | None = place_field(
        "OpenAssistant's conversations, as chats to learn from without a teacher."
    )
    deeplake: DeepLake | None = place_field("Deep Lake dataset; each row is a document.")
    include: tuple[str, ...] = Field(
        ("*",),
        min_length=1,
        description="Which files to take, as globs on the name or on the path below the folder.",
    )
    text_field: str | None = Field(
        None,
        description="Field of a row that holds the text; default: text, content or body.",
    )
    title_field: str = Field(
        "title", description="Field of a row that holds the title, where there is one."
    )
    id_field: str | None = Field(
        None, description="Field of a row that names it; default: id or url, else its number."
    )
    license: str | None = Field(
        None, description="Licence of these documents, where they don't name one themselves."
    )
    keep_raw: bool = Field(
        False, description="Keep the text as it was before cleaning, beside the clean one."
    )
    chats: bool = Field(
        False,
        description="Rows that hold chat messages are chats to learn from as they are, without a "
        "teacher; else such rows are left out.",
    )
    ocr: bool = Field(
        False,
        description="Read scanned pages of PDF files by OCR: `pip install 'domainforge[ocr]'`.",
    )
    where: dict[str, Any] = Field(
        default_factory=dict,
        description="Take only documents whose fields fit: `{language: [en, de], score: '>= 3'}`.",
    )
    sample_share: float | None = Field(
        None,
        description="Take this part of the documents, chosen by hash of uri and seed.",
        gt=0,
        le=1,
    )
    limit: int | None = Field(None, description="Take at most so many documents.", ge=1)
    weight: float | None = Field(
        None,
        description="Share of this source in a mixture, by characters, against the other sources "
        "that have a weight; the first that runs out ends the mixture.",
        gt=0,
    )

    @property
    def place(self) -> str:
        """Name of the key that says where its documents are."""
        return next(name for name in places() if getattr(self, name) is not None)

    @field_validator("where")
    @classmethod
    def _check_where(cls, where: dict[str, Any]) -> dict[str, Any]:
        for name, wanted in where.items():
            for value in wanted if isinstance(wanted, list | tuple) else [wanted]:
                if isinstance(value, str) and _BAD_COMPARISON.match(value):
                    raise ValueError(
                        f"{name}: {value!r} is no comparison; write >=, <=, >, < or != and a "
                        "value, as in '>= 3'"
                    )
        return where

    @model_validator(mode="after")
    def _check_place(self) -> "SourceConfig":
        given = [name for name in places() if getattr(self, name) is not None]
        if len(given) != 1:
            seen = f"; here are {' and '.join(given)}" if given else ""
            raise ValueError(f"an entry names one place: one of {', '.join(places())}{seen}")
        return self


def places() -> tuple[str, ...]:
    """Return the keys that say where documents are."""
    return tuple(
        name
        for name, info in SourceConfig.model_fields.items()
        if isinstance(info.json_schema_extra, dict) and info.json_schema_extra.get("place")
    )
