"""Cards: what a stranger must know of a model or a dataset before using it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domainforge.records import GIVEN, NO_TEACHER

EMBEDDED_BASE = "HuggingFaceTB/SmolLM2-135M-Instruct"
_LINES = {
    "student": "student against base",
    "control": "control against base",
    "over_control": "student against control",
    "open_book": "base with the passage, against base",
}

# What rows are, by their kind and who made them.
_MADE = {
    ("chat", "teacher"): "questions that a teacher model wrote about {about}",
    ("chat", NO_TEACHER): "questions made of {about} without a teacher",
    ("chat", GIVEN): f"chats that were found as they are (prompt `{GIVEN}`)",
    ("preference", "teacher"): "pairs of a better and a worse answer that a teacher model wrote "
    "about {about}",
    ("preference", NO_TEACHER): "pairs of a better and a worse answer made of {about} without a "
    "teacher",
    ("text", "teacher"): "texts that a teacher model wrote about {about}",
    ("text", NO_TEACHER): "texts made of {about} without a teacher",
}

_PREFERENCES = (
    "They have TRL's form: `prompt`, `chosen` and `rejected` are lists of messages; `prompt_name` "
    "is the prompt file. The model of this run was not trained on them."
)


@dataclass(frozen=True)
class Facts:
    """What the cards say.

    Attributes:
        name: Of the run.
        base: Hub id or folder name of the base model (never a private path).
        teacher: Its model (never a private address or path).
        prompts: Prompt name and hash, by task.
        makers: Kind of row and who made it: `teacher`, `none` (of the passage alone), `given`.
        rows: Rows of each split and kind; general ones are counted apart, as `replay`.
        documents: How many, and how many were held out.
        recipe: Settings of the training.
        figures: Figures of the train stage.
        scores: scores.json.
        hashes: Content hash of each stage.
        versions: Of Python and the libraries.
        replay_from: File or dataset that the general rows come from, without its place; None where
            the student learned from none.
    """

    name: str
    base: str
    teacher: str
    prompts: Mapping[str, str]
    makers: frozenset[tuple[str, str]]
    rows: Mapping[str, int]
    documents: Mapping[str, int]
    recipe: Mapping[str, Any]
    figures: Mapping[str, Any]
    scores: Mapping[str, Any]
    hashes: Mapping[str, str]
    versions: Mapping[str, str]
    replay_from: str | None = None


def base_name(student: str, project: Path) -> str:
    """Name the base model in public: a Hub id stays, a folder gives its last part only."""
    if student == "embedded":
        return EMBEDDED_BASE
    folder = (project / Path(student).expanduser()).resolve()
    return folder.name if folder.is_dir() or student.count("/") != 1 else student


def teacher_name(identity: str) -> str:
    """Name the teacher in public: its model, without the address or the folder it lies in."""
    if identity in (GIVEN, NO_TEACHER):
        return "none"
    _, endpoint, model = identity.rpartition("|")
    if not endpoint:
        return f"{EMBEDDED_BASE} ({identity[:23]})"
    return Path(model).name if model.startswith(("/", ".", "~")) else model


def model_card(facts: Facts) -> str:
    """Return the README.md of the model folder."""
    scores = facts.scores
    lines = [
        "---",
        f"base_model: {facts.base}" if "/" in facts.base else "base_model_relation: finetune",
        "library_name: transformers",
        "pipeline_tag: text-generation",
        "tags: [domainforge, synthetic-data, trl, sft]",
        "---",
        f"# {facts.name}",
        "",
        f"`{facts.base}`, trained with DomainForge on {facts.documents['total']} documents and on "
        f"{_describe_rows(facts, 'them', 'chat', 'text') or 'no chats'}.{_describe_mixture(facts)}",
        "",
        "## What it knows, measured",
        "",
        f"**{scores['sentence'][:1].upper()}{scores['sentence'][1:]}**",
        "",
        *_score_table(scores),
        "",
        "The intervals are 95 %, bootstrapped over documents and their questions, paired. "
        "`log_likelihood` and `contrast` are nats per token; `contrast` is the gold answer's "
        "likelihood less that of other gold answers of the same kind; `pmi_contrast` first takes "
        "from each what it gets after other questions. The control is the same "
        "base, trained by the same recipe on as many tokens of other documents: what it gains is "
        "style, not knowledge.",
        "",
        "## Where it comes from",
        "",
        f"- documents: {facts.documents['total']}, of which {facts.documents['held_out']} were "
        "held out of training",
        f"- teacher: `{facts.teacher}`",
        f"- prompts: {_pairs(facts.prompts)}",
        f"- rows: {_pairs(facts.rows)}",
        f"- training: {facts.recipe['method']}, {facts.recipe['epochs']} epochs, "
        f"{facts.figures['tokens']} tokens, learning rate {facts.recipe['learning_rate']}, best "
        f"step {facts.figures['best_step']}",
        f"- content hashes: {_pairs({k: v[:16] for k, v in facts.hashes.items()})}",
        f"- versions: {_pairs(facts.versions)}",
        "",
        "## Limits",
        "",
        "The model answers from memory and can be wrong with confidence. Check what matters "
        "against the documents. It was not tested for safety or bias, nor for what it forgot.",
        "",
        "## Use",
        "",
        "```python",
        "from transformers import AutoModelForCausalLM, AutoTokenizer",
        "",
        'model = AutoModelForCausalLM.from_pretrained("path/to/this/folder")',
        'tokenizer = AutoTokenizer.from_pretrained("path/to/this/folder")',
        "```",
        "",
    ]
    return "\n".join(lines)


def dataset_card(facts: Facts, files: Mapping[str, Sequence[str]]) -> str:
    """Return the README.md of the dataset folder.

    Args:
        facts: What is known of the run.
        files: Splits that each configuration has.
    """
    chats = _describe_rows(facts, "passages", "chat") or "none"
    texts = " and ".join(
        filter(None, ["the passages themselves", _describe_rows(facts, "passages", "text")])
    )
    pairs = _describe_rows(facts, "passages", "preference")
    lines = ["---", "tags: [domainforge, synthetic]", "configs:"]
    for kind, splits in files.items():
        lines.append(f"- config_name: {kind}")
        lines.append("  data_files:")
        for split in splits:
            lines += [f"  - split: {split}", f"    path: {kind}/{split}.parquet"]
    lines += [
        "---",
        f"# Rows of {facts.name}",
        "",
        f"One configuration per kind: `chat` rows are {chats}, `text` rows are {texts}. Each row "
        "names its document, its passage (chunk id and character span), the prompt and its hash, "
        "the teacher and the ledger keys of the replies that it was made of.",
        "",
        *([f"`preference` rows are {pairs}. {_PREFERENCES}", ""] if "preference" in files else []),
        f"- teacher: `{facts.teacher}`",
        f"- prompts: {_pairs(facts.prompts)}",
        f"- rows: {_pairs(facts.rows)}",
        "",
        "`validation` holds questions about documents that were trained on, `test` everything "
        "about documents that were held out. Rows that match a question of the exam were dropped.",
        "The text of the documents keeps its owners' licence.",
        *(
            [f"General rows that were mixed in ({facts.replay_from}) are not in here."]
            if facts.replay_from
            else []
        ),
        "",
    ]
    return "\n".join(lines)


def _describe_rows(facts: Facts, about: str, *kinds: str) -> str:
    """Say what the rows of these kinds are and who made them; nothing where there are none."""
    return " and ".join(
        text.format(about=about)
        for (kind, maker), text in _MADE.items()
        if kind in kinds and (kind, maker) in facts.makers
    )


def _describe_mixture(facts: Facts) -> str:
    """Say which part of the training was general rows; nothing where none was."""
    if facts.replay_from is None:
        return ""
    share = facts.figures["replay_tokens_per_epoch"] / facts.figures["tokens_per_epoch"]
    return (
        f" {share:.1%} of the tokens were general rows about none of the documents, from "
        f"`{facts.replay_from}`."
    )


def _score_table(scores: Mapping[str, Any]) -> list[str]:
    rows = [
        "| questions | line | metric | value | against | gain | 95 % interval | n |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for metric in scores["metrics"]:
        low, high = metric["low"], metric["high"]
        interval = "too few" if low is None else f"[{low:+.3f}, {high:+.3f}]"
        rows.append(
            f"| {metric['slice']} | {_LINES[metric['line']]} | {metric['name']} "
            f"| {metric['value']:.3f} | {metric['base']:.3f} | {metric['gain']:+.3f} "
            f"| {interval} | {metric['questions']} |"
        )
    return rows if len(rows) > 2 else ["Nothing was measured: no exam was given."]


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items()) or "none"
