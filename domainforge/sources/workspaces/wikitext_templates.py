"""The templates of wikitext that only format what stands in them, and infoboxes."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from domainforge.sources.workspaces.wikitext_infobox import render_infobox

if TYPE_CHECKING:
    from mwparserfromhell.wikicode import Wikicode

_INFOBOX = re.compile(
    r"(?:infobox|taxobox|speciesbox|automatic taxobox|chembox|drugbox)\b|.*infobox$"
)
_MONTH_NAMES = (
    "January February March April May June July August September October November December"
)
_MONTHS = _MONTH_NAMES.split()


@dataclass(frozen=True)
class Arguments:
    """What a template is called with, rendered."""

    listed: tuple[str, ...]
    named: Mapping[str, str]

    def __getitem__(self, index: int) -> str:
        """Return an unnamed argument by place, from 0; empty where there is none."""
        return self.listed[index] if index < len(self.listed) else ""


def render_template(template: Any, render_inline: Callable[["Wikicode | None"], str]) -> str:
    """Write a template out where that is known to be right; any other gives nothing."""
    name = " ".join(str(template.name).replace("_", " ").split()).lower()
    name = name.removeprefix("template:")
    if name.startswith("formatnum:"):
        return render_inline(template.name).partition(":")[2].strip()
    writer = _WRITERS.get(name)
    is_infobox = writer is None and _INFOBOX.match(name) is not None
    if writer is None and not is_infobox:
        return ""
    listed: list[str] = []
    named: dict[str, str] = {}
    for parameter in template.params:
        value = render_inline(parameter.value)
        key = str(parameter.name).strip()
        if parameter.showkey and not key.isdecimal():
            named[key] = value
        elif parameter.showkey and len(key) < 3:
            place = int(key) - 1
            listed += [""] * (place + 1 - len(listed))
            if place >= 0:
                listed[place] = value
        else:
            listed.append(value)
    arguments = Arguments(tuple(listed), named)
    return render_infobox(arguments.named) if writer is None else writer(arguments)


def _first(arguments: Arguments) -> str:
    return arguments[0]


def _second(arguments: Arguments) -> str:
    return arguments[1] or arguments[0]


def _last(arguments: Arguments) -> str:
    return arguments.listed[-1] if arguments.listed else ""


def _convert(arguments: Arguments) -> str:
    """`5|mi|km` is 5 mi, `5|to|8|km` is 5 to 8 km; the other unit is left to the reader."""
    listed = [value for value in arguments.listed if value]
    if len(listed) > 3 and listed[1].lower() in ("to", "-", "\u2013", "and", "or", "x", "by"):
        joint = listed[1] if listed[1] in ("-", "\u2013") else f" {listed[1]} "
        return f"{listed[0]}{joint}{listed[2]} {listed[3]}"
    return " ".join(listed[:2])


def _nihongo(arguments: Arguments) -> str:
    """`English|kanji|romaji` as the template shows it: English (kanji, romaji)."""
    english, *others = (arguments[0], arguments[1], arguments[2])
    inner = ", ".join(other for other in others if other)
    if not english:
        return inner
    return f"{english} ({inner})" if inner else english


def _date(arguments: Arguments) -> str:
    """`1912|6|23` is 23 June 1912."""
    parts = [value for value in arguments.listed[:3] if value.isdecimal() and len(value) < 5]
    if len(parts) < len([value for value in arguments.listed[:3] if value]):
        return arguments[0]
    parts = [str(int(part)) for part in parts]
    if len(parts) > 1 and 1 <= int(parts[1]) <= 12:
        parts[1] = _MONTHS[int(parts[1]) - 1]
    return " ".join(reversed(parts))


def _death_date(arguments: Arguments) -> str:
    """`1954|6|7|1912|6|23`: the death comes first."""
    return _date(Arguments(arguments.listed[:3], {}))


def _listing(arguments: Arguments) -> str:
    items = [item.strip("; ") for item in arguments.listed]
    return "; ".join(item for item in items if item)


def _quotation(arguments: Arguments) -> str:
    text = arguments.named.get("text") or arguments.named.get("quote") or arguments[0]
    names = ("author", "sign", "cite", "source")
    by = next((arguments.named[n] for n in names if arguments.named.get(n)), arguments[1])
    return f"\n\n> {text}{f' ({by})' if by else ''}\n\n" if text else ""


def _fraction(arguments: Arguments) -> str:
    a, b, c = arguments[0], arguments[1], arguments[2]
    if c:
        return f"{a} {b}/{c}"
    return f"{a}/{b}" if b else f"1/{a}"


def _value(arguments: Arguments) -> str:
    """`val|9.81|ul=m/s2`."""
    named = arguments.named
    unit = next((named[key] for key in ("u", "ul", "up") if named.get(key)), "")
    exponent = f"\u00d710^{named['e']}" if named.get("e") else ""
    return f"{arguments[0]}{exponent} {unit}".strip()


def _power(arguments: Arguments) -> str:
    return f"^{arguments[0]}" if arguments[0] else ""


def _circa(arguments: Arguments) -> str:
    return f"c. {arguments[0]}".strip()


def _url(arguments: Arguments) -> str:
    return f"[{arguments[1]}]({arguments[0]})" if arguments[1] else arguments[0]


def _code(arguments: Arguments) -> str:
    return f"`{arguments[0]}`" if arguments[0] and "`" not in arguments[0] else arguments[0]


def _note(arguments: Arguments) -> str:
    """Link to another page: its shown name, else the page."""
    return arguments.named.get("lt") or arguments[1] or arguments[0]


def _fixed(text: str) -> Callable[[Arguments], str]:
    return lambda _: text


_WRITERS: dict[str, Callable[[Arguments], str]] = {
    **dict.fromkeys(("convert", "cvt"), _convert),
    **dict.fromkeys(("transl", "transliteration", "color", "font color"), _last),
    **dict.fromkeys(("nihongo", "nihongo2", "nihongo3", "nihongo foot", "korean"), _nihongo),
    **dict.fromkeys(
        (
            "nowrap",
            "nobr",
            "small",
            "smaller",
            "big",
            "larger",
            "abbr",
            "tooltip",
            "ipa",
            "math",
            "mvar",
            "var",
            "strong",
            "em",
            "mono",
            "script",
            "unicode",
            "linktext",
            "flag",
            "flagcountry",
            "as written",
            "sic",
            "not a typo",
            "noitalic",
            "nobold",
            "sub",
            "center",
            "no wrap",
            "kbd",
            "samp",
            "ill",
            "interlanguage link",
            "vanchor",
            "anchored text",
            "visible anchor",
            "flatlist",
            "plainlist",
            "smallcaps",
            "sc",
            "script/arabic",
            "tlit",
        ),
        _first,
    ),
    **dict.fromkeys(
        (
            "ubl",
            "unbulleted list",
            "hlist",
            "plain list",
            "bulleted list",
            "ordered list",
            "flat list",
            "cslist",
            "comma separated entries",
            "br separated entries",
            "ublist",
            "collapsible list",
        ),
        _listing,
    ),
    **dict.fromkeys(
        (
            "start date",
            "start date and age",
            "end date",
            "birth date",
            "birth date and age",
            "birth-date",
            "birth-date and age",
            "release date",
            "film date",
            "launch date",
            "date",
            "bda",
            "dob",
            "birth year and age",
            "start date and years ago",
        ),
        _date,
    ),
    **dict.fromkeys(
        ("death date", "death date and age", "death-date", "death-date and age"), _death_date
    ),
    **dict.fromkeys(
        ("quote", "blockquote", "cquote", "quotation", "quote box", "zitat"), _quotation
    ),
    **dict.fromkeys(("frac", "fraction", "sfrac"), _fraction),
    **dict.fromkeys(("val", "gaps"), _value),
    **dict.fromkeys(("sup", "exp"), _power),
    **dict.fromkeys(("circa", "c.", "ca."), _circa),
    **dict.fromkeys(("url", "official website"), _url),
    **dict.fromkeys(("code", "tt"), _code),
    **dict.fromkeys(
        ("colored link", "slink", "section link", "lang", "langx", "rtl-lang"), _second
    ),
    "link": _note,
    "as of": lambda arguments: f"As of {_date(arguments)}",
    "since": lambda arguments: f"Since {_date(arguments)}",
    **dict.fromkeys(
        ("ndash", "en dash", "spaced ndash", "snd", "spnd", "\u2013"), _fixed(" \u2013 ")
    ),
    **dict.fromkeys(("mdash", "em dash", "—"), _fixed("—")),
    **dict.fromkeys(("dot", "·", "bullet", "•", "middot"), _fixed(" · ")),
    **dict.fromkeys(("'", "\u2019"), _fixed("'")),
    "'s": _fixed("'s"),
    "!": _fixed("|"),
    "=": _fixed("="),
    "nbsp": _fixed(" "),
    "spaces": _fixed(" "),
    "break": _fixed("\n"),
    "yes": _fixed("Yes"),
    "no": _fixed("No"),
    "tick": _fixed("yes"),
    "cross": _fixed("no"),
}
