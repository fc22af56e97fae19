"""Prompt files: a YAML header and a Jinja body; a new kind of example is a new file."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from jinja2 import TemplateSyntaxError
from pydantic import ValidationError

from domainforge.config_faults import explain_value, find_key
from domainforge.errors import PromptError
from domainforge.files import shipped_folder
from domainforge.prompt_header import PromptHeader, reply_schema
from domainforge.prompt_judging import check_reply
from domainforge.prompt_lines import at_key, at_template
from domainforge.prompt_sections import Step, read_body
from domainforge.prompt_templates import check_expression, check_template, names_in, render
from domainforge.records import text_hash
from domainforge.reply_layout import Layout, find_layout

_FENCE = re.compile(r"^---[ \t]*$", re.MULTILINE)
_ROLES = ("system", "user", "assistant")
_AT_HAND = frozenset(
    (
        *("document", "chunk", "chunks", "unit", "sample"),
        *("span", "span_kind", "gapped", "focus", "fenced", "item"),
        *("entity", "other", "topic", "elsewhere", "example", "seeds"),
    )
)


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
        text: The whole file.
        steps: The chat form, in order; the last reply makes the example.
        completion: The few-shot body, or None.
    """

    name: str
    path: Path
    text: str
    header: PromptHeader
    steps: tuple[Step, ...]
    completion: str | None

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the file's text; in the lineage of every row."""
        return text_hash(self.text)

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
        templates = [*_example_templates(header.example), *self._condition]
        if completion and self.completion is not None and header.completion is not None:
            templates += [self.completion, *header.completion.set.values()]
        else:
            templates += [text for step in self.steps for text in (step.system or "", step.user)]
        return names_in(templates)

    @property
    def _condition(self) -> list[str]:
        keep_if = self.header.keep_if
        return [] if keep_if is None else [f"{{{{ {keep_if} }}}}"]

    @cached_property
    def layout(self) -> Layout | None:
        """Blocks of the reply's delimited form; None where only JSON can say it."""
        return find_layout(self.schema)

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
    steps, completion = read_body(path, parts[2], offset)
    if completion is not None and header.completion is None:
        raise PromptError(f"{path}: has a completion body but no 'completion:' in its header")
    if completion is None and header.completion is not None:
        raise PromptError(f"{path}: has 'completion:' in its header but no '<!-- completion -->'")
    _check_schema(path, header.reply)
    prompt = PromptFile(path.stem, path, text, header, steps, completion)
    _check_example(prompt)
    _check_reply_form(prompt)
    _check_keep_if(prompt)
    _check_attributes(prompt)
    return prompt


def _parse_silent(path: Path, header: PromptHeader, text: str, body: str) -> PromptFile:
    """Check a file that makes rows without asking."""
    asked = header.reply or header.completion or header.keep_if or "for_each" in header.example
    if body.strip() or asked:
        raise PromptError(
            f"{path}: `asks: false` makes each row of the passage alone, by `example`; take out "
            "the body, `reply`, `completion`, `keep_if` and `for_each`, or the `asks: false`"
        )
    prompt = PromptFile(path.stem, path, text, header, (), None)
    _check_example(prompt)
    _check_attributes(prompt)
    return prompt


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
    if fault["type"] == "extra_forbidden":
        near = find_key(PromptHeader, place)
        said = "unknown key" + (f"; did you mean '{near}'?" if near else "")
    elif fault["type"] == "missing":
        said = "missing"
    else:
        said = explain_value(fault, PromptHeader, secret=False)
    return f"{at_key(path, *place)}: header: {'.'.join(map(str, place))}: {said}"


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


def _check_reply_form(prompt: PromptFile) -> None:
    if prompt.header.reply_form == "delimited" and prompt.layout is None:
        raise PromptError(
            f"{at_key(prompt.path, 'reply_form')}: reply_form: `delimited` can't say this `reply`: "
            "it takes texts, numbers, true or false, objects of these, and lists without lists in "
            "them, all of them required; take it out, or write `json`"
        )


def _check_keep_if(prompt: PromptFile) -> None:
    """Refuse a condition that can't be read, or that names what no reply gives."""
    keep_if, completion = prompt.header.keep_if, prompt.header.completion
    if keep_if is None:
        return
    where = f"{at_key(prompt.path, 'keep_if')}: keep_if"
    try:
        check_expression(keep_if)
    except TemplateSyntaxError as error:
        advice = "write an expression without braces, such as: answer != 'no'"
        raise PromptError(f"{where}: {error.message}; {advice}") from error
    given = prompt.schema["properties"].keys() | {step.name for step in prompt.steps[:-1]}
    if completion:
        given &= {*completion.fields, *completion.set}
    at_hand = given | prompt.header.attributes.keys() | (_AT_HAND - {"item"})
    unknown = names_in(prompt._condition) - at_hand
    if unknown:
        forms = " in both forms of the prompt" if completion else ""
        raise PromptError(
            f"{where}: {min(unknown)!r} is not at hand{forms}; there are the fields of the reply "
            f"and the replies of earlier steps: {', '.join(sorted(given)) or 'none'}"
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
    items, judges = prompt.items, prompt.header.judges
    templates = _example_templates(prompt.header.example)
    if judges is not None:
        check_reply(prompt.path, judges, prompt.schema)
    elif not templates:
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
            check_template(template)
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
