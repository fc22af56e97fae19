"""What each document, passage and task came to, from plan to kept row."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from domainforge.errors import YieldError
from domainforge.run_folder import RunFolder, read_table

_LISTED = 20


@dataclass(frozen=True)
class DocumentYield:
    """One document and one task.

    Attributes:
        asked: Whether a teacher is asked; chats and rows that need none count for themselves.
        planned: Requests planned.
        kept: Requests that came to a row that passed the filter.
        rows: These rows; more than `kept` where a reply makes several.
        passages: Ids of the chunks asked about.
        barren: Of these, the ones that produced no kept row.
    """

    uri: str
    prompt: str
    asked: bool
    planned: int
    kept: int
    rows: int
    passages: frozenset[str]
    barren: frozenset[str]


def document_yields(folder: Path) -> list[DocumentYield]:
    """Count planned requests and kept rows for each document and task of a run."""
    plan = read_table(folder / "examples", "plan").to_pylist()
    rows = read_table(folder / "kept").select(["chunk_id", "prompt", "unit", "sample"]).to_pylist()
    asked = {row["prompt"] for row in plan if row["asked"]}
    made = Counter((row["chunk_id"], row["prompt"]) for row in rows)
    kept = Counter(
        (chunk_id, prompt)
        for chunk_id, prompt, _, _ in {
            (row["chunk_id"], row["prompt"], row["unit"], row["sample"]) for row in rows
        }
    )
    groups: dict[tuple[str, str], list[tuple[str, int, int, int]]] = defaultdict(list)
    for row in plan:
        cell = (row["chunk_id"], row["prompt"])
        counts = (row["chunk_id"], row["planned"], kept[cell], made[cell])
        groups[(row["uri"], row["prompt"])].append(counts)
    return [
        DocumentYield(
            uri=uri,
            prompt=prompt,
            asked=prompt in asked,
            planned=sum(planned for _, planned, _, _ in cells),
            kept=sum(requests for _, _, requests, _ in cells),
            rows=sum(number for _, _, _, number in cells),
            passages=frozenset(chunk_id for chunk_id, *_ in cells),
            barren=frozenset(chunk_id for chunk_id, _, requests, _ in cells if not requests),
        )
        for (uri, prompt), cells in sorted(groups.items())
    ]


def check_yield(run: RunFolder, min_yield_share: float) -> str:
    """Fail a run that came to too little, with the pages that produced nothing.

    Rows that need no teacher can't make up for one that yields little.

    Returns:
        What to tell where the run came to enough, and some documents to nothing; else empty.

    Raises:
        YieldError: Kept rows are under `min_yield_share` of the planned requests.
    """
    yields = document_yields(run.path)
    counted = asked_yields(yields)
    planned, kept = sum(y.planned for y in counted), sum(y.kept for y in counted)
    share = kept / planned if planned else 0.0
    if kept and share >= min_yield_share:
        return describe_barren(yields) if barren_documents(yields) else ""
    # Without a row there is nothing to go on with, whatever share is asked for.
    wanted = f"min_yield_share asks for {min_yield_share:.1%}" if kept else "there is nothing left"
    lower = ", or lower min_yield_share" if kept else ", or what the filter asks for"
    raise YieldError(
        f"{kept} of {planned} requests came to a kept row ({share:.1%}); {wanted}.\n"
        f"{describe_barren(yields)}\n"
        f"Look at `domainforge show {run.path.name} filter --dropped` for the reasons, mend the "
        f"prompt or the teacher{lower}. What was paid for is in the ledger."
    )


def asked_yields(yields: Sequence[DocumentYield]) -> list[DocumentYield]:
    """Leave out rows that need no teacher, unless there are no others."""
    return [entry for entry in yields if entry.asked] or list(yields)


def describe_barren(yields: Sequence[DocumentYield]) -> str:
    """Name the documents without a single kept row."""
    barren = barren_documents(yields)
    if not barren:
        return "Every document produced something."
    names = "\n".join(f"  {uri}" for uri in barren[:_LISTED])
    more = f"\n  and {len(barren) - _LISTED} more" if len(barren) > _LISTED else ""
    total = len({entry.uri for entry in yields})
    return f"Documents that produced nothing ({len(barren)} of {total}):\n{names}{more}"


def barren_documents(yields: Sequence[DocumentYield]) -> list[str]:
    """Return the documents without a single kept row.

    Where a teacher was asked about a document, rows that need none don't hide that it gave none.
    """
    asked = {entry.uri for entry in yields if entry.asked}
    kept: dict[str, int] = {}
    for entry in yields:
        if entry.asked or entry.uri not in asked:
            kept[entry.uri] = kept.get(entry.uri, 0) + entry.kept
    return sorted(uri for uri, rows in kept.items() if not rows)
