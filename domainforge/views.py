"""How commands show things on a terminal: runs, rows, traces, batches, plans, teachers.

Text from documents and teachers is shown as it is, never as markup, and without characters that
would command the terminal.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from domainforge.batches import TRAINED_MARKS, BatchSequence
from domainforge.dry_run import DryRun
from domainforge.pipeline import STAGES
from domainforge.records import NO_TEACHER
from domainforge.show import Place, Row, Selection
from domainforge.status import RunEnd, RunLine, RunStatus
from domainforge.teacher.ledger import Spent
from domainforge.teacher.prices import NANO
from domainforge.teacher.session import TeacherReport
from domainforge.terminal import say
from domainforge.trace import Exchange, Trace
from domainforge.wording import describe_account, describe_spent, printable, short_time
from domainforge.yields import asked_yields, barren_documents

_LISTED = 20
_STATE_STYLES = {
    "done": "green",
    "running": "bold cyan",
    "unfinished": "yellow",
    "outdated": "yellow",
    "not run": "dim",
}
_LABEL = "dim"
_TRAINED_STYLE = "bold green"
_REASON_STYLE = "yellow"


def print_runs(console: Console, runs: Sequence[RunLine]) -> None:
    """Print a line for each run."""
    table = make_table("run", "stages", "verdict", "worked", "last change")
    for run in runs:
        if run.fault:
            table.add_row(run.name, "", Text("can't be read", style="red"), "", "")
            continue
        stages = f"{run.stages_done} of {len(STAGES)}" + (", running" if run.active else "")
        ago = f"{short_time(run.age_seconds)} ago"
        table.add_row(run.name, stages, run.verdict or "", short_time(run.seconds), ago)
    console.print(table)
    for run in runs:
        if run.fault:
            print_text(console, Text(run.fault, style="red"))


def print_status(console: Console, status: RunStatus) -> None:
    """Print every stage with its account, then what was asked and what produced nothing."""
    table = make_table("stage", "state", "time", "account")
    for stage in status.stages:
        manifest = stage.manifest
        state = Text(stage.state, style=_STATE_STYLES[stage.state])
        account = describe_account(manifest.account) if manifest else ""
        table.add_row(stage.name, state, short_time(manifest.seconds) if manifest else "", account)
    console.print(table)
    for who, figures in (("teacher", status.asking), ("judge", status.judging)):
        if figures:
            say(console, _tell_asked(who, figures))
    if status.spent is not None:
        say(console, describe_spent(status.spent.nano_usd / NANO, status.spent.tokens))
    if status.yields:
        _print_yields(console, status)
    for stage in status.stages:
        for note in stage.manifest.notes if stage.manifest else ():
            print_text(console, Text.assemble((f"{stage.name}: ", _LABEL), printable(note)))
    if status.labels_changed:
        text = "labels were given or taken back since the filter ran; the next run applies them"
        print_text(console, Text(text, style="yellow"))
    if status.scores:
        print_text(console, Text(str(status.scores.get("sentence", "")), style="bold"))
    if status.stopped:
        text = printable(f"{status.stopped['stage']} stopped: {status.stopped['message']}")
        print_text(console, Text(text, style="bold red"))


def _tell_asked(who: str, figures: Mapping[str, Any]) -> str:
    asked, replayed = figures.get("asked", 0), figures.get("replayed", 0)
    if not (asked or replayed):
        return f"{who}: nothing was asked"
    return (
        f"{who}: {asked:,} requests asked, {replayed:,} from the ledger, "
        f"{figures.get('prompt_tokens', 0):,} tokens read and "
        f"{figures.get('completion_tokens', 0):,} written for those asked"
    )


def print_end(console: Console, end: RunEnd) -> None:
    """Say what was spent, where the student is, what to try next, and last the verdict."""
    if end.usd:
        say(console, describe_spent(end.usd, end.billed_tokens or 0))
    if end.student:
        say(console, f"the student: {end.student}")
    say(console, f"next: {end.next}")
    if end.sentence:
        styles = {"gained": "bold green", "not_shown": "bold yellow"}
        say(console, end.sentence, style=styles.get(str(end.verdict), "bold red"))


def print_spent(console: Console, spent: Spent | None) -> None:
    """Say what a run has cost so far, where it has cost money."""
    if spent is not None and spent.nano_usd:
        say(console, describe_spent(spent.nano_usd / NANO, spent.tokens))


def print_selection(console: Console, selection: Selection, run: str) -> None:
    """Print rows one under the other."""
    for place, row in selection.rows:
        _print_row(console, place, row)
    shown, total = len(selection.rows), selection.total
    if shown < total:
        hint = f"{shown} of {total} rows; --limit N shows more, --json writes all of them"
        print_text(console, Text(hint, style=_LABEL))
    elif not total:
        print_text(console, Text("no rows", style=_LABEL))
    first = next((row for place, row in selection.rows if row.get("teacher")), None)
    if first is not None:
        hint = f"domainforge trace {run} {first['id']} shows where a row came from"
        print_text(console, Text(hint, style=_LABEL))


def print_trace(console: Console, trace: Trace) -> None:
    """Print a row, its way, the prompt, each request and reply, the passage and the document."""
    row = trace.row
    _print_row(console, trace.way[-1], row)
    way = " > ".join(f"{place.stage}: {place.label}" for place in trace.way)
    print_text(console, _field("way", way))
    if trace.dropped_by:
        why = f"{row.get('reason')}: {row.get('evidence') or row.get('detail') or ''}"
        print_text(console, _field(f"dropped by {trace.dropped_by}", why, _REASON_STYLE))
    if trace.prompt:
        where = str(trace.prompt.path) if trace.prompt.path else "no file of that name now"
        kept = "its text then is in the run's examples/prompts"
        changed = f"; the file has changed since: {kept}" if trace.prompt.changed else ""
        text = f"{trace.prompt.name} {trace.prompt.hash[:16]} ({where}{changed})"
        print_text(console, _field("prompt", text))
        teacher = str(row.get("teacher"))
        said = "none: made of the passage alone" if teacher == NO_TEACHER else teacher
        print_text(console, _field("teacher", said))
        part = ", ".join(f"{name} {row[name]}" for name in ("unit", "sample", "item"))
        print_text(console, _field("made as", part))
    for exchange in trace.exchanges:
        _print_exchange(console, exchange)
    if trace.judged:
        print_text(console, _field("judged", f"{len(trace.judged)} requests about it"))
    for exchange in trace.judged:
        _print_exchange(console, exchange)
    if trace.chunk is not None and trace.chunk["id"] != row["id"]:
        for number, chunk in enumerate((trace.chunk, *trace.also)):
            headings = " > ".join(chunk["headings"] or ())
            span = f"{chunk['uri']} [{chunk['start']}:{chunk['end']}]"
            title = f"{'also ' if number else ''}passage {chunk['id']}, {span} {headings}"
            _print_block(console, title, chunk["text"])
    if trace.document is not None:
        document = trace.document
        text = f"{document['uri']}, {document['title']!r}, {len(document['text']):,} characters"
        print_text(console, _field("document", f"{text}, sha256 {document['sha256'][:16]}"))


def print_batch(console: Console, sequences: Sequence[BatchSequence], total: int) -> None:
    """Print packed sequences; the tokens that the loss counts stand out."""
    opened, closed = TRAINED_MARKS
    coloured = console.color_system is not None
    for number, sequence in enumerate(sequences, 1):
        head = f"sequence {number} of {total} in an epoch: {sequence.tokens} tokens, "
        print_text(console, Text(head + f"{sequence.trained} of them trained", style="bold"))
        for row in sequence.rows:
            print_text(console, Text(f"row {row.id}", style=_LABEL))
            line = Text()
            for span in row.spans:
                text = printable(span.text)
                if coloured or not span.trained:
                    line.append(text, style=_TRAINED_STYLE if span.trained else "dim")
                else:
                    line.append(f"{opened}{text}{closed}")
            print_text(console, line)
    legend = Text("legend: ")
    mark = "trained" if coloured else f"{opened}trained{closed}"
    legend.append(mark, style=_TRAINED_STYLE)
    legend.append(" tokens count in the loss, ")
    legend.append("the others are only read", style="dim")
    console.print(legend)


def print_plan(console: Console, plan: DryRun) -> None:
    """Print what a run would do."""
    table = make_table("stage", "state", "why")
    for stage in plan.stages:
        style = "bold cyan" if stage.state == "would run" else "dim"
        table.add_row(stage.stage, Text(stage.state, style=style), stage.why)
    console.print(table)
    calls = plan.calls
    if calls is None or not calls.planned:
        if plan.judge_calls is None:
            say(console, "nothing would be asked of the teacher")
    else:
        say(
            console,
            f"generate would put {calls.planned:,} requests: {calls.in_ledger:,} are in the "
            f"ledger, {calls.to_ask:,} would be asked of the teacher",
        )
    for note in plan.notes:
        say(console, note, style="yellow")


def print_teacher(console: Console, report: TeacherReport, price: str) -> None:
    """Print what was found out about a teacher, and what it costs."""
    known = {True: "yes", False: "no", None: "not known"}
    print_text(console, _field("address", report.base_url))
    print_text(console, _field("model", report.model))
    print_text(console, _field("reachable", known[report.reachable]))
    print_text(console, _field("model listed", known[report.model_found]))
    print_text(console, _field("JSON schema", known[report.supports_schema]))
    speed = report.tokens_per_second
    print_text(
        console, _field("speed", f"{speed:.0f} tokens/s, one request" if speed else "not known")
    )
    print_text(console, _field("price", price))
    if report.models and not report.model_found:
        print_text(console, _field("models there", ", ".join(report.models[:_LISTED])))
    if report.fault:
        print_text(console, _field("fault", report.fault, "red"))


def _print_row(console: Console, place: Place, row: Row) -> None:
    """Print a row of whatever table it is of."""
    text = Text(str(row.get("id", "")), style="bold")
    text.append(f"  {place.title}", style="cyan")
    side, kind = row.get("side"), row.get("kind")
    text.append("".join(f"  {word}" for word in (kind, side) if word), style=_LABEL)
    if row.get("uri"):
        span = f" [{row['start']}:{row['end']}]" if row.get("start") is not None else ""
        text.append(f"  {printable(str(row['uri']))}{span}", style=_LABEL)
    print_text(console, text)
    for name, value in _fields_of(row):
        style = _REASON_STYLE if name in ("reason", "evidence") else ""
        body = printable(value).strip("\n")
        print_text(console, Text.assemble((f"{name}: ", _LABEL), (body, style)), indent=2)
    console.print()


def _fields_of(row: Row) -> list[tuple[str, str]]:
    said = {"id", "side", "kind", "uri", "start", "end", "messages", "ledger_keys"}
    lineage = {
        "document_id",
        "chunk_id",
        "unit",
        "sample",
        "item",
        "prompt",
        "prompt_hash",
        "teacher",
        "sampling",
        "sha256",
        "index",
    }
    example = "ledger_keys" in row
    pairs = [(m["role"], str(m["content"])) for m in row.get("messages") or ()]
    for name, value in row.items():
        if name in said or (example and (name in lineage or name == "fields")):
            continue
        if name in lineage or value is None or value in ("", [], {}):
            continue
        shown = _short(value)
        pairs.append((name, shown))
    return pairs


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_short(part)}" for key, part in value.items())
    if isinstance(value, list | tuple):
        return " > ".join(_short(part) for part in value)
    if isinstance(value, float):
        return f"{value:.3g}"
    return str(value)


def _print_exchange(console: Console, exchange: Exchange) -> None:
    request = exchange.request
    if request is None:
        print_text(console, _field("request", f"{exchange.key[:16]}: {exchange.status}"))
        return
    settings = f"temperature {request['temperature']:g}, at most {request['max_tokens']} tokens"
    if "prompt" in request:
        body = str(request["prompt"])
    else:
        # The other messages are the request and the reply above it.
        goes_on = exchange.is_repair or exchange.is_continuation
        messages = request["messages"][-1:] if goes_on else request["messages"]
        body = "\n".join(f"[{m['role']}]\n{m['content']}" for m in messages)
    kinds = ("repair ", exchange.is_repair), ("continuation ", exchange.is_continuation)
    name = "".join(kind for kind, holds in kinds if holds) + "request"
    _print_block(console, f"{name} {exchange.key[:16]} ({settings})", body)
    tokens = f"{exchange.prompt_tokens:,} tokens read, {exchange.completion_tokens:,} written"
    _print_block(console, f"reply ({exchange.status}), {tokens}", exchange.reply)


def _print_block(console: Console, title: str, body: str) -> None:
    print_text(console, Text(printable(title.strip()), style=_LABEL))
    print_text(console, Text(printable(body)), indent=4)


def print_text(console: Console, text: Text, indent: int = 0) -> None:
    """Print text indented: wrapped on a terminal, in whole lines elsewhere."""
    if console.is_terminal:
        console.print(Padding(text, (0, 0, 0, indent), expand=False))
        return
    for line in text.split("\n", allow_blank=True):
        console.print(Text(" " * indent) + line, soft_wrap=True)


def _print_yields(console: Console, status: RunStatus) -> None:
    barren = barren_documents(status.yields)
    counted = asked_yields(status.yields)  # as `min_yield_share` counts
    passages = frozenset[str]().union(*(entry.passages for entry in counted))
    # One prompt's row is enough.
    fruitful = frozenset[str]().union(*(entry.passages - entry.barren for entry in counted))
    planned = sum(entry.planned for entry in counted)
    kept = sum(entry.kept for entry in counted)
    rows = sum(entry.rows for entry in counted)
    share = f"{kept / max(planned, 1):.0%}"
    said = f"{kept:,} rows kept of {planned:,} planned ({share})"
    if rows != kept:  # some replies came to several
        said = f"{kept:,} of {planned:,} planned requests came to {rows:,} kept rows ({share})"
    say(
        console,
        f"yield: {said}; {len(passages - fruitful)} of {len(passages)} passages produced nothing",
    )
    if barren:
        more = f" and {len(barren) - _LISTED} more" if len(barren) > _LISTED else ""
        names = printable(", ".join(barren[:_LISTED])) + more
        print_text(console, _field("documents that produced nothing", names, _REASON_STYLE))


def _field(name: str, value: str, style: str = "") -> Text:
    return Text.assemble((f"{name}: ", _LABEL), (printable(value), style))


def make_table(*columns: str) -> Table:
    """Return a plain table; its last column takes the words, and no other is torn."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style=_LABEL)
    for name in columns:
        # The last column takes the words; the others must not be torn.
        table.add_column(name, no_wrap=name != columns[-1], overflow="fold")
    return table
