from pathlib import Path

import pytest

from domainforge.errors import PromptError
from domainforge.prompt_check import try_prompt
from domainforge.prompt_lines import at_key
from domainforge.prompts import load_prompt, parse_prompt

WHOLE = """---
version: 1
purpose: A question and its answer.
reply: {question: str, answer: str}
example:
  kind: chat
  messages:
    - {user: "{{ question }}"}
    - {assistant: "{{ answer }}"}
attributes:
  tone: [dry, warm]
---
<!-- system -->
Be {{ tone }}.

<!-- user -->
{{ fenced(chunk) }}
Ask one
question about {{ document.title }}.
"""


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("version: 1", "version: none", 2, "header: version"),
        ("purpose: A", "purpse: A", 3, "did you mean 'purpose'?"),
        ("{question: str", "{question: text", 4, "unknown type 'text'"),
        ("  kind: chat", "  kind: card", 5, "example must be"),
        ("[dry, warm]", "{dry: -1}", 11, "header: attributes.tone.dry"),
        ("Be {{ tone }}.", "Be dry.", 11, "'tone' is read nowhere"),
        ("{{ answer }}", "{{ anwser }}", 9, "'anwser' is undefined"),
        ("{{ answer }}", "{{ answer", 9, "unexpected end of template"),
        ("Ask one\nquestion about {{ doc", "Ask one\nquestion about {{ dock", 19, "undefined"),
        ("Ask one", "Ask {{ 1 / 0 }}", 18, "division by zero"),
        ("Ask one", "Ask {% one %}", 18, "unknown tag 'one'"),
    ],
)
@pytest.mark.parametrize("blank", ["", "\n\n"])
def test_a_fault_has_its_line(
    tmp_path: Path, old: str, new: str, line: int, message: str, blank: str
) -> None:
    path = tmp_path / "ask.md"
    path.write_text(blank + WHOLE.replace(old, new))
    with pytest.raises(PromptError) as caught:
        try_prompt(parse_prompt(path))
    faults = [each for each in str(caught.value).splitlines() if message in each]
    assert [each.partition(": ")[0] for each in faults] == [f"{path}:{line + len(blank)}"]


def test_a_folded_template_is_found_by_the_line_that_failed(tmp_path: Path) -> None:
    folded = "    - assistant: |\n        So\n        it {{ anwser }}\n"
    path = tmp_path / "ask.md"
    path.write_text(WHOLE.replace('    - {assistant: "{{ answer }}"}\n', folded))
    with pytest.raises(PromptError, match=r"ask\.md:11: 'anwser' is undefined"):
        try_prompt(parse_prompt(path))


def test_what_has_no_place_has_no_line(tmp_path: Path) -> None:
    assert at_key(tmp_path / "gone.md", "purpose") == str(tmp_path / "gone.md")
    path = tmp_path / "ask.md"
    path.write_text(WHOLE.replace("version: 1\n", "version: 1\nover: page\n"))
    assert at_key(path, "completion", "set") == f"{path}:1"


def test_a_name_typed_wrong_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match=r"no prompt 'rephrse' .*; did you mean 'rephrase'"):
        load_prompt("rephrse", tmp_path)
