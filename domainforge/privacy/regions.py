"""A country in the settings, by the two letters that its phone numbers are known by."""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator


def _accept_yaml_no(value: Any) -> Any:
    # YAML 1.1 reads Norway as false.
    return "NO" if value is False else value


def _check(value: str | None) -> str | None:
    if value is not None:
        from phonenumbers import SUPPORTED_REGIONS

        if value not in SUPPORTED_REGIONS:
            raise ValueError("write a country's two letters in capitals, for example US or DE")
    return value


PhoneRegion = Annotated[str | None, BeforeValidator(_accept_yaml_no), AfterValidator(_check)]
"""A country whose phone numbers are found without their prefix too; None for no country."""
