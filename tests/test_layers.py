"""Imports point downward, and what the style guide forbids is not there."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "domainforge"
FILES = sorted(PACKAGE.rglob("*.py"))
MOST_LINES = 400

# From the bottom up. A module may import from its own layer's folder and from layers below it.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors",),
    ("wording",),
    ("stage",),
    ("config_faults",),
    ("records",),
    ("tables",),
    ("markdown",),
    ("sentences", "token_counts"),
    ("files",),
    ("table_writer",),
    ("languages",),
    ("label_file", "labels", "passages", "row_groups", "run_folder"),
    ("prompt_lines", "reply_layout"),
    ("prompt_judging",),
    ("prompt_header",),
    ("prompt_templates",),
    ("prompt_sections",),
    ("prompts",),
    ("deduplicate",),
    ("privacy",),
    ("filters",),
    (
        "chunking",
        "evaluation",
        "generation",
        "publish",
        "sources",
        "teacher",
        "training",
        "prompt_check",
    ),
    ("judging", "splitting"),
    ("context", "yields"),
    ("dosing",),
    ("stages",),
    ("pipeline_file",),
    ("pipeline",),
    # What commands call. The dashboard is drawn from events alone.
    ("*",),
    ("dashboard", "report", "wizard"),
    (
        "cli_checks",
        "cli_coverage",
        "cli_forget",
        "cli_judge",
        "cli_ledger",
        "cli_prompts",
        "cli_review",
        "cli_show",
    ),
    ("cli",),
    ("__main__",),
)
_PLACE = {name: index for index, layer in enumerate(LAYERS) for name in layer}


def top(module: str) -> str:
    """Return `stages` for `domainforge.stages.filter`, `cli` for `domainforge.cli`."""
    return module.split(".")[1] if "." in module else module


def layer_of(name: str) -> int:
    return _PLACE.get(name, _PLACE["*"])


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imports_of(path: Path) -> Iterator[tuple[str, int]]:
    """Yield what a file imports from the package, wherever in the file, with the line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
            if node.module == "domainforge":
                names = [f"domainforge.{n.name}" for n in node.names if n.name != "__version__"]
        else:
            continue
        yield from ((name, node.lineno) for name in names if name.split(".")[0] == "domainforge")


def test_the_layers_know_every_folder() -> None:
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert folders <= set(_PLACE)
    named = set(_PLACE) - {"*", "__main__"}
    assert all((PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").exists() for name in named)


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_imports_point_downward(path: Path) -> None:
    own = top(module_of(path))
    for module, line in imports_of(path):
        other = top(module)
        if other in (own, "domainforge"):
            continue
        here, there = layer_of(own), layer_of(other)
        side_by_side = (here == there and len(LAYERS[here]) > 1) or LAYERS[here] == (
            "*",
        ) == LAYERS[there]
        assert there < here or side_by_side, f"{path}:{line}: {own} imports {other}, a layer above"


def test_a_stage_imports_no_other_stage() -> None:
    for path in (PACKAGE / "stages").glob("*.py"):
        for module, line in imports_of(path):
            assert not module.startswith("domainforge.stages"), f"{path}:{line}: {module}"


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_no_relative_import_and_no_catch_all(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
        if isinstance(node, ast.ExceptHandler):
            caught = ast.unparse(node.type) if node.type else "everything"
            # BaseException is for cleaning up on the way out: it must be raised again, or handed
            # to whoever waits for this thread or task.
            raises = any(
                isinstance(part, ast.Raise) or (isinstance(part, ast.Name) and part.id == node.name)
                for part in ast.walk(node)
            )
            fine = caught not in ("everything", "Exception") and (
                caught != "BaseException" or raises
            )
            assert fine, f"{path}:{node.lineno}: except {caught}"


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_no_file_is_too_long(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MOST_LINES, f"{path}: {lines} lines; look for the two files in it"
