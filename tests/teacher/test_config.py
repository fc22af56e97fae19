import pytest
from pydantic import TypeAdapter, ValidationError

from domainforge.stage import shaping_values
from domainforge.teacher.config import TeacherConfig, endpoint_identity

URL = "http://127.0.0.1:8000/v1"


def read(value: object) -> TeacherConfig:
    return TypeAdapter(TeacherConfig).validate_python(value)


def test_bare_word_is_the_embedded_teacher() -> None:
    config = read("embedded")
    assert config.embedded
    assert (config.resolved_form, config.slots) == ("completion", 4)


def test_endpoint_defaults_to_chat_and_its_own_concurrency() -> None:
    config = read({"base_url": URL + "/", "model": "m", "concurrency": 32})
    assert config.base_url == URL
    assert (config.resolved_form, config.slots) == ("chat", 32)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("gpt", "write `embedded`"),
        ({}, "no teacher"),
        ({"base_url": URL}, "`model` is missing"),
        ({"model": "m"}, "`base_url` is missing"),
        ({"embedded": True, "model": "m"}, "takes no model"),
        ({"base_url": "localhost:8000", "model": "m"}, "whole address"),
        ({"base_url": "http://me:secret-pass@host/v1", "model": "m"}, "no user, password"),
        ({"base_url": "http://host/v1?key=secret-pass", "model": "m"}, "no user, password"),
        ({"base_url": URL, "model": "m", "threads": 2}, "takes no threads"),
        ({"base_url": URL, "model": "m", "api_key_env": "sk-secret-pass"}, "never the key"),
        ({"base_url": URL, "model": "m", "concurrency": 0}, "greater than or equal to 1"),
        ({"embedded": True, "batch": True}, "`batch` needs one endpoint"),
        ({"base_url": URL, "model": "m", "temprature": 1}, "Extra inputs"),
    ],
)
def test_faults_are_explained_without_secrets(value: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message) as caught:
        read(value)
    assert "secret-pass" not in str(caught.value)


def test_only_what_shapes_replies_enters_the_fingerprint() -> None:
    assert set(shaping_values(read("embedded"))) == {
        "embedded",
        "base_url",
        "model",
        "form",
        "json_schema",
        "same_as",
        "serve",
        "gguf",
        "revision",
        "serve_args",
        "privacy",
    }


def test_every_field_is_described() -> None:
    assert [name for name, info in TeacherConfig.model_fields.items() if not info.description] == []


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (("https://Api.Host/v1", "m"), ("https://api.host:443/v1/", "m"), True),
        (("http://host/v1", "m"), ("https://host/v1", "m"), False),
        (("http://host:1/v1", "m"), ("http://host:2/v1", "m"), False),
        (("http://host:1/v1", "m"), ("http://host:1/v2", "m"), False),
        (("http://host/v1", "m"), ("http://host/v1", "n"), False),
        (("http://host:1/v1", "m", "farm"), ("http://host:2/v1", "m", "farm"), True),
        (("http://host:1/v1", "m", "farm"), ("http://host:1/v1", "n", "farm"), False),
    ],
)
def test_identity(left: tuple[str, ...], right: tuple[str, ...], same: bool) -> None:
    assert (endpoint_identity(*left) == endpoint_identity(*right)) is same


@pytest.mark.parametrize(("value", "read_as"), [(False, "no"), (True, "yes"), ("auto", "auto")])
def test_a_bare_yes_or_no_is_a_word(value: object, read_as: str) -> None:
    config = read({"base_url": URL, "model": "m", "json_schema": value})
    assert config.json_schema == read_as


def test_norway_is_a_country() -> None:
    assert read({"embedded": True, "privacy": {"phone_region": False}}).privacy.phone_region == "NO"
    with pytest.raises(ValidationError):
        read({"embedded": True, "privacy": {"phone_region": True}})


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([{}], r"`endpoints\.0` is empty; give it another `base_url` or `api_key_env`"),
        ([{"api_key_env": "TWO"}, {}], r"`endpoints\.1` is empty"),
        (
            [{"api_key_env": "ONE"}],
            r"`endpoints\.0` has address, model and key of the teacher's own",
        ),
        ([{"base_url": URL + "/", "model": "m", "api_key_env": "ONE"}], "of the teacher's own"),
        (
            [{"api_key_env": "TWO"}, {"api_key_env": "TWO"}],
            r"`endpoints\.1` has .* of `endpoints\.0`",
        ),
    ],
)
def test_an_endpoint_that_adds_nothing(entries: list[object], message: str) -> None:
    first = {"base_url": URL, "model": "m", "api_key_env": "ONE"}
    with pytest.raises(ValidationError, match=message):
        read({**first, "endpoints": entries})


def test_endpoints_that_differ_in_one_thing_are_fine() -> None:
    entries = [{"api_key_env": "TWO"}, {"base_url": URL}, {"model": "n", "api_key_env": "ONE"}]
    config = read({"base_url": URL, "model": "m", "api_key_env": "ONE", "endpoints": entries})
    assert len(config.endpoints) == 3
