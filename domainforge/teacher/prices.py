"""What requests cost: prices by endpoint and model, exact to a billionth of a dollar."""

import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil
from typing import NamedTuple

from domainforge.errors import ConfigError
from domainforge.teacher.config import PriceConfig, TeacherConfig
from domainforge.teacher.endpoint import Endpoint
from domainforge.teacher.request import Request, Usage

NANO = 10**9
"""Parts of a dollar that money is counted in: a token of the cheapest models costs ten of them."""

# What a chat template adds beside the texts: marks around each message; once a request a preamble
# (the longest known, with date, channels and a default system message, has some 150 tokens).
_MESSAGE_TOKENS = 16
_REQUEST_TOKENS = 192
# Providers that put the schema into the prompt word it no longer than its JSON.
_SCHEMA_TOKENS = 64


class Cost(NamedTuple):
    """Money, in billionths of a dollar, and billed tokens."""

    nano_usd: int
    tokens: int


NOTHING = Cost(0, 0)


@dataclass(frozen=True)
class Rates:
    """Billionths of a dollar for one token, where a prompt has more tokens than `above_tokens`."""

    input: Fraction
    cached: Fraction
    output: Fraction
    above_tokens: int = -1


@dataclass(frozen=True)
class Price:
    """What one model costs at one endpoint.

    Attributes:
        source: Where the price comes from.
        date: Of the newest price in that source, as `2026-11-09`; None where it has none.
        tiers: Rates by length of the prompt, the lowest first; empty where the price is unknown.
        batch: The same at the batch API; None where that isn't known.
        request_nano_usd: What a request costs beside its tokens.
    """

    source: str
    date: str | None = None
    tiers: tuple[Rates, ...] = ()
    batch: tuple[Rates, ...] | None = None
    request_nano_usd: Fraction = Fraction(0)

    @property
    def known(self) -> bool:
        """Whether money can be counted at all."""
        return bool(self.tiers)

    @property
    def free(self) -> bool:
        """Whether nothing is paid."""
        rates = [rate for tier in self.tiers for rate in (tier.input, tier.cached, tier.output)]
        return self.known and not any(rates) and not self.request_nano_usd

    def worst_case(self, request: Request) -> Cost:
        """Bound what a request can cost when its reply takes all the tokens that it may.

        Dollars are 0 where the price is unknown; tokens hold all the same.
        """
        prompt = most_prompt_tokens(request)
        tokens = prompt + request.max_tokens
        reached = [tier for tier in self.tiers if prompt > tier.above_tokens]
        if not reached:
            return Cost(0, tokens)
        # Real prompts are shorter than the bound, so a lower tier may be the one that applies.
        dearest_in = max(max(tier.input, tier.cached) for tier in reached)
        dearest_out = max(tier.output for tier in reached)
        nano = dearest_in * prompt + dearest_out * request.max_tokens + self.request_nano_usd
        return Cost(ceil(nano), tokens)

    def actual(self, usage: Usage, cached_tokens: int = 0) -> Cost:
        """Return what billed tokens cost, rounded up to a billionth of a dollar.

        Args:
            usage: Tokens billed.
            cached_tokens: Those of the prompt that the endpoint had in its cache.
        """
        prompt, completion = usage.prompt_tokens, usage.completion_tokens
        cached = min(cached_tokens, prompt)
        reached = [tier for tier in self.tiers if prompt > tier.above_tokens]
        if not reached:
            return Cost(0, prompt + completion)
        rates = reached[-1]
        nano = rates.input * (prompt - cached) + rates.cached * cached + rates.output * completion
        return Cost(ceil(nano + self.request_nano_usd), prompt + completion)

    def billed(self, usage: Usage, worst_case: Cost, cached_tokens: int = 0) -> Cost:
        """Return what a reply cost; the worst case where the endpoint doesn't say it sensibly."""
        if not usage.prompt_tokens or not usage.completion_tokens:
            return worst_case
        return self.actual(usage, cached_tokens)

    def for_batch(self) -> "Price":
        """Return the price at the batch API: this one, a safe bound, where none is known."""
        return self if self.batch is None else replace(self, tiers=self.batch, batch=None)

    def describe(self) -> str:
        """Say the price, where it comes from and how old it is, in a few words."""
        origin = self.source if self.date is None else f"{self.source}, of {self.date}"
        if not self.known:
            return f"not known ({origin})"
        if self.free:
            return f"free ({origin})"
        first = self.tiers[0]
        parts = [f"${_usd(first.input * 10**6)} in", f"${_usd(first.output * 10**6)} out"]
        if first.cached != first.input:
            parts.insert(1, f"${_usd(first.cached * 10**6)} cached")
        more = ", more for long prompts" if len(self.tiers) > 1 else ""
        each = f", ${_usd(self.request_nano_usd)} a request" if self.request_nano_usd else ""
        return f"{', '.join(parts)} per million tokens{more}{each} ({origin})"


_FREE = (Rates(Fraction(0), Fraction(0), Fraction(0)),)


def teacher_price(config: TeacherConfig) -> Price:
    """Find what a teacher costs.

    Raises:
        ConfigError: There is a cap in dollars, and the price is unknown.
    """
    price = find_price(config.address, config.model, config.price)
    if config.budget.max_usd is not None and not price.known:
        raise ConfigError(
            f"teacher.budget.max_usd: the price of {config.model} at {config.address} isn't "
            "known, so a cap in dollars can't be held; write teacher.price with "
            "input_usd_per_million and output_usd_per_million, as the provider's price page has "
            "them, or cap with teacher.budget.max_tokens instead"
        )
    return price


def find_price(base_url: str | None, model: str | None, given: PriceConfig | None = None) -> Price:
    """Find what a model costs: as the pipeline file says, else nothing here, else as listed.

    Args:
        base_url: Address of the endpoint, or `langchain:PROVIDER:MODEL`; None for a server that
            we start.
        model: Name of the model there.
        given: The price in the pipeline file.
    """
    if given is not None:
        return _given_price(given)
    if base_url is None or model is None:
        return Price("a server that we start", tiers=_FREE)
    if Endpoint(base_url, model).is_loopback:
        return Price("an address of this machine", tiers=_FREE)
    from domainforge.teacher.price_table import listed_price

    return listed_price(base_url, model) or Price(f"no price listed for {model} at {base_url}")


def most_prompt_tokens(request: Request) -> int:
    """Bound the tokens of a prompt from above, whatever the tokenizer.

    One that works on bytes never makes more tokens than there are bytes; chat template and schema
    are given a fixed allowance.
    """
    total = _REQUEST_TOKENS
    if request.prompt is not None:
        total += _most_tokens(request.prompt)
    for message in request.messages:
        total += _MESSAGE_TOKENS + sum(_most_tokens(part) for part in message.values())
    if request.schema is not None:
        total += _SCHEMA_TOKENS + len(json.dumps(request.schema))
    return total


def _most_tokens(text: str) -> int:
    if text.isascii():
        return len(text)
    forms = [text]
    # Tokenizers may bring text to a normal form first, and some characters grow in it.
    if not unicodedata.is_normalized("NFKC", text):
        forms += [unicodedata.normalize("NFC", text), unicodedata.normalize("NFKC", text)]
    return max(len(form.encode("utf-8", "surrogatepass")) for form in forms)


def _given_price(given: PriceConfig) -> Price:
    input_rate = token_rate(given.input_usd_per_million)
    cached = given.cached_input_usd_per_million
    rates = Rates(
        input_rate,
        input_rate if cached is None else token_rate(cached),
        token_rate(given.output_usd_per_million),
    )
    batch = None
    if given.batch_share is not None:
        share = Fraction(repr(given.batch_share))
        batch = (Rates(rates.input * share, rates.cached * share, rates.output * share),)
    return Price("the pipeline file", tiers=(rates,), batch=batch)


def token_rate(usd_per_million: object) -> Fraction:
    """Turn dollars per million tokens, a decimal number, into billionths of a dollar per token."""
    # The shortest text of a float is the number that was written in the file.
    return Fraction(str(usd_per_million)) * NANO / 10**6


def dearest(tiers: Sequence[Rates]) -> Rates:
    """Return rates that are at least as high as each of those given."""
    return Rates(
        max(tier.input for tier in tiers),
        max(tier.cached for tier in tiers),
        max(tier.output for tier in tiers),
        tiers[0].above_tokens,
    )


def _usd(nano_usd: Fraction) -> str:
    return f"{float(nano_usd / NANO):.6g}"
