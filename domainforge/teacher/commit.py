"""Group commit: entries that are handed in while one commit runs share the next."""

import threading
import time
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any, NamedTuple

from domainforge.teacher.ledger import Entry, Ledger, Written

GROUP_MAX = 256
"""Most entries in one transaction, and most requests noted as started that wait to leave."""

_INTERVAL_SECONDS = 0.005


class Noted(NamedTuple):
    """An entry on its way to the disk, and what its sender wants to get back with it."""

    entry: Entry
    tag: Any


class GroupCommit:
    """Writes entries to a ledger in a thread of its own, in the order of arrival.

    The cost of a disk flush is shared by all that arrived during the one before, so that groups
    grow with the load and a lone entry waits for nobody.
    """

    def __init__(
        self,
        ledger: Ledger,
        on_written: Callable[[Sequence[Noted], Written], None],
        on_error: Callable[[Sequence[Noted], BaseException], None],
    ) -> None:
        """Start the thread; both functions are called in it, once for each group."""
        self._ledger = ledger
        self._on_written = on_written
        self._on_error = on_error
        self._queue: SimpleQueue[Noted | Callable[[], object]] = SimpleQueue()
        self._thread = threading.Thread(target=self._run_to_end, name="ledger", daemon=True)
        self._closed = False
        self._thread.start()

    def put(self, entry: Entry, tag: Any = None) -> None:
        """Hand an entry in; returns at once, from any thread."""
        self._queue.put(Noted(entry, tag))

    @property
    def backlog(self) -> int:
        """Entries that no commit has taken yet."""
        return self._queue.qsize()

    def after(self, act: Callable[[], object]) -> None:
        """Call a function, in the thread, when all that was handed in so far is on disk."""
        self._queue.put(act)
        if not self._thread.is_alive():
            act()

    def close(self) -> None:
        """Write what is left and end the thread."""
        self.after(self._end)
        self._thread.join()

    def _end(self) -> None:
        self._closed = True

    def _run(self) -> None:
        began = 0.0
        while not self._closed:
            group: list[Noted] = []
            acts: list[Callable[[], object]] = []
            item = self._queue.get()
            # A commit after rest comes at once; those of a busy time wait for company.
            time.sleep(max(0.0, began + _INTERVAL_SECONDS - time.monotonic()))
            began = time.monotonic()
            while True:
                if isinstance(item, Noted):
                    group.append(item)
                else:
                    acts.append(item)
                if len(group) == GROUP_MAX or acts or self._queue.empty():
                    break
                item = self._queue.get()
            if group:
                self._write(group)
            for act in acts:
                act()

    def _run_to_end(self) -> None:
        try:
            self._run()
        finally:
            self._closed = True
            while not self._queue.empty():
                item = self._queue.get()
                if not isinstance(item, Noted):
                    item()

    def _write(self, group: Sequence[Noted]) -> None:
        try:
            written = self._ledger.write([noted.entry for noted in group])
        except BaseException as error:
            # Whatever it is, whoever waits hears of it, and this thread goes on: nobody would
            # take the next entries from the queue.
            self._on_error(group, error)
        else:
            self._on_written(group, written)
