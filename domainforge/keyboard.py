"""Single keys from a terminal, without Enter."""

import os
import select
import sys
import termios
import tty

_ESCAPE = b"\x1b"
_ARROWS = {b"\x1b[C": "s", b"\x1b[D": "b", b"\x1bOC": "s", b"\x1bOD": "b"}
_LONGEST_SEQUENCE_BYTES = 16


def read_key() -> str:
    """Wait for a key; arrows right and left are `s` and `b`, what isn't known is a space.

    Between keys the terminal is as it was, so that a kill leaves it usable. Ctrl-C interrupts.

    Returns:
        The key in small letters; an empty string at the end of the input.
    """
    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)
    try:
        tty.setcbreak(keyboard, termios.TCSANOW)
        key = os.read(keyboard, 1)
        while key.startswith(_ESCAPE) and len(key) < _LONGEST_SEQUENCE_BYTES:
            if not select.select([keyboard], [], [], 0.02)[0]:
                break
            key += os.read(keyboard, 1)
            if key[-1:].isalpha() and key[-1:] != b"O":
                break
    finally:
        termios.tcsetattr(keyboard, termios.TCSANOW, before)
    if not key or key == b"\x04":
        return ""
    if key in _ARROWS:
        return _ARROWS[key]
    return key.decode("ascii").lower() if len(key) == 1 and key.isascii() else " "
