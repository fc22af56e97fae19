"""How prompts, rendered texts and trials look on a terminal."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from domainforge.evaluation.statistics import MIN_QUESTIONS, Interval
from domainforge.terminal import say
from domainforge.wording import printable, short_usd

if TYPE_CHECKING:
    from domainforge.prompt_check import Sample as Rendered
    from domainforge.prompt_folder import Listed
    from domainforge.prompt_trial import Outcome, Said, Sample, Trial

_MOST_ROWS = 2
_MOST_PASSAGE_CHARS = 300
_HASH_CHARS = len("sha256:") + 12
_DIFF_STYLES = {"+": "green", "-": "red", "@": "cyan"}
_STATE_STYLES = {"changed": "yellow", "yours": "green", "copy": "dim"}


def print_list(console: Console, prompts: Sequence["Listed"]) -> None:
    """Print all prompts, where each is from, and what it is for."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    for wraps in (False, False, True):
        table.add_column(no_wrap=not wraps, overflow="fold")
    for each in prompts:
        told = Text(printable(each.fault), style="red") if each.fault else Text(each.purpose)
        table.add_row(
            Text(each.name), Text(each.state, style=_STATE_STYLES.get(each.state, "")), told
        )
    console.print(table)


def print_rendered(console: Console, rendered: Sequence["Rendered"]) -> None:
    """Print what a prompt makes of a passage."""
    for each in rendered:
        say(console, f"--- {each.title}", style="bold")
        say(console, printable(each.text))


def print_diff(console: Console, lines: Sequence[str]) -> None:
    """Print a unified diff, in colours on a terminal; each line whole, so that `patch` takes it."""
    for number, line in enumerate(lines):
        style = "bold" if number < 2 else _DIFF_STYLES.get(line[:1], "")
        console.print(Text(printable(line), style=style), soft_wrap=True)


def print_trial(console: Console, trial: "Trial", shown: int) -> None:
    """Print versions beside each other: figures, what chance may explain, samples."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("")
    for outcome in trial.outcomes:
        table.add_column(outcome.label, overflow="fold")
    for name, tell in _FIGURES:
        table.add_row(Text(name, style="dim"), *(Text(tell(o)) for o in trial.outcomes))
    console.print(table)
    if trial.difference is not None:
        console.print()
        say(console, _tell_difference(trial, trial.difference))
    _print_price(console, trial)
    for sample in trial.samples[:shown]:
        console.print()
        _print_sample(console, trial, sample)


def print_replies(console: Console, trial: "Trial") -> None:
    """Print what each version says about one passage."""
    for sample in trial.samples[:1]:
        _print_sample(console, trial, sample)
    _print_price(console, trial)


@contextmanager
def show_progress(console: Console) -> Iterator[Callable[[int, int], None]]:
    """Give a function that shows how far the asking is, where there is a terminal."""
    if not console.is_terminal:
        yield lambda done, total: None
        return
    with console.status("asking") as status:
        yield lambda done, total: status.update(f"asking: {done:,} of {total:,} done")


def _tell_kept(outcome: "Outcome") -> str:
    share = f" ({outcome.kept / outcome.rows:.0%})" if outcome.rows else ""
    return f"{outcome.kept:,} of {outcome.rows:,}{share}"


def _tell_calls(outcome: "Outcome") -> str:
    known = f", {outcome.replayed:,} from the ledger" if outcome.replayed else ""
    return f"{outcome.calls:,}{known}"


def _tell_words(outcome: "Outcome") -> str:
    words = outcome.mean_answer_words
    return "-" if words is None else f"{words:.1f} words"


_FIGURES: tuple[tuple[str, Callable[["Outcome"], str]], ...] = (
    ("rows kept", _tell_kept),
    ("dropped", lambda o: "\n".join(f"{name} {n:,}" for name, n in o.dropped.items()) or "-"),
    ("mean answer", _tell_words),
    ("calls", _tell_calls),
    ("tokens in", lambda o: f"{o.prompt_tokens:,}"),
    ("tokens out", lambda o: f"{o.completion_tokens:,}"),
    ("cost", lambda o: "unknown" if o.usd is None else short_usd(o.usd)),
)


def _tell_difference(trial: "Trial", found: Interval) -> str:
    old, new = (outcome.label for outcome in trial.outcomes)
    told = f"kept by passage, {new} against {old}: {_points(found.mean)} points"
    if found.low is None or found.high is None:
        return f"{told}; an interval wants {MIN_QUESTIONS} passages (--chunks)"
    told += f" (95 %: {_points(found.low)} to {_points(found.high)})"
    if found.low <= 0 <= found.high:
        return f"{told}, which may be chance; more passages tell more (--chunks)"
    return told


def _points(share: float) -> str:
    return f"{100 * share:+.0f}"


def _print_price(console: Console, trial: "Trial") -> None:
    if trial.teacher is None:
        say(console, "nobody was asked: the rows are made of the passages alone", style="dim")
        return
    who, _, model = trial.teacher.rpartition("|")
    asked = printable(f"asked {model} at {who}" if who else f"asked {model[:_HASH_CHARS]}")
    paid = "unknown" if trial.paid_usd is None else short_usd(trial.paid_usd)
    say(console, f"{asked}; paid now: {paid}; price: {trial.price}", style="dim")


def _print_sample(console: Console, trial: "Trial", sample: "Sample") -> None:
    say(console, f"--- {printable(sample.uri)}, chunk {sample.chunk_id}", style="bold")
    say(console, _shorten(sample.passage), style="dim")
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, expand=True)
    for outcome in trial.outcomes:
        table.add_column(outcome.label, ratio=1, overflow="fold", header_style="bold")
    # Of rows that say the same on both sides nobody learns anything.
    pairs = sorted(zip_longest(*sample.said), key=lambda pair: len(set(pair)) == 1)
    for number, pair in enumerate(pairs[:_MOST_ROWS]):
        blank = Text("\n" if number else "")
        table.add_row(*(blank + _tell_row(said) if said else blank for said in pair))
    console.print(table)
    if len(pairs) > _MOST_ROWS:
        same = sum(len(set(pair)) == 1 for pair in pairs)
        told = f"; {same:,} of all {len(pairs):,} are the same" if len(sample.said) > 1 else ""
        say(console, f"and {len(pairs) - _MOST_ROWS:,} more{told}", style="dim")


def _tell_row(said: "Said") -> Text:
    if said.reason is None:
        return Text.assemble(("kept\n", "green"), printable(said.text))
    told = Text.assemble((f"dropped: {said.reason}\n", "yellow"), printable(said.text))
    if said.evidence:
        told.append(("\n" if said.text else "") + f"({_shorten(said.evidence)})")
    return told


def _shorten(text: str) -> str:
    line = printable(" ".join(text.split()))
    return line if len(line) <= _MOST_PASSAGE_CHARS else f"{line[:_MOST_PASSAGE_CHARS]}..."
