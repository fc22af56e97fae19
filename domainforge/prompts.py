"""Prompt files: a YAML header and a Jinja body; a new kind of example is a new file."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import ValidationError

from domainforge.config_faults import find_key
from domainforge.errors import PromptError
from domainforge.files import shipped_folder
from domainforge.prompt_header import PromptHeader, reply_schema
from domainforge.prompt_lines import at_key, at_template
from domainforge.records import text_hash

_SECTION = re.compile(r"^<!--\s*(system|user|completion|step:\s*[\w-]+)\s*-->[ \t]*$", re.MULTILINE)
_FENCE = re.compile(r"^---[ \t]*$", re.MULTILINE)
_ROLES = ("system", "user", "assistant")
_AT_HAND = frozenset(
    (
        *("document", "chunk", "chunks", "unit", "sample"),
        *("span", "span_kind", "gapped", "fenced", "item"),
    )
)
_ENVIRONMENT = ImmutableSandboxedEnvironment(
    undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=False
)
# What an expression in a template can raise besides Jinja's own errors: `1 / 0`, `"a" + 1` ...
_RENDER_ERRORS = (TemplateError, TypeError, ValueError, ArithmeticError, LookupError)


@dataclass(frozen=True)
class Step:
    """One question to the teacher; later steps see earlier replies by their names."""

    name: str
    system: str | None
    user: str


@dataclass(frozen=True)
class Filled:
    """What a row of a prompt says.

    Attributes:
        messages: Of a chat or a preference.
        text: Of a text.
        rejected: The worse last answer of a preference.
    """

    messages: tuple[dict[str, str], ...] = ()
    text: str | None = None
    rejected: str | None = None


@dataclass(frozen=True)
class PromptFile:
    """A prompt file, read and checked.

    Attributes:
        hash: SHA-256 of the file's text; in the lineage of every row.
        steps: The chat form, in order; the last reply makes the example.
        completion: The few-shot body, or None.
    """

    name: str
    path: Path
    hash: str
    header: PromptHeader
    steps: tuple[Step, ...]
    completion: str | None

    @cached_property
    def schema(self) -> dict[str, Any]:
        """JSON Schema of the reply."""
        return reply_schema(self.header.reply)

    @property
    def items(self) -> str | None:
        """The list in the reply whose items are a row each; None where a reply is one row."""
        found = self.header.example.get("for_each")
        return str(found) if found is not None else None

    @cached_property
    def row_fields(self) -> frozenset[str]:
        """Names of the fields that make one row."""
        part = self.schema["properties"]
        if self.items is not None:
            part = part[self.items]["items"].get("properties", {"item": {}})
        return frozenset(part)

    def reads(self, *, completion: bool) -> frozenset[str]:
        """Names that the templates of one form read, those of the rows among them."""
        header = self.header
        templates = _example_templates(header.example)
        if completion and self.completion is not None and header.completion is not None:
            templates += [self.completion, *header.completion.set.values()]
        else:
            templates += [text for step in self.steps for text in (step.system or "", step.user)]
        parsed = map(_ENVIRONMENT.parse, templates)
        return frozenset().union(*map(meta.find_undeclared_variables, parsed))

    @cached_property
    def validator(self) -> Any:
        """A `jsonschema` validator of the reply; the schema itself was checked on loading."""
        from jsonschema.validators import validator_for

        return validator_for(self.schema)(self.schema)


def load_prompt(name: str, project: Path) -> PromptFile:
    """Load a prompt by name or path: the project's own first, then the shipped one.

    Raises:
        PromptError: Not found, or not a prompt file; the message names file and line.
    """
    for folder in (project / "prompts", shipped_folder("prompts")):
        path = folder / f"{name.removesuffix('.md')}.md"
        if path.exists():
            return parse_prompt(path)
    path = Path(name)
    if path.suffix == ".md" and (project / path).exists():
        return parse_prompt(project / path)
    known = sorted(prompt_names(project))
    near = difflib.get_close_matches(name.removesuffix(".md"), known, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    raise PromptError(
        f"no prompt '{name}' in {project / 'prompts'} nor shipped{hint}; "
        f"there are: {', '.join(known)}"
    )


def prompt_names(project: Path) -> set[str]:
    """Names of all prompts: the project's and the shipped ones."""
    folders = (project / "prompts", shipped_folder("prompts"))
    return {
        path.stem
        for folder in folders
        for path in folder.glob("*.md")
        if path.read_text(encoding="utf-8", errors="replace").startswith("---")
    }


def parse_prompt(path: Path) -> PromptFile:
    """Read and check one prompt file.

    Raises:
        PromptError: With file, line where known, and what is wanted.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PromptError(f"{path}: can't be read as UTF-8 text ({error})") from error
    parts = _FENCE.split(text, maxsplit=2)
    if len(parts) != 3 or parts[0].strip():
        raise PromptError(f"{path}:1: a prompt file begins with a YAML header between two '---'")
    header = _parse_header(path, parts[1])
    offset = text.count("\n", 0, len(text) - len(parts[2]))
    if not header.asks:
        return _parse_silent(path, header, text, parts[2])
    sections = _split_sections(path, parts[2], offset)
    steps, completion = _make_steps(path, sections)
    if completion is not None and header.completion is None:
        raise PromptError(f"{path}: has a completion body but no 'completion:' in its header")
    if completion is None and header.completion is not None:
        raise PromptError(f"{path}: has 'completion:' in its header but no '<!-- completion -->'")
    _check_schema(path, header.reply)
    prompt = PromptFile(path.stem, path, text_hash(text), header, steps, completion)
    _check_example(prompt)
    _check_attributes(prompt)
    return prompt


def _parse_silent(path: Path, header: PromptHeader, text: str, body: str) -> PromptFile:
    """Check a file that makes rows without asking."""
    if body.strip() or header.reply or header.completion or "for_each" in header.example:
        raise PromptError(
            f"{path}: `asks: false` makes each row of the passage alone, by `example`; take out "
            "the body, `reply`, `completion` and `for_each`, or the `asks: false`"
        )
    prompt = PromptFile(path.stem, path, text_hash(text), header, (), None)
    _check_example(prompt)
    _check_attributes(prompt)
    return prompt


def render(path: Path, template: str, values: Mapping[str, Any]) -> str:
    """Fill a template; strict (a missing name is an error) and sandboxed.

    Raises:
        PromptError: A name that isn't there, or an expression that fails.
    """
    try:
        return _ENVIRONMENT.from_string(template).render(values).strip()
    except _RENDER_ERRORS as error:
        names = ", ".join(sorted(values))
        where = at_template(path, template, error)
        raise PromptError(f"{where}: {error}; at hand are: {names}") from error


def fill_example(prompt: PromptFile, values: Mapping[str, Any]) -> Filled:
    """Make what an example says of a reply, by the header's `example`.

    Raises:
        PromptError: The template names something that the reply lacks.
    """
    shape = prompt.header.example
    if shape["kind"] == "text":
        return Filled(text=render(prompt.path, str(shape["text"]), values))
    messages = []
    for message in shape["messages"]:
        ((role, template),) = message.items()
        messages.append({"role": role, "content": render(prompt.path, template, values)})
    rejected = shape.get("rejected")
    return Filled(
        tuple(messages), rejected=render(prompt.path, rejected, values) if rejected else None
    )


def _parse_header(path: Path, text: str) -> PromptHeader:
    try:
        return PromptHeader.model_validate(yaml.safe_load(text) or {})
    except yaml.MarkedYAMLError as error:
        line = (error.problem_mark.line if error.problem_mark else 0) + 1
        raise PromptError(f"{path}:{line}: header is not YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise PromptError(f"{path}: header is not YAML: {error}") from error
    except ValidationError as error:
        raise PromptError("\n".join(_describe(path, f) for f in error.errors())) from error


def _describe(path: Path, fault: Any) -> str:
    place = tuple(fault["loc"])
    near = find_key(PromptHeader, place) if fault["type"] == "extra_forbidden" else None
    hint = f"; did you mean '{near}'?" if near else ""
    named = ".".join(map(str, place))
    return f"{at_key(path, *place)}: header: {named}: {fault['msg']}{hint}"


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
            _ENVIRONMENT.parse(text)
        except TemplateSyntaxError as error:
            start = match.end() + len(raw) - len(raw.lstrip("\n"))
            line = offset + body.count("\n", 0, start) + error.lineno
            raise PromptError(f"{path}:{line}: {error.message}") from error
        sections.append((match[1].replace(" ", ""), text))
    return sections


def _make_steps(
    path: Path, sections: Sequence[tuple[str, str]]
) -> tuple[tuple[Step, ...], str | None]:
    steps: list[Step] = []
    completion = None
    system: str | None = None
    for kind, text in sections:
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


def _check_attributes(prompt: PromptFile) -> None:
    """Refuse an attribute that nothing reads, or that hides what else is at hand."""
    header, completion = prompt.header, prompt.header.completion
    taken = _AT_HAND | {step.name for step in prompt.steps} | prompt.schema["properties"].keys()
    if completion:
        taken |= {
            *completion.fields,
            *completion.set,
            *(key for v in completion.variants for key in v),
        }
    read = prompt.reads(completion=False) | prompt.reads(completion=True)
    for name in header.attributes:
        if name in taken:
            where = at_key(prompt.path, "attributes", name)
            raise PromptError(f"{where}: attributes: {name!r} is the name of something else")
        if name not in read:
            where = at_key(prompt.path, "attributes", name)
            raise PromptError(
                f"{where}: attributes: {name!r} is read nowhere; write {{{{ {name} }}}} "
                "where it is to stand"
            )


def _check_schema(path: Path, reply: Mapping[str, Any]) -> None:
    from jsonschema import SchemaError
    from jsonschema.validators import validator_for

    try:
        schema = reply_schema(reply)
        validator_for(schema).check_schema(schema)
    except PromptError as error:
        raise PromptError(f"{at_key(path, 'reply')}: {error}") from error
    except SchemaError as error:
        where = at_key(path, "reply")
        raise PromptError(f"{where}: reply is no JSON Schema: {error.message}") from error


def _check_example(prompt: PromptFile) -> None:
    items = prompt.items
    templates = _example_templates(prompt.header.example)
    if not templates:
        raise PromptError(
            f"{at_key(prompt.path, 'example')}: example must be {{kind: text, text: ...}}, "
            "{kind: chat, messages: [{user: ...}, {assistant: ...}]} or the same of kind "
            "preference with `rejected: ...`, the worse last answer; and besides that at most "
            "`for_each`, the name of a list in the reply"
        )
    if items is not None:
        listed = prompt.schema["properties"].get(items)
        is_list = isinstance(listed, Mapping) and listed.get("type") == "array"
        if not is_list or not isinstance(listed.get("items"), Mapping):
            where = at_key(prompt.path, "example", "for_each")
            raise PromptError(
                f"{where}: example: for_each: {items!r} is no list in `reply`; write it as "
                f"`reply: {{{items}: [{{question: str, answer: str}}]}}`"
            )
    completion = prompt.header.completion
    if completion:
        templates += completion.set.values()
        missing = prompt.row_fields - {*completion.fields, *completion.set}
        if missing:
            names = ", ".join(sorted(missing))
            where = at_key(prompt.path, "completion")
            raise PromptError(f"{where}: completion gives no value for: {names}")
    for template in templates:
        try:
            _ENVIRONMENT.parse(template)
        except TemplateSyntaxError as error:
            where = at_template(prompt.path, template, error)
            raise PromptError(f"{where}: header: {error.message} in {template!r}") from error


def _example_templates(shape: Mapping[str, Any]) -> list[str]:
    """Return the templates of `example`; none where its shape is wrong."""
    match {name: value for name, value in shape.items() if name != "for_each"}:
        case {"kind": "text", "text": str(text), **rest} if not rest:
            return [text]
        case {"kind": "chat", "messages": [*messages], **rest} if not rest:
            return _message_templates(messages)
        case {
            "kind": "preference",
            "messages": [*messages],
            "rejected": str(rejected),
            **rest,
        } if not rest:
            templates = _message_templates(messages)
            answered = bool(templates) and "assistant" in messages[-1]
            return [*templates, rejected] if answered else []
    return []


def _message_templates(messages: Sequence[Any]) -> list[str]:
    pairs = [[*m.items()] if isinstance(m, dict) else [] for m in messages]
    good = all(
        len(pair) == 1 and pair[0][0] in _ROLES and isinstance(pair[0][1], str) for pair in pairs
    )
    return [pair[0][1] for pair in pairs] if good else []
