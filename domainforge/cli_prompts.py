"""Commands for prompt files: look at them, write and edit your own, compare what they come to."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from domainforge.cli_checks import Overrides, load_checked
from domainforge.terminal import make_console, say, write_json

if TYPE_CHECKING:
    from rich.console import Console

    from domainforge.pipeline_file import Pipeline
    from domainforge.prompt_edit import Edited
    from domainforge.prompt_passages import Passages

prompts_app = typer.Typer(
    no_args_is_help=True, help="Write prompt files, look at them, compare what they come to."
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of a prompt.")]
OfRun = Annotated[
    str | None,
    typer.Option(
        "--run", metavar="RUN", help="Run whose passage is taken; left out, the newest one."
    ),
]
OfChunk = Annotated[
    str | None,
    typer.Option("--chunk", metavar="ID", help="Its passage of this id, or how the id begins."),
]
_JUDGING_KEYS = {"row": "prompt", "pair": "pair_prompt", "answer": "round_trip_prompt"}
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON, an object a line.")]


@prompts_app.command("list")
def prompts_list(as_json: AsJson = False) -> None:
    """List all prompts, and which of yours differ from the shipped ones."""
    from dataclasses import asdict

    from domainforge.prompt_folder import list_prompts
    from domainforge.prompt_views import print_list

    found = list_prompts(Path.cwd())
    if not as_json:
        print_list(make_console(), found)
        return
    for each in found:
        write_json(asdict(each))


@prompts_app.command("show")
def prompts_show(
    name: Name,
    rendered: Annotated[
        bool, typer.Option("--rendered", help="As it is asked about a real passage.")
    ] = False,
    run: OfRun = None,
    chunk: OfChunk = None,
) -> None:
    """Write a prompt file as it is, or as it is asked about a passage."""
    from domainforge.prompt_check import try_prompt
    from domainforge.prompt_passages import find_passages
    from domainforge.prompt_views import print_rendered
    from domainforge.prompts import load_prompt

    prompt = load_prompt(name, Path.cwd())
    if not (rendered or run or chunk):
        sys.stdout.write(prompt.path.read_text(encoding="utf-8"))
        return
    passages = find_passages(Path.cwd(), run, chunk).fitting(prompt)
    console = make_console()
    print_rendered(console, try_prompt(prompt, passages.chunks, passages.chunk_id))
    say(console, f"rendered on {passages.origin}", style="dim")


@prompts_app.command("check")
def prompts_check(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="A name or a file; left out, all prompts.")
    ] = None,
) -> None:
    """Render a prompt on a sample passage; without a name, check all."""
    from domainforge.errors import PromptError
    from domainforge.prompt_check import try_prompt
    from domainforge.prompt_views import print_rendered
    from domainforge.prompts import load_prompt, prompt_names

    console = make_console()
    if name is not None:
        prompt = load_prompt(name, Path.cwd())
        print_rendered(console, try_prompt(prompt))
        say(console, f"{prompt.path}: good", style="green")
        return
    faults = []
    for each in sorted(prompt_names(Path.cwd())):
        try:
            try_prompt(load_prompt(each, Path.cwd()))
            say(console, f"{each}: good")
        except PromptError as error:
            faults.append(str(error))
    if faults:
        raise PromptError("\n".join(faults))


@prompts_app.command("new")
def prompts_new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is to be called.")],
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="PROMPT", help="Copy this one; left out, a skeleton."),
    ] = None,
) -> None:
    """Write prompts/NAME.md: a copy, or a skeleton that works."""
    from domainforge.prompt_folder import new_prompt
    from domainforge.prompts import load_prompt

    path = new_prompt(Path.cwd(), name, source).relative_to(Path.cwd())
    console = make_console()
    say(console, f"wrote {path}")
    say(console, f"next: domainforge prompts edit {path.stem}")
    judges = load_prompt(path.stem, Path.cwd()).header.judges
    if judges is not None:
        say(console, f"to judge by it: judge: {{{_JUDGING_KEYS[judges]}: {path.stem}}}")
        return
    tasks = f"generate: {{tasks: [{{prompt: {path.stem}}}]}}"
    say(console, f"to ask it in a run, beside a recipe or in its place: {tasks}")


@prompts_app.command("edit")
def prompts_edit(
    name: Name,
    run: OfRun = None,
    chunk: OfChunk = None,
    ask: Annotated[
        str | None,
        typer.Option(
            "--ask",
            metavar="PIPELINE",
            help="Ask its teacher once, beside the version before the edit.",
        ),
    ] = None,
) -> None:
    """Open a prompt in your editor, check it, show it on a passage."""
    from domainforge.editor import find_editor, open_editor
    from domainforge.prompt_check import try_prompt
    from domainforge.prompt_edit import edit_prompt
    from domainforge.prompt_folder import plain_name
    from domainforge.prompt_passages import find_passages
    from domainforge.prompt_views import print_rendered

    project, console = Path.cwd(), make_console()
    plain = plain_name(name, project)
    passages = find_passages(project, run, chunk)
    pipeline = load_checked(ask, None) if ask else None
    command = find_editor(os.environ, has_terminal=sys.stdin.isatty())
    edited = edit_prompt(
        project,
        plain,
        passages,
        lambda path: open_editor(command, path),
        lambda fault: _wants_again(console, fault),
    )
    passages = edited.passages
    print_rendered(console, try_prompt(edited.prompt, passages.chunks, passages.chunk_id))
    say(console, f"rendered on {passages.origin}", style="dim")
    _tell_edit(console, edited, project)
    header = edited.prompt.header
    if pipeline is None and edited.changed and header.asks and header.judges is None:
        pipeline = _offer_teacher(console, passages)
    if pipeline is not None:
        _ask_edited(console, edited, pipeline)


@prompts_app.command("try")
def prompts_try(
    name: Name,
    other: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="VERSION",
            help="`shipped` (the default where there is one), `before` (the last edit), or a file.",
        ),
    ] = None,
    pipeline: Annotated[
        str | None,
        typer.Option(
            "--pipeline",
            metavar="PIPELINE",
            help="Whose passages, teacher and filter; left out, those of the newest run.",
        ),
    ] = None,
    overrides: Overrides = None,
    size: Annotated[
        int, typer.Option("--chunks", metavar="N", min=1, help="Passages to ask about.")
    ] = 10,
    per_chunk: Annotated[
        int | None,
        typer.Option(
            "--per-chunk",
            metavar="N",
            min=1,
            help="Times to ask about each; left out, as the pipeline's task says, else once.",
        ),
    ] = None,
    shown: Annotated[
        int, typer.Option("--samples", metavar="N", min=0, help="Passages to show.")
    ] = 3,
    as_json: AsJson = False,
) -> None:
    """Compare two versions of a prompt on the same passages."""
    from dataclasses import asdict

    from domainforge.errors import PromptError
    from domainforge.pipeline import make_context
    from domainforge.prompt_edit import against
    from domainforge.prompt_folder import plain_name
    from domainforge.prompt_passages import passages_of
    from domainforge.prompt_trial import Version, ask_versions, plan_trial
    from domainforge.prompt_views import print_trial, show_progress
    from domainforge.prompts import load_prompt

    project, console = Path.cwd(), make_console()
    plain = plain_name(name, project)
    own = load_prompt(plain, project)
    label, old = against(project, plain, other)
    if old.hash == own.hash:
        raise PromptError(
            f"your version of '{plain}' and {old.path} say the same, so there is nothing to "
            f"compare; `domainforge prompts edit {plain}` changes yours, --against names another"
        )
    checked = _live(load_checked(pipeline, overrides) if pipeline else _newest_pipeline(overrides))
    versions = (Version(label, old), Version("yours", own))
    listener = _listener(console, quiet=as_json)
    passages = passages_of(checked, project, listener)
    planned = plan_trial(versions, passages.chunks, checked, size, per_chunk)
    context = make_context(checked, project, listener)
    with show_progress(console) as progress:
        trial = ask_versions(versions, planned, checked, context, progress)
    if as_json:
        write_json({"run": checked.name, **asdict(trial)})
        return
    number = len(trial.chunks)
    say(console, f"{plain} on {number} passages of run {checked.name}", style="bold")
    print_trial(console, trial, shown)


@prompts_app.command("diff")
def prompts_diff(name: Name) -> None:
    """Show what yours says otherwise than the shipped one."""
    from domainforge.prompt_folder import diff_prompt, plain_name, state_of
    from domainforge.prompt_views import print_diff

    console = make_console()
    lines = diff_prompt(Path.cwd(), name)
    if lines:
        print_diff(console, lines)
        return
    plain = plain_name(name, Path.cwd())
    told = {
        "shipped": f"'{plain}' is the shipped prompt; prompts/{plain}.md isn't there",
        "yours": f"'{plain}' is yours alone; no shipped prompt has that name",
    }
    say(console, told.get(state_of(Path.cwd(), plain), f"'{plain}' is as shipped"))


@prompts_app.command("restore")
def prompts_restore(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
) -> None:
    """Put the shipped prompt back; yours is kept beside it."""
    from domainforge.prompt_folder import diff_prompt, restore_prompt
    from domainforge.prompt_views import print_diff

    console = make_console()
    lines = diff_prompt(Path.cwd(), name)
    if lines and not yes:
        print_diff(console, lines)
        if not _is_confirmed():
            say(console, "nothing was changed")
            return
    restored = restore_prompt(Path.cwd(), name)
    say(console, f"the shipped '{restored.name}' is in use again")
    if restored.kept is not None:
        say(console, f"yours is kept as {restored.kept.relative_to(Path.cwd())}")


def _is_confirmed() -> bool:
    from domainforge.asking import Asker
    from domainforge.errors import ConfigError

    console = make_console()
    try:
        return Asker(console).ask_yes("Put the shipped one back?", default=False)
    except EOFError:
        console.print()
        raise ConfigError("nobody answered; --yes goes on without a question") from None


def _wants_again(console: "Console", fault: str) -> bool:
    from domainforge.asking import Asker
    from domainforge.wording import printable

    say(console, printable(fault), style="red")
    try:
        return Asker(console).ask_yes("Open it again?", default=True)
    except EOFError:
        console.print()
        return False


def _tell_edit(console: "Console", edited: "Edited", project: Path) -> None:
    path = edited.prompt.path
    if not edited.changed:
        say(console, "nothing was changed")
    elif edited.before is not None:
        say(console, f"{path.relative_to(project)} is good", style="green")
        kept = edited.before.path.relative_to(project)
        say(console, f"what was before is in {kept}; see what the change does:")
        say(console, f"  domainforge prompts try {path.stem} --against before")


def _offer_teacher(console: "Console", passages: "Passages") -> "Pipeline | None":
    from domainforge.asking import Asker
    from domainforge.show import pipeline_of

    if passages.run is None or not sys.stdin.isatty():
        return None
    question = f"Ask the teacher of run {passages.run.path.name} about this passage?"
    try:
        return (
            pipeline_of(passages.run) if Asker(console).ask_yes(question, default=False) else None
        )
    except EOFError:
        return None


def _ask_edited(console: "Console", edited: "Edited", pipeline: "Pipeline") -> None:
    """Ask both versions about one passage; the old one's reply may be in the ledger."""
    from domainforge.pipeline import make_context
    from domainforge.prompt_trial import Version, ask_versions, plan_passage
    from domainforge.prompt_views import print_replies, show_progress

    pipeline = _live(pipeline)
    versions = [Version("yours", edited.prompt)]
    if edited.changed and edited.before is not None:
        versions.insert(0, Version("before", edited.before))
    chunks, chunk_id = edited.passages.chunks, edited.passages.chunk_id
    planned = plan_passage(versions, chunks, chunk_id, pipeline)
    context = make_context(pipeline, Path.cwd(), _listener(console, quiet=False))
    with show_progress(console) as progress:
        trial = ask_versions(versions, planned, pipeline, context, progress)
    print_replies(console, trial)


def _newest_pipeline(overrides: Sequence[str] | None) -> "Pipeline":
    from domainforge.errors import ConfigError
    from domainforge.prompt_passages import newest_run
    from domainforge.show import pipeline_of

    run = newest_run(Path.cwd())
    if run is None or overrides:
        raise ConfigError("name the pipeline whose passages and teacher to take: --pipeline FILE")
    return pipeline_of(run)


def _live(pipeline: "Pipeline") -> "Pipeline":
    """Have it ask now, where a run would wait for a provider's batch."""
    teacher = pipeline.teacher.model_copy(update={"batch": False})
    return pipeline.model_copy(update={"teacher": teacher})


def _listener(console: "Console", *, quiet: bool) -> Callable[[Mapping[str, Any]], None]:
    def listen(event: Mapping[str, Any]) -> None:
        if event["event"] == "note" and not quiet:
            say(console, str(event["text"]), style="dim")

    return listen
