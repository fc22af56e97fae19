from pathlib import Path
from typing import Any

import pytest

from domainforge.errors import PromptError
from domainforge.files import shipped_folder
from domainforge.prompt_check import try_prompt
from domainforge.prompts import (
    Filled,
    PromptFile,
    fill_example,
    load_prompt,
    parse_prompt,
    prompt_names,
    render,
    reply_schema,
)

HEADER = """version: 1
purpose: A question and its answer.
reply: {question: str, answer: str}
example: {kind: chat, messages: [{user: "{{ question }}"}, {assistant: "{{ answer }}"}]}
"""
BODY = """<!-- user -->
{{ fenced(chunk) }}
Ask one question.
"""
COMPLETION_HEADER = "completion: {fields: [question, answer]}\n"
COMPLETION_BODY = "<!-- completion -->\nText: {{ unit.text }}\nQuestion:\n"
SHIPPED = sorted(path.stem for path in shipped_folder("prompts").glob("*.md"))


def write(folder: Path, header: str = HEADER, body: str = BODY, name: str = "ask") -> Path:
    path = folder / "prompts" / f"{name}.md"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"---\n{header}---\n{body}", encoding="utf-8")
    return path


def parse(folder: Path, header: str = HEADER, body: str = BODY) -> PromptFile:
    return parse_prompt(write(folder, header, body))


def fault(folder: Path, header: str = HEADER, body: str = BODY) -> str:
    path = write(folder, header, body)
    with pytest.raises(PromptError) as seen:
        parse_prompt(path)
    message = str(seen.value)
    assert message.startswith(str(path))
    return message.removeprefix(str(path))


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_prompt_is_whole(name: str, tmp_path: Path) -> None:
    prompt = load_prompt(name, tmp_path)
    assert prompt.header.purpose
    assert prompt.header.source
    assert len(try_prompt(prompt)) >= 1 + prompt.header.asks


def test_there_is_a_shipped_prompt_to_test() -> None:
    assert "qa" in SHIPPED


def test_a_prompt_is_read(tmp_path: Path) -> None:
    prompt = parse(tmp_path, body=f"<!-- system -->\nBe brief.\n\n{BODY}")
    assert prompt.name == "ask"
    assert [(step.name, step.system) for step in prompt.steps] == [("reply", "Be brief.")]
    assert prompt.completion is None
    assert (prompt.header.temperature, prompt.header.max_tokens) == (0.7, 300)
    assert len(prompt.hash) == 64


def test_the_hash_follows_the_text(tmp_path: Path) -> None:
    first = parse(tmp_path).hash
    assert parse(tmp_path, body=BODY + "\nBriefly.\n").hash != first
    assert parse(tmp_path).hash == first


@pytest.mark.parametrize(
    ("reply", "properties"),
    [
        ({"question": "str"}, {"question": {"type": "string"}}),
        ({"year": "int", "share": "float"}, {"year": {"type": "integer"}, "share": None}),
        ({"tags": ["str"]}, {"tags": {"type": "array", "items": {"type": "string"}}}),
        ({"mood": {"type": "string", "enum": ["glad"]}}, {"mood": None}),
    ],
)
def test_the_short_form_of_a_schema(reply: dict[str, Any], properties: dict[str, Any]) -> None:
    schema = reply_schema(reply)
    assert schema["required"] == list(reply)
    assert schema["additionalProperties"] is False
    for name, wanted in properties.items():
        assert wanted is None or schema["properties"][name] == wanted


def test_the_short_form_nests() -> None:
    schema = reply_schema({"items": [{"question": "str", "hard": "bool"}]})
    item = schema["properties"]["items"]["items"]
    assert item["properties"] == {"question": {"type": "string"}, "hard": {"type": "boolean"}}
    assert item["required"] == ["question", "hard"]


def test_a_full_schema_passes_as_it_is() -> None:
    full = {"type": "object", "properties": {"a": {"type": "string"}}, "required": []}
    assert reply_schema(full) == full


def test_a_file_without_header(tmp_path: Path) -> None:
    path = tmp_path / "plain.md"
    path.write_text("Just text.\n")
    with pytest.raises(PromptError, match=r"plain\.md:1: .*begins with a YAML header"):
        parse_prompt(path)


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "latin.md"
    path.write_bytes("---\npurpose: M\xfchle\n---\n".encode("latin-1"))
    with pytest.raises(PromptError, match=r"latin\.md: can't be read as UTF-8 text"):
        parse_prompt(path)


@pytest.mark.parametrize("blank", ["", "\n", "\n\n"])
def test_broken_yaml_has_its_line(tmp_path: Path, blank: str) -> None:
    line = 3 + len(blank)
    assert fault(tmp_path, f"{blank}version: 1\npurpose: [a\n").startswith(f":{line + 1}: header")
    assert fault(tmp_path, f"{blank}version: 1\npurpose: a: b\n").startswith(f":{line}: header")


def test_a_control_character_in_the_header(tmp_path: Path) -> None:
    assert "header is not YAML" in fault(tmp_path, HEADER + "source: a\x07b\n")


HEADER_FAULTS = {
    "temprature: 0.1\n": "header: temprature: unknown key; did you mean 'temperature'?",
    "max_tokens: 0\n": "header: max_tokens: write a number of at least 1",
    "over: pages\n": "header: over: write 'chunk', ",
    "completion: {fields: [question, answer], variants: [{needs: '(' }]}\n": "needs: '('",
}


@pytest.mark.parametrize("more", list(HEADER_FAULTS))
def test_faults_of_the_header_are_named(tmp_path: Path, more: str) -> None:
    assert HEADER_FAULTS[more] in fault(tmp_path, HEADER + more, BODY + COMPLETION_BODY)


def test_all_faults_of_the_header_come_together(tmp_path: Path) -> None:
    message = fault(tmp_path, "version: zero\ntask: x\n")
    for name in ("version", "purpose", "reply", "example", "task"):
        assert f"header: {name}:" in message


def test_an_empty_header_names_what_is_missing(tmp_path: Path) -> None:
    assert "header: purpose: missing" in fault(tmp_path, "")


@pytest.mark.parametrize("reply", ["{year: date}", "{a: [str, str]}", "{a: 3}", "{a: {type: str}}"])
@pytest.mark.parametrize("kind", ["chat", "text"])
def test_an_unknown_type_in_the_reply(tmp_path: Path, reply: str, kind: str) -> None:
    example = "{kind: text, text: x}" if kind == "text" else "{kind: chat, messages: [{user: x}]}"
    header = f"version: 1\npurpose: p\nreply: {reply}\nexample: {example}\n"
    message = fault(tmp_path, header)
    assert "unknown type" in message or "no JSON Schema" in message


@pytest.mark.parametrize(
    "example",
    [
        "{kind: image}",
        "{kind: text}",
        "{kind: chat, messages: []}",
        "{kind: chat, messages: [user]}",
        "{kind: chat, messages: [{user: a, assistant: b}]}",
        "{kind: chat, messages: [{usr: a}]}",
        "{kind: chat, messages: [{user: 3}]}",
        "{kind: text, text: a, items: b}",
    ],
)
def test_an_example_of_another_shape(tmp_path: Path, example: str) -> None:
    header = f"version: 1\npurpose: p\nreply: {{a: str}}\nexample: {example}\n"
    assert "example must be {kind: text, text: ...}, {kind: chat" in fault(tmp_path, header)


@pytest.mark.parametrize(
    "reply",
    [
        "{a: str}",
        "{items: str}",
        "{items: {a: str}}",
        "{type: object, properties: {items: {type: array, items: true}}}",
        "{type: object, properties: {items: {items: {type: string}}}}",
    ],
)
def test_rows_are_made_of_a_list_only(tmp_path: Path, reply: str) -> None:
    example = "{kind: text, text: a, for_each: items}"
    header = f"version: 1\npurpose: p\nreply: {reply}\nexample: {example}\n"
    assert "for_each: 'items' is no list in `reply`" in fault(tmp_path, header)
    assert "is no list in `reply`" in fault(tmp_path, header.replace("each: items", "each: [a]"))


def test_a_broken_template_in_the_header(tmp_path: Path) -> None:
    header = "version: 1\npurpose: p\nreply: {a: str}\nexample: {kind: text, text: '{{ a'}\n"
    assert "in '{{ a'" in fault(tmp_path, header)


@pytest.mark.parametrize(
    "fields",
    [
        "reply: {a: str}\nexample: {kind: text, text: a}",
        "example: {kind: text, text: a, for_each: b}",
        "example: {kind: text, text: a}\ncompletion: {fields: [a]}",
    ],
)
def test_what_asks_nothing_has_nothing_to_ask_with(tmp_path: Path, fields: str) -> None:
    header = f"version: 1\npurpose: p\nasks: false\n{fields}\n"
    assert "`asks: false` makes each row of the passage alone" in fault(tmp_path, header, body="")


def test_what_asks_needs_a_reply(tmp_path: Path) -> None:
    header = "version: 1\npurpose: p\nexample: {kind: text, text: a}\n"
    assert "header: reply: say what the teacher replies, or `asks: false`" in fault(
        tmp_path, header
    )


def test_a_missing_section(tmp_path: Path) -> None:
    lines = HEADER.count("\n") + 3
    assert fault(tmp_path, body="Ask.\n").startswith(
        f":{lines - 1}: the body needs '<!-- user -->'"
    )
    assert "has no '<!-- user -->' section" in fault(tmp_path, body="<!-- system -->\nBe brief.\n")


def test_text_outside_of_any_section_is_not_passed_over(tmp_path: Path) -> None:
    line = HEADER.count("\n") + 4
    message = fault(tmp_path, body=f"\n<!-- usr -->\nText.\n{BODY}")
    assert message.startswith(f":{line}: this text stands in no section")


def test_two_steps_of_one_name(tmp_path: Path) -> None:
    body = f"{BODY}<!-- step: check -->\nA\n<!-- step: check -->\nB\n"
    assert "two steps are named 'check'" in fault(tmp_path, body=body)


@pytest.mark.parametrize("blank", ["", "\n\n"])
def test_a_broken_template_has_its_line(tmp_path: Path, blank: str) -> None:
    body = f"<!-- system -->\nBe brief.\n\n<!-- user -->\n{blank}One\n{{{{ unit.text }}\n"
    line = HEADER.count("\n") + 2 + 6 + len(blank)
    assert fault(tmp_path, body=body).startswith(f":{line}: ")


def test_completion_needs_its_header_and_its_body(tmp_path: Path) -> None:
    assert "no 'completion:' in its header" in fault(tmp_path, body=BODY + COMPLETION_BODY)
    assert "but no '<!-- completion -->'" in fault(tmp_path, HEADER + COMPLETION_HEADER)
    whole = parse(tmp_path, HEADER + COMPLETION_HEADER, BODY + COMPLETION_BODY)
    assert whole.completion is not None
    assert whole.completion.endswith("Question:")


def test_completion_must_fill_every_field(tmp_path: Path) -> None:
    header = HEADER.replace("answer: str", "answer: str, quote: str, year: str")
    message = fault(tmp_path, header + COMPLETION_HEADER, BODY + COMPLETION_BODY)
    assert "completion gives no value for: quote, year" in message
    given = "completion: {fields: [question, answer], set: {quote: q, year: y}}\n"
    assert parse(tmp_path, header + given, BODY + COMPLETION_BODY)


def test_variants_are_taken_in_turn_and_by_need(tmp_path: Path) -> None:
    variants = "variants: [{start: Who}, {start: When, needs: '\\d{4}'}, {start: What}]"
    header = f"{HEADER}completion: {{fields: [question, answer], {variants}}}\n"
    completion = parse(tmp_path, header, BODY + COMPLETION_BODY).header.completion
    assert completion is not None
    without = [completion.variant("The mill is old.", sample) for sample in range(3)]
    assert without == [{"start": "Who"}, {"start": "What"}, None]
    dated = [completion.variant("Built in 1742.", sample) for sample in range(4)]
    assert dated == [{"start": "Who"}, {"start": "When"}, {"start": "What"}, None]


def test_a_single_variant_serves_every_sample(tmp_path: Path) -> None:
    header = HEADER + COMPLETION_HEADER
    completion = parse(tmp_path, header, BODY + COMPLETION_BODY).header.completion
    assert completion is not None
    assert [completion.variant("x", sample) for sample in (0, 7)] == [{}, {}]


def test_an_undefined_name_lists_what_is_at_hand() -> None:
    with pytest.raises(PromptError, match="'chnk' is undefined; at hand are: chunk, document"):
        render(Path("ask.md"), "{{ chnk }}", {"document": 1, "chunk": 2})
    with pytest.raises(PromptError, match=r"^ask\.md: .*no attribute 'titel'"):
        render(Path("ask.md"), "{{ document.titel }}", {"document": {"title": "x"}})


@pytest.mark.parametrize(
    "template", ["{{ 1 / 0 }}", "{{ 'a' + 1 }}", "{{ [].pop() }}", "{{ range(10 ** 9) }}"]
)
def test_an_expression_that_fails_is_told(template: str) -> None:
    with pytest.raises(PromptError, match=r"^ask\.md: "):
        render(Path("ask.md"), template, {})


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ fenced.__globals__ }}",
        "{{ ''.__class__.__base__.__subclasses__() }}",
        "{{ names.append('x') }}",
        "{% include 'secret' %}",
        "{{ self.__init__.__globals__ }}",
    ],
)
def test_templates_are_sandboxed(template: str) -> None:
    with pytest.raises(PromptError):
        render(Path("ask.md"), template, {"fenced": lambda of: of, "names": ["a"]})


def test_a_reply_becomes_messages(tmp_path: Path) -> None:
    prompt = parse(tmp_path)
    made = fill_example(prompt, {"question": "Who?", "answer": "Rook. {{ 1 }}"})
    assert made == Filled(
        (
            {"role": "user", "content": "Who?"},
            {"role": "assistant", "content": "Rook. {{ 1 }}"},
        )
    )


def test_a_preference_has_a_worse_answer(tmp_path: Path) -> None:
    header = (
        "version: 1\npurpose: p\nreply: {a: str, b: str}\nexample: {kind: preference, "
        "messages: [{user: Ask}, {assistant: '{{ a }}'}], rejected: '{{ b }}'}\n"
    )
    made = fill_example(parse(tmp_path, header), {"a": "Rook.", "b": "Ruck."})
    assert (made.messages[-1]["content"], made.rejected) == ("Rook.", "Ruck.")


@pytest.mark.parametrize("last", ["{user: a}", "{assistant: a}, {user: b}"])
def test_a_preference_ends_in_an_answer(tmp_path: Path, last: str) -> None:
    header = (
        "version: 1\npurpose: p\nreply: {a: str}\n"
        f"example: {{kind: preference, messages: [{last}], rejected: '{{{{ a }}}}'}}\n"
    )
    with pytest.raises(PromptError, match="example must be"):
        parse(tmp_path, header)


def test_a_reply_becomes_a_text(tmp_path: Path) -> None:
    header = "version: 1\npurpose: p\nreply: {a: str}\nexample: {kind: text, text: '> {{ a }}'}\n"
    assert fill_example(parse(tmp_path, header), {"a": "said"}) == Filled(text="> said")


def test_the_projects_own_prompt_wins(tmp_path: Path) -> None:
    shipped = load_prompt("qa", tmp_path)
    own = write(tmp_path, name="qa")
    assert load_prompt("qa", tmp_path).path == own
    assert load_prompt("qa.md", tmp_path).path == own
    assert load_prompt("qa", tmp_path).hash != shipped.hash


def test_a_prompt_by_path(tmp_path: Path) -> None:
    path = write(tmp_path).rename(tmp_path / "elsewhere.md")
    assert load_prompt("elsewhere.md", tmp_path).path == path


def test_an_unknown_prompt_lists_those_that_are_there(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "prompts" / "README.md").write_text("About these prompts.\n")
    assert prompt_names(tmp_path) == {"ask", *SHIPPED}
    with pytest.raises(PromptError, match=r"no prompt 'qu' in .*there are: .*ask, .*qa"):
        load_prompt("qu", tmp_path)
