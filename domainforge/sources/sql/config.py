"""What a pipeline file says about a database: where it is, what to ask, how a row reads."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from domainforge.sources.row_template import check_template
from domainforge.sources.sql.address import check_address
from domainforge.stage import Settings, transport_field
from domainforge.teacher.config_checks import check_variable_name

Template = Annotated[str | None, AfterValidator(check_template)]


class SqlConfig(Settings):
    """A query to a database; each row is a document."""

    file: str | None = Field(None, description="SQLite file, relative to the project folder.")
    url: Annotated[str | None, AfterValidator(check_address)] = Field(
        None,
        description="Database as a URL without a password: `postgresql://reader@host/name`, "
        "`mysql://reader@host/name`.",
    )
    url_env: Annotated[str | None, AfterValidator(check_variable_name)] = Field(
        None, description="Name of the environment variable that holds the URL, password and all."
    )
    query: str = Field(
        min_length=1, description="What to read: one SELECT; `ORDER BY` its id where it has one."
    )
    name: str | None = Field(
        None,
        pattern=r"^[\w.-]+$",
        description="Name of the rows in uris; default: the first table of the query.",
    )
    text: Template = Field(
        None,
        description="Template of the text, `{{ body }}`; default: the column `text_field`, else "
        "text, content or body, else the one with the most text.",
    )
    title: Template = Field(
        None, description="Template of the title; default: the column `title_field`."
    )
    id: Template = Field(
        None,
        description="Template of what names a row, for good; default: the column `id_field`, "
        "else id or url, else the row's number.",
    )
    format: Literal["markdown", "text", "html"] = Field(
        "markdown", description="What the text is; HTML becomes Markdown."
    )
    created: str | None = Field(None, description="Column with the date of the row's making.")
    modified: str | None = Field(None, description="Column with the date of its last change.")
    connect_timeout_seconds: int = transport_field(
        10, "How long to wait for the database to answer at all.", ge=2
    )
    statement_timeout_seconds: int = transport_field(
        600, "How long the database may take for the next rows.", ge=1
    )

    @model_validator(mode="before")
    @classmethod
    def _refuse_text(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise ValueError(
                "a database needs a query: {url_env: NAME_OF_VARIABLE, query: SELECT ...}"
            )
        return value

    @model_validator(mode="after")
    def _check_place(self) -> "SqlConfig":
        given = [name for name in ("file", "url", "url_env") if getattr(self, name) is not None]
        if len(given) != 1:
            seen = f"; here are {' and '.join(given)}" if given else ""
            raise ValueError(f"name one database: one of file, url, url_env{seen}")
        return self
