"""A real MariaDB server for tests, private and thrown away."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.private_process import (
    find_program,
    free_port,
    private_folder,
    running,
    unprivileged_user,
)

PASSWORD = "correct horse/battery"
_DEBIAN = "usr/sbin"
_SCRIPTS = (Path("/usr/share/mariadb"), Path("/usr/share/mysql"))
_TABLES = ("mysql_system_tables.sql", "mysql_performance_tables.sql")
_READY_SECONDS = 30


@dataclass(frozen=True)
class MysqlServer:
    """A server that runs; `admin` may do everything, on 127.0.0.1 with `PASSWORD`."""

    port: int

    def execute(self, *statements: str, database: str | None = None) -> None:
        import pymysql

        with pymysql.connect(
            host="127.0.0.1",
            port=self.port,
            user="admin",
            password=PASSWORD,
            database=database,
            autocommit=True,
        ) as connection:
            for statement in statements:
                connection.cursor().execute(statement)

    def url(self, database: str, user: str = "admin", password: str = PASSWORD) -> str:
        from urllib.parse import quote

        return f"mysql://{user}:{quote(password, safe='')}@127.0.0.1:{self.port}/{database}"


def has_mysql() -> bool:
    return _scripts() is not None and find_program("mariadbd", _DEBIAN) is not None


@contextmanager
def mysql_server() -> Iterator[MysqlServer]:
    """Start a server with nothing in it; it is gone with the context."""
    mariadbd = find_program("mariadbd", _DEBIAN)
    scripts = _scripts()
    assert mariadbd is not None
    assert scripts is not None
    user = unprivileged_user("mysql")
    with private_folder(user) as folder:
        port = free_port()
        start = [mariadbd, "--no-defaults", f"--datadir={folder}", "--innodb-buffer-pool-size=8M"]
        start += ["--innodb-log-file-size=4M", "--innodb-flush-log-at-trx-commit=0"]
        # What mariadb-install-db does, which needs packages that the server itself doesn't.
        tables = "\n".join((scripts / name).read_text() for name in _TABLES)
        script = f"CREATE DATABASE mysql;\nUSE mysql;\n{tables}\n{_admin()}"
        subprocess.run(
            [*start, "--bootstrap"],
            input=script.encode(),
            user=user,
            cwd=folder,
            check=True,
            capture_output=True,
        )
        command = [*start, f"--port={port}", "--bind-address=127.0.0.1"]
        command += [f"--socket={folder}/socket", f"--pid-file={folder}/pid", "--skip-log-bin"]
        server = MysqlServer(port)
        with running(command, user, folder / "log"):
            _wait(server)
            yield server


def _scripts() -> Path | None:
    """Return the folder of the scripts that make the server's own tables."""
    return next((f for f in _SCRIPTS if all((f / name).is_file() for name in _TABLES)), None)


def _admin() -> str:
    """Return what makes the user; grants are read when the server starts."""
    return (
        "FLUSH PRIVILEGES;\n"
        f"CREATE USER admin@'%' IDENTIFIED BY '{PASSWORD}';\n"
        "GRANT ALL PRIVILEGES ON *.* TO admin@'%' WITH GRANT OPTION;\n"
    )


def _wait(server: MysqlServer) -> None:
    import pymysql

    end = time.monotonic() + _READY_SECONDS
    while True:
        try:
            return server.execute("SELECT 1")
        except pymysql.err.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
