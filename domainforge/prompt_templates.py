"""Templates and expressions of prompt files: Jinja, sandboxed, and strict about names."""

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, meta
from jinja2.environment import TemplateExpression
from jinja2.sandbox import ImmutableSandboxedEnvironment

from domainforge.errors import PromptError
from domainforge.prompt_lines import at_key, at_template

_ENVIRONMENT = ImmutableSandboxedEnvironment(
    undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=False
)
# Jinja's own `tojson` is for web pages: it writes ' and & as numbers.
_ENVIRONMENT.filters["json"] = partial(json.dumps, ensure_ascii=False)
# What an expression in a template can raise besides Jinja's own errors: `1 / 0`, `"a" + 1` ...
_RENDER_ERRORS = (
    *(TemplateError, TypeError, ValueError, ArithmeticError, LookupError),
    *(AttributeError, RecursionError, MemoryError),
)


def check_template(template: str) -> None:
    """Compile a template.

    Raises:
        TemplateSyntaxError: It is none.
    """
    _ENVIRONMENT.compile(template)  # to parse it would miss a filter that isn't there


def check_expression(expression: str) -> None:
    """Compile an expression.

    Raises:
        TemplateSyntaxError: It is none, or more than one.
    """
    _ENVIRONMENT.compile_expression(expression, undefined_to_none=False)


def names_in(templates: Iterable[str]) -> frozenset[str]:
    """Return the names that templates read."""
    parsed = map(_ENVIRONMENT.parse, templates)
    return frozenset().union(*map(meta.find_undeclared_variables, parsed))


def render(path: Path, template: str, values: Mapping[str, Any]) -> str:
    """Fill a template; strict (a missing name is an error) and sandboxed.

    Raises:
        PromptError: A name that isn't there, or an expression that fails.
    """
    try:
        return _compiled(template).render(values).strip()
    except _RENDER_ERRORS as error:
        where = at_template(path, template, error)
        raise PromptError(f"{where}: {_explain(error, values)}") from error


def holds(path: Path, keep_if: str, values: Mapping[str, Any]) -> bool:
    """Tell whether a header's condition is true of those values.

    Raises:
        PromptError: A name that isn't there, or an expression that fails.
    """
    try:
        return bool(_compiled_expression(keep_if)(**values))
    except _RENDER_ERRORS as error:
        raise PromptError(f"{at_key(path, 'keep_if')}: {_explain(error, values)}") from error


# To compile one takes milliseconds, and each is filled for every row.
@lru_cache(maxsize=512)
def _compiled(template: str) -> Template:
    return _ENVIRONMENT.from_string(template)


@lru_cache(maxsize=512)
def _compiled_expression(expression: str) -> TemplateExpression:
    return _ENVIRONMENT.compile_expression(expression, undefined_to_none=False)


def _explain(error: Exception, values: Mapping[str, Any]) -> str:
    return f"{str(error) or type(error).__name__}; at hand are: {', '.join(sorted(values))}"
