"""What a recipe comes to under the teacher's price and caps."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import astuple
from typing import Any

from domainforge.context import Context
from domainforge.generation.recipes import (
    RECIPES,
    Need,
    RecipeName,
    RecipePlan,
    plan_recipe,
)
from domainforge.teacher.config import TeacherConfig
from domainforge.teacher.prices import NANO, Price, teacher_price
from domainforge.teacher.request import Usage


def plan_dose(
    name: RecipeName,
    chunks: Sequence[Mapping[str, Any]],
    sides: Mapping[str, str],
    context: Context,
    without: Collection[str] = (),
) -> RecipePlan:
    """Plan a recipe for these documents, within `teacher.budget` as far as a price is known.

    A cap on hours can't be planned with: how fast a teacher is shows only when it is asked.

    Args:
        name: Of the recipe.
        chunks: Rows of the chunks table, in the order of uri and start.
        sides: Side of each chunk.
        context: Has the prompts, the teacher and its caps.
        without: Prompts that are asked besides, and not by the recipe.

    Raises:
        PromptError: A prompt of the recipe can't be used.
        ConfigError: There is a cap in dollars, and the price is unknown.
    """
    config = context.teacher_config
    price, budget = _price(config), config.budget

    def afford(need: Need) -> tuple[float, float | None]:
        usage = Usage(need.prompt_tokens, need.completion_tokens)
        share, usd = 0.0, None
        if price.known:
            each = _each(usage, need.requests)
            usd = price.actual(each).nano_usd * need.requests / NANO
            if budget.max_usd is not None:
                share = usd / budget.max_usd
        if budget.max_tokens is not None:
            share = max(share, (usage.prompt_tokens + usage.completion_tokens) / budget.max_tokens)
        return share, usd

    form = config.resolved_form
    return plan_recipe(name, chunks, form, sides, context.prompt, afford, without)


def identify_dose(name: RecipeName, context: Context) -> dict[str, Any]:
    """Return what shapes a recipe's plan besides documents and prompts, for fingerprints.

    The price does so only where there is a cap in dollars.
    """
    config, recipe = context.teacher_config, RECIPES[name]
    budget = config.budget
    identity: dict[str, Any] = {
        "dose": [recipe.least, recipe.most, recipe.tokens],
        "parts": [astuple(part) for part in recipe.parts(config.resolved_form)],
        "max_usd": budget.max_usd,
        "max_tokens": budget.max_tokens,
    }
    if budget.max_usd is not None:
        price = _price(config)
        identity["price"] = [str(price.request_nano_usd), *map(str, price.tiers)]
    return identity


def _price(config: TeacherConfig) -> Price:
    price = teacher_price(config)
    return price.for_batch() if config.batch else price


def _each(usage: Usage, requests: int) -> Usage:
    """Return what one request of so many takes; prices go by the length of each prompt."""
    count = max(1, requests)
    return Usage(-(-usage.prompt_tokens // count), -(-usage.completion_tokens // count))
