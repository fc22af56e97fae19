"""The body of a prompt file: its sections, and the steps that they make."""

import re
from dataclasses import dataclass
from pathlib import Path

from jinja2 import TemplateSyntaxError

from domainforge.errors import PromptError
from domainforge.prompt_templates import check_template

_SECTION = re.compile(r"^<!--\s*(system|user|completion|step:\s*[\w-]+)\s*-->[ \t]*$", re.MULTILINE)


@dataclass(frozen=True)
class Step:
    """One question to the teacher; later steps see earlier replies by their names."""

    name: str
    system: str | None
    user: str


def read_body(path: Path, body: str, offset: int) -> tuple[tuple[Step, ...], str | None]:
    """Return the steps of a body and its completion, which may be absent.

    Args:
        path: The prompt file.
        body: What stands below its header.
        offset: Lines above the body.

    Raises:
        PromptError: A text stands in no section, or a template is none; with its line.
    """
    steps: list[Step] = []
    completion = None
    system: str | None = None
    for kind, text in _split_sections(path, body, offset):
        if kind == "system":
            system = text
        elif kind == "completion":
            completion = text
        else:
            name = kind.partition(":")[2] or "reply"
            if any(step.name == name for step in steps):
                raise PromptError(f"{path}: two steps are named '{name}'")
            steps.append(Step(name, system, text))
    if not steps:
        raise PromptError(f"{path}: has no '<!-- user -->' section")
    return tuple(steps), completion


def _split_sections(path: Path, body: str, offset: int) -> list[tuple[str, str]]:
    found = list(_SECTION.finditer(body))
    if not found:
        raise PromptError(f"{path}:{offset + 1}: the body needs '<!-- user -->' before its text")
    before = body[: found[0].start()]
    if before.strip():
        line = offset + before[: -len(before.lstrip())].count("\n") + 1
        raise PromptError(
            f"{path}:{line}: this text stands in no section; put '<!-- user -->' above"
        )
    sections = []
    for match, after in zip(found, [*found[1:], None], strict=True):
        raw = body[match.end() : after.start() if after else len(body)]
        text = raw.strip("\n")
        try:
            check_template(text)
        except TemplateSyntaxError as error:
            start = match.end() + len(raw) - len(raw.lstrip("\n"))
            line = offset + body.count("\n", 0, start) + error.lineno
            raise PromptError(f"{path}:{line}: {error.message}") from error
        sections.append((match[1].replace(" ", ""), text))
    return sections
