from pathlib import Path

import pytest

from domainforge.errors import PromptError
from domainforge.prompt_check import try_prompt
from domainforge.prompts import load_prompt, parse_prompt, prompt_names

STEPS = """---
version: 1
purpose: Two steps.
reply: {answer: str, tags: [str], count: int}
example:
  kind: chat
  messages: [{user: "{{ chunk.text }}"}, {assistant: "{{ answer }} {{ tags[0] }}"}]
---
<!-- user -->
Ask about {{ fenced(chunk) }}
<!-- step: check -->
You said: {{ reply }}. Is it so?
"""


def test_every_shipped_prompt_is_good(tmp_path: Path) -> None:
    names = prompt_names(tmp_path)
    assert "qa" in names
    for name in names:
        samples = try_prompt(load_prompt(name, tmp_path))
        assert all(sample.text for sample in samples)


def test_steps_see_the_earlier_replies(tmp_path: Path) -> None:
    path = tmp_path / "steps.md"
    path.write_text(STEPS)
    titles = {sample.title: sample.text for sample in try_prompt(parse_prompt(path))}
    assert list(titles) == [
        "chat, step reply",
        "chat, step check",
        "the example that a reply becomes",
    ]
    assert "You said: (the reply of step reply)." in titles["chat, step check"]
    assert titles["the example that a reply becomes"].endswith("assistant: (answer) (tags)")


def test_examples_and_checks_see_the_earlier_replies_too(tmp_path: Path) -> None:
    path = tmp_path / "steps.md"
    text = STEPS.replace("{{ answer }}", "{{ reply }}")
    path.write_text(text.replace("version: 1", "version: 1\nkeep_if: count > 3 and 'a' in reply"))
    assert try_prompt(parse_prompt(path))[-1].text.endswith("(the reply of step reply) (tags)")
    path.write_text(text.replace("version: 1", "version: 1\nkeep_if: count > answer"))
    with pytest.raises(PromptError, match=r"steps.md:3: '>' not supported"):
        try_prompt(parse_prompt(path))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{{ fenced(chunk) }}", "{{ chunk.txt }}", "has no attribute 'txt'"),
        ("{{ reply }}", "{{ replly }}", "'replly' is undefined"),
        ("{{ answer }} ", "{{ anser }} ", "'anser' is undefined"),
    ],
)
def test_a_name_that_is_not_at_hand_is_found(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = tmp_path / "bad.md"
    path.write_text(STEPS.replace(old, new))
    with pytest.raises(PromptError, match=message) as caught:
        try_prompt(parse_prompt(path))
    assert str(path) in str(caught.value)
