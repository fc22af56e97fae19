"""Bring the replies of a batch that has ended into the ledger, and read what became of the rest."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from domainforge.errors import TeacherError
from domainforge.records import canonical_json
from domainforge.teacher.batch.client import BatchClient
from domainforge.teacher.batch.files import Row, read_rows
from domainforge.teacher.batch.journal import Journal, Submission
from domainforge.teacher.batch.terms import BatchTerms
from domainforge.teacher.batch.view import Batch
from domainforge.teacher.endpoint import Endpoint
from domainforge.teacher.fault import Fault, read_error, shorten
from domainforge.teacher.ledger import Completed, Entry, Faulted, Ledger
from domainforge.teacher.prices import Cost
from domainforge.teacher.request import Usage, usage_of

Bill = Callable[[Usage, Cost], Cost]
"""What a reply cost, of what it was billed for and the most that it could cost."""

_QUEUE_FULL = "token_limit_exceeded"


@dataclass
class Settled:
    """What became of a batch. Whatever is not in the ledger and not here can be asked again.

    Attributes:
        fresh: Replies that came into the ledger now.
        faults: What happened to the requests without a reply.
        costs: What each request was charged.
        free: Its requests were not executed, so that asking again is no retry.
        queue_full: What the provider says when it takes no more for now.
    """

    fresh: set[str] = field(default_factory=set)
    faults: dict[str, Fault] = field(default_factory=dict)
    costs: dict[str, Cost] = field(default_factory=dict)
    free: bool = False
    queue_full: str | None = None


class Settler:
    """Settles batches: one process at a time each, in an order that a crash can't spoil."""

    def __init__(
        self,
        endpoint: Endpoint,
        identity: str,
        ledger: Ledger,
        journal: Journal,
        client: BatchClient,
        bill: Bill,
        terms: BatchTerms,
    ) -> None:
        """Use that ledger and that client."""
        self._endpoint = endpoint
        self._identity = identity
        self._ledger = ledger
        self._journal = journal
        self._client = client
        self._bill = bill
        self._terms = terms

    async def settle(self, entry: Submission, batch: Batch) -> Settled:
        """Store the replies of a batch that has ended, then close its submission.

        The caller owns the submission. Replies are durable before it is closed, and those that
        are in the ledger already (a crash came between) are not charged again.

        Raises:
            TeacherError: No further request can succeed, or the batch was cancelled.
            StorageError: The ledger can't be written.
        """
        settled = Settled()
        left = dict.fromkeys(await asyncio.to_thread(self._journal.keys, entry.submission))
        if batch.status == "failed":
            self._read_refusal(batch, list(left), settled)
        for file_id in (batch.output_file_id, batch.error_file_id):
            if file_id is not None:
                await self._take_file(entry, file_id, left, settled)
        if batch.status != "failed":
            kind = f"batch_{batch.status}" if batch.status != "completed" else "batch_missing"
            # What the provider didn't get to is not billed; what it dropped may be.
            unsure = batch.status not in ("expired", "cancelled")
            silent = Fault(kind, "the batch ended without it", may_be_billed=unsure)
            for key in left:
                settled.faults.setdefault(key, silent)
        await asyncio.to_thread(self._write_faults, entry, settled)
        await asyncio.to_thread(self._journal.close, entry.submission, batch.status)
        self._stop_if_final(batch, settled)
        return settled

    async def _take_file(
        self, entry: Submission, file_id: str, left: dict[str, None], settled: Settled
    ) -> None:
        file = await self._client.download(file_id, self._ledger.path.parent)
        if file is None:
            return
        with file:
            rows = read_rows(file, self._endpoint)
            while group := await asyncio.to_thread(_take, rows, self._terms.group_rows):
                await asyncio.to_thread(self._write_group, entry, group, left, settled)

    def _write_group(
        self, entry: Submission, group: Sequence[Row], left: dict[str, None], settled: Settled
    ) -> None:
        """Store a group's replies. A row that isn't ours, or came before, is passed over."""
        ours = {row.key: row for row in reversed(group) if row.key in left}
        handed = self._journal.handed(entry.submission, list(ours))
        known = self._ledger.get_many(list(ours))
        entries: list[Entry] = []
        for key, row in ours.items():
            if row.fault is not None:
                settled.faults.setdefault(key, row.fault)
            if row.answer is None:
                continue
            settled.faults.pop(key, None)
            del left[key]
            if key in known:
                continue
            usage, asked = usage_of(row.answer.completion), handed[key]
            cost = self._bill(usage, Cost(asked.nano_usd, asked.tokens))
            settled.costs[key] = cost
            settled.fresh.add(key)
            entries.append(
                Completed(
                    key,
                    self._identity,
                    request=asked.request,
                    response=row.answer.text,
                    prompt_tokens=usage.prompt_tokens,
                    completion_tokens=usage.completion_tokens,
                    account=asked.account,
                    nano_usd=cost.nano_usd,
                    tokens=cost.tokens,
                )
            )
        self._ledger.write(entries)

    def _write_faults(self, entry: Submission, settled: Settled) -> None:
        faults = iter(settled.faults.items())
        while group := dict(islice(faults, self._terms.group_rows)):
            handed = self._journal.handed(entry.submission, list(group))
            entries: list[Entry] = []
            for key, fault in group.items():
                asked = handed[key]
                worst_case = Cost(asked.nano_usd, asked.tokens)
                cost = worst_case if fault.may_be_billed else Cost(0, 0)
                settled.costs[key] = cost
                entries.append(Faulted(key, fault.kind, fault.detail, asked.account, *cost))
            self._ledger.write(entries)

    def _read_refusal(self, batch: Batch, keys: Sequence[str], settled: Settled) -> None:
        """Read why a file was refused as a whole; nothing of it was executed."""
        settled.free = True
        for error in batch.errors:
            text = f"{error.get('code') or 'refused'}: {error.get('message') or 'no reason given'}"
            detail = shorten(self._endpoint.scrub(text).encode(errors="replace"))
            if error.get("code") == _QUEUE_FULL:
                settled.queue_full = detail
                return
            line = error.get("line")
            if isinstance(line, int) and 1 <= line <= len(keys):
                fault = Fault("batch_refused", detail, passing=False)
                settled.faults[keys[line - 1]] = fault
                continue
            known = read_error(
                400, canonical_json({"error": dict(error)}).encode(), {}, self._endpoint
            )
            whole = Fault("batch_refused", detail, stop=known.stop)
            settled.faults |= {key: settled.faults.get(key, whole) for key in keys}
        if not settled.faults:
            unknown = Fault("batch_refused", "the provider gives no reason")
            settled.faults = dict.fromkeys(keys, unknown)

    def _stop_if_final(self, batch: Batch, settled: Settled) -> None:
        for fault in settled.faults.values():
            if fault.stop is not None:
                raise TeacherError(fault.stop)
        if batch.status == "cancelled":
            raise TeacherError(
                f"batch {batch.id} was cancelled at {self._endpoint.base_url}; the "
                f"{len(settled.fresh)} replies that it had are kept; run the same command again to "
                f"hand over the other {len(settled.faults)} requests"
            )


def _take(rows: Iterator[Row], count: int) -> list[Row]:
    return list(islice(rows, count))
