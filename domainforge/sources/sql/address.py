"""The address of a database: which kinds there are, and what may stand in it."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

from domainforge.errors import ConfigError, SourceError
from domainforge.files import find_file

if TYPE_CHECKING:
    from sqlalchemy import URL

    from domainforge.sources.sql.config import SqlConfig

# Kind to SQLAlchemy's name of its driver, the module that must be there, and our extra.
_DRIVERS = {
    "sqlite": ("sqlite", "sqlite3", ""),
    "postgresql": ("postgresql+psycopg", "psycopg", "postgres"),
    "mysql": ("mysql+pymysql", "pymysql", "mysql"),
}
_KINDS = {"postgres": "postgresql", "mariadb": "mysql"} | {kind: kind for kind in _DRIVERS}
_NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mysql": "MySQL"}
# Settings of a connection that can't make it write, read local files, or carry a password.
_OPTIONS = {
    "sqlite": frozenset[str](),
    "postgresql": frozenset(
        {"host", "port", "sslmode", "sslrootcert", "sslcert", "sslkey", "application_name"}
        | {"target_session_attrs", "gssencmode", "channel_binding"}
    ),
    "mysql": frozenset({"unix_socket", "charset", "ssl_ca", "ssl_cert", "ssl_key"}),
}
_SHORTEST_SECRET = 3
_EXAMPLE = (
    "write it as postgresql://user@host/database, mysql://user@host/database or sqlite:///FILE"
)


@dataclass(frozen=True)
class Address:
    """A database that can be asked.

    Attributes:
        kind: `sqlite`, `postgresql` or `mysql`.
        url: With the password; it goes to the driver and nowhere else.
        file: The file of a SQLite database.
        written: The key that it was written under, for messages.
    """

    kind: str
    url: "URL"
    file: Path | None
    written: str

    @property
    def database(self) -> str:
        """The name of the database, which says nothing of the machine that it is on."""
        if self.file is not None:
            return self.file.stem
        return self.url.database or self.url.username or self.kind

    @property
    def label(self) -> str:
        """What messages call it."""
        if self.file is not None:
            return f"{self.file.name}"
        port = f":{self.url.port}" if self.url.port else ""
        return f"{_NAMES[self.kind]} database {self.database} at {self.url.host or 'here'}{port}"

    def scrub(self, text: str) -> str:
        """Take the password out of a text, however it is written."""
        password = self.url.password
        secret = "" if password is None else str(password)
        if len(secret) < _SHORTEST_SECRET:
            return text
        for form in (secret, quote(secret), quote(secret, safe=""), quote_plus(secret)):
            text = text.replace(form, "[password removed]")
        return text


def check_address(value: str | None) -> str | None:
    """Return an address that may stand in a pipeline file.

    Raises:
        ValueError: It carries a password, or is no address of a kind that is known.
    """
    if value is not None and _parse(value).password is not None:
        raise ValueError(
            "the address must carry no password: a pipeline file holds no secrets; put the whole "
            "address in an environment variable and its name in `url_env`"
        )
    return value


def find_address(config: "SqlConfig", project: Path) -> Address:
    """Return the address that a config names.

    Raises:
        ConfigError: The variable is not set, what it holds is no address, or the driver is missing.
        SourceError: No such file.
    """
    if config.file is not None:
        return _file_address(config.file, project, "file")
    text, written = config.url or "", "url"
    if config.url_env is not None:
        written = f"url_env: {config.url_env}"
        text = os.environ.get(config.url_env, "")
        if not text:
            raise ConfigError(
                f"sources: sql: the environment variable {config.url_env} is not set; it holds "
                f"the database's address: {_EXAMPLE}"
            )
    try:
        url = _parse(text)
    except ValueError as error:
        raise ConfigError(f"sources: sql: {written}: {error}") from None
    kind = _KINDS[url.get_backend_name()]
    if kind == "sqlite":
        return _file_address(url.database or "", project, written)
    _check_driver(kind)
    return Address(kind, url.set(drivername=_DRIVERS[kind][0]), None, written)


def _parse(text: str) -> "URL":
    """Parse an address; a fault names none of it, since a password may be anywhere in it."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(text)
        backend = url.get_backend_name()
        if "@" in f"{url.host}{url.database}":
            raise ValueError("a password with an @ in it, whose rest would be taken for the host")
    except (ArgumentError, ValueError):
        raise ValueError(
            f"no address of a database; {_EXAMPLE}, with `/`, `@`, `:` and `%` in a password "
            "percent-encoded"
        ) from None
    if backend not in _KINDS:
        raise ValueError(f"{backend} is not known; there are {', '.join(sorted(_KINDS))}")
    kind = _KINDS[backend]
    unknown = sorted(set(url.query) - _OPTIONS[kind])
    if unknown:
        allowed = ", ".join(sorted(_OPTIONS[kind])) or "none"
        raise ValueError(
            f"{', '.join(unknown)} can't stand behind the ? of an address; allowed: {allowed}"
        )
    if kind != "sqlite" and not url.database:
        raise ValueError(f"the address names no database; {_EXAMPLE}")
    return url


def _file_address(name: str, project: Path, written: str) -> Address:
    from sqlalchemy import URL

    path = find_file(name, project)
    if not name or not path.is_file():
        raise SourceError(
            f"sources: sql: {written}: no such file: {name or '(empty)'} (looked in {project}); "
            "a path in a pipeline file is relative to the project folder"
        )
    return Address("sqlite", URL.create("sqlite"), path, written)


def _check_driver(kind: str) -> None:
    import importlib

    _, module, extra = _DRIVERS[kind]
    try:
        importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"sources: sql: {_NAMES[kind]} needs a driver that is not installed ({error}): "
            f'pip install "domainforge[{extra}]"'
        ) from None
