"""Claim: filter, dedup, judge and split take rows by the million in memory that hardly grows.

Rows (question, answer, quote) about made passages, one in ten of them nearly a copy of another and
one in twenty with a wrong year, go through the four stages as a run has them: each stage in a
process of its own, from Parquet to Parquet. anonymous_mb is the highest memory of the process, and
of those it starts, that no file backs; peak_mb counts pages of mapped files too, which the system
takes back when it needs them. 1 MB is 10^6 bytes.

    python benchmarks/curation.py            # 50,000, 200,000 and 1,000,000 rows
    python benchmarks/curation.py --quick    # 20,000 and 100,000 rows
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from runs import print_table

from domainforge.context import Context
from domainforge.pipeline import STAGES
from domainforge.records import Chunk, Example, canonical_json
from domainforge.run_folder import Inputs, RunFolder
from domainforge.table_writer import TableWriter
from domainforge.tables import CHUNK_SCHEMA, EXAMPLE_SCHEMA
from domainforge.teacher.config import TeacherConfig

MEASURED = ("filter", "dedup", "judge", "split")
SIDES = ("id", "document_id", "side", "unit")
ROWS_A_PASSAGE = 5
NEAR_SHARE = 0.1
WRONG_SHARE = 0.05

_ONSETS = "b br c ch d dr f g gr h j k l m n p r s sh st t th tr v w z"
_VOWELS = "a e i o u ai ea ou"
_THINGS = "bridge mill bell tower well ferry market school harbour archive clock wall"
_DEEDS = "built repaired painted sold measured described closed opened blessed moved"
_ABOUT = "council guild crew family village parish company brotherhood"


def main() -> None:
    """Measure each stage at each size, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="20,000 and 100,000 rows")
    parser.add_argument("--rows", type=int, nargs="+", help="other numbers of rows")
    parser.add_argument("--stage", help=argparse.SUPPRESS)
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stage:
        print(json.dumps(run_stage(options.run, options.stage)))
        return
    sizes = options.rows or ([20_000, 100_000] if options.quick else [50_000, 200_000, 1_000_000])
    found: list[dict[str, Any]] = []
    for rows in sizes:
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder) / "run"
            make_run(run, rows)
            for stage in MEASURED:
                command = [sys.executable, __file__, "--stage", stage, "--run", str(run)]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
                found.append({"rows": rows, **json.loads(done.stdout.splitlines()[-1])})
                print(found[-1], file=sys.stderr)
    columns = ("rows", "stage", "read", "kept", "seconds", "rows_per_s", "anonymous_mb", "peak_mb")
    print_table(
        columns,
        [[f"{row[name]:,}" if name != "stage" else row[name] for name in columns] for row in found],
    )
    print(json.dumps({"stages": found}))


def make_run(folder: Path, rows: int) -> None:
    """Write the chunks, sides and examples of a run."""
    chunks = TableWriter(folder / "chunks", CHUNK_SCHEMA)
    examples = TableWriter(folder / "examples", EXAMPLE_SCHEMA)
    sides = []
    for chunk, own in _passages(-(-rows // ROWS_A_PASSAGE)):
        chunks.add({**vars(chunk), "id": chunk.id}, len(chunk.text))
        sides.append(
            dict(zip(SIDES, (chunk.id, chunk.document_id, "train", chunk.id), strict=True))
        )
        for example in own:
            row = {**vars(example), "id": example.id}
            for name in ("fields", "attributes", "sampling", "scores"):
                row[name] = canonical_json(row[name])
            examples.add(row, 400)
    run = RunFolder(folder)
    _seal(run, "chunk", "chunks", chunks)
    _seal(run, "generate", "examples", examples)
    _seal_sides(run, sides)


def run_stage(folder: Path, name: str) -> dict[str, Any]:
    """Run one stage as a run does, and measure it."""
    stage = next(stage for stage in STAGES if stage.name == name)
    run = RunFolder(folder)
    inputs = Inputs({s.name: run.stage_folder(s.writes) for s in STAGES if s.name in stage.reads})
    out = run.begin(stage.writes, name, resumable=stage.resumable)
    context = Context(7, folder, (), TeacherConfig(embedded=True), "embedded", None, _say_nothing)
    with Memory() as memory:
        started = time.perf_counter()
        account = stage.run(stage.config(), inputs, out, context).account
        seconds = time.perf_counter() - started
        run.finish(stage.writes, out, _facts(name, account.as_dict()))
    return {
        "stage": name,
        "read": account.total,
        "kept": account.done,
        "seconds": round(seconds, 1),
        "rows_per_s": round(account.total / seconds),
        "anonymous_mb": round(memory.anonymous_bytes / 1e6),
        "peak_mb": round(memory.resident_bytes / 1e6),
    }


class Memory:
    """Reads the memory of this process and of those it started, for the length of a `with`.

    Attributes:
        anonymous_bytes: The highest sum of what no file backs.
        resident_bytes: The highest sum of all that is resident.
    """

    def __init__(self) -> None:
        self.anonymous_bytes = self.resident_bytes = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._read()

    def _watch(self) -> None:
        while not self._over.wait(0.2):
            self._read()

    def _read(self) -> None:
        own = psutil.Process()
        anonymous = resident = 0
        for process in (own, *own.children(recursive=True)):
            try:
                status = Path(f"/proc/{process.pid}/status").read_text()
            except OSError:
                continue  # it has just ended
            sizes = dict(line.split(":", 1) for line in status.splitlines())
            anonymous += int(sizes.get("RssAnon", "0 kB").split()[0]) * 1024
            resident += int(sizes.get("VmRSS", "0 kB").split()[0]) * 1024
        self.anonymous_bytes = max(self.anonymous_bytes, anonymous)
        self.resident_bytes = max(self.resident_bytes, resident)


def _passages(count: int) -> Iterator[tuple[Chunk, list[Example]]]:
    """Make passages of five sentences, and a row about each."""
    for number in range(count):
        draw = random.Random(number)
        facts = [_fact(draw) for _ in range(ROWS_A_PASSAGE)]
        text = " ".join(fact["quote"] for fact in facts)
        title = _name(draw)
        document = f"{number // 20:016x}"
        uri = f"pages/{number // 20}.md"
        chunk = Chunk(document, uri, title, (), number % 20, 0, len(text), text, len(text) // 4)
        rows = [_example(chunk, fact, at, draw) for at, fact in enumerate(facts)]
        if draw.random() < NEAR_SHARE * ROWS_A_PASSAGE:
            again = {**facts[0], "question": facts[0]["question"].replace("Who", "Who was it that")}
            rows[1] = _example(chunk, again, ROWS_A_PASSAGE, draw)
        yield chunk, rows


def _fact(draw: random.Random) -> dict[str, str]:
    thing, place, person = draw.choice(_THINGS.split()), _name(draw), f"{_name(draw)} {_name(draw)}"
    deed, year = draw.choice(_DEEDS.split()), draw.randint(1100, 1999)
    about = f"the {draw.choice(_ABOUT.split())} of {_name(draw)}"
    quote = f"The {thing} of {place} was {deed} by {person} in {year}, as {about} had asked."
    if draw.random() < WRONG_SHARE:
        year += 1
    return {
        "question": f"Who {deed} the {thing} of {place}, and in which year?",
        "answer": f"{person}, in {year}.",
        "quote": quote,
    }


def _name(draw: random.Random) -> str:
    return "".join(
        draw.choice(_ONSETS.split()) + draw.choice(_VOWELS.split()) for _ in range(3)
    ).capitalize()


def _example(chunk: Chunk, fact: dict[str, str], unit: int, draw: random.Random) -> Example:
    return Example(
        kind="chat",
        document_id=chunk.document_id,
        uri=chunk.uri,
        chunk_id=chunk.id,
        start=chunk.start,
        end=chunk.end,
        prompt="qa",
        prompt_hash="0" * 64,
        teacher="made",
        messages=(
            {"role": "user", "content": fact["question"]},
            {"role": "assistant", "content": fact["answer"]},
        ),
        fields=fact,
        unit=unit,
        ledger_keys=(f"{draw.getrandbits(256):064x}",),
        side="train",
    )


def _seal(run: RunFolder, stage: str, writes: str, writer: TableWriter) -> None:
    tables = {"": writer.finish()}
    facts = {**_facts(stage, {}), "content_hash": stage, "tables": tables}
    (run.stage_folder(writes) / "manifest.json").write_text(json.dumps(facts))


def _seal_sides(run: RunFolder, sides: list[dict[str, str]]) -> None:
    import pyarrow as pa

    schema = pa.schema([(name, pa.string()) for name in SIDES])
    writer = TableWriter(run.stage_folder("sides"), schema)
    writer.add_table(pa.Table.from_pylist(sides, schema=schema))
    _seal(run, "assign", "sides", writer)


def _facts(stage: str, account: dict[str, Any]) -> dict[str, Any]:
    return {
        "stage": stage,
        "fingerprint": stage,
        "account": account,
        "notes": [],
        "figures": {},
        "seconds": 0.0,
    }


def _say_nothing(kind: str, fields: Any) -> None:
    """Listen to a run whose events nobody wants."""


if __name__ == "__main__":
    main()
