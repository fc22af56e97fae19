import itertools
from collections import Counter
from pathlib import Path

import pytest

from domainforge.errors import PromptError
from domainforge.generation.attributes import draw_attributes
from domainforge.generation.requests import make_request
from domainforge.generation.units import Task, plan_units
from tests.generation.prompts import QA, fence, make_chunk, make_prompt

SHARES = {
    "audience": {"children": 1.0, "experts": 2.0, "nobody": 0.0},
    "tone": {"dry": 1, "warm": 1},
}
WITH = QA.replace(
    "temperature: 0.5", "attributes: {audience: {children: 1, experts: 2}, tone: [dry, warm]}"
).replace("You write questions.", "You write for {{ audience }} in a {{ tone }} tone.")


def test_shares_hold_within_a_place_and_over_places() -> None:
    one = Counter(draw_attributes(SHARES, "place", n)["audience"] for n in range(30))
    assert 8 <= one["children"] <= 12
    assert one["nobody"] == 0
    first = Counter(draw_attributes(SHARES, str(n), 0)["audience"] for n in range(3000))
    assert 900 < first["children"] < 1100


def test_attributes_vary_independently() -> None:
    """Every combination comes in its turn, also with few samples of each of many places."""
    drawn = [
        draw_attributes(SHARES, f"p{p}", n) for p, n in itertools.product(range(200), range(4))
    ]
    pairs = Counter((each["audience"], each["tone"]) for each in drawn)
    assert set(pairs) == set(itertools.product(("children", "experts"), ("dry", "warm")))
    assert pairs["children", "dry"] == pytest.approx(800 / 6, rel=0.2)
    assert pairs["experts", "warm"] == pytest.approx(800 / 3, rel=0.2)


def test_more_samples_keep_those_that_were_there() -> None:
    many = [draw_attributes(SHARES, "place", n) for n in range(8)]
    assert many[:3] == [draw_attributes(SHARES, "place", n) for n in range(3)]
    assert len({each["audience"] for each in many[:4]}) == 2


def test_what_is_drawn_stands_in_the_request_and_a_task_may_change_the_shares(
    tmp_path: Path,
) -> None:
    prompt = make_prompt(tmp_path, WITH)
    units = list(plan_units([make_chunk()], [Task(prompt, 6)], "chat"))
    for unit in units:
        request = make_request(unit, "chat", 0, {}, fence)
        told = "You write for {audience} in a {tone} tone.".format(**unit.attributes)
        assert request.messages[0]["content"] == told
    only = Task(prompt, 6, {"audience": {"children": 1.0}})
    drawn = [unit.attributes for unit in plan_units([make_chunk()], [only], "chat")]
    assert {each["audience"] for each in drawn} == {"children"}
    assert [each["tone"] for each in drawn] == [unit.attributes["tone"] for unit in units]


def test_what_a_form_does_not_read_is_not_drawn_for_its_rows(tmp_path: Path) -> None:
    read = WITH.replace("Text: {{ unit.text }}", "In a {{ tone }} tone.\nText: {{ unit.text }}")
    for text, names in ((WITH, set()), (read, {"tone"})):
        task = Task(make_prompt(tmp_path, text), 1)
        (unit,) = itertools.islice(plan_units([make_chunk()], [task], "completion"), 1)
        assert unit.attributes.keys() == names


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        ("{audience: [], tone: [a]}", "audience: needs a value whose share is above 0"),
        ("{audience: {a: 0}, tone: [a]}", "audience: needs a value whose share is above 0"),
        ("{audience: {a: -1, b: 2}, tone: [a]}", "audience.a: write a number of at least 0"),
        ("{audience: {a: .inf}, tone: [a]}", "audience.a: write a finite number"),
        ("{audience: {a: much}, tone: [a]}", "attributes"),
        ("{audience: [a], tone: [a], style: [b]}", "'style' is read nowhere"),
        ("{audience: [a], tone: [a], chunk: [b]}", "'chunk' is the name of something else"),
        ("{audience: [a], tone: [a], question: [b]}", "'question' is the name of something else"),
        ("{audience: [a], tone: [a], start: [b]}", "'start' is the name of something else"),
    ],
)
def test_attributes_that_cannot_be(tmp_path: Path, attributes: str, told: str) -> None:
    text = WITH.replace("{audience: {children: 1, experts: 2}, tone: [dry, warm]}", attributes)
    with pytest.raises(PromptError) as caught:
        make_prompt(tmp_path, text)
    assert told in str(caught.value)
