"""How a reply becomes an example, or a dropped row with its reason."""

from collections.abc import Callable, Mapping
from typing import Any

from domainforge.generation.chains import Chain
from domainforge.generation.parsing import Parsed, parse_chat, parse_completion
from domainforge.generation.requests import template_values
from domainforge.generation.units import Form, asks_completion
from domainforge.prompt_templates import holds
from domainforge.prompts import PromptFile, fill_example
from domainforge.records import Example
from domainforge.teacher.request import Reply

CHECK_FAILED = "check_failed"
"""Reason of a row whose prompt's `keep_if` is false."""

_MOST_EVIDENCE = 2000
_NO_JOINT = "what came does not begin with the last words of the reply"


def make_examples(
    chain: Chain,
    reply: Reply,
    form: Form,
    teacher: str,
    side: str,
    fence: Callable[[str], str],
) -> list[Example]:
    """Make the rows of a chain; one that can't teach is one row with its reason and evidence.

    That is one row, or one for each item where the prompt's `example` has `for_each`.

    Args:
        chain: Where it was when its last reply came.
        reply: Its last reply.
        form: How the teacher was asked.
        teacher: Its identity.
        side: The chunk's side.
        fence: Gives the marker of a chunk.
    """
    unit, prompt = chain.unit, chain.unit.prompt
    asked = {"teacher": teacher, "sampling": _sampling(chain, reply), "side": side}
    keys = (*chain.keys, reply.key)
    lineage: dict[str, Any] = {**unit.lineage(), **asked, "ledger_keys": keys}
    kind = prompt.header.example["kind"]
    text = chain.whole(reply.text)
    parsed = parse_reply(chain, reply, form, fence) if reply.status == "ok" else Parsed({})
    if reply.status != "ok" or parsed.fault:
        reason, evidence = _tell_fault(chain, reply, parsed.fault, text)
        if reason == "failed":
            reason = f"failed_{reply.detail.partition(':')[0] or 'unknown'}"
        return [Example(kind=kind, reason=reason, evidence=evidence, **lineage)]
    at_hand = template_values(unit, chain.texts, fence)
    if prompt.header.keep_if and not holds(
        prompt.path, prompt.header.keep_if, {**at_hand, **parsed.fields}
    ):
        evidence = f"not so: {prompt.header.keep_if}; the reply: {text}"[:_MOST_EVIDENCE]
        return [Example(kind=kind, reason=CHECK_FAILED, evidence=evidence, **lineage)]
    rows = _rows(prompt, parsed.fields, form)
    if not rows:
        evidence = f"`{prompt.items}` is empty; the reply: {text}"[:_MOST_EVIDENCE]
        return [Example(kind=kind, reason="no_items", evidence=evidence, **lineage)]
    examples = []
    for index, (fields, of_row) in enumerate(rows):
        filled = vars(fill_example(prompt, {**at_hand, **of_row}))
        examples.append(Example(kind=kind, fields=fields, item=index, **filled, **lineage))
    return examples


def _sampling(chain: Chain, reply: Reply) -> dict[str, Any]:
    """Return how the teacher was asked, and which of its requests were repair or continuations."""
    return {
        "temperature": reply.request.temperature,
        "max_tokens": reply.request.max_tokens,
        "stop": list(reply.request.stop),
        **({"repair": True} if chain.bad is not None else {}),
        **({"continued": list(chain.continued)} if chain.continued else {}),
    }


def parse_reply(chain: Chain, reply: Reply, form: Form, fence: Callable[[str], str]) -> Parsed:
    """Read the fields of a chain's last reply, whose status is ok.

    Args:
        chain: Where it was when that reply came.
        reply: Its last reply.
        form: How the teacher was asked.
        fence: Gives the marker of a chunk.
    """
    text = chain.whole(reply.text)
    if text is None:
        return Parsed({}, _NO_JOINT)
    if not asks_completion(chain.unit.prompt, form):
        return parse_chat(chain.unit, chain.texts, text, form, fence)
    assert reply.request.prompt is not None
    return parse_completion(chain.unit, reply.request.prompt, text, fence)


def _rows(
    prompt: PromptFile, fields: Mapping[str, Any], form: Form
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return, for each row of a reply, its fields and what its templates can name of the reply."""
    if prompt.items is None:
        return [(dict(fields), dict(fields))]
    if asks_completion(prompt, form):  # lines are one item
        return [(dict(fields), {**fields, "item": dict(fields)})]
    shared = {name: value for name, value in fields.items() if name != prompt.items}
    return [
        (
            {**shared, **(item if isinstance(item, dict) else {"item": item})},
            {**fields, "item": item},
        )
        for item in fields.get(prompt.items) or ()  # a full schema may let it be left out
    ]


def _tell_fault(chain: Chain, reply: Reply, fault: str | None, text: str | None) -> tuple[str, str]:
    """Return the reason of a row that can't teach, and its evidence: of both where two came."""
    bad, part = chain.bad, chain.part
    if fault:
        reason, evidence = (
            "off_schema",
            f"{fault}; the reply: {reply.text if text is None else text}",
        )
    else:
        reason, evidence = reply.status, reply.detail or reply.text
    if bad is None and part is None:
        return reason, evidence[:_MOST_EVIDENCE]
    # The unit's fault is the first reply's; what came of the second is told beside it.
    if bad is not None:
        own, first, again = "off_schema", f"{bad.fault}; the reply: {bad.text}", "after a repair"
    else:
        own, first, again = "cut_off", f"reached max_tokens; the reply: {part}", "when continued"
    if reason not in ("failed", "off_schema"):
        evidence = f"{reason}: {evidence}"
    last = f"; {again}: {evidence}"[: _MOST_EVIDENCE // 2]
    return reason if reason == "failed" else own, first[: _MOST_EVIDENCE - len(last)] + last
