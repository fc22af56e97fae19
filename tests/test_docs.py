"""The papers against the code: the tree, the commands, the reference of keys."""

import re
from pathlib import Path

import typer.main

from domainforge.cli import INTERRUPTED, VERDICT_CODES, app
from domainforge.errors import DomainForgeError
from domainforge.generation.recipes import RECIPES, Part
from domainforge.reference import pipeline_reference

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_path_of_the_tree_exists() -> None:
    tree = README.split("<!-- tree -->")[1].split("<!-- /tree -->")[0]
    inside = ""
    found = 0
    for line in tree.splitlines():
        match = re.match(r"^( {4}| {6})(\S+)\s{2,}\S", line) or re.match(r"^( {4})(\S+/)$", line)
        if not match:
            assert not line.strip(), f"the tree has a line that names nothing: {line!r}"
            continue
        indent, name = match[1], match[2]
        path = ROOT / (name if len(indent) == 4 else f"{inside}/{name}")
        inside = name if len(indent) == 4 else inside
        assert path.exists(), f"README's tree names {name}, which isn't there"
        found += 1
    assert found > 20


def test_the_tree_names_every_package() -> None:
    tree = README.split("<!-- tree -->")[1].split("<!-- /tree -->")[0]
    for package in (ROOT / "domainforge").iterdir():
        if (package / "__init__.py").exists():
            assert f" {package.name}/ " in tree, f"README's tree lacks {package.name}/"


def test_readme_names_every_command() -> None:
    table = README.split("## Commands")[1].split("## What is where")[0]
    command = typer.main.get_command(app)
    for name in command.commands:  # type: ignore[attr-defined]
        assert f"`domainforge {name}" in table, f"README's commands lack {name}"


def test_readme_names_every_option_of_run() -> None:
    table = README.split("## Commands")[1].split("## What is where")[0]
    run = typer.main.get_command(app).commands["run"]  # type: ignore[attr-defined]
    options = {o for p in run.params for o in p.opts if o.startswith("--")} - {"--help"}
    missing = {o for o in options if f"{o}" not in table}
    assert not missing


def test_the_reference_of_keys_is_current() -> None:
    written = (ROOT / "docs" / "pipeline.md").read_text(encoding="utf-8")
    assert written == pipeline_reference(), "python -m domainforge.reference > docs/pipeline.md"


def test_links_between_papers_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for name in re.findall(
            r"`((?:docs|benchmarks|pipelines|data|tests)/[\w./-]+)`", page.read_text()
        ):
            assert (ROOT / name).exists(), f"{page.name} names {name}, which isn't there"


def test_the_table_of_recipes_is_current() -> None:
    table = (ROOT / "docs" / "prompts.md").read_text().split("| recipe | dose |")[1]
    before: list[set[str]] = [set(), set()]
    for line, (name, recipe) in zip(table.splitlines()[2:], RECIPES.items(), strict=False):
        _, named, dose, tokens, *asked, _ = (cell.strip() for cell in line.split("|"))
        assert (named, dose) == (f"`{name}`", f"{recipe.least:g} to {recipe.most:g}")
        assert tokens == f"{recipe.tokens:,}"
        for at, parts in enumerate((recipe.chat, recipe.completion)):
            told = set(re.findall(r"`(\w+)`", asked[at]))
            before[at] = told | (before[at] if "the same" in asked[at] else set())
            assert before[at] == _prompts_of(parts), f"{name}: {asked[at]}"


def _prompts_of(parts: tuple[Part, ...]) -> set[str]:
    return {part.prompt for part in parts}


def test_the_quickstart_names_every_exit_status() -> None:
    table = (ROOT / "docs" / "quickstart.md").read_text().split("| exit status |")[1]
    listed = {
        int(n) for cell in re.findall(r"^\| ([\d, ]+) \|", table, re.M) for n in cell.split(",")
    }
    ends, classes = {0, INTERRUPTED, *VERDICT_CODES.values()}, [DomainForgeError]
    while classes:
        error = classes.pop()
        ends.add(error.exit_code)
        classes += error.__subclasses__()
    assert listed == ends
