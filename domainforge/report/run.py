"""The sections on the run itself: what it is, its audit, what it cost, what its stages say."""

from typing import Any

from domainforge.dropped import shown_text
from domainforge.pipeline import find_scores
from domainforge.report.look import Look
from domainforge.report.section import Section
from domainforge.run_folder import read_table
from domainforge.status import read_spent
from domainforge.teacher.prices import NANO
from domainforge.wording import describe_account, describe_spent, short_time

_AUDIT = "audit"
_ASKED = {
    "asked": "requests asked",
    "replayed": "replies from the ledger",
    "prompt_tokens": "tokens read",
    "completion_tokens": "tokens written",
}


def run_section(look: Look) -> Section:
    """Say which run this is, how far it is, and how it ended."""
    record, scores = look.record, find_scores(look.run.path) or {}
    stopped = record.get("stopped") or {}
    values = {
        "name": look.run.path.name,
        "seed": record.get("seed"),
        "stages": list(look.manifests),
        "verdict": scores.get("verdict"),
        "sentence": scores.get("sentence"),
        "stopped": shown_text(f"{stopped['stage']}: {stopped['message']}") if stopped else "",
        "versions": dict(record.get("versions") or {}),
    }
    return Section("This run", "run.html", values)


def audit_section(look: Look) -> Section | None:
    """Show what the split's audit looked for, and that it isn't there."""
    split = look.manifests.get("split")
    if split is None or _AUDIT not in split.tables:
        return None
    rows = read_table(look.run.stage_folder("splits"), _AUDIT).to_pylist()
    values = {"rows": rows, "found": sum(row.get("found") or 0 for row in rows)}
    return Section("The audit of the split", "audit.html", values)


def _figures_of(look: Look, stage: str) -> dict[str, Any]:
    manifest = look.manifests.get(stage)
    return dict(manifest.figures) if manifest else {}


def spending_section(look: Look) -> Section | None:
    """Say what the teacher and the judge were asked, and what was paid."""
    figures = _figures_of(look, "generate")
    told = {words: figures[name] for name, words in _ASKED.items() if figures.get(name)}
    judged = _figures_of(look, "judge")
    told |= {f"judge: {said}": judged[name] for name, said in _ASKED.items() if judged.get(name)}
    spent = read_spent(look.run.path)
    if not told and spent is None:
        return None
    sentence = describe_spent(spent.nano_usd / NANO, spent.tokens) if spent else ""
    values = {"figures": told, "spent": sentence, "price": figures.get("price") or ""}
    return Section("What the teacher was asked", "spending.html", values)


def stages_section(look: Look) -> Section:
    """Show each whole stage's account and notes."""
    stages = [
        (
            name,
            short_time(manifest.seconds),
            describe_account(manifest.account),
            [shown_text(note) for note in manifest.notes],
        )
        for name, manifest in look.manifests.items()
    ]
    return Section("What the stages say", "stages.html", {"stages": stages})
