"""A command on a terminal of its own, that keys are typed into."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from pathlib import Path

from tests.support.command import ROOT

_SEQUENCE = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07)")
_PATIENCE_SECONDS = 30.0


class Terminal:
    """Runs `domainforge` on a pseudo terminal.

    Attributes:
        child: The process.
        said: All that it wrote so far, colours and movements left out.
    """

    def __init__(
        self, arguments: list[str], folder: Path, variables: Mapping[str, str] | None = None
    ) -> None:
        """Start the command on a screen of 80 by 24."""
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.child = subprocess.Popen(
            [sys.executable, "-m", "tests.support.own_terminal", *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=folder,
            env={**os.environ, "TERM": "xterm", "PYTHONPATH": str(ROOT), **(variables or {})},
            start_new_session=True,
        )
        os.close(slave)
        self.said = ""

    def wait_for(self, text: str) -> str:
        """Read until the command has written a text; returns what came since the last call."""
        end = time.monotonic() + _PATIENCE_SECONDS
        since = ""
        while text not in _plain(since):
            assert time.monotonic() < end, f"never said {text!r}, but {_plain(since)!r}"
            data = self._read(0.1)
            assert data is not None, f"ended without {text!r}: {_plain(since)!r}"
            since += data
        self.said += _plain(since)
        return _plain(since)

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._master, keys.encode())

    def end(self) -> int:
        """Read all that is left and return the exit status."""
        while (data := self._read(_PATIENCE_SECONDS)) is not None:
            self.said += _plain(data)
        os.close(self._master)
        return self.child.wait(_PATIENCE_SECONDS)

    def _read(self, seconds: float) -> str | None:
        if not select.select([self._master], [], [], seconds)[0]:
            return ""
        try:
            data = os.read(self._master, 65_536)
        except OSError:  # the other side is closed
            return None
        return data.decode(errors="replace") if data else None


def _plain(text: str) -> str:
    return _SEQUENCE.sub("", text).replace("\r", "")
