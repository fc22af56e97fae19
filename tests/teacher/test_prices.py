import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from domainforge.errors import ConfigError
from domainforge.teacher.config import PriceConfig, TeacherConfig
from domainforge.teacher.prices import (
    Cost,
    Price,
    Rates,
    find_price,
    most_prompt_tokens,
    teacher_price,
)
from domainforge.teacher.request import Request, Usage, cached_tokens_of
from tests.teacher.quick import QA_SCHEMA, chat

OPENAI = "https://api.openai.com/v1"
GIVEN = PriceConfig(input_usd_per_million=0.15, output_usd_per_million=0.6)


def test_the_pipeline_file_wins_over_the_table_and_over_free_addresses() -> None:
    for base_url, model in ((OPENAI, "gpt-4o"), ("http://127.0.0.1:1/v1", "m"), (None, None)):
        price = find_price(base_url, model, GIVEN)
        assert price.actual(Usage(1_000_000, 1_000_000)) == Cost(750_000_000, 2_000_000)
        assert price.describe() == "$0.15 in, $0.6 out per million tokens (the pipeline file)"


@pytest.mark.parametrize("base_url", [None, "http://127.0.0.1:8000/v1", "http://localhost/v1"])
def test_what_runs_here_is_free(base_url: str | None) -> None:
    price = find_price(base_url, "m")
    assert price.known
    assert price.free
    assert price.actual(Usage(10, 5)) == Cost(0, 15)


def test_a_known_provider_has_a_dated_price() -> None:
    price = find_price(OPENAI, "gpt-4o-mini")
    assert price.actual(Usage(1000, 100)) == Cost(1000 * 150 + 100 * 600, 1100)
    assert price.source.startswith("genai-prices ")
    assert price.date is not None
    assert price.date >= "2026-11"
    assert f"openai/gpt-4o-mini, of {price.date}" in price.describe()
    assert price.for_batch().actual(Usage(1000, 100)).nano_usd == 500 * 150 + 50 * 600


def test_prices_are_found_without_touching_the_network() -> None:
    code = (
        "import sys\n"
        "from domainforge.teacher.prices import find_price\n"
        "def hook(event, args):\n"
        "    if event.startswith(('socket.connect', 'socket.getaddrinfo')): sys.exit(event)\n"
        "sys.addaudithook(hook)\n"
        f"assert find_price('{OPENAI}', 'gpt-4o-mini').known\n"
        f"assert not find_price('{OPENAI}', 'unheard-of').known\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_long_prompts_cost_what_their_tier_says() -> None:
    price = find_price("https://generativelanguage.googleapis.com/v1beta/openai", "gemini-2.5-pro")
    assert price.actual(Usage(200_000, 1)).nano_usd == 200_000 * 1250 + 10_000
    assert price.actual(Usage(200_001, 1)).nano_usd == 200_001 * 2500 + 15_000
    # The bound on the prompt is in the dear tier; the prompt itself need not be.
    long = Request(prompt="x" * 250_000, max_tokens=10)
    assert price.worst_case(long).nano_usd >= 250_000 * 2500 + 10 * 15_000


def test_prices_that_change_with_the_hour_count_at_their_highest() -> None:
    price = find_price("https://api.deepseek.com/v1", "deepseek-chat")
    assert price.actual(Usage(1_000_000, 0)).nano_usd == 270_000_000
    assert price.for_batch() == price


def test_what_a_provider_takes_for_each_request_is_counted() -> None:
    price = find_price("https://api.perplexity.ai", "sonar")
    assert price.request_nano_usd > 0
    assert price.actual(Usage(1, 1)).nano_usd > price.request_nano_usd


@pytest.mark.parametrize(
    ("base_url", "model"),
    [
        ("https://gateway.example/v1", "gpt-4o-mini"),
        ("https://api.openai.com.gateway.example/v1", "gpt-4o-mini"),
        (OPENAI, "no-such-model"),
        (OPENAI, "text-embedding-3-small"),
        ("https://api.groq.com/openai/v1", "whisper-large-v3"),
    ],
)
def test_no_price_is_guessed(base_url: str, model: str) -> None:
    price = find_price(base_url, model)
    assert not price.known
    assert model in price.describe()
    # Tokens are counted all the same, so that max_tokens holds.
    assert price.worst_case(chat(1, max_tokens=50)).tokens > 50
    assert price.actual(Usage(10, 5)) == Cost(0, 15)


def test_a_cap_in_dollars_wants_a_price() -> None:
    values: dict[str, Any] = {"base_url": "https://gateway.example/v1", "model": "house-7b"}
    for budget in ({}, {"max_tokens": 10}, {"max_hours": 1}):
        assert not teacher_price(TeacherConfig(**values, budget=budget)).known
    with pytest.raises(ConfigError) as caught:
        teacher_price(TeacherConfig(**values, budget={"max_usd": 1}))
    for word in ("max_usd", "house-7b", "gateway.example", "teacher.price", "max_tokens"):
        assert word in str(caught.value)
    assert teacher_price(TeacherConfig(**values, budget={"max_usd": 1}, price=GIVEN)).known


def test_cached_prompt_tokens_are_cheaper_where_that_is_known() -> None:
    config = GIVEN.model_copy(update={"cached_input_usd_per_million": 0.05})
    price = find_price(None, None, config)
    assert "$0.15 in, $0.05 cached, $0.6 out" in price.describe()
    assert price.actual(Usage(1000, 10), 400).nano_usd == 600 * 150 + 400 * 50 + 10 * 600
    assert price.actual(Usage(1000, 10), 5000).nano_usd == 1000 * 50 + 10 * 600
    assert price.worst_case(chat(1)) == find_price(None, None, GIVEN).worst_case(chat(1))
    assert find_price(None, None, GIVEN).actual(Usage(1000, 10), 400).nano_usd == 156_000


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 4}}, 4),
        ({"prompt_tokens": 9, "prompt_cache_hit_tokens": 3}, 3),
        ({"prompt_tokens_details": {"cached_tokens": -4}}, 0),
        ({"prompt_tokens_details": None}, 0),
        ("nothing", 0),
    ],
)
def test_cached_tokens_are_read_where_the_endpoint_tells(usage: Any, expected: int) -> None:
    assert cached_tokens_of({"usage": usage}) == expected


def test_batch_share_scales_every_rate() -> None:
    config = PriceConfig(
        input_usd_per_million=1,
        output_usd_per_million=3,
        cached_input_usd_per_million=0.1,
        batch_share=0.5,
    )
    rates = find_price(OPENAI, "m", config).for_batch().tiers
    assert rates == (Rates(Fraction(500), Fraction(50), Fraction(1500)),)


def test_costs_are_rounded_up_to_a_billionth() -> None:
    config = PriceConfig(input_usd_per_million=0.0001, output_usd_per_million=0.0001)
    assert find_price(None, None, config).actual(Usage(1, 0)).nano_usd == 1


def test_a_reply_without_sensible_usage_costs_the_worst_case() -> None:
    price = find_price(None, None, GIVEN)
    worst = price.worst_case(chat(1))
    for usage in (Usage(0, 0), Usage(0, 5), Usage(5, 0)):
        assert price.billed(usage, worst) == worst
    assert price.billed(Usage(5, 5), worst) == price.actual(Usage(5, 5)) != worst


@given(
    text=st.text(max_size=300),
    max_tokens=st.integers(1, 5000),
    completion=st.integers(0, 5000),
    tiers=st.lists(st.builds(Rates, *[st.fractions(0, 10_000)] * 3), min_size=1, max_size=3),
)
def test_the_worst_case_is_never_passed(
    text: str, max_tokens: int, completion: int, tiers: list[Rates]
) -> None:
    price = Price(
        "test", tiers=tuple(replace(r, above_tokens=n * 150 - 1) for n, r in enumerate(tiers))
    )
    request = Request(messages=({"role": "user", "content": text},), max_tokens=max_tokens)
    usage = Usage(_byte_tokens(text), min(completion, max_tokens))
    worst, actual = price.worst_case(request), price.actual(usage)
    assert actual.nano_usd <= worst.nano_usd
    assert actual.tokens <= worst.tokens


# Hebrew presentation forms, a ligature of 18 letters, and musical signs grow when normalised.
@pytest.mark.parametrize(
    "text", ["plain", "Grüße, 東京", "\ufb2c\ufb2d" * 9, "\ufdfa", "\U0001d160"]
)
@pytest.mark.parametrize("form", [None, "NFC", "NFKC"])
def test_the_bound_holds_for_tokenizers_that_normalise(text: str, form: str | None) -> None:
    empty = most_prompt_tokens(Request(prompt=""))
    assert most_prompt_tokens(Request(prompt=text)) - empty >= _byte_tokens(text, form)


def test_messages_and_schema_get_an_allowance() -> None:
    one = Request(messages=({"role": "user", "content": ""},))
    two = Request(messages=({"role": "user", "content": ""},) * 2)
    with_schema = Request(messages=one.messages, schema=QA_SCHEMA)
    assert most_prompt_tokens(two) - most_prompt_tokens(one) >= 16
    assert most_prompt_tokens(with_schema) - most_prompt_tokens(one) > len(str(QA_SCHEMA))


def _byte_tokens(text: str, form: str | None = None) -> int:
    """Count with a real tokenizer that knows bytes and nothing longer: the worst there is."""
    from tokenizers import normalizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: n for n, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if form is not None:
        tokenizer.normalizer = getattr(normalizers, form)()
    return len(tokenizer.encode(text.encode("utf-8", "ignore").decode()).ids)
