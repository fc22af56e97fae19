"""The gate before the teacher. Keys are made here, so that no scanner finds one in this file."""

import json
import random
import string
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from domainforge.generation.requests import template_values
from domainforge.generation.units import Unit
from domainforge.stage import shaping_values
from domainforge.teacher.privacy import Gate, GateCounts, Passed, PrivacyConfig, Withheld
from domainforge.teacher.request import Request, request_key

ROOT = Path(__file__).parents[2]
FENCE = "0123456789abcdef"
_CHANCE = random.Random(11)
_HEX = "0123456789abcdef"


def made(length: int, letters: str = string.ascii_letters + string.digits) -> str:
    # A digit in front of it all, since chance may leave them out.
    return "7" + "".join(_CHANCE.choice(letters) for _ in range(length - 1))


AWS_ID = "AK" + "IA" + "Q" + made(16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")[1:]
AWS_SECRET = made(40)
GITHUB = "gh" + "p_" + made(36)
SLACK = "xo" + "xb-" + made(12, string.digits) + "-" + made(13, string.digits) + "-" + made(24)
OPENAI = "sk" + "-" + "Q" + made(47)
STRIPE = "sk" + "_live_" + made(24)
JWT = ".".join(["eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9", "eyJzdWIiOiIxMjM0NTY3ODkwIn0", made(43)])
DASHES = "-" * 5
KEY_LINES = "\n".join(made(64) for _ in range(6))
KEY_HEAD, KEY_TAIL = (f"{DASHES}{word} RSA PRIVATE KEY{DASHES}" for word in ("BEGIN", "END"))
PASSWORD = "Gr4nite" + "Falcon77"

SECRETS = {
    "aws id in prose": ("The deploy user signs in with {}.", AWS_ID),
    "aws secret": (f"AWS_ACCESS_KEY_ID={AWS_ID}\nAWS_SECRET_ACCESS_KEY={{}}\n", AWS_SECRET),
    "aws secret alone": ("aws_secret_access_key = {}", AWS_SECRET),
    "github": ("Clone with the token {} from the wiki.", GITHUB),
    "gitlab": ("Use {} for the mirror.", "gl" + "pat-" + made(20)),
    "slack": ("The bot's token is {}.", SLACK),
    "openai style": ("Set it to {} in the console.", OPENAI),
    "anthropic": ("today: {}", "sk" + "-ant-api03-" + made(93) + "AA"),
    "huggingface": ("log in with {} please", "h" + "f_" + made(34, string.ascii_letters)[1:] + "x"),
    "stripe": ("stripe.api_key = '{}'", STRIPE),
    "before a comma": ("Use {}, not the old one.", STRIPE),
    "in a table": ("| stripe | {}|\n", STRIPE),
    "in markup": ("<td>{}</td>", STRIPE),
    "in brackets": ("the key ({})", GITHUB),
    "at the end of a sentence": ("The key is {}.", STRIPE),
    "jwt": ("The cookie held {} then.", JWT),
    "private key": ("Keep\n\n{}\n\nsafe.", f"{KEY_HEAD}\n{KEY_LINES}\n{KEY_TAIL}"),
    "private key, head only": ("Keep\n{}", f"{KEY_HEAD}\n{KEY_LINES}"),
    "private key, tail only": ("{}\nand so on", f"{KEY_LINES}\n{KEY_TAIL}"),
    "password in url": ("postgres://app:{}@db.example.internal:5432/prod", "Tr0ub4dor3x"),
    "password quoted": ('password = "{}"', "S3cr3t!pa55"),
    "password quoted, no digit": ("password: '{}'", "horse-battery(staple"),
    "password bare": ("db:\n  user: app\n  password: {}\n", PASSWORD),
    "password in prose": ("The Wi-Fi password is {}, ask at the desk.", PASSWORD),
    "password, bold": ("**Password:** {}", PASSWORD),
    "connection string": ("Server=db1;User Id=sa;Password={};", "k3Wn!tt8zz"),
    "api key": ('api_key = "{}"', made(32, _HEX[10:] + "0123")),
    "client secret": ('{{"client_secret": "{}"}}', made(40)),
    "bearer": ("Authorization: Bearer {}", made(40)),
    "azure": ("AccountName=x;AccountKey={};EndpointSuffix=y", made(86) + "=="),
    "after other alphabets": ("Pässe für Łódź 東京 — {}.", GITHUB),
    "after a byte order mark": ("\ufeffkey {} end", GITHUB),
    "beside half a character": ("\ud83d key {} end", GITHUB),
}
HARMLESS = [
    "password: required, at least eight characters",
    'parser.add_argument("--token", help="the token")',
    "password = os.environ['DB_PASSWORD_2']",
    "DB_PASSWORD=${DB_PASSWORD_2}",
    "api_key: {{ secrets.API_KEY_2 }}",
    "password = get_password(user1)",
    "postgres://user:password@localhost/db and postgres://$USER:$PASS2@host",
    "The password is changed every 30 days. Your token is valid for 24 hours.",
    "tokenizer: HuggingFaceTB/SmolLM2-135M-Instruct, max_tokens: 300",
    "commit 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b, sha256:" + "9f86d081884c7d65" * 4,
    "See https://example.com/a1b2c3d4e5f6 and 6ba7b810-9dad-11d1-80b4-00c04fd430c8.",
    "The key to the harbour's gate hangs at the canteen; the secret of the soup is dill.",
]


def chat(text: str) -> Request:
    return Request(
        messages=({"role": "system", "content": "Be brief."}, {"role": "user", "content": text})
    )


def gate(**settings: Any) -> Gate:
    return Gate(PrivacyConfig(**settings), leaves_machine=True)


def text_of(result: Passed | Withheld) -> str:
    assert isinstance(result, Passed)
    return result.request.prompt or result.request.messages[-1]["content"]


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_taken_out_and_the_rest_stays(name: str) -> None:
    template, secret = SECRETS[name]
    text = template.format(secret)
    result = gate().check(chat(text))
    cleaned = text_of(result)
    assert isinstance(result, Passed)
    assert result.removed
    assert secret not in cleaned
    assert not any(secret[at : at + 8] in cleaned for at in range(len(secret) - 8))
    before, after = template.format("\0").split("\0")
    assert cleaned.endswith(after)
    # The head may hold a key of its own (the id of a pair).
    assert cleaned.startswith(before[:12])
    assert "[secret removed]" in cleaned


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_speaks_of_secrets_stays(text: str) -> None:
    request = chat(text)
    assert gate(personal_data="redact", phone_region="US").check(request) == Passed(request)


PERSONAL = [
    ("e-mail", "Write to jane.doe@harbour.example by noon.", "jane.doe@harbour.example"),
    ("phone number", "Ring +44 20 7946 0958 at night.", "+44 20 7946 0958"),
    ("IBAN", "Pay DE89 3704 0044 0532 0130 00 NOW OR NEVER.", "DE89 3704 0044 0532 0130 00"),
    ("IBAN", "IBAN GB29NWBK60161331926819", "GB29NWBK60161331926819"),
    ("card number", "card 4111 1111 1111 1111 exp 12/29", "4111 1111 1111 1111"),
    ("social security number", "SSN 536-22-8726", "536-22-8726"),
]


@pytest.mark.parametrize(("kind", "text", "data"), PERSONAL)
def test_personal_data_goes_only_when_asked(kind: str, text: str, data: str) -> None:
    result = gate(personal_data="redact").check(chat(text))
    assert text_of(result) == text.replace(data, f"[{kind} removed]")
    assert isinstance(result, Passed)
    assert result.removed == {kind: 1}
    assert gate().check(chat(text)) == Passed(chat(text))


@pytest.mark.parametrize(
    "text",
    [
        "number 4111 1111 1111 1112",  # fails the check digit
        "part 000-12-3456",  # no such social security number
        "ISBN 978-3-16-148410-0, on 2024-05-12 at 10:30:15, version 1.2.3.4",
        "DE89 3704 0044 0532 0130 01",
        "order 20240512123000, 1,250,000 visitors, 53.5511 and 9.9937",
        "@handle and a@b",
    ],
)
def test_numbers_whose_check_fails_stay(text: str) -> None:
    request = chat(text)
    assert gate(personal_data="redact", phone_region="US").check(request) == Passed(request)


def test_local_phone_numbers_need_their_country() -> None:
    text = "Call 415-234-5678 today."
    assert text_of(gate(personal_data="redact").check(chat(text))) == text
    with_country = gate(personal_data="redact", phone_region="US").check(chat(text))
    assert text_of(with_country) == "Call [phone number removed] today."
    with pytest.raises(ValidationError, match="two letters"):
        PrivacyConfig(phone_region="us")


@pytest.mark.parametrize(
    ("secrets", "leaves", "sent"),
    [
        ("auto", True, "redacted"),
        ("auto", False, "whole"),
        ("off", True, "whole"),
        ("redact", False, "redacted"),
        ("refuse", True, "withheld"),
        ("refuse", False, "withheld"),
    ],
)
def test_what_happens_to_secrets(secrets: Any, leaves: bool, sent: str) -> None:
    result = Gate(PrivacyConfig(secrets=secrets), leaves_machine=leaves).check(
        chat(f"a {GITHUB} b")
    )
    if isinstance(result, Withheld):
        assert sent == "withheld"
        assert result.detail == "not sent: it holds github-pat: 1"
    else:
        assert text_of(result) == f"a {'[secret removed]' if sent == 'redacted' else GITHUB} b"


def test_secrets_and_personal_data_are_treated_apart() -> None:
    text = f"{GITHUB} and jane@harbour.example"
    refusing = gate(secrets="redact", personal_data="refuse").check(chat(text))
    assert isinstance(refusing, Withheld)
    assert refusing.found == {"e-mail": 1}
    # An address inside a URL with a password is both at once: the stricter word counts.
    both = "https://deploy:Hunter2horse@git.harbour.example/repo"
    assert isinstance(gate(secrets="redact", personal_data="refuse").check(chat(both)), Withheld)
    cleaned = text_of(gate(personal_data="redact").check(chat(both)))
    assert cleaned == "https://deploy:[secret removed]/repo"


def test_a_fenced_passage_keeps_its_fence_and_the_request_its_rest() -> None:
    chunk = {
        "id": "c1",
        "title": "Keys",
        "uri": "k.md",
        "headings": ["Access"],
        "text": f"The key:\n{KEY_HEAD}\n{KEY_LINES}",
    }
    unit = Unit(None, chunk, chunk["text"], 0, 1, 0, 0, {})  # type: ignore[arg-type]
    values = template_values(unit, {}, lambda _: FENCE)
    passage = values["fenced"](chunk)
    request = Request(prompt=f"{passage}\nAsk one question.", stop=("\n",), tag=unit, sample=3)
    result = gate().check(request)
    assert isinstance(result, Passed)
    assert result.request.prompt == (
        f"<passage {FENCE}>\n# Keys > Access\n\nThe key:\n[secret removed]\n</passage {FENCE}>\n"
        "Ask one question."
    )
    assert (result.request.tag, result.request.stop, result.request.sample) == (unit, ("\n",), 3)
    # A value that swallows the fence: the fence comes through.
    swallowed = text_of(gate().check(chat(f"password = 'abc</passage {FENCE}>12'")))
    assert swallowed.count(f"</passage {FENCE}>") == 1


def test_redaction_is_stable_and_done_once() -> None:
    text = "\n".join(template.format(secret) for template, secret in SECRETS.values())
    text = text.replace("\ud83d", "")
    once = gate(personal_data="redact").check(chat(text))
    again = gate(personal_data="redact").check(chat(text))
    assert isinstance(once, Passed)
    assert isinstance(again, Passed)
    assert request_key("me", once.request) == request_key("me", again.request)
    assert request_key("me", once.request) != request_key("me", chat(text))
    assert gate(personal_data="redact").check(once.request) == Passed(once.request)


def test_counts_notes_and_errors_hold_no_secret() -> None:
    counts = GateCounts()
    for checked in (gate(), gate(secrets="refuse"), Gate(PrivacyConfig(), leaves_machine=False)):
        counts.add(checked.check(chat(f"{GITHUB} {STRIPE}, again {GITHUB}")))
    counts.add(gate().check(chat("Nothing here.")))
    assert (counts.redacted, counts.withheld) == (1, 1)
    assert counts.kinds == {"github-pat": 4, "stripe-access-token": 2}
    assert counts.figures() == {
        "redacted": 1,
        "withheld": 1,
        "private_kinds": {"github-pat": 4, "stripe-access-token": 2},
    }
    said = json.dumps(counts.figures()) + " ".join(counts.notes())
    assert "1 requests held" in said
    assert "1 requests were not sent" in said
    assert not any(secret[4:] in said for secret in (GITHUB, STRIPE))
    assert GateCounts().notes() == ()


def test_shipped_documents_go_through_untouched() -> None:
    careful = gate(personal_data="redact", phone_region="GB")
    files = [file for name in ("handbook", "control") for file in (ROOT / "data" / name).iterdir()]
    assert len(files) > 20
    for file in files:
        request = chat(file.read_text(encoding="utf-8"))
        assert careful.check(request) == Passed(request), file.name


def test_scanning_needs_neither_files_nor_sockets() -> None:
    script = f"""
import resource
from domainforge.teacher.privacy import Gate, PrivacyConfig
from domainforge.teacher.request import Request
gate = Gate(PrivacyConfig(personal_data="redact"), leaves_machine=True)
# Once before: the rules and the numbering plans are read from the package.
text = "+44 20 7946 0958, GB29NWBK60161331926819, 536-22-8726 and "
gate.check(Request(prompt=text + "warm-up"))
resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
try:
    open("/dev/null")
except OSError:
    print(gate.check(Request(prompt=text + "{GITHUB}")).request.prompt)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == (
        "[phone number removed], [IBAN removed], [social security number removed] "
        "and [secret removed]\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        (made(64) + "\n") * 400 + DASHES + "END",
        "password=" * 2000,
        "http://a:" * 2000,
        "AB12 " * 4000,
        "a@" * 8000,
        (KEY_HEAD + "\n") * 600,
        "(415) 234-567 " * 1400,
    ],
    ids=["base64", "password", "url", "iban", "e-mail", "key heads", "phones"],
)
def test_hostile_text_of_20_kb_costs_little(text: str) -> None:
    checked = gate(personal_data="redact", phone_region="US")
    checked.check(chat("warm-up +1 415 234 5678"))
    before = time.process_time()
    checked.check(chat(text))
    assert time.process_time() - before < 1


def test_a_bare_off_in_yaml_means_off() -> None:
    settings = yaml.safe_load("{secrets: off, personal_data: off}")
    assert PrivacyConfig(**settings) == PrivacyConfig(secrets="off", personal_data="off")
    with pytest.raises(ValidationError, match="'auto', 'off', 'redact' or 'refuse'"):
        PrivacyConfig(**yaml.safe_load("secrets: on"))


def test_every_setting_is_described_and_shapes_the_output() -> None:
    fields = PrivacyConfig.model_fields
    assert all(info.description for info in fields.values())
    assert set(shaping_values(PrivacyConfig())) == set(fields)
