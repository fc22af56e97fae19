from collections.abc import Callable
from typing import Any

import pytest

from domainforge.files import shipped_folder
from domainforge.generation.recipes import RECIPES, Need, RecipePlan, plan_recipe
from domainforge.generation.requests import count_steps
from domainforge.generation.units import Form, Task, plan_units
from domainforge.prompts import PromptFile, parse_prompt
from tests.generation.prompts import make_chunk

TEXT = (
    "The mill at Harrow Bend was built in 1742 by the carpenter Anselm Rook. "
    "Every Friday the bakers of Lund Square sell a dark loaf called brennick. "
    "The miller keeps two grey horses behind the house at Harrow Bend."
)


def find_prompt(name: str) -> PromptFile:
    return parse_prompt(shipped_folder("prompts") / f"{name}.md")


def corpus(count: int, tokens: int = 60) -> list[dict[str, Any]]:
    return [
        make_chunk(
            TEXT.replace("Harrow", f"Harrow{number}"),
            0,
            id=f"chunk-{number:04}",
            document_id=f"doc-{number}",
            uri=f"doc-{number:04}.md",
            title=f"House {number}",
            tokens=tokens,
        )
        for number in range(count)
    ]


def free(need: Need) -> tuple[float, float | None]:
    return 0.0, None


def plan(
    name: Any = "default",
    chunks: list[dict[str, Any]] | None = None,
    form: Form = "completion",
    afford: Callable[[Need], tuple[float, float | None]] = free,
) -> RecipePlan:
    chunks = corpus(6) if chunks is None else chunks
    sides = dict.fromkeys((chunk["id"] for chunk in chunks), "train")
    return plan_recipe(name, chunks, form, sides, find_prompt, afford)


@pytest.mark.parametrize("name", list(RECIPES))
@pytest.mark.parametrize("form", ["chat", "completion"])
def test_every_prompt_of_a_recipe_is_shipped_and_fits_its_form(name: Any, form: Form) -> None:
    for part in RECIPES[name].parts(form):
        prompt = find_prompt(part.prompt)
        if form == "completion" and prompt.header.asks:
            assert prompt.completion is not None, part.prompt


def test_a_large_corpus_gets_fewer_rows_for_each_token_than_a_small_one() -> None:
    recipe = RECIPES["default"]
    assert recipe.dose(10_000) == recipe.most
    assert recipe.dose(recipe.tokens) == recipe.least
    assert recipe.least < recipe.dose(recipe.tokens // 5) < recipe.most


def test_samples_follow_the_dose() -> None:
    small, rich = plan("default"), plan("rich")
    samples = {task.prompt: task.per_chunk for task in small.tasks}
    more = {task.prompt: task.per_chunk for task in rich.tasks}
    assert samples.keys() <= more.keys()
    assert all(more[name] >= number for name, number in samples.items())
    assert small.dose == pytest.approx(RECIPES["default"].most, rel=0.35)
    assert small.corpus_tokens == 360


@pytest.mark.parametrize("form", ["chat", "completion"])
def test_what_is_said_of_the_requests_is_what_is_planned(form: Form) -> None:
    chunks = corpus(6)
    found = plan("rich", chunks, form)
    tasks = [Task(find_prompt(task.prompt), task.per_chunk) for task in found.tasks]
    units = list(plan_units(chunks, tasks, form))
    assert found.need.requests == sum(count_steps(unit.prompt, form) for unit in units) > 0
    if form == "chat":  # pairs: twice the samples are not twice the pairs; abstain: two steps
        samples = {task.prompt: task.per_chunk for task in found.tasks}
        assert samples["multi_hop"] > 1
        assert {len(unit.prompt.steps) for unit in units} == {0, 1, 2}
    assert f"{found.need.requests:,} requests" in found.describe()


def test_a_cap_lowers_the_dose_and_says_so() -> None:
    whole = plan("rich")

    def afford(need: Need) -> tuple[float, float | None]:
        return need.requests / (whole.need.requests / 2), 1.5

    capped = plan("rich", afford=afford)
    assert capped.need.requests <= whole.need.requests / 2
    assert capped.dose < whole.dose
    lowered = f"lower that from {whole.dose:.1f} tokens to {capped.dose:.1f}."
    assert lowered in capped.describe()
    assert "$1.50" in capped.describe()


def test_where_the_least_is_too_much_prompts_are_left_out() -> None:
    least = plan("rich", afford=lambda need: (2.0 if need.requests > 30 else 0.1, None))
    asked = [task.prompt for task in least.tasks if find_prompt(task.prompt).header.asks]
    assert asked == ["qa"]
    assert "Left out for the caps: answer_first, rephrase." in least.describe()


def test_what_can_only_stop_at_the_cap_is_told() -> None:
    assert "likely to stop at a cap" in plan(afford=lambda need: (9.0, None)).describe()


def test_rows_that_cost_nothing_are_always_made() -> None:
    names = [task.prompt for task in plan("cheap", afford=lambda need: (9.0, None)).tasks]
    assert names == ["cloze", "not_said"]


def test_where_all_documents_are_chats_nothing_is_asked() -> None:
    chats = [chunk | {"messages": [{"role": "user", "content": "a"}]} for chunk in corpus(2)]
    found = plan("default", chats)
    assert (found.tasks, found.need.requests) == ((), 0)
    assert "nothing in these documents" in found.describe()


def test_one_document_has_no_other_to_be_asked_about() -> None:
    found = plan("cheap", corpus(1))
    assert [task.prompt for task in found.tasks] == ["cloze"]
    assert "Nothing in these documents for: not_said." in found.describe()
