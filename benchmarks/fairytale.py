"""Claim: what the embedded defaults reach on stories and questions that nobody here wrote.

Takes a folder with FairytaleQA as `documents.jsonl` (id, title, text) and `questions.jsonl`
(doc_id, question_with_title, answers, attribute). The shortest stories are the sources, their
questions the exam; the next shortest are the control, whose rows are made by the same tasks.

    python benchmarks/fairytale.py FOLDER            # four stories against four
    python benchmarks/fairytale.py FOLDER --quick    # one against one, one epoch
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from runs import keep_rates, print_table, run_pipeline, sets, shown


def main() -> None:
    """Prepare the project, run the control up to split, run the line, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with documents.jsonl and questions.jsonl")
    parser.add_argument("--quick", action="store_true", help="one story, one epoch")
    parser.add_argument("--folder", type=Path, help="keep the project here")
    parser.add_argument("--set", action="append", default=[], help="further settings")
    options = parser.parse_args()
    count = 1 if options.quick else 4
    project = options.folder or Path(tempfile.mkdtemp(prefix="fairytale-"))
    questions = prepare(options.data, project, count)
    extra = [word for value in options.set for word in ("--set", value)]
    if options.quick:
        extra += sets(train__epochs=1, generate__tasks=[{"prompt": "qa", "per_chunk": 1}])
    control = run_pipeline(
        project, project / "control.yaml", *sets(name="control"), "--until", "split", *extra
    )
    run = run_pipeline(project, project / "stories.yaml", *sets(name="stories"), *extra)
    assert run.scores is not None
    print(f"{count} stories, {questions} questions. {run.scores['sentence']}\n")
    entries = [entry for entry in run.scores["metrics"] if entry["slice"] == "one_passage"]
    header = ("line", "metric", "value", "against", "gain, 95 % interval", "n")
    print_table(
        header,
        [
            [
                entry["line"],
                entry["name"],
                f"{entry['value']:.3f}",
                f"{entry['base']:.3f}",
                shown(entry),
                str(entry["questions"]),
            ]
            for entry in entries
        ],
    )
    print(f"\nKept: {keep_rates(run.record)}; control: {keep_rates(control.record)}.")
    figures = {
        "verdict": run.scores["verdict"],
        "cpu_seconds": run.cpu_seconds,
        "control_cpu_seconds": control.cpu_seconds,
        "tokens": run.record["stages"]["train"]["figures"]["tokens"],
        "metrics": entries,
    }
    print(json.dumps(figures))


def shortest_stories(data: Path, count: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the shortest stories, and the questions about them."""
    lines = (data / "documents.jsonl").read_text(encoding="utf-8").splitlines()
    stories = sorted((json.loads(line) for line in lines), key=lambda s: (len(s["text"]), s["id"]))
    names = {story["id"] for story in stories[:count]}
    asked = (data / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [question for question in map(json.loads, asked) if question["doc_id"] in names]
    return stories[:count], questions


def prepare(data: Path, project: Path, count: int) -> int:
    """Write sources, exam and two pipeline files; return the number of questions."""
    stories, questions = shortest_stories(data, 2 * count)
    chosen, others = stories[:count], stories[count:]
    for name, part in (("stories", chosen), ("others", others)):
        folder = project / name
        folder.mkdir(parents=True, exist_ok=True)
        for story in part:
            text = f"# {story['title']}\n\n{story['text']}\n"
            (folder / f"{story['id']}.md").write_text(text, encoding="utf-8")
    wanted = {story["id"] for story in chosen}
    exam = []
    for question in questions:
        if question["doc_id"] in wanted:
            exam.append(
                {
                    "id": question["id"],
                    "question": question["question_with_title"],
                    "answers": question["answers"],
                    "answer_kind": question["attribute"],
                    "document": f"stories/{question['doc_id']}.md",
                }
            )
    body = "\n".join(json.dumps(entry, ensure_ascii=False) for entry in exam)
    (project / "exam.jsonl").write_text(body + "\n", encoding="utf-8")
    common = (
        "teacher: embedded\nassign: {test_share: 0}\n"
        "train: {method: full, learning_rate: 4.0e-4, epochs: 2, "
        "mixture: {documents: 6, examples: 1, replay: 0}}\n"
    )
    (project / "control.yaml").write_text(f"name: control\nsources: [{{files: others}}]\n{common}")
    (project / "stories.yaml").write_text(
        f"name: stories\nsources: [{{files: stories}}]\n{common}"
        "evaluate: {exam: exam.jsonl, control: runs/control}\n"
    )
    return len(exam)


if __name__ == "__main__":
    main()
