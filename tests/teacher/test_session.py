from pathlib import Path

import pytest

from domainforge.errors import BudgetError, TeacherError
from domainforge.teacher.ledger import Ledger
from domainforge.teacher.session import check_teacher, open_teacher, teacher_identity
from tests.support.teacher_server import TeacherServer
from tests.teacher.quick import FAST, KEY, chat, config_for


@pytest.mark.parametrize(
    ("fault", "understood", "supported", "requests"),
    [
        (None, True, True, 1),
        # Asked again without the schema, which tells that it was the schema.
        (None, False, False, 2),
        ("400", True, False, 2),
        ("prose", True, False, 1),
        ("empty", True, False, 1),
        ("wrong_schema", True, False, 1),
        ("500", True, True, 2),
        # A model that thinks gets more tokens before anything is held against it.
        ("cut_off", True, True, 2),
    ],
)
def test_schema_support_is_probed_once(
    tmp_path: Path, fault: str | None, understood: bool, supported: bool, requests: int
) -> None:
    with TeacherServer([fault], json_schema=understood) as server:
        config = config_for(server.base_url, json_schema="auto")
        for _ in range(2):
            with open_teacher(config, tmp_path / "l", FAST) as teacher:
                assert teacher.supports_schema is supported
                assert (teacher.counts.failed, dict(teacher.counts.faults)) == (0, {})
        assert len(server.seen) == requests
        with open_teacher(config_for(server.base_url, json_schema="no"), tmp_path / "l") as teacher:
            assert not teacher.supports_schema
        completion = config_for(server.base_url, json_schema="auto", form="completion")
        with open_teacher(completion, tmp_path / "other") as teacher:
            assert (teacher.form, teacher.supports_schema) == ("completion", False)


def test_what_fails_without_a_schema_too_says_nothing_of_schemas(tmp_path: Path) -> None:
    with TeacherServer(lambda number, body: "400") as server:
        config = config_for(server.base_url, json_schema="auto")
        with (
            pytest.raises(TeacherError, match="something in this request is wrong"),
            open_teacher(config, tmp_path / "l", FAST),
        ):
            pass
        server.faults = None
        with open_teacher(config, tmp_path / "l", FAST) as teacher:
            assert teacher.supports_schema


def test_opening_tells_of_an_endpoint_that_is_down(tmp_path: Path) -> None:
    with TeacherServer() as server:
        config = config_for(server.base_url, json_schema="auto")
    with (
        pytest.raises(TeacherError, match="does not answer"),
        open_teacher(config, tmp_path / "l", FAST),
    ):
        pass


def test_identity_needs_no_connection() -> None:
    config = config_for("http://127.0.0.1:9/v1")
    assert teacher_identity(config) == "http://127.0.0.1:9/v1|local-teacher"


def test_same_as_replays_what_another_address_answered(tmp_path: Path) -> None:
    with TeacherServer() as one, TeacherServer() as two:
        for server in (one, two):
            config = config_for(server.base_url, same_as="farm")
            with open_teacher(config, tmp_path / "l", FAST) as teacher:
                (reply,) = teacher.ask([chat(1)])
        assert reply.replayed
        assert two.seen == []


def test_check_reports_a_good_endpoint(tmp_path: Path) -> None:
    with TeacherServer(models=("local-teacher", "other"), delay_seconds=0.01) as server:
        config = config_for(server.base_url, json_schema="auto")
        report = check_teacher(config, tmp_path / "l", FAST)
    assert report.fault is None
    assert (report.reachable, report.model_found, report.supports_schema) == (True, True, True)
    assert report.models == ("local-teacher", "other")
    assert report.tokens_per_second is not None
    assert 0 < report.tokens_per_second < 64 / 0.01


@pytest.mark.parametrize(
    ("fault", "model", "message"),
    [
        ("401", "local-teacher", "export KEY_FOR_TESTS"),
        (None, "unknown", "it lists: local-teacher"),
        ("html", "local-teacher", "html"),
    ],
)
def test_check_reports_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str | None, model: str, message: str
) -> None:
    monkeypatch.setenv("KEY_FOR_TESTS", KEY)
    with TeacherServer(lambda number, body: fault) as server:
        config = config_for(server.base_url, model=model, api_key_env="KEY_FOR_TESTS")
        report = check_teacher(config, tmp_path / "l", FAST)
    assert report.reachable
    assert report.model_found is (model == "local-teacher")
    assert message in str(report.fault)
    assert KEY not in repr(report)


def test_check_reports_an_endpoint_that_is_down(tmp_path: Path) -> None:
    with TeacherServer() as server:
        config = config_for(server.base_url)
    report = check_teacher(config, tmp_path / "l", FAST)
    assert (report.reachable, report.model_found) == (False, None)
    assert "does not answer" in str(report.fault)


def test_a_base_url_without_its_version_is_explained(tmp_path: Path) -> None:
    with TeacherServer() as server:
        config = config_for(server.base_url.removesuffix("/v1"))
        with (
            open_teacher(config, tmp_path / "l", FAST) as teacher,
            pytest.raises(TeacherError, match=r"404.*teacher\.base_url ends.*/v1"),
        ):
            list(teacher.ask([chat(1)]))


def test_a_probe_is_paid_like_any_request(tmp_path: Path) -> None:
    price = {"input_usd_per_million": 1.0, "output_usd_per_million": 2.0}
    with TeacherServer() as server:
        config = config_for(server.base_url, json_schema="auto", price=price)
        with open_teacher(config, tmp_path / "l", FAST, account="run") as teacher:
            spent = teacher.budget.spent
            assert spent.nano_usd > 0
            assert teacher.budget.reserved == (0, 0)
        with Ledger(tmp_path / "l") as ledger:
            assert ledger.spent("run").nano_usd == spent.nano_usd
        poor = config_for(
            server.base_url,
            json_schema="auto",
            price=price,
            budget={"max_usd": 0.0001},
            same_as="x",
        )
        seen = len(server.seen)
        with pytest.raises(BudgetError, match="max_usd"), open_teacher(poor, tmp_path / "m", FAST):
            pass
        assert len(server.seen) == seen
