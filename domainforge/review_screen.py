"""One row on a terminal: what it says, why it left, and its passage with the proof marked.

Text from documents and teachers is shown as it is, never as markup, and without characters that
would command the terminal.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from domainforge.batches import TRAINED_MARKS
from domainforge.review import Review, ReviewRow
from domainforge.wording import printable

_LABEL = "dim"
_PROOF_STYLE = "bold green"
_VERDICT_STYLES = {"keep": "bold green", "drop": "bold red"}
_LEAST_PASSAGE_LINES = 8
_LEAST_BLOCK_LINES = 2
_MOST_WHY_LINES = 3
_LOW_SCREEN_LINES = 20
_CUT = "... (m shows all of it)"
KEYS = (
    "k keep  d drop  e edit  c comment  u undo  s skip  b back  m more  q quit",
    "k keep  d drop  e edit  c comment",
    "u undo  s skip  b back  m more  q quit",
)


@dataclass
class _Block:
    """Lines under a name; `first` is the line that must be seen."""

    lines: list[Text]
    first: int = 0

    def cut(self, most: int) -> list[Text]:
        """Return at most so many lines, around the one that must be seen."""
        if len(self.lines) <= most:
            return self.lines
        if most == 1:
            return self.lines[:1]
        if not self.first:
            return [*self.lines[: most - 1], Text(_CUT, style=_LABEL)]
        # What the lines are of stays above them.
        room = max(most - 2, 1)
        start = max(1, min(self.first - room // 3, len(self.lines) - room))
        return [self.lines[0], *self.lines[start : start + room], Text(_CUT, style=_LABEL)]


def draw_review(console: Console, review: Review, *, whole: bool = False) -> None:
    """Draw the row that is shown, so that it fits the screen unless the whole is wanted."""
    shown = review.current()
    if shown is None:
        _draw_end(console, review)
        return
    width, height = console.size
    space = [Text()] if whole or height > _LOW_SCREEN_LINES else []
    head = [*_head(review, shown, width), *space]
    keys = [*space, *(Text(line, style=_LABEL) for line in _fitting_keys(width))]
    room = 10**9 if whole else max(height - len(head) - len(keys) - 1, 6)
    for line in [*head, *_body(console, shown, width, room), *keys]:
        console.print(line, no_wrap=True, overflow="crop", crop=True)


def _head(review: Review, shown: ReviewRow, width: int) -> list[Text]:
    now, ever = len(review.given), review.labelled
    counted = f"row {review.number:,} of {review.total:,}, {now:,} labelled now, {ever:,} in all"
    name = printable(f"{review.run.path.name}: {shown.table}  ")
    first = Text.assemble((name, "bold"), (counted, _LABEL))
    second = Text.assemble((f"{shown.row['id']}  ", _LABEL), _verdict(shown))
    lines = [first, second]
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return lines


def _verdict(shown: ReviewRow) -> Text:
    label = shown.label
    if label is None:
        return Text("no label")
    said = label.verdict or "no verdict"
    text = Text.assemble((said, _VERDICT_STYLES.get(said, "")))
    if label.edited is not None:
        text.append(", edited")
    comment = " ".join(printable(label.comment).split())
    when = printable(label.at[:10])
    text.append(f" ({when}: {comment})" if comment else f" ({when})", style=_LABEL)
    return text


def _body(console: Console, shown: ReviewRow, width: int, room: int) -> list[Text]:
    """Put the parts of a row under each other; the passage as far as there is room."""
    said = [_wrap(console, name, text, width) for name, text, _ in _said(shown)]
    why = [_wrap(console, name, text, width, style) for name, text, style in _why(shown)]
    passage = _passage(console, shown, width)
    told = [line for block in why for line in block.cut(min(_MOST_WHY_LINES, max(room // 6, 1)))]
    left = room - len(told) - 1
    for_passage = min(len(passage.lines), _LEAST_PASSAGE_LINES, left // 2)
    for_said = max(left - for_passage, _LEAST_BLOCK_LINES)
    lines = _share([block for block in said if block.lines], for_said)
    for_passage = max(left - len(lines), _LEAST_BLOCK_LINES)
    return [*lines, *told, *([Text(), *passage.cut(for_passage)] if passage.lines else ())]


def _said(shown: ReviewRow) -> list[tuple[str, str, str]]:
    content = shown.content
    names = {"user": "question", "assistant": "answer", "system": "system"}
    parts = [(names[message.role], message.content, "") for message in content.messages]
    if not content.messages:
        parts.append(("text", content.text or "", ""))
    if content.rejected is not None:
        parts.append(("rejected", content.rejected, ""))
    return parts


def _why(shown: ReviewRow) -> list[tuple[str, str, str]]:
    row = shown.row
    parts = []
    if row["reason"]:
        evidence = " ".join(str(row["evidence"] or "").split())
        parts.append(("dropped", f"{row['reason']}: {evidence}"[:600], "yellow"))
    if scores := _scores(row["scores"]):
        parts.append(("scores", scores, ""))
    return parts


def _scores(scores: Mapping[str, float]) -> str:
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, int | float) else f"{name} {value}"
        for name, value in sorted(scores.items())
    )


def _passage(console: Console, shown: ReviewRow, width: int) -> _Block:
    """Wrap the passages; the proof stands out by colour, or between marks where there is none."""
    if not shown.passages:
        return _Block([])
    lines: list[Text] = []
    first = 0
    for number, chunk in enumerate(shown.passages):
        above = " > ".join(chunk["headings"] or ())
        title = " ".join(printable(f"{chunk['uri']}  {above}").split())
        head = Text(f"passage: {title}" if number == 0 else f"also: {title}", style=_LABEL)
        head.truncate(width, overflow="ellipsis")
        text, proof_at = _marked(console, shown, number)
        body = list(text.wrap(console, width))
        if proof_at is not None:
            first = len(lines) + 1 + len(list(text[:proof_at].wrap(console, width))) - 1
        lines += [head, *body]
    return _Block(lines, first)


def _marked(console: Console, shown: ReviewRow, number: int) -> tuple[Text, int | None]:
    """Return a passage with its proof marked, and where the mark begins."""
    passage = str(shown.passages[number]["text"])
    spans = shown.proof() if number == 0 else []
    plain = console.color_system is None or console.no_color
    opened, closed = TRAINED_MARKS if plain else ("", "")
    text = Text()
    at, first = 0, None
    for start, end in spans:
        text.append(_plain(passage[at:start]))
        first = len(text) if first is None else first
        text.append(f"{opened}{_plain(passage[start:end])}{closed}", style=_PROOF_STYLE)
        at = end
    text.append(_plain(passage[at:]).rstrip())
    return text, first


def _wrap(console: Console, name: str, body: str, width: int, style: str = "") -> _Block:
    text = Text.assemble((f"{name}: ", _LABEL), (_plain(body).strip(), style))
    return _Block(list(text.wrap(console, width)))


def _plain(text: str) -> str:
    return printable(text).replace("\t", "    ")


def _share(blocks: Sequence[_Block], room: int) -> list[Text]:
    """Give blocks their lines; where there are too many the longest are cut first."""
    wanted = [len(block.lines) for block in blocks]
    while sum(wanted) > room and max(wanted) > 1:
        wanted[wanted.index(max(wanted))] -= 1
    # Of a long conversation what was said last counts: it is what the row ends with.
    while sum(wanted) > room and len(wanted) > 1:
        wanted.pop(0)
        blocks = blocks[1:]
    pairs = zip(blocks, wanted, strict=True)
    return [line for block, most in pairs for line in block.cut(most)]


def _fitting_keys(width: int) -> Sequence[str]:
    return KEYS[:1] if len(KEYS[0]) <= width else KEYS[1:]


def _draw_end(console: Console, review: Review) -> None:
    text = f"{review.run.path.name}: no rows left" if review.number > 1 else "no rows to label"
    console.print(Text(f"{text}; {len(review.given):,} labelled now, {review.labelled:,} in all"))
    console.print(Text("u undo  b back  q quit", style=_LABEL))
