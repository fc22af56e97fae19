from pathlib import Path

import pytest

from domainforge.errors import SourceError
from domainforge.sources.workspaces.slack import SlackSource
from tests.sources.workspaces.exports import (
    as_json,
    by_uri,
    read,
    reader,
    reasons,
    source,
    write_folder,
    write_zip,
)
from tests.support.source_reader import read_all

USERS = [
    {"id": "U1", "team_id": "T1", "name": "tove", "deleted": False,
     "profile": {"real_name": "Tove Lund", "display_name": "Tove", "image_72": "x"}},
    {"id": "U2", "name": "per", "real_name": "Per Holm", "profile": {"display_name": ""}},
]  # fmt: skip
CHANNELS = [{"id": "C1", "name": "fares", "created": 1511327993, "members": ["U1", "U2"],
             "topic": {"value": "", "creator": "", "last_set": 0}}]  # fmt: skip
GROUPS = [{"id": "G1", "name": "secret-plans", "members": ["U1"]}]
DMS = [{"id": "D1", "created": 1, "members": ["U1", "U2"]}]
FIRST_DAY = [
    {"type": "message", "subtype": "channel_join", "user": "U2", "ts": "1714640000.000100",
     "text": "<@U2> has joined the channel"},
    {"client_msg_id": "a", "type": "message", "user": "U1", "ts": "1714640400.000200",
     "text": "What does a *dog* pay, <@U2>? See <https://a.example/rules|the rules> &amp; "
             "<#C1|fares> <!here>", "team": "T1",
     "thread_ts": "1714640400.000200", "reply_count": 2, "reply_users": ["U2"],
     "blocks": [{"type": "rich_text", "elements": []}]},
    {"type": "message", "user": "U2", "ts": "1714641000.000300", "text": "Half.",
     "thread_ts": "1714640400.000200", "parent_user_id": "U1",
     "edited": {"user": "U2", "ts": "1714900000.000000"}},
    {"type": "message", "user": "U2", "ts": "1714642000.000400", "text": "The 9:00 is late."},
    {"type": "message", "subtype": "bot_message", "bot_id": "B1", "username": "weather",
     "ts": "1714643000.000500", "text": "", "attachments": [
         {"id": 1, "title": "Warning", "text": "Wind of 20 m/s", "fallback": "x"}]},
    {"type": "message", "user": "U1", "ts": "1714643500.000600", "text": "", "upload": True,
     "files": [{"id": "F1", "name": "fares.pdf", "title": "Fares 2024", "url_private": "x"}]},
]  # fmt: skip
SECOND_DAY = [
    {"type": "message", "user": "U1", "ts": "1714726800.000100", "text": "Thanks!",
     "thread_ts": "1714640400.000200", "parent_user_id": "U1"},
]  # fmt: skip
FILES: dict[str, str | bytes] = {
    "users.json": as_json(USERS),
    "channels.json": as_json(CHANNELS),
    "groups.json": as_json(GROUPS),
    "dms.json": as_json(DMS),
    "integration_logs.json": as_json([]),
    "fares/2024-05-02.json": as_json(FIRST_DAY),
    "fares/2024-05-03.json": as_json(SECOND_DAY),
    "fares/2024-05-04.json": "[{",
    "secret-plans/2024-05-02.json": as_json(
        [{"type": "message", "user": "U1", "ts": "1714640400.000200", "text": "We sell."}]
    ),
    "D1/2024-05-02.json": as_json(
        [{"type": "message", "user": "U2", "ts": "1714640400.000200", "text": "Lunch?"}]
    ),
}


@pytest.fixture(params=["folder", "zip"])
def export(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        write_folder(tmp_path / "Slack", FILES)
        return "Slack"
    write_zip(tmp_path / "Slack.zip", FILES)
    return "Slack.zip"


def test_threads_and_days(export: str, tmp_path: Path) -> None:
    readings = read(SlackSource, "slack", {"path": export}, tmp_path)
    documents = by_uri(readings)
    assert set(documents) == {"Slack/fares#2024-05-02", "Slack/fares#1714640400.000200"}
    day = documents["Slack/fares#2024-05-02"]
    assert day.text == (
        "# #fares, 2024-05-02\n\n**Per Holm** (09:26): The 9:00 is late.\n\n"
        "**weather** (09:43): Warning: Wind of 20 m/s\n\n**Tove** (09:51): [file: Fares 2024]"
    )
    thread = documents["Slack/fares#1714640400.000200"]
    question = (
        "What does a *dog* pay, @Per Holm? See [the rules](https://a.example/rules) & #fares @here"
    )
    assert thread.title.startswith("#fares: What does a dog pay, @Per Holm?")
    assert thread.text.endswith(
        f"**Tove** (2024-05-02 09:00): {question}\n\n"
        "**Per Holm** (2024-05-02 09:10): Half.\n\n**Tove** (2024-05-03 09:00): Thanks!"
    )
    assert thread.metadata == {"channel": "fares", "messages": 3, "people": ["Per Holm", "Tove"]}
    assert (thread.created, thread.modified) == ("2024-05-02T09:00:00Z", "2024-05-05T09:06:40Z")
    assert reasons(readings) == {
        "Slack/D1": "private",
        "Slack/secret-plans": "private",
        "Slack/fares#2024-05-02-notices": "channel_notice",
        "Slack/fares#2024-05-04": "bad_json",
    }


def test_private_talk_only_where_asked_for(export: str, tmp_path: Path) -> None:
    readings = read(SlackSource, "slack", {"path": export, "private": True}, tmp_path)
    documents = by_uri(readings)
    assert documents["Slack/D1#2024-05-02"].title == "Tove, Per Holm, 2024-05-02"
    assert "We sell." in documents["Slack/secret-plans#2024-05-02"].text


def test_a_channel_that_did_not_change(tmp_path: Path) -> None:
    clean = {name: content for name, content in FILES.items() if "05-04" not in name}
    place = write_folder(tmp_path / "Slack", clean)
    made = source(SlackSource, "slack", {"path": "Slack"}, tmp_path)
    first = reader(tmp_path)
    second = first.take_over(read_all(made, first))
    after = read_all(made, second)
    assert [r.uri for r in after if r.unchanged] == ["Slack/fares"]
    (place / "users.json").write_text("[]")
    assert [r.uri for r in read_all(made, second) if r.unchanged] == []


@pytest.mark.parametrize(
    "message",
    [
        {"ts": "1e999", "text": "x"}, {"ts": "nan", "text": "x"}, {"ts": [], "text": "x"},
        {"ts": "-1", "text": "x", "user": {}}, {"text": "x", "files": {}, "attachments": "x"},
        {"text": "x", "edited": {"ts": "x"}, "thread_ts": "a"}, {"text": "x", "files": [None]},
    ],
)  # fmt: skip
def test_odd_messages(message: dict[str, object], tmp_path: Path) -> None:
    files = {**FILES, "fares/2024-05-02.json": as_json([message, 7, None])}
    write_folder(tmp_path / "Slack", files)
    documents = by_uri(read(SlackSource, "slack", {"path": "Slack"}, tmp_path))
    assert any(document.text.endswith(": x") for document in documents.values())


def test_what_is_no_export(tmp_path: Path) -> None:
    write_folder(tmp_path / "x", {"a.json": "[]"})
    with pytest.raises(SourceError, match=r"no channels\.json"):
        read(SlackSource, "slack", {"path": "x"}, tmp_path)
