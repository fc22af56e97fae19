"""A Word file made fit for mammoth: equations as text, references to nothing taken out."""

import io
import posixpath
import re
from typing import TYPE_CHECKING
from zipfile import ZIP_STORED, ZipFile

from domainforge.sources.kinds.equations import is_math, latex_of
from domainforge.sources.kinds.office import Package

if TYPE_CHECKING:
    from lxml.etree import _Element

_TEXT_PART = re.compile(r"word/(?:document|footnotes|endnotes|comments)\d*\.xml")
_RELATION = re.compile(rb"""\br:(?:id|embed|link|pict)=["']([^"']*)["']""")
_NOTE = re.compile(rb"""<w:(footnote|endnote|comment)Reference\b[^>]*?w:id=["']([^"']*)["']""")


def mend_docx(package: Package) -> bytes:
    """Return the file with what mammoth passes over, or dies of, changed.

    Equations become LaTeX. Links, pictures and notes that the file refers to but does not hold
    (other programs write such files, and Word opens them) lose the reference.
    """
    changed: dict[str, bytes] = {}
    for name in package.names:
        if not _TEXT_PART.fullmatch(name):
            continue
        body = package.read(name)
        dead = _dead_relations(package, name, body)
        notes = _dead_notes(package, body)
        if b"oMath" in body or dead or notes:
            root = package.xml(name)
            _replace_equations(root)
            _take_out(root, dead, notes)
            changed[name] = _written(root)
    if not changed:
        return package.data
    out = io.BytesIO()
    with ZipFile(out, "w", ZIP_STORED) as archive:
        for name in package.names:
            if name.endswith((".xml", ".rels")):
                archive.writestr(name, changed.get(name) or package.read(name))
            else:
                # Pictures are never opened, but mammoth asks whether they are there.
                archive.writestr(name, b"")
    return out.getvalue()


def _dead_relations(package: Package, name: str, body: bytes) -> set[str]:
    used = {found.decode("utf-8", "replace") for found in _RELATION.findall(body)}
    if not used:
        return set()
    folder, file = posixpath.split(name)
    relations = f"{folder}/_rels/{file}.rels"
    known = (
        {element.get("Id", "") for element in package.xml(relations)}
        if relations in package
        else set()
    )
    return used - known


def _dead_notes(package: Package, body: bytes) -> set[tuple[str, str]]:
    """Return kind and number of notes that are referred to and aren't there."""
    used = {
        (kind.decode(), number.decode("utf-8", "replace")) for kind, number in _NOTE.findall(body)
    }
    known: set[tuple[str, str]] = set()
    for kind in {kind for kind, _ in used}:
        part = f"word/{kind}s.xml"
        if part in package:
            known |= {
                (kind, str(value))
                for element in package.xml(part)
                for key, value in element.attrib.items()
                if str(key).endswith("}id")
            }
    return used - known


def _take_out(root: "_Element", dead: set[str], notes: set[tuple[str, str]]) -> None:
    from lxml import etree

    for element in list(root.iter(etree.Element)):
        for key, value in list(element.attrib.items()):
            if value in dead and "relationships}" in str(key):
                del element.attrib[key]
        kind, _, rest = etree.QName(element).localname.partition("Reference")
        number = next((str(v) for k, v in element.attrib.items() if str(k).endswith("}id")), "")
        parent = element.getparent()
        if not rest and (kind, number) in notes and parent is not None:
            parent.remove(element)


def _replace_equations(root: "_Element") -> None:
    from lxml import etree

    for element in list(root.iter(etree.Element)):
        parent = element.getparent()
        if parent is None:
            continue
        if is_math(element, "oMathPara"):
            inside = [latex_of(child) for child in element if is_math(child, "oMath")]
            text = " ".join(f"$${latex}$$" for latex in inside if latex)
        elif is_math(element, "oMath") and not is_math(parent, "oMathPara"):
            latex = latex_of(element)
            text = f"${latex}$" if latex else ""
        else:
            continue
        # A strict file has other namespaces; the paragraph around it has the right one.
        word = etree.QName(parent).namespace
        run = etree.Element(f"{{{word}}}r")
        etree.SubElement(run, f"{{{word}}}t").text = text
        run.tail = element.tail
        parent.replace(element, run)


def _written(root: "_Element") -> bytes:
    from lxml import etree

    body: bytes = etree.tostring(root, encoding="utf-8", xml_declaration=True)
    return body
