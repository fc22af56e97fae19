"""Templates that make a text of one row's fields: Jinja, sandboxed and strict as in prompts."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from domainforge.errors import SourceError


def _empty_for_none(value: Any) -> Any:
    """Write nothing for a field without a value; Jinja would write the word None."""
    return "" if value is None else value


_ENVIRONMENT = ImmutableSandboxedEnvironment(
    undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_empty_for_none
)
# What an expression in a template can raise besides Jinja's own errors: `1 / 0`, `"a" + 1` ...
_RENDER_ERRORS = (
    TemplateError,
    TypeError,
    ValueError,
    ArithmeticError,
    LookupError,
    AttributeError,
    RecursionError,
    MemoryError,
)


class TemplateFault(SourceError):
    """A template can't be filled with one row."""


def check_template(value: str | None) -> str | None:
    """Return a template as it is.

    Raises:
        ValueError: It is no template.
    """
    if value is not None:
        try:
            _ENVIRONMENT.parse(value)
        except TemplateSyntaxError as error:
            raise ValueError(f"this is no template: {error.message}") from None
    return value


@lru_cache(maxsize=64)
def template_names(template: str) -> frozenset[str]:
    """Return the names of fields that a template asks for."""
    return frozenset(meta.find_undeclared_variables(_ENVIRONMENT.parse(template)))


def fill_template(template: str, fields: Mapping[str, Any]) -> str:
    """Fill a template with one row; a field without a value gives nothing.

    Raises:
        TemplateFault: A name that isn't there, or an expression that fails.
    """
    try:
        return _compiled(template).render(fields)
    except _RENDER_ERRORS as error:
        raise TemplateFault(f"{template!r}: {error}"[:300]) from error


@lru_cache(maxsize=64)
def _compiled(template: str) -> Template:
    return _ENVIRONMENT.from_string(template)
