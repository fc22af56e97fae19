"""Word's equations (OMML, ECMA-376 part 1, section 22.1) to LaTeX."""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lxml.etree import _Element

_NAMESPACES = (
    "http://schemas.openxmlformats.org/officeDocument/2006/math",
    "http://purl.oclc.org/ooxml/officeDocument/math",
)
# In the order of the alphabet.
_GREEK = (
    "alpha beta gamma delta varepsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho "
    "varsigma sigma tau upsilon varphi chi psi omega"
)
_CAPITALS = ("gamma", "delta", "theta", "lambda", "xi", "pi", "sigma", "upsilon", "psi", "omega")
# Sign and command by turns.
_PAIRS = (
    r"Φ \Phi ϵ \epsilon ϑ \vartheta ϕ \phi × \times ÷ \div · \cdot ∙ \cdot ± \pm ∓ \mp ≤ \le "  # noqa: RUF001
    r"≥ \ge ≠ \ne ≈ \approx ≡ \equiv ∼ \sim ∝ \propto ∞ \infty ∂ \partial ∇ \nabla ∈ \in "  # noqa: RUF001
    r"∉ \notin ⊂ \subset ⊆ \subseteq ∪ \cup ∩ \cap ∀ \forall ∃ \exists → \to ← \leftarrow "  # noqa: RUF001
    r"⇒ \Rightarrow ⇔ \Leftrightarrow ↔ \leftrightarrow ↦ \mapsto ∘ \circ ° ^{\circ} … \ldots "
    r"⋯ \cdots ∅ \emptyset √ \surd ∫ \int ∬ \iint ∮ \oint ∑ \sum ∏ \prod ∧ \land ∨ \lor "  # noqa: RUF001
    r"¬ \neg − - % \% # \# & \& $ \$ { \{ } \} \ \backslash"  # noqa: RUF001
)
_SYMBOLS = {
    **{chr(0x3B1 + index): f"\\{name}" for index, name in enumerate(_GREEK.split())},
    **{
        chr(0x391 + index): f"\\{name.capitalize()}"
        for index, name in enumerate(_GREEK.split())
        if name in _CAPITALS
    },
    **dict(zip(_PAIRS.split()[::2], _PAIRS.split()[1::2], strict=True)),
}
_FUNCTIONS = (
    "arccos|arcsin|arctan|cosh|cos|coth|cot|csc|det|dim|exp|gcd|inf|ker|lim|ln|log|max|min|sec|"
    "sinh|sin|sup|tanh|tan"
)
_FUNCTION = re.compile(rf"(?<![a-zA-Z\\])({_FUNCTIONS})(?![a-zA-Z])")
_ACCENTS = {
    "\u0302": "hat", "\u0303": "tilde", "\u0304": "bar", "\u0305": "overline", "\u0306": "breve",
    "\u0307": "dot", "\u0308": "ddot", "\u030c": "check", "\u20d7": "vec", "\u00af": "bar",
}  # fmt: skip
_DEEPEST = 60


def latex_of(equation: "_Element") -> str:
    """Turn an `m:oMath` element into LaTeX, without the dollar signs.

    What has no counterpart gives the text in it; formatting (colour, font, size) is left out.
    """
    latex = _children(equation, 0)
    # A command ends at the next character that is no letter; else a space has to end it.
    return re.sub(r" +(?=[^a-zA-Z])| +$", "", re.sub(r"\s+", " ", latex)).strip()


def is_math(element: "_Element", name: str) -> bool:
    """Tell whether an element is that one of OMML."""
    return any(element.tag == f"{{{namespace}}}{name}" for namespace in _NAMESPACES)


def _name(element: "_Element") -> str:
    tag = element.tag if isinstance(element.tag, str) else ""
    namespace, _, name = tag.rpartition("}")
    return name if namespace[1:] in _NAMESPACES else ""


def _children(element: "_Element | None", depth: int) -> str:
    if element is None or depth > _DEEPEST:
        return ""
    return "".join(_convert(child, depth + 1) for child in element)


def _part(element: "_Element", name: str) -> "_Element | None":
    return next((child for child in element if _name(child) == name), None)


def _value(element: "_Element", name: str, default: str) -> str:
    """Read a property: `<m:fPr><m:type m:val="lin"/></m:fPr>`."""
    for child in element:
        if _name(child).endswith("Pr"):
            found = _part(child, name)
            if found is not None:
                return next((v for k, v in found.attrib.items() if str(k).endswith("val")), "")
    return default


def _convert(element: "_Element", depth: int) -> str:
    name = _name(element)
    if name.endswith("Pr"):
        return ""
    if name == "r":
        return _run(element)
    if name in ("nary", "d", "m", "eqArr"):
        return _wide(element, name, depth)
    parts = {_name(child): _children(child, depth) for child in element}
    base = parts.get("e", "")
    match name:
        case "f":
            pair = parts.get("num", ""), parts.get("den", "")
            if _value(element, "type", "bar") in ("lin", "skw"):
                return f"{{{pair[0]}}}/{{{pair[1]}}}"
            return f"\\frac{{{pair[0]}}}{{{pair[1]}}}"
        case "sSup":
            return f"{_group(base)}^{{{parts.get('sup', '')}}}"
        case "sSub":
            return f"{_group(base)}_{{{parts.get('sub', '')}}}"
        case "sSubSup":
            return f"{_group(base)}_{{{parts.get('sub', '')}}}^{{{parts.get('sup', '')}}}"
        case "sPre":
            return f"{{}}_{{{parts.get('sub', '')}}}^{{{parts.get('sup', '')}}}{base}"
        case "rad":
            degree = parts.get("deg", "")
            return (f"\\sqrt[{degree}]" if degree else r"\sqrt") + f"{{{base}}}"
        case "func":
            return f"{parts.get('fName', '')} {base}"
        case "acc":
            accent = _ACCENTS.get(_value(element, "chr", "\u0302"), "hat")
            return f"\\{accent}{{{base}}}"
        case "bar":
            place = "underline" if _value(element, "pos", "bot") == "bot" else "overline"
            return f"\\{place}{{{base}}}"
        case "limLow":
            return f"{base}_{{{parts.get('lim', '')}}}"
        case "limUpp":
            return f"{base}^{{{parts.get('lim', '')}}}"
        case _:
            return _children(element, depth)


def _wide(element: "_Element", name: str, depth: int) -> str:
    """Convert what has rows, limits or brackets."""
    if name == "nary":
        sign = _symbols(_value(element, "chr", "∫")).strip()
        limits = "".join(
            f"{mark}{{{text}}}"
            for mark, part in (("_", "sub"), ("^", "sup"))
            if (text := _children(_part(element, part), depth))
        )
        return f"{sign}{limits} {_children(_part(element, 'e'), depth)}"
    line_end = r" \\ "
    items = [_children(child, depth) for child in element if _name(child) == "e"]
    if name == "eqArr":
        return rf"\begin{{aligned}}{line_end.join(items)}\end{{aligned}}"
    if name == "m":
        rows = [child for child in element if _name(child) == "mr"]
        cells = [[_children(e, depth) for e in row if _name(e) == "e"] for row in rows]
        lines = line_end.join(" & ".join(row) for row in cells)
        return rf"\begin{{matrix}}{lines}\end{{matrix}}"
    left = _symbols(_value(element, "begChr", "(")).strip() or "."
    right = _symbols(_value(element, "endChr", ")")).strip() or "."
    middle = _symbols(_value(element, "sepChr", "|")).strip()
    return f"\\left{left} {middle.join(items)}\\right{right} "


def _group(base: str) -> str:
    """Brace what a superscript would else cling to the last letter of."""
    base = base.strip()
    plain = len(base) == 1 or re.fullmatch(r"\\[a-zA-Z]+|\d+", base)
    return base if plain else f"{{{base}}}"


def _run(element: "_Element") -> str:
    text = "".join(child.text or "" for child in element if _name(child) == "t")
    # U+2061 to U+2064: invisible signs for function application, times and the like.
    text = re.sub("[\u2061-\u2064]", " ", text)
    normal = any(_part(child, "nor") is not None for child in element if _name(child) == "rPr")
    if normal and text.strip():
        plain = re.sub(r"([{}$%#&])", r"\\\1", text)
        return f"\\text{{{plain}}}"
    return _FUNCTION.sub(r"\\\1 ", _symbols(text))


def _symbols(text: str) -> str:
    out = []
    for char in text:
        symbol = _SYMBOLS.get(char, char)
        out.append(symbol + " " if symbol[0] == "\\" and symbol[-1].isalpha() else symbol)
    return "".join(out)
