"""What the batch tests share: a ledger, short waits, and a desk for the length of one call."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from domainforge.teacher.batch.runner import BatchDesk
from domainforge.teacher.batch.terms import BatchTerms, Done
from domainforge.teacher.config import TeacherConfig
from domainforge.teacher.endpoint import Endpoint
from domainforge.teacher.ledger import Ledger
from domainforge.teacher.prices import Price
from domainforge.teacher.request import Request, request_key
from tests.teacher.quick import FAST, KEY, chat, config_for

IDENTITY = "lab|local-teacher"
QUICK = BatchTerms(first_look_seconds=0.005, longest_look_seconds=0.02, group_rows=3)
UNPRICED = Price("nowhere")


def open_ledger(path: Path) -> Ledger:
    """Open a ledger."""
    return Ledger(path)


def keyed(requests: Sequence[Request]) -> list[tuple[str, Request]]:
    """Return requests with their keys in the ledger."""
    return [(request_key(IDENTITY, request), request) for request in requests]


def chats(count: int) -> list[Request]:
    """Return different requests."""
    return [chat(number) for number in range(count)]


def answer(
    base_url: str,
    path: Path,
    requests: Sequence[Request],
    *,
    config: TeacherConfig | None = None,
    progress: list[str] | None = None,
    terms: BatchTerms = QUICK,
    price: Price = UNPRICED,
    **changes: Any,
) -> dict[str, Done]:
    """Answer requests through batches, in a session of their own."""
    endpoint = Endpoint(base_url, "local-teacher", KEY, "KEY_FOR_TESTS")
    told: dict[str, Done] = {}

    def tell(done: Done) -> None:
        assert done.key not in told, "told twice"
        told[done.key] = done

    async def run() -> None:
        said = progress if progress is not None else []
        with open_ledger(path) as ledger:
            desk = BatchDesk(
                endpoint,
                IDENTITY,
                config or config_for(base_url),
                ledger,
                FAST,
                price,
                "run-1",
                replace(terms, **changes),
                lambda seen: said.append(str(seen)),
            )
            try:
                await desk.answer(keyed(requests), True, tell)
            finally:
                await desk.close()

    asyncio.run(run())
    return told
