"""Listed prices, out of the table that comes with the `genai-prices` library.

The library is asked for nothing but its bundled table: it goes to the network only for those who
start its updater.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

from domainforge.teacher.prices import NANO, Price, Rates, dearest, token_rate

_KEYS = ("input_mtok", "cache_read_mtok", "cache_write_mtok", "output_mtok")
_BATCH = {"processing": "batch"}
# LangChain's names of providers that charge the same everywhere, and the table's.
_PROVIDERS = {
    "anthropic": "anthropic",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "google_genai": "google",
    "groq": "groq",
    "mistralai": "mistral",
    "openai": "openai",
    "xai": "x-ai",
}


def listed_price(base_url: str, model: str) -> Price | None:
    """Return the listed price of a model at a provider's address, or None.

    Args:
        base_url: The address, or `langchain:PROVIDER:MODEL`.
        model: Name of the model; the address may have it too.
    """
    import genai_prices

    usage = genai_prices.Usage(input_tokens=1, output_tokens=1)
    is_named = base_url.startswith("langchain:")
    try:
        if is_named:
            provider, _, model = base_url.removeprefix("langchain:").partition(":")
            found = genai_prices.calc_price(usage, model, provider_id=_PROVIDERS[provider])
        else:
            found = genai_prices.calc_price(usage, model, provider_api_url=base_url)
    except (LookupError, ValueError):  # no such provider or model; one that has no tokens
        return None
    if not is_named and not _is_address_of(base_url, found.provider.api_pattern):
        return None
    standing = _standing_prices(found.model)
    if any(prices.input_mtok is None or prices.output_mtok is None for prices in standing):
        return None
    unasked = "claude" not in found.model.id
    has_batch = any(variant.when == _BATCH for variant in found.model.price_variants or ())
    batch = [found.model.get_prices(datetime.now(UTC), _BATCH)] if has_batch else None
    per_request = max(Fraction(prices.requests_kcount or 0) for prices in standing)
    return Price(
        source=f"genai-prices {genai_prices.__version__}, {found.provider.id}/{found.model.id}",
        date=_newest_date(),
        tiers=_tiers(standing, cache_writes=unasked),
        batch=_tiers(batch, cache_writes=unasked) if batch else None,
        request_nano_usd=per_request * NANO / 1000,
    )


def _standing_prices(model: Any) -> list[Any]:
    """Return the prices that hold today; several where they change with the time of day."""
    from genai_prices.types import ModelPrice, TimeOfDateConstraint

    if isinstance(model.prices, ModelPrice):
        return [model.prices]
    now = datetime.now(UTC)
    standing = []
    # The library takes the last one that applies.
    for entry in reversed(model.prices):
        if isinstance(entry.constraint, TimeOfDateConstraint):
            standing.append(entry.prices)
        elif entry.constraint is None or entry.constraint.active(now):
            return [*standing, entry.prices]
    return standing or [model.prices[0].prices]


def _tiers(standing: Iterable[Any], *, cache_writes: bool) -> tuple[Rates, ...]:
    """Return the rates by length of the prompt, the dearest where several prices stand.

    Args:
        standing: Prices as the library has them.
        cache_writes: Prompts may be written to a cache, and billed for it, without being asked to
            (Anthropic's are not); a prompt then counts at that price.
    """
    prices = list(standing)
    starts = {tier.start for price in prices for key in _KEYS for tier in _steps(price, key)}
    tiers = []
    for start in (-1, *sorted(starts)):
        each = []
        for price in prices:
            input_rate = _rate(price, "input_mtok", start) or Fraction(0)
            cached = _rate(price, "cache_read_mtok", start)
            write = _rate(price, "cache_write_mtok", start) if cache_writes else None
            output = _rate(price, "output_mtok", start) or Fraction(0)
            fresh = max(input_rate, write or input_rate)
            each.append(Rates(fresh, input_rate if cached is None else cached, output, start))
        tiers.append(dearest(each))
    return tuple(tiers)


def _steps(price: Any, key: str) -> list[Any]:
    return list(getattr(getattr(price, key), "tiers", ()))


def _rate(price: Any, key: str, start: int) -> Fraction | None:
    value = getattr(price, key)
    if value is None:
        return None
    usd = getattr(value, "base", value)
    for tier in _steps(price, key):
        if tier.start <= start:
            usd = tier.price
    return token_rate(usd)


def _is_address_of(base_url: str, pattern: str) -> bool:
    """Tell whether a provider's pattern names the whole host, not how another one begins."""
    match = re.match(pattern, base_url)
    if match is None:
        return False
    rest = base_url[match.end() :]
    return not rest or rest[0] in "/:" or match[0].endswith("/")


def _newest_date() -> str | None:
    """Return the day of the newest price change in the table: it is at least that new."""
    from genai_prices.data import providers
    from genai_prices.types import ModelPrice, StartDateConstraint

    today = datetime.now(UTC).date()
    models = (model for provider in providers for model in provider.models)
    entries = (m.prices for m in models if not isinstance(m.prices, ModelPrice))
    constraints = (entry.constraint for prices in entries for entry in prices)
    dates = [c.start_date for c in constraints if isinstance(c, StartDateConstraint)]
    past = [date for date in dates if date <= today]
    return max(past).isoformat() if past else None
