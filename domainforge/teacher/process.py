"""Name a process so that it is told from a later one with the same number."""

import os
from pathlib import Path


def own_mark() -> str:
    """Return the mark of this process: its number and when it started."""
    pid = os.getpid()
    return f"{pid}:{_start_time(pid) or ''}"


def is_alive(mark: str) -> bool:
    """Tell whether the process with that mark still runs.

    In a container every run tends to get the same number, so the number alone won't do; where
    the system doesn't tell start times (no /proc), it has to.
    """
    number, _, started = mark.partition(":")
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return not started or _start_time(int(number)) == started


def _start_time(pid: int) -> str | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name (field 2) may hold spaces and parentheses; fields are counted from behind it.
    state, *fields = text.rpartition(")")[2].split()
    return None if state in "ZX" else fields[18]
