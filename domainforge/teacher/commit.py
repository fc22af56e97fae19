"""Group commit: replies that arrive while one commit runs share the next."""

import asyncio

from domainforge.teacher.ledger import Entry, Ledger, Written


class GroupCommit:
    """Writes entries to a ledger from an event loop without blocking it.

    One commit runs at a time, in a thread. Whoever writes meanwhile joins the next group, so the
    cost of a disk flush is shared and groups grow with the load.
    """

    def __init__(self, ledger: Ledger) -> None:
        """Use that ledger."""
        self._ledger = ledger
        self._turn = asyncio.Lock()
        self._entries: list[Entry] = []
        self._commit: asyncio.Task[Written] | None = None

    async def write(self, entry: Entry) -> Written:
        """Return when the entry is on disk; tells what its whole group found.

        A caller that is cancelled doesn't take its entry back: it is written all the same.

        Raises:
            StorageError: The group could not be written.
        """
        self._entries.append(entry)
        if self._commit is None:
            self._commit = asyncio.create_task(self._write_group())
        return await asyncio.shield(self._commit)

    async def flush(self) -> None:
        """Return when everything handed over is on disk."""
        if self._commit is not None:
            await asyncio.shield(self._commit)
        async with self._turn:
            pass

    async def _write_group(self) -> Written:
        async with self._turn:
            group, self._entries, self._commit = self._entries, [], None
            return await asyncio.to_thread(self._ledger.write, group)
