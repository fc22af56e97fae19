from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from domainforge.context import Context
from domainforge.dosing import identify_dose
from domainforge.generation import recipes
from domainforge.teacher.config import TeacherConfig

PRICE = {"input_usd_per_million": 1.0, "output_usd_per_million": 2.0}


def make_context(**teacher: Any) -> Context:
    named = {"base_url": "http://127.0.0.1:9/v1", "model": "local-teacher"}
    return Context(
        seed=7,
        project=Path(),
        sources=(),
        teacher_config=TeacherConfig.model_validate({**named, **teacher}),
        student="embedded",
        exam_path=None,
        emit=lambda kind, fields: None,
    )


def test_a_recipe_that_another_version_changed_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    before = identify_dose("cheap", make_context())
    cheap = recipes.RECIPES["cheap"]
    for changed in (
        replace(cheap, tokens=cheap.tokens + 1),
        replace(cheap, chat=(replace(cheap.chat[0], share=0.9), *cheap.chat[1:])),
    ):
        monkeypatch.setattr("domainforge.dosing.RECIPES", {"cheap": changed})
        assert identify_dose("cheap", make_context()) != before


def test_caps_shape_a_plan_and_the_price_where_there_is_a_cap_in_dollars() -> None:
    dear = {**PRICE, "output_usd_per_million": 9.0}
    assert identify_dose("cheap", make_context(price=PRICE)) == identify_dose(
        "cheap", make_context(price=dear)
    )
    found = [
        identify_dose("cheap", make_context(price=price, budget=budget))
        for price, budget in (
            (PRICE, {}),
            (PRICE, {"max_tokens": 9}),
            (PRICE, {"max_usd": 9}),
            (dear, {"max_usd": 9}),
        )
    ]
    assert all(one not in found[:at] for at, one in enumerate(found))
