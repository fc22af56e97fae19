"""One channel of a Slack export: threads as documents, the other messages by the day."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from domainforge.records import Document
from domainforge.sources.cleaning import clean_text
from domainforge.sources.loaded import LeftOut, Loaded, SourceFile, Starting
from domainforge.sources.workspaces.slack import user_names

# Messages that Slack itself writes about the channel.
_NOTICES = frozenset(
    {
        *(
            f"{kind}_{event}"
            for kind in ("channel", "group")
            for event in ("join", "leave", "topic", "purpose", "name", "archive", "unarchive")
        ),
        "channel_convert_to_private", "channel_convert_to_public", "channel_posting_permissions",
        "bot_add", "bot_remove", "pinned_item", "unpinned_item", "reminder_add", "tombstone",
        "huddle_thread", "sh_room_created", "message_deleted", "joiner_notification",
        "joiner_notification_for_inviter", "app_conversation_join", "ekm_access_denied",
    }
)  # fmt: skip
_MARK = re.compile(r"<([^<>\n|]{1,3000})(?:\|([^<>\n]{0,3000}))?>")
_MAX_DAY_BYTES = 200_000_000
_MAX_TITLE_CHARS = 80


@dataclass
class _Thread:
    """A thread that is still being read.

    Attributes:
        last_day: Day of its last message, known from a first pass.
    """

    last_day: str
    messages: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class _Channel:
    name: str
    is_public: bool
    users: dict[str, str]
    file: SourceFile

    @property
    def label(self) -> str:
        return f"#{self.name}" if self.is_public else self.name


def stream_slack_channel(
    handle: BinaryIO, file: SourceFile, skip: int
) -> Iterator[Loaded | Starting]:
    """Read a channel day by day; a thread comes out with the day of its last message.

    `handle` is the order that the source wrote: name, users and the files of the days. The days
    are read twice: first for where each thread ends, so that only open threads are held.
    """
    order = json.loads(handle.read())
    users = user_names(Path(order["users"]) if order["users"] else None)
    channel = _Channel(order["channel"], order["is_public"], users, file)
    days = {day: Path(path) for day, path in order["days"].items()}
    ends: dict[str, str] = {}
    for day, path in days.items():
        for message in _messages(path)[0]:
            if _thread_of(message) is not None:
                ends[str(_thread_of(message))] = day
    open_threads: dict[str, _Thread] = {}
    for number, (day, path) in enumerate(days.items()):
        if number >= skip:
            yield Starting(f"{file.uri}#{day}")
        loaded = _load_day(channel, day, path, open_threads, ends)
        if number >= skip:
            yield loaded


def _load_day(
    channel: _Channel, day: str, path: Path, threads: dict[str, _Thread], ends: dict[str, str]
) -> Loaded:
    uri = f"{channel.file.uri}#{day}"
    messages, fault = _messages(path)
    if fault is not None:
        return Loaded(faults=(LeftOut(uri, "bad_json", fault),))
    alone: list[dict[str, Any]] = []
    notices = 0
    for message in messages:
        if message.get("type", "message") != "message" or message.get("subtype") in _NOTICES:
            notices += 1
            continue
        thread = _thread_of(message)
        if thread is None:
            alone.append(message)
        else:
            threads.setdefault(thread, _Thread(ends[thread])).messages.append(message)
    documents = [_document(channel, uri, f"{channel.label}, {day}", alone, day)]
    for thread in [key for key, value in threads.items() if value.last_day == day]:
        found = sorted(threads.pop(thread).messages, key=_time)
        title = f"{channel.label}: {_first_line(channel, found)}"
        documents.append(_document(channel, f"{channel.file.uri}#{thread}", title, found, None))
    dropped: tuple[LeftOut, ...] = ()
    if notices:
        detail = f"{notices} notices of Slack itself: who joined, new topics ..."
        dropped = (LeftOut(f"{uri}-notices", "channel_notice", detail),)
    return Loaded(tuple(document for document in documents if document is not None), dropped)


def _messages(path: Path) -> tuple[list[dict[str, Any]], str | None]:
    """Return the messages of a day, or what is wrong with its file."""
    try:
        if path.stat().st_size > _MAX_DAY_BYTES:
            return [], f"a day of more than {_MAX_DAY_BYTES:,} bytes"
        value = json.loads(path.read_bytes())
    except OSError as error:
        return [], error.strerror or "no access"
    except (ValueError, RecursionError) as error:
        return [], f"no valid JSON: {error}"[:300]
    if not isinstance(value, list):
        return [], f"a {type(value).__name__}, not a list of messages"
    return [message for message in value if isinstance(message, dict)], None


def _thread_of(message: dict[str, Any]) -> str | None:
    """Return the thread's name; a message that nobody answered belongs to none."""
    thread = message.get("thread_ts")
    return thread if isinstance(thread, str) and thread else None


def _time(message: dict[str, Any]) -> float:
    try:
        seconds = float(message.get("ts", 0))
    except (TypeError, ValueError):
        return 0.0
    return seconds if 0 <= seconds < 253_402_300_800 else 0.0


def _document(
    channel: _Channel, uri: str, title: str, messages: list[dict[str, Any]], day: str | None
) -> Document | None:
    messages = sorted(messages, key=_time)
    lines = [(message, _said(channel, message)) for message in messages]
    lines = [(message, said) for message, said in lines if said]
    if not lines:
        return None
    body = "\n\n".join(
        f"**{_author(channel, message)}** ({_clock(message, day)}): {said}"
        for message, said in lines
    )
    first, last = lines[0][0], lines[-1][0]
    people = sorted({_author(channel, message) for message, _ in lines})
    metadata: dict[str, Any] = {
        "channel": channel.name, "messages": len(lines), "people": people,
    }  # fmt: skip
    edits = [m["edited"] for m, _ in lines if isinstance(m.get("edited"), dict)]
    modified = max(_time(last), *(_time(edit) for edit in edits), 0.0)
    text = clean_text(f"# {title}\n\n{body}")
    return Document(
        uri,
        title,
        text,
        "application/json",
        metadata,
        created=_iso(_time(first)),
        modified=_iso(modified),
    )


def _first_line(channel: _Channel, messages: list[dict[str, Any]]) -> str:
    texts = (_said(channel, message) for message in messages)
    text = next((text for text in texts if text), "thread")
    line = " ".join(text.split("\n")[0].replace("*", "").split())
    if len(line) <= _MAX_TITLE_CHARS:
        return line
    return line[:_MAX_TITLE_CHARS].rpartition(" ")[0] + " ..."


def _author(channel: _Channel, message: dict[str, Any]) -> str:
    user = message.get("user") or message.get("bot_id")
    if isinstance(user, str) and user in channel.users:
        return channel.users[user]
    profiles = (message.get("user_profile"), message.get("bot_profile"), message)
    for profile in profiles:
        for name in ("display_name", "real_name", "username", "name"):
            value = profile.get(name) if isinstance(profile, dict) else None
            if isinstance(value, str) and value.strip():
                return " ".join(value.split())
    return str(user or "unknown")


def _said(channel: _Channel, message: dict[str, Any]) -> str:
    parts = [_plain(channel, message.get("text"))]
    attachments = message.get("attachments")
    for attachment in attachments if isinstance(attachments, list) else ():
        if isinstance(attachment, dict):
            fields = [_plain(channel, attachment.get(name)) for name in ("title", "text")]
            quoted = ": ".join(field for field in fields if field)
            parts.append(quoted or _plain(channel, attachment.get("fallback")))
    files = message.get("files")
    for shared in files if isinstance(files, list) else ():
        name = (shared.get("title") or shared.get("name")) if isinstance(shared, dict) else None
        if isinstance(name, str):
            parts.append(f"[file: {' '.join(name.split())}]")
    return "\n".join(part for part in parts if part).strip()


def _plain(channel: _Channel, text: object) -> str:
    """Write out Slack's marks: `<@U1>`, `<#C1|general>`, `<!here>`, `<url|text>`."""
    if not isinstance(text, str):
        return ""
    text = _MARK.sub(lambda match: _mark(channel, match[1], match[2]), text)
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").strip()


def _mark(channel: _Channel, target: str, label: str | None) -> str:
    if target.startswith("@"):
        return f"@{channel.users.get(target[1:]) or label or target[1:]}"
    if target.startswith("#"):
        return f"#{label or target[1:]}"
    if target.startswith("!"):
        return label or f"@{target[1:].partition('^')[0]}"
    if target.startswith("mailto:"):
        return label or target.removeprefix("mailto:")
    return f"[{label}]({target})" if label and label != target else target


def _clock(message: dict[str, Any], day: str | None) -> str:
    when = datetime.fromtimestamp(_time(message), UTC)
    return when.strftime("%H:%M") if day else when.strftime("%Y-%m-%d %H:%M")


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
