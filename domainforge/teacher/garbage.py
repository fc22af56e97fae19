"""How often Python looks for garbage while a teacher is open."""

import gc
import threading

_GARBAGE_OBJECTS = 10_000


class Garbage:
    """The collector's thresholds, which all lines share."""

    _lock, _lines, _usual = threading.Lock(), 0, (0, 0, 0)

    @classmethod
    def look_less(cls) -> None:
        """Let it run less often, until as many have called `look_again`."""
        with cls._lock:
            if not cls._lines:
                cls._usual = gc.get_threshold()
                gc.set_threshold(max(_GARBAGE_OBJECTS, cls._usual[0]), *cls._usual[1:])
            cls._lines += 1

    @classmethod
    def look_again(cls) -> None:
        """Take one call of `look_less` back."""
        with cls._lock:
            cls._lines -= 1
            if not cls._lines:
                gc.set_threshold(*cls._usual)
