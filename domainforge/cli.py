"""Commands: each parses, calls one function and prints; errors become messages and exit codes.

Nothing but typer is imported up here, so that `domainforge --help` is quick.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from domainforge.cli_checks import Overrides, load_checked, setup_app, teacher_app
from domainforge.cli_coverage import coverage
from domainforge.cli_forget import forget
from domainforge.cli_judge import judge_app
from domainforge.cli_ledger import ledger_app
from domainforge.cli_prompts import prompts_app
from domainforge.cli_review import review
from domainforge.cli_show import report, show
from domainforge.errors import ConfigError, DomainForgeError
from domainforge.terminal import make_console, say, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from domainforge.pipeline_file import Pipeline

INTERRUPTED = 130
VERDICT_CODES = {"gained": 0, "not_shown": 3, "lost": 4, "forgot": 5}

RunName = Annotated[str, typer.Argument(metavar="RUN", help="Name of a run, as in runs/NAME.")]
PipelineFile = Annotated[
    str, typer.Argument(metavar="PIPELINE", help="A pipeline file, yours or a shipped one.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON, an object a line.")]


class _ErrorGroup(TyperGroup):
    """Turns what the user can mend into a message and an exit code; bugs keep their traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except DomainForgeError as error:
            _complain(str(error))
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as error:
            text = str(error) or "what is finished stays; the same command goes on"
            if sys.stderr.isatty():
                typer.echo(err=True)  # the terminal has written ^C into the line
            _complain(f"stopped: {text}")
            raise typer.Exit(INTERRUPTED) from error


app = typer.Typer(
    cls=_ErrorGroup,
    name="domainforge",
    help="Documents in, a small language model out that knows them, and the proof that it does.",
    epilog="To begin: domainforge wizard, or domainforge init FOLDER.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(prompts_app, name="prompts")
app.add_typer(teacher_app, name="teacher")
app.add_typer(ledger_app, name="ledger")
app.add_typer(judge_app, name="judge")
app.add_typer(setup_app, name="setup")
app.command()(forget)
app.command()(coverage)
app.command()(show)
app.command()(report)
app.command()(review)


def main() -> None:
    """Run the command line."""
    app(prog_name="domainforge")


@app.command()
def init(
    folder: Annotated[
        str, typer.Argument(metavar="FOLDER", help="Folder with your documents.")
    ] = "documents",
) -> None:
    """Write a commented pipeline file for a folder of documents."""
    from domainforge.starter import (
        look_at_sources,
        pipeline_text,
        run_name,
        starter_values,
        write_pipeline,
    )

    project = Path.cwd()
    console = make_console()
    if folder != "documents" or (project / folder).exists():
        found = look_at_sources(folder, project)
        say(console, f"{len(found.files)} files in {folder} can be read")
    else:
        say(console, f"put your documents into {folder}/ (.md .txt .html .pdf .docx .jsonl)")
    path = Path("pipelines") / f"{run_name(folder)}.yaml"
    write_pipeline(path, pipeline_text(starter_values(folder, project), path))
    say(console, f"wrote {path}; look it over, then: domainforge run {path}")
    say(console, "your own prompts go into prompts/; `domainforge prompts show qa` is one")


@app.command()
def run(
    pipeline: PipelineFile,
    overrides: Overrides = None,
    from_stage: Annotated[
        str | None,
        typer.Option("--from", metavar="STAGE", help="Run this stage and later ones again."),
    ] = None,
    until_stage: Annotated[
        str | None, typer.Option("--until", metavar="STAGE", help="Stop after this stage.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would run and how many calls; do nothing.")
    ] = False,
    estimate: Annotated[
        int | None,
        typer.Option(
            "--estimate",
            metavar="N",
            min=1,
            help="Ask N of the requests for real and say what all would take and cost.",
        ),
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Plain lines, no live table.")] = False,
    as_json: AsJson = False,
    gate: Annotated[
        bool,
        typer.Option(
            "--gate", help="Exit by the verdict: gained 0, not_shown 3, lost 4, forgot 5."
        ),
    ] = False,
) -> None:
    """Run a pipeline; stages that are whole already are skipped."""
    checked = load_checked(pipeline, overrides)
    if estimate is not None and (dry_run or from_stage or until_stage or gate):
        raise ConfigError("--estimate goes without --dry-run, --from, --until and --gate")
    if dry_run:
        _print_dry_run(checked, from_stage, until_stage, as_json=as_json)
        return
    from dataclasses import asdict

    from domainforge.dashboard import open_dashboard
    from domainforge.pipeline import STAGES, run_pipeline
    from domainforge.status import read_end, read_spent
    from domainforge.training.runtime import prepare_runtime
    from domainforge.views import print_end, print_spent

    if gate and until_stage not in (None, "evaluate", "export"):
        raise ConfigError(f"--gate needs a verdict, and --until {until_stage} stops before it")
    prepare_runtime()
    if estimate is not None:
        _print_estimate(checked, estimate, plain=plain, as_json=as_json)
        return
    console = make_console()
    names = [stage.name for stage in STAGES]
    project = Path.cwd()
    try:
        with open_dashboard(console, names, plain=plain, as_json=as_json) as listener:
            report = run_pipeline(
                checked, project, listener, from_stage=from_stage, until_stage=until_stage
            )
    except (DomainForgeError, KeyboardInterrupt):
        if not as_json:
            print_spent(console, read_spent(project / "runs" / checked.name))
        raise
    end = read_end(report)
    write_json({"event": "end", **asdict(end)}) if as_json else print_end(console, end)
    if gate and end.verdict is not None:
        raise typer.Exit(VERDICT_CODES[end.verdict])


@app.command()
def status(
    name: Annotated[
        str | None, typer.Argument(metavar="RUN", help="A run; left out, all runs.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show all runs, or one run's stages with their accounts."""
    from dataclasses import asdict

    from domainforge.show import find_run
    from domainforge.status import read_all, read_status
    from domainforge.views import print_runs, print_status

    console = make_console()
    if name is not None:
        found = read_status(find_run(Path.cwd(), name))
        write_json(found.as_dict()) if as_json else print_status(console, found)
        return
    runs = read_all(Path.cwd())
    if as_json:
        for line in runs:
            write_json(asdict(line))
    elif runs:
        print_runs(console, runs)
    else:
        say(console, "no runs here yet; `domainforge run PIPELINE` makes one")


@app.command()
def trace(
    name: RunName,
    row: Annotated[str, typer.Argument(metavar="ROW", help="Id of a row, or how it begins.")],
    as_json: AsJson = False,
) -> None:
    """Follow a row back to its prompt, reply, passage and document."""
    from domainforge.show import find_run
    from domainforge.trace import trace_row
    from domainforge.views import print_trace

    found = trace_row(find_run(Path.cwd(), name), row, Path.cwd())
    write_json(found.as_dict()) if as_json else print_trace(make_console(), found)


@app.command()
def chat(name: RunName) -> None:
    """Ask a run's student and its base the same questions."""
    from domainforge.chat import converse, open_speakers
    from domainforge.show import find_run
    from domainforge.training.runtime import prepare_runtime

    console = make_console()
    run_folder = find_run(Path.cwd(), name)
    prepare_runtime()
    speakers = open_speakers(run_folder, Path.cwd(), lambda text: say(console, text))
    say(console, "one question a line; an empty line ends")
    converse(_questions(console), speakers, lambda who, text: _print_answer(console, who, text))


@app.command()
def wizard() -> None:
    """Ask a few questions, write a pipeline file, offer to run it."""
    from domainforge.wizard import ask_pipeline

    outcome = ask_pipeline(make_console(), Path.cwd())
    if outcome.run_now:
        run(str(outcome.path))


@app.command()
def version() -> None:
    """Show the versions of DomainForge and of what it stands on."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as version_of

    from domainforge import __version__

    console = make_console()
    say(console, f"domainforge {__version__}")
    say(console, f"python {sys.version.split()[0]}")
    for library in ("torch", "transformers", "trl", "datasets", "openai", "xllamacpp"):
        try:
            say(console, f"{library} {version_of(library)}")
        except PackageNotFoundError:
            say(console, f"{library} not installed")


def _print_dry_run(
    pipeline: "Pipeline", from_stage: str | None, until_stage: str | None, *, as_json: bool
) -> None:
    from dataclasses import asdict

    from domainforge.dry_run import plan_run
    from domainforge.views import print_plan

    console = make_console()
    plan = plan_run(
        pipeline,
        Path.cwd(),
        from_stage=from_stage,
        until_stage=until_stage,
        say=lambda text: None if as_json else say(console, text),
    )
    write_json(asdict(plan)) if as_json else print_plan(console, plan)


def _print_estimate(pipeline: "Pipeline", size: int, *, plain: bool, as_json: bool) -> None:
    from contextlib import nullcontext
    from dataclasses import asdict

    from domainforge.dashboard import open_dashboard
    from domainforge.estimate import CHEAP_STAGES, describe_estimate, estimate_run

    console = make_console()
    dashboard = (
        nullcontext(lambda event: None)
        if as_json
        else open_dashboard(console, CHEAP_STAGES, plain=plain, as_json=False)
    )
    with dashboard as listener:
        found = estimate_run(pipeline, Path.cwd(), size, listener)
    if as_json:
        write_json(asdict(found))
        return
    for line in describe_estimate(found):
        say(console, line)


def _questions(console: "Console") -> "Iterator[str]":
    """Yield typed or piped lines until there are no more."""
    typed = sys.stdin.isatty()
    while True:
        try:
            line = console.input("> ") if typed else input()
        except EOFError:
            return
        if not typed:
            say(console, f"> {line}")  # no terminal has shown it
        yield line


def _print_answer(console: "Console", who: str, text: str) -> None:
    from rich.text import Text

    from domainforge.wording import printable

    style = "bold green" if who == "student" else "dim"
    console.print(Text.assemble((f"{who}: ", style), printable(text) or "(nothing)"))


def _complain(message: str) -> None:
    typer.echo(f"domainforge: {message}", err=True)


if __name__ == "__main__":
    main()
