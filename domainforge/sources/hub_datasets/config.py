"""What a pipeline file says about a Hugging Face dataset."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from domainforge.stage import Settings, transport_field
from domainforge.teacher.config_checks import check_variable_name


class DatasetConfig(Settings):
    """A Hugging Face dataset; each row is a document."""

    name: str = Field(
        min_length=1,
        description="Folder on this machine, relative to the project folder, or `owner/name` on "
        "the Hub; a folder that is there wins.",
    )
    config: str | None = Field(
        None, description="Which of its configurations; needed where it has several."
    )
    split: str | None = Field(
        None, description="Which split; default: `train`, or the only one there is."
    )
    revision: str | None = Field(
        None, description="Branch, tag or commit on the Hub; default: its main branch."
    )
    token_env: Annotated[str | None, AfterValidator(check_variable_name)] = transport_field(
        None, "Name of the environment variable that holds the Hub token, for private datasets."
    )

    @model_validator(mode="before")
    @classmethod
    def _accept_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value
