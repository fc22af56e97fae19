"""A run folder with rows from plan to split, written by hand so that every number is known."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from domainforge.records import Example
from domainforge.run_folder import RunFolder
from domainforge.stage import Account
from domainforge.tables import EXAMPLE_SCHEMA, example_table

HOSTILE = (
    "<script>document.title = 'taken'</script><img src=x onerror=\"document.title='taken'\">",
    "[here](javascript:alert(1)) </td></table></details><h1>**bold**</h1> {{ 7 * 7 }}",
    "\u202egnp.exe\u202c " + "w" * 4000,
    '" onmouseover="document.title=1" x="',
)
SECRET = "sk-abc9DEF8ghiJKL7mnopqrsTUV6"
_PLAN = pa.schema(
    [("id", pa.string()), ("uri", pa.string()), ("prompt", pa.string()), ("planned", pa.int64())]
)
_AUDIT = pa.schema(
    [(name, pa.string()) for name in ("id", "check", "method")]
    + [(name, pa.int64()) for name in ("compared", "found")]
)


def row(number: int, uri: str = "a.md", prompt: str = "qa", **more: Any) -> Example:
    """Return a row; every number gives another one."""
    question, answer = more.pop("said", (f"What is number {number}?", f"It is {number}."))
    values = {
        "kind": "chat",
        "messages": (
            {"role": "user", "content": question},
            {"role": "assistant", "content": answer},
        ),
        "document_id": uri,
        "uri": uri,
        "chunk_id": f"chunk of {uri}",
        "start": 0,
        "end": 9,
        "prompt": prompt,
        "prompt_hash": f"hash of {prompt}",
        "teacher": "test",
        "sample": number,
        "scores": {"support": (number % 11) / 10, "question_related": 0.9},
    }
    return Example(**{**values, **more})


def make_funnel_run(project: Path, name: str = "small", *, whole: bool = True) -> RunFolder:
    """Write a run: 40 planned, 36 generated, 30 kept, 26 unique, 25 judged, 22 + 3 + 2 split.

    Args:
        project: Its folder.
        name: Of the run.
        whole: Up to the split; else up to the filter.
    """
    run = RunFolder(project / "runs" / name)
    run.path.mkdir(parents=True)
    made = [row(number, uri=f"{'abc'[number % 3]}.md", prompt="qa") for number in range(35)]
    made.append(replace(made[0], item=1))  # one reply came to two rows
    cut = [_drop(row(50 + n, uri="b.md"), "cut_off", f"it ends {n}") for n in range(3)]
    lost = [_drop(row(60, uri="c.md"), "failed_timeout", "no reply in 60 s")]
    plan = [
        {"id": f"{uri}:qa", "uri": f"{uri}.md", "prompt": "qa", "planned": planned}
        for uri, planned in (("a", 12), ("b", 15), ("c", 13))
    ]
    account = Account(
        "requests", 40, 35, dropped={"cut_off": 3}, failed={"timeout": 1}, not_reached=1
    )
    tables = {"": example_table(made), "dropped": example_table(cut), "failed": example_table(lost)}
    figures = {"asked": 30, "replayed": 9, "prompt_tokens": 1200, "completion_tokens": 345}
    plans = pa.Table.from_pylist(plan, schema=_PLAN)
    put_stage(run, "generate", "examples", tables | {"plan": plans}, account, figures)
    rest = made
    for stage, folder, reasons in (
        ("filter", "kept", ["unsupported"] * 5 + ["brand_new_reason"]),
        ("dedup", "unique", ["near_duplicate"] * 4),
        ("judge", "judged", ["not_best_of_cluster"]),
    ):
        total = len(rest)
        gone = [
            _drop(example, reason, _evidence(at))
            for at, (example, reason) in enumerate(zip(rest, reasons, strict=False))
        ]
        rest = rest[len(reasons) :]
        both = {"": example_table(rest), "dropped": example_table(gone)}
        coverage = {"sentence": {"covered": 7, "total": 10}} if stage == "filter" else None
        account = Account("rows", total, len(rest), Counter(reasons))
        put_stage(run, stage, folder, both, account, {"coverage": coverage} if coverage else {})
        if not whole:
            break
    if whole:
        _put_splits(run, rest)
    thresholds = {"filter": {"min_support_share": 0.6, "skip": []}}
    run.write_record(
        {
            "name": name,
            "seed": 7,
            "pipeline": {"name": name, "seed": 7, **thresholds},
            "versions": {"python": "3.11", "domainforge": "0.1.0"},
            "stages": {},
        }
    )
    return run


def hostile_rows() -> list[Example]:
    """Return dropped rows that attack whoever shows them, one with a secret in it."""
    rows = [
        _drop(row(900 + n, uri=f"{text[:40]}.md", said=(text, text)), "unsupported", text)
        for n, text in enumerate(HOSTILE)
    ]
    said = (f'What is the key? api_key = "{SECRET}"', "It is secret.")
    return [*rows, _drop(row(990, uri="z.md", said=said), "leaked_secret", f"key: {SECRET}")]


def put_stage(
    run: RunFolder,
    stage: str,
    folder: str,
    tables: Mapping[str, pa.Table],
    account: Account,
    figures: Mapping[str, Any] | None = None,
) -> None:
    """Write a whole stage folder, as the run loop does."""
    output = run.begin(folder, stage, resumable=False)
    for name, table in tables.items():
        output.write(table, name)
    run.finish(
        folder,
        output,
        {
            "stage": stage,
            "fingerprint": stage,
            "account": account.as_dict(),
            "notes": [],
            "figures": dict(figures or {}),
            "seconds": 1.0,
        },
    )


def _put_splits(run: RunFolder, rest: Sequence[Example]) -> None:
    texts = [
        row(100 + n, uri=f"{uri}.md", prompt="document", prompt_hash="", teacher="")
        for n, uri in enumerate("abc")
    ]
    dropped = [_drop(rest[0], "exam_overlap", "q1: Who?")]
    parts = {
        "train": example_table([*rest[1:20], *texts]),
        "validation": example_table(rest[20:23]),
        "test": example_table(rest[23:]),
        "dropped": example_table(dropped),
        "audit": pa.Table.from_pylist(
            [
                {"id": "id", "check": "same id", "method": "ids", "compared": 27, "found": 0},
                {"id": "x", "check": "exam", "method": "n-grams", "compared": 9, "found": 0},
            ],
            schema=_AUDIT,
        ),
    }
    account = Account("rows", 28, 27, {"exam_overlap": 1})
    put_stage(run, "split", "splits", parts, account)


def put_hostile_filter(run: RunFolder) -> None:
    """Let the filter of a run have dropped rows that attack whoever shows them."""
    rows = hostile_rows()
    kept = example_table([row(number) for number in range(36 - len(rows))])
    reasons = Counter(str(example.reason) for example in rows)
    account = Account("rows", 36, kept.num_rows, reasons)
    tables = {"": kept, "dropped": example_table(rows)}
    assert kept.schema == EXAMPLE_SCHEMA
    put_stage(run, "filter", "kept", tables, account)


def _drop(example: Example, reason: str, evidence: str) -> Example:
    return replace(example, reason=reason, evidence=evidence)


def _evidence(number: int) -> str:
    return f"evidence {number}: 'forty' is not said"
