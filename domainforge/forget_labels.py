"""Labels and drafts about a forgotten document go; those about others no longer name it."""

from pathlib import Path

from domainforge.forget_traces import BLANK, Traces, leaves
from domainforge.label_file import LABELS, LabelFile
from domainforge.labels import Label, Undo
from domainforge.review_draft import DRAFTS
from domainforge.run_folder import storage_errors


def count_labels(project: Path, traces: Traces) -> int:
    """Return how many lines of labels are about the document.

    Raises:
        DataError: The file of labels is broken.
    """
    lines = LabelFile(project).lines()
    return sum(isinstance(line, Label) and _is_about(line, traces) for line in lines)


def clean_labels(project: Path, traces: Traces) -> None:
    """Take the document out of the labels and drafts; can be done again after a kill.

    Raises:
        StorageError: They can't be written.
    """
    with storage_errors(project):
        for stray in (*project.glob(f".{LABELS}.*"), *(project / DRAFTS).glob(".*")):
            stray.unlink()
        for draft in sorted((project / DRAFTS).glob("*.txt")):
            text = draft.read_text(encoding="utf-8", errors="replace")
            if draft.stem in traces.rows or traces.named_in(text):
                draft.unlink()

    def clean(line: Label | Undo) -> Label | Undo | None:
        if isinstance(line, Undo):
            return line
        if _is_about(line, traces):
            return None
        if traces.named_in(line.comment):
            return line.model_copy(update={"comment": BLANK})
        return line

    LabelFile(project).rewrite(clean)


def label_files(project: Path) -> list[Path]:
    """Return every file in which labels or drafts are."""
    places = (*project.glob(f"*{LABELS}*"), *(project / DRAFTS).glob("*"))
    return sorted(path for path in places if path.is_file())


def _is_about(label: Label, traces: Traces) -> bool:
    about = [passage.model_dump() for passage in label.passages]
    if traces.owns({"id": label.row, "also": about}):
        return True
    said = [label.said.model_dump(), label.edited.model_dump() if label.edited else None]
    return any(traces.quoted_in(text) for text in leaves(said))
