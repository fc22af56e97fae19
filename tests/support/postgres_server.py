"""A real PostgreSQL server for tests, private and thrown away."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.support.private_process import (
    find_program,
    free_port,
    private_folder,
    running,
    unprivileged_user,
)

PASSWORD = "correct horse/battery"  # has what must be percent-encoded in a URL
_DEBIAN = "usr/lib/postgresql/*/bin"
_READY_SECONDS = 30


@dataclass(frozen=True)
class PostgresServer:
    """A server that runs; `admin` may do everything, on 127.0.0.1 with `PASSWORD`."""

    port: int

    def execute(self, *statements: str, database: str = "postgres") -> None:
        import psycopg

        with psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user="admin",
            password=PASSWORD,
            dbname=database,
            autocommit=True,
        ) as connection:
            for statement in statements:
                connection.execute(statement)

    def url(self, database: str, user: str = "admin", password: str = PASSWORD) -> str:
        from urllib.parse import quote

        return f"postgresql://{user}:{quote(password, safe='')}@127.0.0.1:{self.port}/{database}"


def has_postgres() -> bool:
    return bool(find_program("initdb", _DEBIAN) and find_program("postgres", _DEBIAN))


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Start a server with an empty cluster; it is gone with the context."""
    initdb, postgres = find_program("initdb", _DEBIAN), find_program("postgres", _DEBIAN)
    assert initdb is not None
    assert postgres is not None
    user = unprivileged_user("postgres")
    with private_folder(user) as folder:
        secret = folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        initialise = [initdb, "-D", "data", "-U", "admin", "--auth=scram-sha-256", "--no-sync"]
        initialise += ["--pwfile=password", "-E", "UTF8", "--locale=C"]
        subprocess.run(initialise, cwd=folder, user=user, check=True, capture_output=True)
        port = free_port()
        settings = ["listen_addresses=127.0.0.1", f"port={port}", "fsync=off"]
        settings += [f"unix_socket_directories={folder}", "max_connections=20"]
        command = [postgres, "-D", str(folder / "data")]
        command += [part for setting in settings for part in ("-c", setting)]
        server = PostgresServer(port)
        with running(command, user, folder / "log"):
            _wait(server)
            yield server


def _wait(server: PostgresServer) -> None:
    import psycopg

    end = time.monotonic() + _READY_SECONDS
    while True:
        try:
            return server.execute("SELECT 1")
        except psycopg.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
