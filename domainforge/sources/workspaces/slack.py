"""A Slack export: which channels are read, and the order that says how to read each."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from domainforge.errors import SourceError
from domainforge.sources.config import SourceConfig
from domainforge.sources.files import read_unless_known
from domainforge.sources.loaded import LeftOut, SourceFile
from domainforge.sources.reading import FileWork, Reader, Reading
from domainforge.sources.workspaces.export import (
    Export,
    hash_of,
    open_export,
    place_of,
    state_of,
)

_DAY = re.compile(r"(?:(.*)/)?([^/]+)/(\d{4}-\d\d-\d\d)\.json$")
_PRIVATE_LISTS = ("groups.json", "dms.json", "mpims.json")
_MAX_LIST_BYTES = 100_000_000


class SlackSource:
    """Reads the channels of an export: a document per thread and per day of a channel."""

    def __init__(self, config: SourceConfig, project: Path) -> None:
        assert config.slack is not None
        self._config = config
        self._slack = config.slack
        self._project = project

    def identity(self) -> Mapping[str, Any]:
        """Return the hash of the export."""
        return {"export": state_of(place_of(self._slack.path, self._project))}

    def read(self, reader: Reader) -> Iterator[Reading]:
        """Read channels, in the order of their names.

        Raises:
            SourceError: No export of Slack.
        """
        place = place_of(self._slack.path, self._project)
        with open_export(place, reader.folder) as export:
            yield from read_unless_known(self._works(export), reader)

    def _works(self, export: Export) -> Iterator[FileWork | LeftOut]:
        yield from export.left_out
        lists = {item.name.rpartition("/")[2]: item.path for item in export.items
                 if not _DAY.match(item.name) and item.name.endswith(".json")}  # fmt: skip
        users = lists.get("users.json") or lists.get("org_users.json")
        if "channels.json" not in lists and not any(name in lists for name in _PRIVATE_LISTS):
            raise SourceError(
                f"sources: {self._slack.path} has no channels.json, so it is no Slack export"
            )
        public = _folders(lists.get("channels.json"))
        days: dict[str, dict[str, Path]] = {}
        for item in export.items:
            match = _DAY.match(item.name)
            if match is not None:
                days.setdefault(match[2], {})[match[3]] = item.path
        names = {**{name: name for name in public}, **_private_names(lists, users)}
        for number, (folder, files) in enumerate(sorted(days.items())):
            uri = export.uri(folder)
            if folder not in public and not self._slack.private:
                detail = "a private channel or direct messages; `private: true` reads them"
                yield LeftOut(uri, "private", detail)
                continue
            order = {
                "channel": names.get(folder, folder),
                "is_public": folder in public,
                "users": str(users.absolute()) if users else None,
                "days": {day: str(path.absolute()) for day, path in sorted(files.items())},
            }
            path = export.temporary / f"{number}.order"
            path.write_text(json.dumps(order), encoding="utf-8")
            file = SourceFile(path, uri, self._config, "slack channel")
            inputs = [*files.values(), *([users] if users else [])]
            yield FileWork(file, revision=hash_of(*inputs))


def read_list(path: Path | None) -> list[dict[str, Any]]:
    """Read one of the lists of an export; what is no list of objects counts as empty."""
    if path is None or path.stat().st_size > _MAX_LIST_BYTES:
        return []
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return []
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def user_names(path: Path | None) -> dict[str, str]:
    """Return the name that each user is shown with, by id."""
    names: dict[str, str] = {}
    for user in read_list(path):
        profile = user.get("profile")
        fields = profile if isinstance(profile, dict) else {}
        shown = (
            fields.get("display_name"), fields.get("real_name"), user.get("real_name"),
            user.get("name"),
        )  # fmt: skip
        name = next((value for value in shown if isinstance(value, str) and value.strip()), None)
        if name is not None:
            names[str(user.get("id"))] = " ".join(name.split())
    return names


def _folders(path: Path | None) -> set[str]:
    return {str(channel.get("name") or channel.get("id")) for channel in read_list(path)}


def _private_names(lists: Mapping[str, Path], users: Path | None) -> dict[str, str]:
    """Name direct messages, whose folders are ids, by who takes part."""
    known = user_names(users)
    names: dict[str, str] = {}
    for name in ("dms.json", "mpims.json"):
        for talk in read_list(lists.get(name)):
            members = talk.get("members")
            people = (
                [known.get(str(m), str(m)) for m in members] if isinstance(members, list) else []
            )
            for folder in (talk.get("id"), talk.get("name")):
                if isinstance(folder, str) and people:
                    names[folder] = ", ".join(people)
    return names
