"""Puts the sections of a report on one page; everything that is shown is escaped."""

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from domainforge.forget_rows import PAGE
from domainforge.report.look import Look
from domainforge.report.numbers import as_share, clean, clip, with_code
from domainforge.report.rows import coverage_section, reasons_section, scores_section
from domainforge.report.run import audit_section, run_section, spending_section, stages_section
from domainforge.report.section import Section
from domainforge.report.way import funnel_section, ways_section
from domainforge.run_folder import RunFolder, write_atomic

SECTIONS: tuple[Callable[[Look], Section | None], ...] = (
    run_section,
    funnel_section,
    reasons_section,
    ways_section,
    scores_section,
    coverage_section,
    audit_section,
    spending_section,
    stages_section,
)
"""In the order of the page. Each gives what its template needs, or None where there is nothing."""

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class _Shown:
    """A section as the page has it."""

    anchor: str
    title: str
    body: Markup


def write_report(run: RunFolder, per_reason: int = 3) -> Path:
    """Write a run's report.html anew and return its path.

    Args:
        run: The run.
        per_reason: Examples of each reason to drop a row.

    Raises:
        DataError: Nothing was generated yet.
    """
    path = run.path / PAGE
    write_atomic(path, render_report(Look.at(run, per_reason)))
    return path


def render_report(look: Look) -> str:
    """Return the page."""
    environment = _environment()
    sections = []
    for make in SECTIONS:
        section = make(look)
        if section is not None:
            body = environment.get_template(section.template).render(section.values)
            anchor = section.template.partition(".")[0]
            sections.append(_Shown(anchor, section.title, Markup(body)))
    style = (_TEMPLATES / "style.css").read_text(encoding="utf-8")
    values: Mapping[str, Any] = {
        "name": look.run.path.name,
        "sections": sections,
        "style": Markup(style),
        "style_hash": base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
    }
    return environment.get_template("page.html").render(values)


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=clean,
    )
    environment.filters["count"] = "{:,}".format
    environment.filters["share"] = as_share
    environment.filters["ticks"] = with_code
    environment.filters["clip"] = partial(clip, most=160)
    return environment
