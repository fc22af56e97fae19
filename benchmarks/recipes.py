"""Claim: which recipe puts most of a text's facts into rows worth learning, for the same calls.

Takes a folder with FairytaleQA as `documents.jsonl` (id, title, text) and `questions.jsonl`
(doc_id, question, answers). The shortest stories are the sources. A question is covered when its
answer stands in a kept row that also holds two content words of the question; only rows of at most
60 words count that copy no run of 12 words of the story (the evidence quoted in a reply isn't
looked at). Three marks stand beside the recipes: the story's own sentences and its whole text (the
ceiling), both without any teacher, and what the teacher's rows cover before the filter.

Recipes are asked in full, each as often as `--per-chunk`; coverage at equal calls is the mean over
random choices of as many requests from each. The ledger keeps all replies: a second run is free.

    python benchmarks/recipes.py FOLDER                      # four stories
    python benchmarks/recipes.py FOLDER --quick              # one story, one sample each
    python benchmarks/recipes.py FOLDER --pipeline p.yaml    # another teacher: its `teacher:` key
"""

import argparse
import json
import random
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import yaml
from fairytale import shortest_stories
from runs import print_table, run_pipeline, sets

from domainforge.filters.words import contains_words, content_terms, words
from domainforge.generation.novelty import REPEATING
from domainforge.records import NO_TEACHER, said_in
from domainforge.run_folder import read_table
from domainforge.sentences import split_sentences

RECIPES: dict[str, tuple[tuple[str, int], ...] | str] = {
    "cheap": "cheap",
    "default": "default",
    "rich": "rich",
    "questions": (("qa", 4),),
    "answer first": (("answer_first", 4),),
    "rephrase": (("rephrase", 4),),
    "cloze": (("cloze", 4),),
    "questions and cloze": (("qa", 4), ("cloze", 4)),
    "both questions": (("qa", 2), ("answer_first", 2)),
}
MOST_WORDS = 60
COPIED_WORDS = 12
DRAWS = 20


@dataclass(frozen=True)
class Question:
    """A question of the exam, and the story it is about."""

    story: str
    answers: tuple[str, ...]
    terms: frozenset[str]


@dataclass(frozen=True)
class Said:
    """One text that may cover questions, and the request that it came from."""

    story: str
    text: str
    tokens: int
    request: tuple[Any, ...] | None = None


def main() -> None:
    """Run every recipe, print what each covers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with documents.jsonl and questions.jsonl")
    parser.add_argument("--quick", action="store_true", help="one story, one sample of each")
    parser.add_argument("--calls", type=int, help="compare at so many calls; all of the smallest")
    parser.add_argument("--pipeline", type=Path, help="a pipeline file whose teacher is asked")
    parser.add_argument("--folder", type=Path, help="keep the project here")
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES), choices=list(RECIPES))
    options = parser.parse_args()
    project = options.folder or Path(tempfile.mkdtemp(prefix="recipes-"))
    stories, lines = shortest_stories(options.data, 1 if options.quick else 4)
    questions = [read_question(entry) for entry in lines]
    prepare(stories, project, options.pipeline)
    texts = {f"stories/{story['id']}.md": story["text"] for story in stories}
    found = {}
    for name in options.recipes:
        asked = RECIPES[name]
        generate: dict[str, Any] = {"generate__recipe": asked}
        if not isinstance(asked, str):
            times = {prompt: 1 if options.quick else number for prompt, number in asked}
            tasks = [{"prompt": prompt, "per_chunk": times[prompt]} for prompt in times]
            generate = {"generate__tasks": tasks}
        slug = name.replace(" ", "-")
        run = run_pipeline(
            project,
            project / "recipes.yaml",
            *sets(name=slug, **generate),
            "--until",
            "filter",
        )
        found[name] = measure(project / "runs" / slug, run.record, questions, texts)
    report(found, questions, texts, options.calls)


def read_question(entry: dict[str, Any]) -> Question:
    """Take a line of questions.jsonl."""
    terms = frozenset(content_terms(entry["question"]))
    return Question(f"stories/{entry['doc_id']}.md", tuple(entry["answers"]), terms)


def prepare(stories: Sequence[dict[str, Any]], project: Path, pipeline: Path | None) -> None:
    """Write the stories and a pipeline file."""
    folder = project / "stories"
    folder.mkdir(parents=True, exist_ok=True)
    for story in stories:
        text = f"# {story['title']}\n\n{story['text']}\n"
        (folder / f"{story['id']}.md").write_text(text, encoding="utf-8")
    teacher = yaml.safe_load(pipeline.read_text())["teacher"] if pipeline else "embedded"
    values = {
        "sources": [{"files": "stories"}],
        "teacher": teacher,
        "assign": {"test_share": 0},
        "min_yield_share": 0,
    }
    (project / "recipes.yaml").write_text(yaml.safe_dump(values))


@dataclass(frozen=True)
class Result:
    """What a recipe came to.

    Attributes:
        calls: Requests to the teacher.
        kept: Rows that passed the filter; `made` before it.
    """

    calls: int
    made: list[Said]
    kept: list[Said]


def measure(
    folder: Path, record: dict[str, Any], questions: Sequence[Question], texts: dict[str, str]
) -> Result:
    """Read a run's rows."""
    made = [said for said in rows_of(folder, "examples") if usable(said, texts)]
    kept = [said for said in rows_of(folder, "kept") if usable(said, texts)]
    generate = record["stages"]["generate"]
    account = generate["account"]
    left_out = generate["figures"]["silent"] + account["dropped"].get(REPEATING, 0)
    return Result(account["total"] - left_out, made, kept)


def rows_of(folder: Path, table: str) -> Iterable[Said]:
    """Yield the rows of a stage as texts."""
    for row in read_table(folder / table).to_pylist():
        if row["basis"] != "passage":
            continue  # it says what the story doesn't
        text = row["text"] if row["kind"] == "text" else said_in(row)
        request = (row["chunk_id"], row["prompt"], row["unit"], row["sample"])
        asked = row["teacher"] != NO_TEACHER
        yield Said(row["uri"], text, len(words(text)), request if asked else None)


def usable(said: Said, texts: dict[str, str]) -> bool:
    """Tell whether a row is short and its own."""
    own = words(said.text)
    if len(own) > MOST_WORDS:
        return False
    story = f" {' '.join(words(texts[said.story]))} "
    runs = range(len(own) - COPIED_WORDS + 1)
    return not any(f" {' '.join(own[at : at + COPIED_WORDS])} " in story for at in runs)


def covered(questions: Sequence[Question], said: Iterable[Said]) -> int:
    """Count the questions whose answer stands in a text with two content words of theirs."""
    by_story: dict[str, list[tuple[str, frozenset[str]]]] = {}
    for each in said:
        by_story.setdefault(each.story, []).append((each.text, frozenset(content_terms(each.text))))
    return sum(
        any(
            len(question.terms & terms) >= 2
            and any(contains_words(text, answer) for answer in question.answers)
            for text, terms in by_story.get(question.story, ())
        )
        for question in questions
    )


def at_calls(questions: Sequence[Question], result: Result, calls: int) -> float:
    """Return the mean coverage of random choices of so many of a recipe's requests."""
    if calls >= result.calls:
        return float(covered(questions, result.kept))
    drawn = random.Random(7)
    # A request without a kept row is as likely to be drawn as any other.
    asked = sorted({said.request for said in result.kept if said.request is not None})
    numbers = {request: number for number, request in enumerate(asked)}
    counts = []
    for _ in range(DRAWS):
        chosen = set(drawn.sample(range(result.calls), calls))
        rows = [
            said for said in result.kept if said.request is None or numbers[said.request] in chosen
        ]
        counts.append(covered(questions, rows))
    return mean(counts)


def report(
    found: dict[str, Result],
    questions: Sequence[Question],
    texts: dict[str, str],
    wanted: int | None,
) -> None:
    """Print the table, and the figures as JSON."""
    calls = wanted or min((result.calls for result in found.values() if result.calls), default=0)
    sentences = [
        Said(story, text[start:end], 0)
        for story, text in texts.items()
        for start, end in split_sentences(text)
    ]
    whole = [Said(story, text, 0) for story, text in texts.items()]
    marks = {"sentences": covered(questions, sentences), "whole": covered(questions, whole)}
    print(f"{len(texts)} stories, {len(questions)} questions; coverage of the bare sentences ")
    print(f"{marks['sentences']}, of the whole text {marks['whole']}.\n")
    rows = []
    figures: dict[str, Any] = {"questions": len(questions), "marks": marks, "calls": calls}
    for name, result in found.items():
        tokens = sum(said.tokens for said in result.kept)
        entry = {
            "calls": result.calls,
            "made": len(result.made),
            "kept": len(result.kept),
            "covered_made": covered(questions, result.made),
            "covered": covered(questions, result.kept),
            "covered_at_calls": round(at_calls(questions, result, calls), 1),
            "covered_per_1000_words": round(
                1000 * covered(questions, result.kept) / max(1, tokens), 2
            ),
        }
        figures[name] = entry
        rows.append([name, *(str(value) for value in entry.values())])
    header = (
        "recipe",
        "calls",
        "rows that count",
        "of these kept",
        "covered before the filter",
        "covered",
        f"covered at {calls} calls",
        "covered per 1,000 words kept",
    )
    print_table(header, rows)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
