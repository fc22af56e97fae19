"""Commands that look things over before a run: teachers, what is installed."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from domainforge.terminal import make_console, say, write_json

if TYPE_CHECKING:
    from domainforge.pipeline_file import Pipeline

Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY.PATH=VALUE", help="Change a key of the pipeline; repeatable."
    ),
]

teacher_app = typer.Typer(no_args_is_help=True, help="Look a teacher over.")
setup_app = typer.Typer(no_args_is_help=True, help="Install what some parts need.")


def load_checked(pipeline: str, overrides: list[str] | None) -> "Pipeline":
    """Load a pipeline file: the project's own, or the shipped one of that name."""
    from domainforge.files import find_file
    from domainforge.pipeline_file import load_pipeline

    return load_pipeline(find_file(pipeline, Path.cwd()), overrides or ())


@teacher_app.command("check")
def teacher_check(
    pipeline: Annotated[
        str | None,
        typer.Argument(metavar="PIPELINE", help="Check the teacher of this pipeline file."),
    ] = None,
    overrides: Overrides = None,
    base_url: Annotated[str | None, typer.Option(help="Check this endpoint instead.")] = None,
    model: Annotated[str | None, typer.Option(help="Name of its model.")] = None,
    api_key_env: Annotated[
        str | None, typer.Option(help="Environment variable that holds its key.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
) -> None:
    """Is it reachable, which model, does it hold to a JSON schema, how fast is it?"""
    from dataclasses import asdict

    from domainforge.errors import TeacherError
    from domainforge.teacher.prices import find_price
    from domainforge.teacher.session import check_teacher
    from domainforge.views import print_teacher
    from domainforge.wizard import make_teacher

    if pipeline is not None:
        config = load_checked(pipeline, overrides).teacher
    elif base_url or model or api_key_env:
        config = make_teacher({"base_url": base_url, "model": model, "api_key_env": api_key_env})
    else:
        config = make_teacher({"embedded": True})
    report = check_teacher(config, Path.cwd() / "ledger.sqlite")
    price = find_price(config.address, config.model, config.price).describe()
    if as_json:
        write_json(asdict(report) | {"price": price})
    else:
        print_teacher(make_console(), report, price)
    if report.fault or report.model_found is False:
        raise typer.Exit(TeacherError.exit_code)


@setup_app.command("embedded")
def setup_embedded() -> None:
    """Install the small model that teaches and learns offline, and prepare it."""
    from domainforge.setup_embedded import find_parts, install_parts, prepare_student

    console = make_console()
    parts = find_parts()
    for part in parts:
        say(console, f"{part.module}: {'is there' if part.there else 'missing'}")
    install_parts(parts, lambda text: say(console, text))
    folder = prepare_student(Path.cwd(), lambda text: say(console, text))
    say(console, f"the embedded teacher and student are ready ({folder})")
    say(console, "next: domainforge run pipelines/quickstart.yaml")
