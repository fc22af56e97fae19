import json
from pathlib import Path

import pytest
from jinja2 import TemplateSyntaxError

from domainforge.errors import PromptError
from domainforge.prompt_templates import check_template, render

HERE = Path("prompt.md")


def test_values_are_written_as_json_that_people_read() -> None:
    said = render(HERE, "{{ found | json }}", {"found": [{"name": "Orla & Söhne's <b>"}]})
    assert said == '[{"name": "Orla & Söhne\'s <b>"}]'
    assert json.loads(said)


def test_a_filter_that_is_not_there_is_a_fault_of_the_file() -> None:
    with pytest.raises(TemplateSyntaxError, match="No filter named 'shout'"):
        check_template("one\n{{ found | shout }}")


@pytest.mark.parametrize(
    "template",
    [
        "{{ found | dictsort }}",
        "{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}",
        "{{ 'a' * (10 ** 14) }}",
        "{{ found.__class__ }}",
        "{{ 10 ** 9000 }}",
    ],
)
def test_whatever_fails_in_a_template_is_a_fault_of_the_file(template: str) -> None:
    with pytest.raises(PromptError, match=r"prompt\.md: .+; at hand are: found"):
        render(HERE, template, {"found": "x"})
