"""A small project on disk, and a run of it up to the split: real documents, teacher and stages."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from domainforge.pipeline import run_pipeline
from domainforge.pipeline_file import check_pipeline
from domainforge.run_folder import RunFolder, write_atomic
from tests.support.ledgers import make_ledger
from tests.support.teacher_server import TeacherServer

PAGES = {
    "light.md": (
        "# The Skerry Light\n\nThe lamp of the Skerry Light was first lit on 4 May 1887 by the "
        "keeper Maud Tarrant. It burns 12 litres of oil in a night and is seen from 17 miles away."
        "\n\n## Fog\n\nIn fog the keeper rings the bronze bell of Harrow Point twice a minute. The "
        "bell was cast by the founder Ansel Rook and weighs 340 kilograms.\n"
    ),
    "ferry.md": (
        "# The Gull Ferry\n\nThe Gull Ferry crosses the Sound of Orl every forty minutes between "
        "six and nine. A crossing costs three copper marks, and children under seven go free.\n\n"
        "## Crew\n\nThe ferry is steered by Captain Idris Vane, who lost two fingers to the "
        "winter ice. Her deckhands sleep in the red boathouse behind the smithy.\n"
    ),
    "market.txt": (
        "The fish market of Orl opens at dawn on every second Thursday. Traders pay the warden "
        "Bettany Croft a fee of nine marks for a stall under the slate roof.\n"
    ),
}
# A prompt of its own: the shipped ones may change, and with them what the teacher says.
PROMPT = """---
version: 1
purpose: A question, its answer, and the sentence that supports it.
reply: {question: str, answer: str, quote: str}
example: {kind: chat, messages: [{user: "{{ question }}"}, {assistant: "{{ answer }}"}]}
temperature: 0.7
max_tokens: 300
---
<!-- system -->
You write questions for an examination.
<!-- user -->
{{ document.title }}

{{ fenced(chunk) }}

Write question number {{ sample + 1 }} about this passage.
"""
SENTENCE = "gained: the student knows more of these documents than the base model."


def make_tokenizer_only(folder: Path) -> Path:
    """Write what stages before the training need of a student: a config and a tokenizer."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "llama"}')
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|pad|>", "<|end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(PAGES.values(), trainer)
    bpe.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": "<|pad|>",
        "eos_token": "<|end|>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def make_project(folder: Path, student: Path | None = None) -> Path:
    """Write documents, a prompt, and a student unless there is one, into a new project folder."""
    (folder / "documents").mkdir(parents=True)
    for name, text in PAGES.items():
        (folder / "documents" / name).write_text(text)
    (folder / "prompts").mkdir()
    (folder / "prompts" / "ask.md").write_text(PROMPT)
    if student is None:
        make_tokenizer_only(folder / "student")
    return folder


def pipeline_values(base_url: str, **more: Any) -> dict[str, Any]:
    """Return the values of a pipeline for that project."""
    return {
        "name": "small",
        "sources": [{"files": "documents"}],
        "teacher": {"base_url": base_url, "model": "local-teacher", "json_schema": "yes"},
        "generate": {"tasks": [{"prompt": "ask", "per_chunk": 6}]},
        "dedup": {"near_jaccard": 0.4},
        "train": {"student": "student", "mixture": {"replay": 0}},
        "min_yield_share": 0,
        **more,
    }


def write_pipeline_file(path: Path, values: Mapping[str, Any]) -> Path:
    """Write values as a pipeline file (JSON is YAML)."""
    path.write_text(json.dumps(values, indent=1))
    return path


def make_small_run(project: Path, **more: Any) -> RunFolder:
    """Run the small project up to the split; its name is `small`."""
    make_ledger(project / "ledger.sqlite")
    with TeacherServer(faults=_faults) as server:
        values = pipeline_values(server.base_url, **more)
        write_pipeline_file(project / "small.yaml", values)
        pipeline = check_pipeline(values, "small.yaml")
        run_pipeline(pipeline, project, lambda event: None, until_stage="split")
    return RunFolder(project / "runs" / str(values["name"]))


def write_scores(run: RunFolder, verdict: str = "gained", sentence: str = SENTENCE) -> None:
    """Put scores beside run.json, as the evaluation does."""
    scores = {"version": 1, "verdict": verdict, "sentence": sentence, "metrics": []}
    write_atomic(run.path / "scores.json", json.dumps(scores))


def _faults(number: int, body: dict[str, Any]) -> str | None:
    """Cut off two replies and let a third be prose, so that generate has something to drop.

    A fourth is prose too, but not when it is asked for once more.
    """
    text = body["messages"][1]["content"]
    if "question number 4 " in text and "market" in text and len(body["messages"]) == 2:
        return "prose"
    if "question number 2 " in text and "The Gull Ferry" in text:
        return "cut_off"
    return "prose" if "question number 3 " in text and "market" in text else None
