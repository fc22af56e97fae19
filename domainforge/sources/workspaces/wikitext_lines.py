"""The lines of a rendered wiki page: list items numbered and indented, code lines fenced."""

import re

ITEM = "\x01"  # around the marks of a list item: `*`, `#`, `:` or `;`, as deep as they are many
PREFORMATTED = "\x02"  # before a line that the wiki shows as it is
STASH = "\x03"  # around the number of a text that is put aside

_MARKED = re.compile(f"(?:{ITEM}[*#:;]{ITEM} ?)+")
_DEFINITION = re.compile(f"\\s*{ITEM}:{ITEM} ?")
_SPACES = re.compile(r"(?<=\S) {2,}")
_HEADING = re.compile(r"(#{1,6}) \S")
_MAX_DEPTH = 12


def format_lines(text: str) -> str:
    """Turn marked lines into Markdown and drop headings that nothing stands under."""
    lines: list[str] = []
    counters: dict[str, int] = {}
    code: list[str] = []
    after_item = ""  # the outermost mark of the item that stands before
    for line in text.split("\n"):
        if line.startswith(PREFORMATTED):
            code.append(line[1:].replace(PREFORMATTED, ""))
            continue
        if code:
            lines += _fenced(code)
            code = []
        line = line.replace(PREFORMATTED, " ")
        marked = _MARKED.match(line)
        if marked is None:
            counters.clear()
            if after_item and line.strip():
                lines.append("")
            after_item = "" if line.strip() else after_item
            lines.append(_SPACES.sub(" ", line.replace(ITEM, "").rstrip()))
            continue
        marks = marked[0].replace(ITEM, "").replace(" ", "")[:_MAX_DEPTH]
        body = _SPACES.sub(" ", line[marked.end() :].strip())
        if not body.replace(ITEM, ""):
            continue
        if after_item == marks[0]:
            _drop_blank_lines(lines)
        elif lines and lines[-1]:
            lines.append("")
        lines += _item(marks, body, counters)
        after_item = marks[0]
    return "\n".join(_without_empty_sections([*lines, *_fenced(code)]))


def _item(marks: str, body: str, counters: dict[str, int]) -> list[str]:
    for known in [known for known in counters if not marks.startswith(known)]:
        del counters[known]
    for known in [k for k in counters if len(k) > len(marks)]:
        del counters[known]
    last = marks[-1]
    listed = [mark for mark in marks[:-1] if mark in "*#"]
    indent = "".join("   " if mark == "#" else "  " for mark in listed)
    if last != ";":
        body = body.replace(ITEM, "")
    if last == "*":
        return [f"{indent}- {body}"]
    if last == "#":
        counters[marks] = counters.get(marks, 0) + 1
        return [f"{indent}{counters[marks]}. {body}"]
    if last == ";":
        term, _, definition = _DEFINITION.sub(ITEM, body, count=1).partition(ITEM)
        said = f": {definition.replace(ITEM, '')}" if definition else ""
        return ["", f"{indent}**{term.strip('* ')}**{said}"]
    # A definition, or a line that is only indented.
    return [f"{indent}{body}"] if listed else ["", body, ""]


def _drop_blank_lines(lines: list[str]) -> None:
    """Items of one list stand together, whatever blank lines the wiki has between them."""
    while lines and not lines[-1]:
        lines.pop()


def _fenced(code: list[str]) -> list[str]:
    body = [line.rstrip() for line in code]
    if not any(body):
        return []
    fence = "~~~" if any("```" in line for line in body) else "```"
    return ["", fence, *body, fence, ""]


def _without_empty_sections(lines: list[str]) -> list[str]:
    """Drop headings without text below: of references, galleries, link lists that went."""
    kept: list[str] = []
    below = 0  # highest level (smallest number) of a kept heading since text was last seen
    has_text = False
    for line in reversed(lines):
        heading = _HEADING.match(line)
        if heading is None:
            has_text = has_text or bool(line.strip())
            kept.append(line)
            continue
        level = len(heading[1])
        if has_text or below > level:
            kept.append(line)
            below = level
        has_text = False
    kept.reverse()
    return kept
