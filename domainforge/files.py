"""Where shipped and cached files lie, and the hash of a file."""

import hashlib
import os
from pathlib import Path


def shipped_folder(name: str) -> Path:
    """Return the folder of that name (`prompts`, `pipelines`, `data`) that came with DomainForge.

    In a wheel they lie inside the package, in a checkout beside it.
    """
    package = Path(__file__).parent
    inside = package / "_shipped" / name
    return inside if inside.is_dir() else package.parent / name


def cache_folder() -> Path:
    """Where what is made or fetched once is kept; `DOMAINFORGE_CACHE` moves it."""
    named = os.environ.get("DOMAINFORGE_CACHE")
    root = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(named or f"{root}/domainforge").expanduser()


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def find_file(name: str, project: Path) -> Path:
    """Resolve a path against the project folder, then against what ships with DomainForge.

    Returns the project's path where neither exists, so that an error names that one.
    """
    try:
        path = Path(name).expanduser()
    except RuntimeError:
        path = Path(name)  # `~someone` who is not known here
    if path.is_absolute():
        return path
    inside = project / path
    if inside.exists():
        return inside
    shipped = shipped_folder(path.parts[0]) if path.parts else inside
    candidate = shipped.joinpath(*path.parts[1:])
    known = path.parts and path.parts[0] in {"data", "pipelines", "prompts"}
    return candidate if known and candidate.exists() else inside
