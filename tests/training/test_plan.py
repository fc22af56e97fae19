from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domainforge.errors import TrainingError
from domainforge.records import REPLAY
from domainforge.training.config import Mixture, TrainConfig
from domainforge.training.plan import Plan, fit_tokens, plan_training, spread_tokens
from domainforge.training.render import IGNORED, Rendered


def rendered(id: str, length: int, *, trained: bool = True) -> Rendered:
    ids = list(range(length))
    return Rendered(id, ids, ids if trained else [IGNORED] * length)


def make_plan(
    texts: int = 10,
    chats: int = 10,
    *,
    general: int = 0,
    preferences: int = 0,
    documents: float = 1,
    examples: float = 1,
    replay: float = 0,
    length: int = 20,
    max_tokens: int | None = None,
    **settings: float,
) -> Plan:
    kinds = ["text"] * texts + ["chat"] * chats + ["preference"] * preferences
    rows = [{"id": str(index), "kind": kind} for index, kind in enumerate(kinds)]
    rows += [{"id": f"r{n}", "kind": "chat", "prompt": REPLAY} for n in range(general)]
    config = TrainConfig(
        mixture=Mixture(documents=documents, examples=examples, replay=replay),
        **{"sequence_tokens": 40, **settings},
    )
    whole = [rendered(row["id"], length) for row in rows]
    return plan_training(rows, whole, config, 7, max_tokens=max_tokens)[0]


@pytest.mark.parametrize(
    ("documents", "examples", "texts", "chats"),
    [(1, 1, 10, 10), (2, 0.5, 20, 5), (2.3, 0, 23, 0), (0, 1, 0, 10), (0.25, 3, 2, 30)],
)
def test_each_kind_is_seen_as_often_as_the_mixture_says(
    documents: float, examples: float, texts: int, chats: int
) -> None:
    plan = make_plan(documents=documents, examples=examples)
    assert (plan.text_rows, plan.chat_rows) == (texts, chats)
    assert plan.tokens_per_epoch == (texts + chats) * 20
    assert plan.trained_per_epoch == (texts + chats) * 19


def test_a_fractional_repeat_takes_other_rows_with_another_seed() -> None:
    rows = [{"id": str(index), "kind": "text"} for index in range(40)]
    whole = [rendered(row["id"], 20) for row in rows]
    config = TrainConfig(mixture=Mixture(documents=0.5, replay=0))

    def taken(seed: int) -> set[str]:
        return {r.id for packed in plan_training(rows, whole, config, seed)[1] for r in packed}

    assert len(taken(1)) == 20
    assert taken(1) == taken(1) != taken(2)


@pytest.mark.parametrize(
    ("settings", "steps", "every"),
    [
        ({"epochs": 4}, 40, 5),
        ({"epochs": 2.55}, 26, 5),
        ({"epochs": 2, "sequences_per_step": 4}, 6, 1),
        ({"epochs": 1, "sequences_per_step": 99}, 1, 1),
    ],
)
def test_steps_and_checks(settings: dict[str, Any], steps: int, every: int) -> None:
    plan = make_plan(**settings)
    assert (plan.sequences, plan.steps, plan.check_every_steps) == (10, steps, every)


def test_rows_without_a_trained_token_are_named_and_left_out() -> None:
    rows = [{"id": "a", "kind": "chat"}, {"id": "b", "kind": "chat"}]
    whole = [rendered("a", 9, trained=False), rendered("b", 9)]
    plan, bins = plan_training(rows, whole, TrainConfig(mixture=Mixture(replay=0)), 7)
    assert plan.untrainable == ("a",)
    assert [[r.id for r in packed] for packed in bins] == [["b"]]


@pytest.mark.parametrize(
    "zero", [{"documents": 0, "examples": 0}, {"length": 1}, {"max_tokens": 3}]
)
def test_nothing_to_train_on_is_an_error(zero: dict[str, Any]) -> None:
    with pytest.raises(TrainingError, match="no row has a token to train on"):
        make_plan(**zero)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=20), st.integers(0, 2000), st.integers())
def test_a_dose_is_never_exceeded_and_missed_by_less_than_a_row(
    lengths: list[int], tokens: int, seed: int
) -> None:
    rows = [rendered(str(index), length) for index, length in enumerate(lengths)]
    taken = fit_tokens(rows, tokens, seed)
    total = sum(len(row.input_ids) for row in taken)
    assert total <= tokens
    assert tokens - total < min(lengths)
    if tokens >= 2 * sum(lengths):
        assert {row.id for row in taken} == {row.id for row in rows}


def test_a_dose_larger_than_the_rows_repeats_them() -> None:
    plan = make_plan(texts=3, chats=1, max_tokens=400)
    assert plan.tokens_per_epoch == 400
    assert plan.text_rows + plan.chat_rows == 20
    assert plan.chat_rows == 5


@pytest.mark.parametrize(
    ("share", "general", "seen"), [(0.2, 30, 5), (0.5, 30, 20), (0.75, 30, 60), (0, 30, 0)]
)
def test_general_rows_have_their_share_of_the_tokens(share: float, general: int, seen: int) -> None:
    plan = make_plan(general=general, replay=share)
    assert (plan.text_rows, plan.chat_rows, plan.replay_rows) == (10, 10, seen)
    assert plan.replay_tokens_per_epoch == seen * 20
    assert plan.replay_tokens_per_epoch == pytest.approx(share * plan.tokens_per_epoch)


def test_a_dose_holds_its_share_of_general_rows() -> None:
    plan = make_plan(texts=3, chats=1, general=4, replay=0.25, max_tokens=400)
    assert (plan.tokens_per_epoch, plan.replay_tokens_per_epoch) == (400, 100)
    assert plan.text_rows + plan.chat_rows == 15


def test_a_share_of_nothing_is_an_error() -> None:
    with pytest.raises(TrainingError, match=r"train\.mixture\.replay is 0\.1, but .*--from split"):
        make_plan(replay=0.1)


@given(st.lists(st.integers(1, 50), max_size=20), st.integers(0, 2000), st.integers())
def test_general_rows_repeat_only_where_they_are_too_few(
    lengths: list[int], tokens: int, seed: int
) -> None:
    rows = [rendered(str(index), length) for index, length in enumerate(lengths)]
    taken = spread_tokens(rows, tokens, seed)
    assert sum(len(row.input_ids) for row in taken) <= tokens
    counts = [sum(other is row for other in taken) for row in rows]
    whole = tokens // sum(lengths) if lengths else 0
    assert set(counts) <= {whole, whole + 1}
    left = [len(row.input_ids) for row, n in zip(rows, counts, strict=True) if n == whole]
    room = tokens - sum(len(row.input_ids) for row in taken)
    assert all(length > room for length in left)  # another row would not have fitted


def test_preferences_are_left_out_and_counted() -> None:
    plan = make_plan(preferences=3)
    assert (plan.text_rows, plan.chat_rows, plan.preference_rows) == (10, 10, 3)
    assert plan.untrainable == ()


def test_a_text_that_a_teacher_wrote_is_an_example() -> None:
    rows = [{"id": "d", "kind": "text", "prompt_hash": ""}]
    rows += [{"id": "t", "kind": "text", "prompt_hash": "ab"}]
    rendered = [Rendered(row["id"], [1, 2, 3], [1, 2, 3]) for row in rows]
    config = TrainConfig(mixture=Mixture(documents=3, examples=1, replay=0))
    plan, _ = plan_training(rows, rendered, config, 7)
    assert (plan.text_rows, plan.chat_rows) == (3, 1)
