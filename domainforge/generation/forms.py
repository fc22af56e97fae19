"""How a teacher is asked: in chats with JSON, in chats with blocks, or by texts to be continued."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from domainforge.generation.units import Form, Unit, asks_completion
from domainforge.prompts import PromptFile

if TYPE_CHECKING:
    from domainforge.teacher.client import Teacher
    from domainforge.teacher.config import TeacherConfig
    from domainforge.teacher.ledger import Ledger

_MARKER_LETTERS = 8
# Letters alone: digits could be a phone number to the privacy gate, which would take them out.
_LETTERS = str.maketrans("0123456789abcdef", "bcdfghjklmnpqrst")


def form_of(teacher: "Teacher") -> Form:
    """Return how an open teacher is asked."""
    if teacher.form == "chat" and not teacher.supports_schema:
        return "delimited"
    return teacher.form


def known_form(config: "TeacherConfig", identity: str, ledger: "Ledger") -> Form:
    """Return how a teacher is asked, by what is known of it without asking.

    Of an endpoint that was never seen, that is JSON; the ledger holds none of its replies then.
    """
    from domainforge.teacher.session import known_schema_support

    if config.resolved_form == "chat" and known_schema_support(config, identity, ledger) is False:
        return "delimited"
    return config.resolved_form


def is_delimited(prompt: PromptFile, form: Form) -> bool:
    """Tell whether the reply to this prompt is asked for in blocks."""
    wanted = prompt.header.reply_form
    if asks_completion(prompt, form) or wanted == "json" or prompt.layout is None:
        return False
    return wanted == "delimited" or form == "delimited"


def reply_marker(unit: Unit, replies: Mapping[str, str], fence: Callable[[str], str]) -> str:
    """Return the word in the lines between the blocks of a reply.

    No document can guess it, as with the marker of its passage; and it stands in none of the texts
    that the teacher sees.
    """
    seen = [text for chunk in unit.chunks for text in _texts_of(chunk)] + [*replies.values()]
    seed = f"reply {unit.chunk['id']}"
    while True:
        seed = fence(seed)
        marker = seed.translate(_LETTERS)[:_MARKER_LETTERS]
        if not any(marker in text for text in seen):
            return marker


def _texts_of(chunk: Mapping[str, object]) -> list[str]:
    headings = chunk["headings"]
    assert isinstance(headings, list | tuple)
    return [str(chunk["title"]), str(chunk["text"]), str(chunk.get("context") or ""), *headings]
