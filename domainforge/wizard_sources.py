"""The wizard's questions about where the documents are; what is typed tells which kind of place."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from domainforge.asking import Asker, hint_of
from domainforge.config_faults import explain_value
from domainforge.errors import ConfigError, DomainForgeError
from domainforge.files import find_file
from domainforge.sources.cleaning import clean_text
from domainforge.sources.config import SourceConfig
from domainforge.sources.files import FoundFiles
from domainforge.sources.sql.address import Address, find_address
from domainforge.sources.sql.config import SqlConfig
from domainforge.sources.sql.connection import open_rows
from domainforge.sources.sql.rows import make_row_reader
from domainforge.sources.web.config import CrawlConfig
from domainforge.sources.workspaces.recognise import recognise
from domainforge.starter import look_at_sources
from domainforge.typed_address import carries_password, guess_web_kind, host_to_allow

_QUESTION = "Where are the documents? (a folder, file or glob, an address, a database)"
_WEB_QUESTION = "This page only, or the pages it leads to, or is it a sitemap or a feed?"
_PASSWORD = (
    "a pipeline file holds no password: put the whole address into an environment variable "
    "(export DOCUMENTS_DB=...) and write the variable's name here; the file then says "
    "`url_env: DOCUMENTS_DB`"
)
_EXPORTS = {
    "confluence": "a Confluence space, exported as HTML",
    "git": "a Git repository, of which the last commit is read",
    "mediawiki": "a MediaWiki dump",
    "notion": "an export of Notion",
    "obsidian": "an Obsidian vault",
    "slack": "an export of Slack, of which the public channels are read",
}
_SQLITE_HEAD = b"SQLite format 3\0"
_VARIABLE = re.compile(r"\$?([A-Z_][A-Z0-9_]*)")
_DATABASE_SCHEME = re.compile(r"(postgres(ql)?|mysql|mariadb|sqlite)(\+\w+)?://", re.IGNORECASE)
_HOST_ALONE = re.compile(r"[\w-]+(\.[\w-]+)*\.[a-zA-Z]{2,}(/.*)?")
_QUERY_START = re.compile(r"(?:select|with)\b", re.IGNORECASE)
_ANY_QUERY = "SELECT 1"
_TRIAL_SECONDS = 30


@dataclass(frozen=True)
class Place:
    """One answer to where documents are.

    Attributes:
        values: The entry of `sources:`.
        name: What a run of it may be called.
        path: Where it is on disk; None for what a server has.
        found: Its files, where it is read as files.
    """

    values: Mapping[str, Any]
    name: str
    path: str | None = None
    found: FoundFiles | None = None


def ask_places(asker: Asker, project: Path) -> list[Place]:
    """Ask for places until the answer is nothing; there is at least one.

    Raises:
        EOFError: The answers ended.
    """
    asker.head("Documents", None)
    questions = _Questions(asker, project)
    default = "documents" if (project / "documents").is_dir() else None
    places: list[Place] = []
    while True:
        question = "Another place, or nothing" if places else _QUESTION
        go_on = asker.ask(question, questions.recognise, "" if places else default)
        if go_on is None:
            return places
        try:
            place = go_on()
        except DomainForgeError as error:
            asker.say(str(error), "yellow")
            continue
        if place is not None and any(place.values == other.values for other in places):
            asker.say("that place is there already", "yellow")
        elif place is not None:
            places.append(place)


def check_source(values: Mapping[str, Any]) -> SourceConfig:
    """Make an entry of `sources:` of values that were typed.

    Raises:
        ConfigError: What is wrong with them, in words that hold none of the values.
    """
    try:
        return SourceConfig.model_validate(dict(values))
    except ValidationError as error:
        texts = [explain_value(fault, SourceConfig, secret=True) for fault in error.errors()]
        raise ConfigError("\n".join(dict.fromkeys(texts))) from None


@dataclass(frozen=True)
class _Questions:
    asker: Asker
    project: Path

    def recognise(self, answer: str) -> Callable[[], Place | None] | None:
        """Tell what was typed; returns what asks on, or None where nothing was typed.

        What asks on returns None where the user wants to name another place.

        Raises:
            DomainForgeError: It is nothing that can be read.
        """
        if not answer:
            return None
        try:
            path = find_file(answer, self.project)
            if _is_sqlite(path):
                return partial(self._ask_database, {"file": answer}, path.stem)
            if path.exists():
                return self._recognise_path(answer, path)
        except OSError as error:
            raise ConfigError(f"that can't be looked at: {error.strerror}") from None
        if answer.lower().startswith(("http://", "https://")):
            return self._recognise_page(answer)
        if carries_password(answer):
            raise ConfigError(_PASSWORD)
        if "://" in answer:
            return self._recognise_database(answer)
        variable = _VARIABLE.fullmatch(answer)
        if variable is not None:
            where = {"url_env": variable[1]}
            return partial(self._ask_database, where, variable[1].lower())
        try:
            found = look_at_sources(answer, self.project)
        except DomainForgeError as error:
            hint = (
                "; a page of the web begins with https://" if _HOST_ALONE.fullmatch(answer) else ""
            )
            raise ConfigError(f"{error}{hint}") from None
        return partial(self._tell_files, answer, found)

    def _recognise_path(self, answer: str, path: Path) -> Callable[[], Place | None]:
        export = recognise(path)
        if export is not None:
            return partial(self._ask_export, export, answer)
        return partial(self._tell_files, answer, look_at_sources(answer, self.project))

    def _recognise_page(self, url: str) -> Callable[[], Place | None]:
        if carries_password(url):
            raise ConfigError("a user name or password in a URL is not sent anywhere; leave it out")
        return partial(self._ask_web, url, host_to_allow(url))

    def _recognise_database(self, url: str) -> Callable[[], Place | None]:
        if not _DATABASE_SCHEME.match(url):
            raise ConfigError(
                "an address begins with https://, http://, postgresql://, mysql:// or sqlite:///"
            )
        where = {"url": url}
        check_source({"sql": {**where, "query": _ANY_QUERY}})
        return partial(self._ask_database, where, re.split(r"[/?]", url)[-1])

    def _tell_files(self, answer: str, found: FoundFiles) -> Place:
        kinds: dict[str, int] = {}
        for file in found.files:
            kind = file.path.suffix.lower()
            kinds[kind] = kinds.get(kind, 0) + 1
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        self.asker.say(f"{len(found.files)} files can be read: {counts}")
        if found.dropped:
            self.asker.say(
                f"{len(found.dropped)} are left out, {found.dropped[0].uri} for one: "
                f"{found.dropped[0].detail}"
            )
        return Place({"files": answer}, _fixed_part(answer), answer, found)

    def _ask_export(self, place: str, answer: str) -> Place:
        self.asker.say(f"It looks like {_EXPORTS[place]}.")
        if not self.asker.ask_yes("Read it as such?", default=True):
            return self._tell_files(answer, look_at_sources(answer, self.project))
        values = {place: answer}
        check_source(values)
        return Place(values, answer, answer)

    def _ask_web(self, url: str, to_allow: str | None) -> Place | None:
        question = f"{to_allow} is no usual address of the public internet; is it yours to ask?"
        if to_allow is not None and not self.asker.ask_yes(question, default=False):
            return None
        choices = ("page", "site", "sitemap", "feed")
        kind = self.asker.choose(_WEB_QUESTION, choices, guess_web_kind(url))
        web: dict[str, Any] = {"urls" if kind == "page" else kind: url}
        if kind == "site":
            web = {"crawl": self._ask_crawl(url)}
        if to_allow is not None:
            web["allow_hosts"] = to_allow
        values = {"web": url if web == {"urls": url} else web}
        check_source(values)
        return Place(values, urlsplit(url).hostname or "")

    def _ask_crawl(self, url: str) -> dict[str, Any]:
        crawl: dict[str, Any] = {"start": url}
        for name, question in (("depth", "Depth"), ("pages", "Most pages")):

            def check(answer: str, name: str = name) -> int:
                checked = check_source({"web": {"crawl": {"start": url, name: answer}}})
                assert checked.web is not None
                number: int = getattr(checked.web.crawl, name)
                return number

            default = str(CrawlConfig.model_fields[name].default)
            hint = hint_of(CrawlConfig, name)
            crawl[name] = self.asker.ask(question, check, default, hint=hint)
        return crawl

    def _ask_database(self, where: Mapping[str, str], name: str) -> Place | None:
        if "url_env" in where and where["url_env"] not in os.environ:
            self.asker.say("no file or folder of that name, so it is taken for a variable's")
        address: Address | None = None
        try:
            address = find_address(SqlConfig(query=_ANY_QUERY, **where), self.project)
        except DomainForgeError as error:
            self.asker.say(str(error), "yellow")
            if not self.asker.ask_yes("Keep it all the same?", default=False):
                return None
        question, default = "Query", None
        while True:
            hint = hint_of(SqlConfig, "query")
            query = self.asker.ask(question, partial(_check_query, where), default, hint=hint)
            if not query:
                return None
            values = {"sql": {**where, "query": query}}
            if address is None or self._try_query(address, values):
                return Place(values, address.database if address else name)
            if self.asker.ask_yes("Keep it all the same?", default=False):
                return Place(values, address.database)
            question, default = "Query, or nothing to name another place", ""

    def _try_query(self, address: Address, values: Mapping[str, Mapping[str, Any]]) -> bool:
        """Read the first rows if the user wants it; tells whether there is nothing against it."""
        local = address.file is not None
        if not self.asker.ask_yes("Try it now? It reads the first rows", default=local):
            return True
        trial = {**values["sql"], "statement_timeout_seconds": _TRIAL_SECONDS}
        config = check_source({"sql": trial})
        assert config.sql is not None
        try:
            with open_rows(address, config.sql) as rows:
                first = next(rows.batches, ())
                reader = make_row_reader(config, rows.columns, first)
                chars = len(reader.read(reader.fields(first[0])).text) if first else 0
        except DomainForgeError as error:
            self.asker.say(str(error), "red")
            return False
        told = f"{chars:,} characters in the first row" if first else "there are no rows"
        names = f"rows are named by {reader.id_column}" if reader.id_column else (
            "rows are named by their number, for there is no column id or url"
        )  # fmt: skip
        told = f"it answers: the text is in {reader.text_column} ({told}); {names}"
        self.asker.say(" ".join(clean_text(told).split()), "green" if first else "yellow")
        return True


def _check_query(where: Mapping[str, str], answer: str) -> str:
    if answer and not _QUERY_START.match(answer):
        raise ConfigError("write one query that begins with SELECT or WITH, on one line")
    if answer:
        check_source({"sql": {**where, "query": answer}})
    return answer


def _is_sqlite(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as handle:
        return handle.read(len(_SQLITE_HEAD)) == _SQLITE_HEAD


def _fixed_part(pattern: str) -> str:
    """Return a glob's folder, for the name of a run."""
    parts: Sequence[str] = Path(pattern).parts
    fixed = next((n for n, part in enumerate(parts) if set(part) & set("*?[")), len(parts))
    return str(Path(*parts[:fixed]))
