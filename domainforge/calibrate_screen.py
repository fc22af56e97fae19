"""One judged row on a terminal, for a person who is not to know what the judge said of it."""

import json

from rich.console import Console
from rich.text import Text

from domainforge.calibrate import Calibrating
from domainforge.highlight import find_proof
from domainforge.judging.panel import question_before, said_by
from domainforge.wording import printable

KEYS = "g good  b bad  s skip  u undo  q quit"
_LABEL = "dim"
_MOST_PASSAGE_CHARS = 6000


def draw_row(console: Console, going: Calibrating) -> None:
    """Draw the row that is due: passage with the proof marked, quote, question and answer."""
    row = going.current
    if row is None:
        console.print(Text("all rows are through", style="bold"))
        console.print(Text("u undo  q quit and see", style=_LABEL))
        return
    head = f"row {going.at + 1} of {len(going.rows)}: would you train on it?"
    console.print(Text(head, style="bold"))
    question, answer = question_before(row), said_by(row)
    fields = json.loads(row["fields"] or "{}")
    quote = fields.get("quote") if isinstance(fields, dict) else None
    for number, chunk in enumerate(going.passages(row)):
        passage = printable(chunk["text"])[:_MOST_PASSAGE_CHARS]
        text = Text(passage)
        for start, end in find_proof(passage, quote, question, answer) if number == 0 else ():
            text.stylize("green", start, end)
        console.print()
        console.print(text)
    console.print()
    for name, said in (("quote", quote), ("question", question), ("answer", answer)):
        if said:
            console.print(Text.assemble((f"{name}: ", _LABEL), (printable(str(said)), "bold")))
    if row["rejected"]:
        console.print(Text.assemble(("rejected: ", _LABEL), printable(row["rejected"])))
    console.print()
    console.print(Text(KEYS, style=_LABEL))
