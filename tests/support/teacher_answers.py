"""What the test teacher says: grounded in the passage it was given, a function of the request.

It can't think, so it cites: the answer is a span of a sentence of the passage, and the question
asks about another span of it.
"""

import hashlib
import json
import re
from collections.abc import Collection
from random import Random
from typing import Any

_MARKER = re.compile(r"\b[0-9a-f]{16}\b")
_LABEL = re.compile(r"^\s*([A-Z][A-Za-z ]{0,20}):[ \t]*(.*)$")
_SENTENCE = re.compile(r"[^.!?\n]+(?:[.!?]+|(?=\n)|$)")
_FORM = re.compile(r"^(=== [a-z]{8} (?:.*\.)?(.+) ===)$(?:\n\((.+)\)$)?", re.MULTILINE)
_FENCED = re.compile(r"<passage (\w+)>\n(.*?)\n</passage \1>", re.DOTALL)
_OPEN = "the a an and or but because if than its their our your whose although unless whereas"
_OPEN_WORDS = frozenset(_OPEN.split())
_QUESTIONS = (
    "What does {title} say about {topic}?",
    "According to {title}, what is known of {topic}?",
    "How is {topic} described?",
    "Which fact is given regarding {topic} in {title}?",
    "What should one remember about {topic}?",
    "Where {title} mentions {topic}, what does it state?",
)


class Speaker:
    """Answers one request body; the same body always gets the same answer."""

    def __init__(self, body: dict[str, Any]) -> None:
        """Take the request as the server parsed it."""
        canonical = json.dumps(body, sort_keys=True).encode()
        self._body = body
        self._random = Random(hashlib.sha256(canonical).digest())
        self._title = "the text"
        self._passage = ""

    def chat(self) -> str:
        """Return the content for a chat."""
        messages = self._body["messages"]
        # The passage is in the first; a later one objects to a reply.
        user = next((m["content"] for m in messages if m["role"] == "user"), "")
        self._passage = passage_of(user)
        self._title = _title_of(user)
        schema = _schema_of(self._body)
        if schema is not None:
            judged = judge_reply(user, schema.get("properties", {}).keys())
            return json.dumps(judged or self._fill(schema, "reply", self._cite()))
        if _FORM.search(user):
            return self._fill_form(user)
        everything = " ".join(str(m["content"]) for m in messages)
        if '"question"' in everything and '"answer"' in everything:
            return json.dumps(self._cite())
        return self._cite()["quote"]

    def _fill_form(self, user: str) -> str:
        """Write under each line of a form what it asks for; the last asks for nothing."""
        cited = self._cite()
        return "\n".join(
            line if not hint else f"{line}\n{_value_for(name, hint, cited)}"
            for line, name, hint in _FORM.findall(user)
        )

    def completion(self) -> str:
        """Continue a few-shot prompt: finish its last line, then the labels that follow it."""
        lines = [line for line in str(self._body["prompt"]).splitlines() if line.strip()]
        labelled = [match.groups() for line in lines if (match := _LABEL.match(line))]
        if not labelled:
            self._passage = lines[-1] if lines else "nothing"
            return " " + self._cite()["quote"]
        cycle = list(dict.fromkeys(label for label, _ in labelled))
        said = [text for label, text in labelled if text and not _is_reply(label)]
        self._passage = passage_of(said[-1] if said else lines[-1])
        cited = self._cite()
        current, begun = labelled[-1]
        text = _say(current, cited)
        if begun:
            text = text.split(" ", 1)[-1]
        rest = cycle[cycle.index(current) + 1 :]
        return " " + "\n".join([text, *(f"{label}: {_say(label, cited)}" for label in rest)]) + "\n"

    def _cite(self) -> dict[str, str]:
        sentences = [s for s in sentences_of(self._passage) if len(s.split()) >= 5]
        quote = self._random.choice(sentences) if sentences else self._passage.strip()
        words = quote.split()
        length = self._random.randint(3, 4)
        start = self._random.randrange(max(1, len(words) - length))
        topic = " ".join(words[start : start + length]).strip(".,;:!?\"'")
        question = self._random.choice(_QUESTIONS).format(title=self._title, topic=topic)
        size = self._random.randint(3, max(3, len(words)))
        first = self._random.randrange(max(1, len(words) - size + 1))
        said = words[first : first + size]
        # A teacher that breaks off has its own faults; this one ends where it may.
        while len(said) > 1 and said[-1].lower().strip(",;:") in _OPEN_WORDS:
            said.pop()
        answer = " ".join(said).rstrip(",;:")
        return {"question": question, "answer": answer, "quote": quote}

    def _fill(self, schema: dict[str, Any], name: str, cited: dict[str, str]) -> Any:
        options = schema.get("enum") or ([schema["const"]] if "const" in schema else None)
        if options:
            return self._random.choice(options)
        if "anyOf" in schema:
            return self._fill(schema["anyOf"][0], name, cited)
        match schema.get("type", "string"):
            case "object":
                fields = schema.get("properties", {})
                return {key: self._fill(part, key, cited) for key, part in fields.items()}
            case "array":
                count = max(2, int(schema.get("minItems", 0)))
                return [self._fill(schema["items"], name, self._cite()) for _ in range(count)]
            case "integer":
                return self._random.randint(schema.get("minimum", 1), schema.get("maximum", 10))
            case "number":
                return round(self._random.uniform(0, 1), 3)
            case "boolean":
                return self._random.random() < 0.5
            case "null":
                return None
        return _say(name, cited)


def judge_reply(user: str, fields: Collection[str]) -> dict[str, Any] | None:
    """Judge by words, where that is what the reply is about; None where it isn't.

    What the passage doesn't say gets a 1, else a 5. Of two answers that the passage says, or
    neither, the first one is taken: this judge goes by the place. Asked again it gives the sentence
    that is most like the question.
    """
    inside = [text for _, text in _FENCED.findall(user)]
    if "overall" in fields and len(inside) >= 2:
        good = _says(inside[0], inside[2] if "The question:" in user else inside[1])
        scores = {name: 5 if good else 1 for name in fields if name != "reason"}
        return {"reason": "The passage says so." if good else "It is made up.", **scores}
    if "better" in fields and len(inside) >= 4:
        first, second = (_says(inside[0], answer) for answer in inside[2:4])
        return {"reason": "Of the two.", "better": "second" if second and not first else "first"}
    if set(fields) == {"answer"}:
        if len(inside) < 2:
            return {"answer": "not known"}
        asked = set(inside[1].lower().strip("?").split())
        return {
            "answer": max(
                sentences_of(inside[0]), key=lambda said: len(asked & set(said.lower().split()))
            )
        }
    return None


def _says(passage: str, answer: str) -> bool:
    said = set(re.findall(r"\w+", passage.lower()))
    return set(re.findall(r"\w+", answer.lower())) <= said


def _value_for(name: str, hint: str, cited: dict[str, str]) -> str:
    options = hint.removeprefix("one of: ").split(", ")
    values = {"a whole number": "3", "a number": "0.5", "true or false": "true"}
    if hint.startswith("one of: "):
        return options[0]
    return values.get(hint.split(",")[0]) or _say(name, cited)


def passage_of(text: str) -> str:
    """Return the longest text between two lines with the same marker, or else the whole text."""
    lines = text.splitlines()
    seen: dict[str, int] = {}
    best = ""
    for number, line in enumerate(lines):
        for marker in _MARKER.findall(line):
            if marker in seen:
                between = "\n".join(lines[seen[marker] + 1 : number])
                best = max(best, between, key=len)
            seen[marker] = number
    return best or text


def sentences_of(passage: str) -> list[str]:
    """Split a passage into its sentences; Markdown headings are left out."""
    body = "\n".join(line for line in passage.splitlines() if not line.lstrip().startswith("#"))
    return [match.group().strip() for match in _SENTENCE.finditer(body) if match.group().strip()]


def _title_of(user: str) -> str:
    first = next((line for line in user.splitlines() if line.strip()), "")
    words = re.sub(r"[^\w\s]", " ", first).split()
    return " ".join(words[:4]) if 0 < len(words) <= 12 else "the text"


def _schema_of(body: dict[str, Any]) -> dict[str, Any] | None:
    wanted = body.get("response_format") or {}
    schema = (wanted.get("json_schema") or {}).get("schema")
    return schema if isinstance(schema, dict) else None


def _is_reply(label: str) -> bool:
    return any(word in label.lower() for word in ("question", "answer"))


def _say(label: str, cited: dict[str, str]) -> str:
    for name in ("question", "answer"):
        if name in label.lower():
            return cited[name]
    return cited["quote"]
