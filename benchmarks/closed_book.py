"""Claim: how much a student knows with the book closed, by recipe, for the same trained tokens.

Takes a folder with FairytaleQA as `documents.jsonl` (id, title, text) and `questions.jsonl`
(doc_id, question_with_title, answers, attribute). The shortest stories are the sources and their
questions the exam; the next shortest are the other documents. Every arm trains the embedded student
on as many tokens (through the model, one pass over its own mixture, rows over again where they are
too few; all turns of a chat count) and is asked the same questions: the documents alone, plain
questions, the default recipe, and the default recipe on the other documents, which is the control
for style. The gain over the control is paired by question, its interval bootstrapped by document,
seeds averaged question by question.

    python benchmarks/closed_book.py FOLDER                              # all arms, three seeds
    python benchmarks/closed_book.py FOLDER --tokens 13000 --seeds 0     # a part of it
    python benchmarks/closed_book.py FOLDER --quick --folder F           # one story, one small arm

What was measured is kept in the folder: the same command goes on where it was stopped.
"""

import argparse
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from fairytale import prepare
from runs import print_table, run_pipeline, sets

from domainforge.evaluation.exam import load_exam
from domainforge.evaluation.measure import Measured, measure_model
from domainforge.evaluation.questions import Item, prepare_items
from domainforge.evaluation.statistics import paired_interval
from domainforge.records import stable_id
from domainforge.run_folder import read_manifest, read_table
from domainforge.training.config import Mixture, TrainConfig
from domainforge.training.sft import train_student
from domainforge.training.students import find_student, load_model, load_tokenizer

PLAIN = ({"prompt": "qa", "per_chunk": 4},)
CONTROL = "control"
MEASURES = ("log_likelihood", "pmi_contrast", "pmi_choice", "token_f1")


@dataclass(frozen=True)
class Arm:
    """What one student is trained on.

    Attributes:
        run: Name of the run whose split it takes.
        sources: `stories` or `others`.
        tasks: What generate is asked; None takes the default recipe.
        mixture: How often passages and rows are seen in a pass, and the share of general rows.
    """

    run: str
    sources: str
    tasks: tuple[dict[str, Any], ...] | None
    mixture: Mixture


ARMS = {
    "documents": Arm("plain", "stories", PLAIN, Mixture(documents=1, examples=0, replay=0)),
    "plain questions": Arm("plain", "stories", PLAIN, Mixture(documents=0, examples=1, replay=0)),
    "default recipe": Arm("default", "stories", None, Mixture()),
    CONTROL: Arm("others", "others", None, Mixture()),
}


def main() -> None:
    """Make the rows, train and measure every arm, print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with documents.jsonl and questions.jsonl")
    parser.add_argument("--tokens", type=int, nargs="+", default=[13_000, 34_000])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--learning-rate", type=float, default=4e-4)
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=list(ARMS))
    parser.add_argument("--quick", action="store_true", help="one story, 600 tokens, one seed")
    parser.add_argument("--folder", type=Path, help="keep the project here")
    options = parser.parse_args()
    if options.quick:
        options.tokens, options.seeds = [600], [0]
    project = options.folder or Path(tempfile.mkdtemp(prefix="closed-book-"))
    prepare(options.data, project, 1 if options.quick else 4)
    arms = {name: ARMS[name] for name in options.arms}
    for arm in arms.values():
        _make_rows(project, arm, quick=options.quick)
    items = _items(project, next(iter(arms.values())))
    lines = {"base": [_measure(project, "base", items, find_student("embedded", project, print))]}
    results: dict[int, dict[str, list[list[Measured]]]] = {}
    for tokens in options.tokens:
        results[tokens] = {
            name: [
                _student(project, name, arm, items, tokens, seed, options.learning_rate)
                for seed in options.seeds
            ]
            for name, arm in arms.items()
        }
    _report(items, lines["base"], results)


def _make_rows(project: Path, arm: Arm, *, quick: bool) -> None:
    """Run the pipeline up to the split; what is there already is not made again."""
    settings: dict[str, Any] = {
        "name": arm.run,
        "train__mixture": arm.mixture.model_dump(),
        "split__validation_share": 0,
        "evaluate__control": None,
    }
    if arm.tasks is not None:
        settings["generate__tasks"] = arm.tasks
    if quick:
        settings["generate__tasks"] = [{"prompt": "cloze", "per_chunk": 1}]
    pipeline = project / ("stories.yaml" if arm.sources == "stories" else "control.yaml")
    run_pipeline(project, pipeline, *sets(**settings), "--until", "split")


def _items(project: Path, arm: Arm) -> list[Item]:
    folder = project / "runs" / arm.run
    sides = {row["id"]: row["side"] for row in read_table(folder / "sides").to_pylist()}
    chunks = read_table(folder / "chunks").to_pylist()
    return prepare_items(load_exam(project / "exam.jsonl"), chunks, sides)


def _student(
    project: Path,
    name: str,
    arm: Arm,
    items: Sequence[Item],
    tokens: int,
    seed: int,
    learning_rate: float,
) -> list[Measured]:
    """Train and measure one student, or read what was measured before."""
    splits = project / "runs" / arm.run / "splits"
    config = TrainConfig(
        method="full",
        epochs=1,
        learning_rate=learning_rate,
        mixture=arm.mixture,
        loss_on="turns",
        keep_best=False,
    )
    manifest = read_manifest(splits)
    assert manifest is not None
    # Other rows or another mixture are another student.
    made_of = stable_id(manifest.content_hash, config.model_dump(mode="json"))
    label = f"{name.replace(' ', '-')}-{tokens}-{seed}-{made_of}"
    if (project / "measured" / f"{label}.json").exists():
        return _measure(project, label, items, project)
    rows = read_table(splits, "train").to_pylist()
    folder = project / "student"
    shutil.rmtree(folder, ignore_errors=True)
    base = find_student("embedded", project, print)
    outcome = train_student(
        rows, [], base, folder, config, seed, lambda *_: None, max_tokens=tokens
    )
    plan = asdict(outcome.plan)
    facts = {"trained_tokens": plan["trained_per_epoch"], "tokens": outcome.tokens}
    facts |= {name: plan[name] for name in ("text_rows", "chat_rows")}
    measured = _measure(project, label, items, folder, facts)
    print(f"{label}: {json.dumps(facts)}, {outcome.seconds} s", flush=True)
    return measured


def _measure(
    project: Path,
    label: str,
    items: Sequence[Item],
    folder: Path,
    facts: dict[str, Any] | None = None,
) -> list[Measured]:
    path = project / "measured" / f"{label}.json"
    if path.exists():
        return [Measured(**entry) for entry in json.loads(path.read_text())["questions"]]
    found = measure_model(load_model(folder), load_tokenizer(folder), items, lambda _: None)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({**(facts or {}), "questions": [asdict(m) for m in found]}))
    return found


def _report(
    items: Sequence[Item],
    base: Sequence[Sequence[Measured]],
    results: dict[int, dict[str, list[list[Measured]]]],
) -> None:
    documents = [item.document for item in items]
    figures: dict[str, Any] = {"questions": len(items)}
    for tokens, arms in results.items():
        rows = []
        for name, seeds in arms.items():
            cells = [name]
            for measure in MEASURES:
                own = _by_question(seeds, measure)
                gain = mean(a - b for a, b in zip(own, _by_question(base, measure), strict=True))
                entry = {"value": round(mean(own), 3), "over_base": round(gain, 3)}
                shown = f"{mean(own):.2f} ({gain:+.2f})"
                if name != CONTROL and CONTROL in arms:
                    other = _by_question(arms[CONTROL], measure)
                    differences = [a - b for a, b in zip(own, other, strict=True)]
                    found = paired_interval(differences, documents, 7)
                    entry |= {"over_control": round(found.mean, 3)}
                    entry |= {"low": found.low, "high": found.high}
                    entry["by_seed"] = _by_seed(seeds, arms[CONTROL], measure)
                    shown += f"; {found.mean:+.2f}"
                    if found.low is not None:
                        shown += f" [{found.low:+.2f}, {found.high:+.2f}]"
                figures[f"{tokens} {name} {measure}"] = entry
                cells.append(shown)
            rows.append(cells)
        print(f"\n{tokens:,} tokens an arm, {len(next(iter(arms.values())))} seeds, ", end="")
        print("value (over base); over control, 95 % interval:\n")
        print_table(("arm", *(measure.replace("_", " ") for measure in MEASURES)), rows)
    print(json.dumps(figures))


def _by_question(seeds: Sequence[Sequence[Measured]], measure: str) -> list[float]:
    """Average a measure over seeds, question by question; 0 where the exam doesn't allow it."""
    return [
        mean(getattr(one, measure) or 0.0 for one in question)
        for question in zip(*seeds, strict=True)
    ]


def _by_seed(
    arm: Sequence[Sequence[Measured]], control: Sequence[Sequence[Measured]], measure: str
) -> list[float]:
    pairs = zip(arm, control, strict=True)
    return [
        round(mean(_by_question([a], measure)) - mean(_by_question([c], measure)), 3)
        for a, c in pairs
    ]


if __name__ == "__main__":
    main()
