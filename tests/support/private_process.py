"""Servers that tests start for themselves: in a folder of their own, by a user who may."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_STOP_SECONDS = 20


def find_program(name: str, *folders: str) -> str | None:
    """Return the path of a program, also where Debian keeps it out of the search path."""
    places = [str(path) for folder in folders for path in sorted(Path("/").glob(folder))]
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *places]))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def unprivileged_user(preferred: str) -> str | None:
    """Return whom to start a database as, which refuses root; None: as whoever runs the tests."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return preferred if preferred in names else "nobody"


@contextmanager
def private_folder(user: str | None) -> Iterator[Path]:
    """Make a folder with a short path (sockets need that) that belongs to a user."""
    folder = Path(tempfile.mkdtemp(prefix="df-"))
    try:
        if user is not None:
            entry = pwd.getpwnam(user)
            os.chown(folder, entry.pw_uid, entry.pw_gid)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running(command: list[str], user: str | None, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a server until the context ends."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            user=user,
            cwd=log.parent,
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
