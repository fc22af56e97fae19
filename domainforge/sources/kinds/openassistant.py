"""OpenAssistant's files, `.trees.jsonl` and `.messages.jsonl`: one chat of each tree."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO

from domainforge.records import Document
from domainforge.sources.chats import make_chat, read_messages
from domainforge.sources.cleaning import clean_text
from domainforge.sources.corpora.config import OpenAssistant
from domainforge.sources.kinds.compressed import decompress
from domainforge.sources.kinds.jsonl import row_parts
from domainforge.sources.kinds.members import size_of, unpacking_of
from domainforge.sources.kinds.rows import RowReader
from domainforge.sources.loaded import LeftOut, Loaded, SourceFile, UnreadableError
from domainforge.sources.taken_names import TakenNames

_MAX_TURNS = 1000
_MAX_MESSAGES = 100_000
_SPAM = 0.5
_ROLES = ("prompter", "assistant")
_ID_CHARS = 100

Message = Mapping[str, Any]


@dataclass(frozen=True)
class _Node:
    """A message, and what it is called in its tree."""

    name: str
    message: Message


@dataclass(frozen=True)
class _Tree:
    """A tree of messages.

    Attributes:
        replies: Name of a message to those under it.
    """

    root: _Node
    state: str | None
    replies: Mapping[str, list[_Node]]


@dataclass
class _Part:
    documents: list[Document] = field(default_factory=list)
    dropped: list[LeftOut] = field(default_factory=list)
    faults: list[LeftOut] = field(default_factory=list)

    def loaded(self) -> Loaded:
        return Loaded(tuple(self.documents), tuple(self.dropped), tuple(self.faults))


def stream_openassistant(handle: BinaryIO, file: SourceFile, skip: int) -> Iterator[Loaded]:
    """Read trees, or messages in the order of their trees; each tree is a chat or left out.

    The chat is the way from the root on which each message is the best-ranked reply that may be
    taken: reviewed, not deleted, no spam, of a quality that is wanted. What stands before it in
    the ranking is left out with its reason.

    Raises:
        UnreadableError: Damaged, or no text.
    """
    unpacked = decompress(handle, unpacking_of(file, size_of(handle)), or_plain=True)
    wanted = file.config.openassistant or OpenAssistant(files="-")
    with RowReader(file, "line", "application/jsonl") as reader, closing(TakenNames()) as taken:
        growing = _Growing(file)
        for number, rows in enumerate(row_parts(unpacked, reader)):
            part = _Part(faults=list(rows.faults))
            for row in rows.rows:
                for tree in growing.add(row.fields, reader.uri(row.number), part):
                    _read_tree(tree, file, wanted, part, taken)
            if number >= skip:
                yield part.loaded()
        part = _Part()
        for tree in growing.finish():
            _read_tree(tree, file, wanted, part, taken)
        if part != _Part():
            yield part.loaded()


class _Growing:
    """Makes trees of rows: a row is a tree already, or the next message of the one that grows."""

    def __init__(self, file: SourceFile) -> None:
        self._file = file
        self._root: _Node | None = None
        self._replies: dict[str, list[_Node]] = {}

    def add(self, row: Message, uri: str, part: _Part) -> Iterator[_Tree]:
        """Take a row; yields the trees that are whole with it."""
        if isinstance(row.get("prompt"), Mapping):
            yield _nested_tree(row)
            return
        name, parent = row.get("message_id"), row.get("parent_id")
        if not isinstance(name, str):
            detail = "neither a tree (`prompt`) nor a message (`message_id`)"
            part.faults.append(LeftOut(uri, "bad_row", detail))
        elif parent is None:
            yield from self.finish()
            self._root, self._replies = _Node(name, row), {name: []}
        elif self._fits(name, parent):
            self._replies[parent].append(_Node(name, row))
            self._replies[name] = []
        else:
            detail = "a reply to no message of the tree before it; take the file of trees"
            part.faults.append(LeftOut(uri, "orphan", detail))

    def finish(self) -> Iterator[_Tree]:
        """Yield the tree that grew."""
        if self._root is not None:
            yield _Tree(self._root, _state(self._root.message), self._replies)
        self._root, self._replies = None, {}

    def _fits(self, name: str, parent: Any) -> bool:
        if not isinstance(parent, str) or len(self._replies) >= _MAX_MESSAGES:
            return False
        return parent in self._replies and name not in self._replies


def _nested_tree(row: Message) -> _Tree:
    """Make a tree of nested replies, named by their places: nothing says that their ids differ."""
    root = _Node("0", {"message_id": row.get("message_tree_id"), **row["prompt"]})
    replies: dict[str, list[_Node]] = {}
    waiting = [root]
    while waiting:
        node = waiting.pop()
        below = node.message.get("replies")
        found = [c for c in below if isinstance(c, Mapping)] if isinstance(below, list) else []
        replies[node.name] = [_Node(f"{node.name}.{n}", child) for n, child in enumerate(found)]
        waiting += replies[node.name]
    return _Tree(root, _state(row), replies)


def _state(row: Message) -> str | None:
    state = row.get("tree_state")
    return state if isinstance(state, str) else None


def _read_tree(
    tree: _Tree, file: SourceFile, wanted: OpenAssistant, part: _Part, taken: TakenNames
) -> None:
    root = tree.root.message
    uri = _uri(root, file)
    reason = _reason_against(root, 0, wanted)
    if reason is None and tree.state not in (None, *wanted.states):
        reason = "tree_state", f"the tree is {tree.state}"
    if reason is None and wanted.languages and root.get("lang") not in wanted.languages:
        reason = "language", f"in {root.get('lang')}"
    if reason is not None:
        part.dropped.append(LeftOut(uri, *reason))
        return
    if not taken.take(uri):
        part.dropped.append(LeftOut(uri, "duplicate_id", "a tree of that id was there before"))
        return
    path = _best_path(tree, file, wanted, part)
    turns = [{"role": m["role"], "content": m["text"]} for m in path]
    try:
        messages = read_messages(turns)
    except UnreadableError as error:
        part.dropped.append(LeftOut(uri, "no_answer", error.detail))
        return
    part.documents.append(_document(uri, tree, path[: len(messages)], messages))


def _best_path(tree: _Tree, file: SourceFile, wanted: OpenAssistant, part: _Part) -> list[Message]:
    path = [tree.root]
    while len(path) < _MAX_TURNS:
        for reply in sorted(tree.replies[path[-1].name], key=_rank):
            reason = _reason_against(reply.message, len(path), wanted)
            if reason is None:
                path.append(reply)
                break
            part.dropped.append(LeftOut(_uri(reply.message, file), *reason))
        else:
            break
    return [node.message for node in path]


def _rank(reply: _Node) -> float:
    """Order replies: by rank, those without one last and as they stand."""
    rank = reply.message.get("rank")
    return rank if isinstance(rank, int | float) and not isinstance(rank, bool) else float("inf")


def _reason_against(message: Message, depth: int, wanted: OpenAssistant) -> tuple[str, str] | None:
    """Tell why a message may not be learned from, or None."""
    text, role = message.get("text"), _ROLES[depth % 2]
    if not isinstance(text, str) or message.get("role") != role:
        return "bad_message", f"no text of the {role}"
    if not clean_text(text).strip():
        return "empty", "a blank message"
    if message.get("deleted"):
        return "deleted", "deleted by its writer or a moderator"
    if message.get("review_result") is None:
        return "not_reviewed", "nobody has reviewed it"
    if message["review_result"] is not True:
        return "review_failed", "those who reviewed it found against it"
    spam = _label(message, "spam")
    if spam is not None and spam >= _SPAM:
        return "spam", f"rated as spam ({spam:g})"
    if wanted.min_quality is not None and role == "assistant":
        quality = _label(message, "quality")
        if quality is None or quality < wanted.min_quality:
            rated = "not rated" if quality is None else f"rated {quality:.2f}"
            return "low_quality", f"{rated}; at least {wanted.min_quality:g} is wanted"
    return None


def _label(message: Message, name: str) -> float | None:
    """Return a rating: `{spam: {value, count}}`, or as tables have it, `{name: [], value: []}`."""
    labels = message.get("labels")
    if not isinstance(labels, Mapping):
        return None
    found = labels.get(name)
    value = found.get("value") if isinstance(found, Mapping) else None
    names, values = labels.get("name"), labels.get("value")
    if isinstance(names, list) and isinstance(values, list) and name in names[: len(values)]:
        value = values[names.index(name)]
    return float(value) if isinstance(value, int | float) else None


def _document(
    uri: str, tree: _Tree, path: list[Message], messages: tuple[dict[str, str], ...]
) -> Document:
    answers = [_label(message, "quality") for message in path[1::2]]
    rated = [quality for quality in answers if quality is not None]
    facts = {
        "tree_id": path[0].get("message_tree_id") or path[0].get("message_id"),
        "tree_state": tree.state,
        "lang": path[0].get("lang"),
        "message_ids": [message.get("message_id") for message in path],
        "quality": min(rated) if rated else None,
        "synthetic": any(message.get("synthetic") for message in path) or None,
    }
    created = path[0].get("created_date")
    return replace(
        make_chat(uri, messages, {k: v for k, v in facts.items() if v is not None}),
        created=created if isinstance(created, str) else None,
    )


def _uri(message: Message, file: SourceFile) -> str:
    name = message.get("message_id")
    return f"{file.uri}#{name[:_ID_CHARS] if isinstance(name, str) else 'unnamed'}"
