"""Claim: files of every kind become documents fast, and a gigabyte is chunked in flat memory.

By kind: a folder of files that are all different, made from `data/` (or yours, by ending, with
--files), is read by DomainForge's ingest stage (its workers, language, sections and the written
table included), by markitdown, and by LangChain's loaders used plainly, each in a process of its
own, in turn. The clock starts after the imports. MB/s are megabytes of text in the files (of the
files, with --files) per CPU second, user and system time of all processes; memory is the peak of
all processes together. What a reader couldn't read is said and given no rate.

Chunks: 256 tokens of the student's tokenizer, against LangChain's RecursiveCharacterTextSplitter
.from_huggingface_tokenizer, one process with one thread each, on texts that no process saw before.
Ours are exact, and counted; the splitter's are not looked at.

Memory: txt, md, html, jsonl and csv, a fifth each, through `domainforge run --until chunk`.
rss_growth_mb is the peak at the whole size less that at a tenth of it, of the stage that grows
most.

mb_per_s is of the mixed text through the ingest stage, start of the program included;
chunk_ratio_langchain our rate divided by theirs. Medians over rounds.

Peers live in an interpreter of their own, with `pip install "markitdown[all]"
langchain-community pypdf docx2txt beautifulsoup4 lxml jq`. Needs Linux.

    python benchmarks/ingest.py --peers ENVIRONMENT/bin/python   # 5 rounds, 1 GB
    python benchmarks/ingest.py --quick                          # 1 round, a tenth of the sizes
    python benchmarks/ingest.py --files FOLDER                   # real files instead
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from ingest_corpus import WRITERS, Prose, texts, write_kind, write_mixed
from process_tree import watch
from runs import print_table

HERE = Path(__file__).parent
OURS = "ours"
NAMES = {OURS: "DomainForge", "markitdown": "markitdown", "langchain": "LangChain"}
# Megabytes of text; a round of each takes seconds.
SIZES = dict.fromkeys(WRITERS, 8.0) | {"pdf": 0.8, "docx": 1.6, "pptx": 1.6, "xlsx": 1.6}
MIXED_MB = 1_000.0
CHUNK_MB = 4.0
PARTS = ("kinds", "chunks", "memory")
ONE_THREAD = {"TOKENIZERS_PARALLELISM": "false", "RAYON_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Read:
    """What one reader did with one folder."""

    cpu_seconds: float
    peak_mb: float
    failed: int
    characters: int


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="1 round, a tenth of the sizes")
    parser.add_argument("--rounds", type=int, help="other than 5 (1 with --quick)")
    parser.add_argument("--peers", type=Path, help="interpreter that has the peers")
    parser.add_argument("--files", type=Path, help="read these files, by ending, not made ones")
    parser.add_argument("--kinds", nargs="+", help="only these kinds")
    parser.add_argument("--folder", type=Path, help="disk for the files; temporary otherwise")
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS, help="only these parts")
    parser.add_argument("--scale", type=float, help="share of the sizes, for a trial")
    options = parser.parse_args()
    scale = options.scale or (0.1 if options.quick else 1.0)
    rounds = options.rounds or (1 if options.quick else 5)
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="ingest-") as place:
        folder = Path(place)
        figures: dict[str, object] = {"rounds": rounds, "scale": scale}
        if "kinds" in options.parts:
            kinds = options.kinds or sorted(SIZES)
            sizes = (
                _by_kind(options.files, folder) if options.files else _made(folder, scale, kinds)
            )
            wanted = {kind: sizes[kind] for kind in options.kinds or sizes}
            figures |= _read_kinds(folder, wanted, rounds, options.peers)
        if "chunks" in options.parts:
            figures |= _chunk(folder, CHUNK_MB * scale, rounds)
        if "memory" in options.parts:
            figures |= _mixed(folder, MIXED_MB * scale)
    print(json.dumps(figures))


def _made(folder: Path, scale: float, kinds: Sequence[str]) -> dict[str, float]:
    """Write the files of those kinds; returns the megabytes of text of each."""
    prose, sizes = Prose(1), {}
    for kind in kinds:
        write_kind(folder / kind / "first", kind, 0.001, prose)
        sizes[kind] = write_kind(folder / kind / "files", kind, SIZES[kind] * scale, prose) / 1e6
    return sizes


def _by_kind(files: Path, folder: Path) -> dict[str, float]:
    """Sort real files by ending; the smallest of each is the first one to be read."""
    found = defaultdict(list)
    for path in sorted(files.rglob("*")):
        if path.is_file() and path.suffix:
            found[path.suffix[1:].lower()].append(path)
    sizes = {}
    for kind, paths in found.items():
        for index, path in enumerate(paths):
            place = folder / kind / "files" / f"{index:06d}.{kind}"
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
        (folder / kind / "first").mkdir()
        smallest = min(paths, key=lambda path: path.stat().st_size)
        shutil.copyfile(smallest, folder / kind / "first" / f"first.{kind}")
        sizes[kind] = sum(path.stat().st_size for path in paths) / 1e6
    return sizes


def _read_kinds(
    folder: Path, kinds: dict[str, float], rounds: int, peers: Path | None
) -> dict[str, object]:
    readers = {OURS: Path(sys.executable)}
    if peers:
        readers |= {"markitdown": peers.absolute(), "langchain": peers.absolute()}
    rows, figures = [], dict[str, object]()
    for kind, megabytes in kinds.items():
        runs = defaultdict(list)
        for _ in range(rounds):
            for name, python in readers.items():
                script = HERE / "peers" / f"read_{name}.py"
                seen = watch([python, script, folder / kind / "files"])
                done = json.loads(seen.output.splitlines()[-1])
                runs[name].append(
                    Read(done["cpu_seconds"], seen.peak_mb, done["failed"], done["characters"])
                )
        rates = dict[str, float]()
        for name, reads in runs.items():
            failed = max(read.failed for read in reads)
            memory = median(read.peak_mb for read in reads)
            shown = [f"{failed} files not read", ""]
            if not failed:
                rates[name] = median(megabytes / max(read.cpu_seconds, 1e-3) for read in reads)
                shown = [f"{rates[name]:.2f}", f"{reads[0].characters / 1e6:.2f}"]
            times = rates[OURS] / rates[name] if {OURS, name} <= rates.keys() else None
            ratio = "" if times is None or name == OURS else f"{times:.2f}"
            rows.append([kind, f"{megabytes:.1f}", NAMES[name], *shown, f"{memory:.0f}", ratio])
            prefix = f"{kind}_{name}"
            figures[f"mb_per_s_{prefix}"] = round(rates[name], 3) if name in rates else None
            figures[f"peak_mb_{prefix}"] = round(memory)
    print(f"n = {rounds} rounds\n")
    header = ("kind", "MB", "reader", "MB per CPU s", "M characters out", "peak MB", "ours is x")
    print_table(header, rows)
    return figures


def _chunk(folder: Path, megabytes: float, rounds: int) -> dict[str, object]:
    from domainforge.training.students import find_student

    student = find_student("embedded", folder, lambda text: print(text, file=sys.stderr))
    rates, chunks = defaultdict(list), defaultdict(int)
    most = 0
    for index in range(rounds):
        place = folder / "texts.jsonl"
        lines = (json.dumps(page) for page in texts(Prose(100 + index), megabytes))
        place.write_text("\n".join(lines), encoding="utf-8")
        for way in ("ours", "langchain"):
            command = [sys.executable, HERE / "peers" / "chunk.py", way, place, student]
            done = json.loads(watch(command, env=ONE_THREAD).output.splitlines()[-1])
            rates[way].append(done["bytes"] / 1e6 / done["cpu_seconds"])
            chunks[way] += done["chunks"]
            most = max(most, done["most_tokens"])
    pairs = zip(rates["ours"], rates["langchain"], strict=True)
    ratio = median(ours / theirs for ours, theirs in pairs)
    print(f"\nn = {rounds} rounds of {megabytes:.1f} MB\n")
    print_table(
        ("splitter, 256 tokens", "MB per CPU s", "chunks"),
        [[name, f"{median(rates[name]):.2f}", f"{chunks[name]:,}"] for name in rates],
    )
    return {
        "chunk_ratio_langchain": round(ratio, 3),
        "chunk_mb_per_s": round(median(rates["ours"]), 3),
        "chunk_most_tokens": most,
    }


def _mixed(folder: Path, megabytes: float) -> dict[str, object]:
    sizes = (megabytes / 10, megabytes)
    rows, peaks, rates = [], defaultdict(list), defaultdict(list)
    for size in sizes:
        project = folder / f"mixed-{size:g}"
        write_mixed(project / "files", size, Prose(7))
        pipeline = project / "mixed.yaml"
        pipeline.write_text("name: mixed\nsources: [{files: files}]\n", encoding="utf-8")
        held = sum(path.stat().st_size for path in (project / "files").rglob("*.*")) / 1e6
        for stage in ("ingest", "chunk"):
            command = [sys.executable, "-m", "domainforge", "run", pipeline, "--plain"]
            seen = watch([*command, "--until", stage], cwd=project)
            peaks[stage].append(seen.peak_mb)
            rates[stage].append(held / seen.cpu_seconds)
            speed = f"{held / seen.cpu_seconds:.2f}"
            shown = speed, f"{seen.wall_seconds:.0f}", f"{seen.peak_mb:.0f}"
            rows.append([f"{held:.0f}", stage, *shown])
        shutil.rmtree(project)
    print("\nn = 1\n")
    print_table(("MB of mixed text", "stage", "MB per CPU s", "wall s", "peak MB"), rows)
    growth = {stage: large - small for stage, (small, large) in peaks.items()}
    return {
        "mb_per_s": round(rates["ingest"][1], 3),
        "mb_per_s_chunk": round(rates["chunk"][1], 3),
        "rss_growth_mb": round(max(growth.values()), 1),
        **{f"rss_growth_mb_{stage}": round(grown, 1) for stage, grown in growth.items()},
        "peak_mb": round(max(large for _, large in peaks.values())),
    }


if __name__ == "__main__":
    main()
