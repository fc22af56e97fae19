"""One entry of `sources:` in a pipeline file."""

from pydantic import Field

from domainforge.stage import Settings


class SourceConfig(Settings):
    """Files to read documents from."""

    files: str = Field(
        min_length=1,
        description="Folder, file or glob to read, relative to the project folder.",
    )
    include: tuple[str, ...] = Field(
        ("*",),
        min_length=1,
        description="Which files to take, as globs on the name or on the path below the folder.",
    )
    text_field: str | None = Field(
        None,
        description="Field of a .jsonl row that holds the text; default: text, content or body.",
    )
    title_field: str = Field(
        "title", description="Field of a .jsonl row that holds the title, where there is one."
    )
    id_field: str | None = Field(
        None,
        description="Field of a .jsonl row that names it; default: id or url, else its line.",
    )
