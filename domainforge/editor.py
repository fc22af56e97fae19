"""The user's own editor, opened on a file."""

import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from domainforge.errors import ConfigError

_USUAL = ("nano", "vi")


def find_editor(variables: Mapping[str, str], *, has_terminal: bool) -> list[str]:
    """Return the command that opens an editor: `$VISUAL`, `$EDITOR`, else nano or vi.

    Args:
        variables: Of the environment.
        has_terminal: Somebody can type; what is not named by the user is only opened then.

    Raises:
        ConfigError: There is none.
    """
    for name in ("VISUAL", "EDITOR"):
        given = variables.get(name, "").strip()
        if not given:
            continue
        try:
            command = shlex.split(given)
        except ValueError as error:
            raise ConfigError(f"{name} is {given!r}, which is no command: {error}") from error
        if command and shutil.which(command[0]):
            return command
        raise ConfigError(f"{name} is {given!r}, and there is no such program here")
    found = next(filter(None, map(shutil.which, _USUAL)), None)
    if found and has_terminal:
        return [found]
    raise ConfigError(
        "no editor to open: set EDITOR to one (`export EDITOR=nano`), or open the file yourself "
        "and look it over with `domainforge prompts check`"
    )


def open_editor(command: Sequence[str], path: Path) -> None:
    """Open a file in an editor and wait until it is closed.

    Raises:
        ConfigError: The editor can't be started, or ended with a fault.
    """
    # Ctrl-C is the editor's while it is open; ending on it here would take unsaved text along. A
    # handler, unlike SIG_IGN, isn't handed on to the editor.
    before = signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        ended = subprocess.run([*command, str(path)], check=False).returncode
    except OSError as error:
        raise ConfigError(f"{command[0]} can't be started: {error.strerror}") from error
    finally:
        signal.signal(signal.SIGINT, before)
    if ended:
        raise ConfigError(f"{command[0]} ended with status {ended}; {path} is as it left it")
