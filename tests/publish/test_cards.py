from pathlib import Path
from typing import Any

import pytest
import yaml

from domainforge.publish.cards import (
    EMBEDDED_BASE,
    Facts,
    base_name,
    dataset_card,
    model_card,
    teacher_name,
)

FACTS: dict[str, Any] = {
    "name": "quickstart",
    "base": "org/base-1b",
    "teacher": "teacher-7b",
    "prompts": {"qa": "0123"},
    "makers": frozenset({("chat", "teacher")}),
    "rows": {"train chat": 3},
    "documents": {"total": 4, "held_out": 1},
    "recipe": {"method": "lora", "epochs": 4.0, "learning_rate": 5e-4},
    "figures": {"tokens": 1234, "best_step": 9},
    "scores": {"verdict": "not_shown", "sentence": "not shown: too few.", "metrics": []},
    "hashes": {"split": "f" * 64},
    "versions": {"python": "3.11"},
}


def header(card: str) -> dict[str, Any]:
    return dict(yaml.safe_load(card.split("---\n", 2)[1]))


@pytest.mark.parametrize(
    ("student", "name"),
    [
        ("embedded", EMBEDDED_BASE),
        ("org/base-1b", "org/base-1b"),
        ("students/mine", "mine"),
        ("./students/mine", "mine"),
        ("{project}/students/mine", "mine"),
        ("/home/someone/models/secret", "secret"),
        ("~/models/mine", "mine"),
        ("a/deeper/place", "place"),
        ("mine", "mine"),
        ("..", "{parent}"),
    ],
)
def test_a_base_is_named_without_its_place(tmp_path: Path, student: str, name: str) -> None:
    (tmp_path / "students" / "mine").mkdir(parents=True)
    found = base_name(student.format(project=tmp_path), tmp_path)
    assert found == name.format(parent=tmp_path.parent.name)


@pytest.mark.parametrize(
    ("identity", "name"),
    [
        ("https://api.example.org:443/v1|gpt-x", "gpt-x"),
        ("http://10.1.2.3:8000/v1|/srv/models/teacher-7b", "teacher-7b"),
        ("group|org/teacher-7b", "org/teacher-7b"),
        ("sha256:" + "ab" * 32, f"{EMBEDDED_BASE} (sha256:abababababababab)"),
    ],
)
def test_a_teacher_is_named_without_its_address(identity: str, name: str) -> None:
    assert teacher_name(identity) == name


@pytest.mark.parametrize("base", ["org/base-1b", "mine"])
def test_a_base_on_the_hub_is_linked(base: str) -> None:
    card = model_card(Facts(**{**FACTS, "base": base}))
    assert header(card).get("base_model") == (base if "/" in base else None)
    assert "Nothing was measured: no exam was given." in card
    assert "best step 9" in card


def test_an_interval_of_too_few_questions() -> None:
    metric = {
        "name": "contrast",
        "slice": "one_passage",
        "line": "student",
        "value": 1.0,
        "base": 0.5,
        "gain": 0.5,
        "low": None,
        "high": None,
        "questions": 3,
        "documents": 1,
    }
    scores = {**FACTS["scores"], "metrics": [metric]}
    card = model_card(Facts(**{**FACTS, "scores": scores}))
    assert "| one_passage | student against base | contrast |" in card
    assert "| +0.500 | too few | 3 |" in card


def test_a_dataset_card_lists_each_file() -> None:
    card = dataset_card(Facts(**FACTS), {"chat": ["train", "test"]})
    assert header(card)["configs"] == [
        {
            "config_name": "chat",
            "data_files": [
                {"split": "train", "path": "chat/train.parquet"},
                {"split": "test", "path": "chat/test.parquet"},
            ],
        }
    ]


def test_cards_credit_a_teacher_only_with_what_it_wrote() -> None:
    made = {("chat", "none"), ("chat", "given"), ("text", "teacher")}
    facts = Facts(**{**FACTS, "makers": frozenset(made)})
    model, dataset = model_card(facts), dataset_card(facts, {})
    for card in (model, dataset):
        assert "questions that a teacher" not in card
        assert "chats that were found as they are" in card
    assert "questions made of them without a teacher" in model
    assert "the passages themselves and texts that a teacher model wrote about passages." in dataset
