from pathlib import Path

import pytest

from domainforge.sources.loaded import UnreadableError
from domainforge.sources.workspaces.wikitext import LinkNames, clean_wikitext, wikitext_to_markdown


@pytest.mark.parametrize(
    ("wikitext", "markdown"),
    [
        ("== Fares ==\nText.\n=== Dogs ===\nHalf.", "## Fares\n\nText.\n\n### Dogs\n\nHalf."),
        ("'''Alba''' is a ''ferry''.", "**Alba** is a *ferry*."),
        ("* a\n** b\n* c", "- a\n  - b\n- c"),
        ("# one\n# two\n## sub\n# three", "1. one\n2. two\n   1. sub\n3. three"),
        ("; term : what it is\n: more", "**term**: what it is\n\nmore"),
        ("In [[Veltren]]s [[port (sea)|port]] and [[Foo (bar)|]].", "In Veltrens port and Foo."),
        ("See [http://a.example the rules] or http://b.example now.",
         "See [the rules](http://a.example) or http://b.example now."),
        ("10<sup>6</sup> of H<sub>2</sub>O&nbsp;&amp; more", "10^6 of H2O & more"),
        ("Area <math>\\pi r^{2}</math>.", "Area $\\pi r^{2}$."),
        ('<math display="block">a|b</math>', "$$\na|b\n$$"),
        ("<nowiki>[[x]] '''n'''</nowiki>", "[[x]] '''n'''"),
        ("<syntaxhighlight lang=\"python\">\nx = {{y}}\n</syntaxhighlight>",
         "```python\nx = {{y}}\n```"),
        ("<pre>\n {{x}}\n</pre>", "```\n {{x}}\n```"),
        (" sudo reboot\n   now\nDone.", "```\nsudo reboot\n  now\n```\n\nDone."),
        ("Use <code>ls</code>.", "Use `ls`."),
        ("A<ref>{{cite web|u}}</ref>B<ref name=x />C<!-- no -->D", "ABCD"),
        ("[[File:a.jpg|thumb|right|200px|The ''Alba'' in [[1931]]]]It sails.",
         "The *Alba* in 1931\n\nIt sails."),
        ("An [[File:icon.png|20px]] icon.", "An icon."),
        ("Text. [[de:Alba]] __NOTOC__", "Text."),
        ("Text.\n== References ==\n{{reflist}}\n=== Notes ===\n<references/>", "Text."),
        ("{{convert|5|mi|km}}, {{convert|5|to|8|km|mi}}", "5 mi, 5 to 8 km"),
        ("{{lang|fr|thé}} {{nihongo|Tea|茶|cha}} {{unknown|x}}", "thé Tea (茶, cha)"),
        ("{{as of|2024|3|1}}: {{frac|1|2}}, {{val|9.81|ul=m}}", "As of 1 March 2024: 1/2, 9.81 m"),
        ("{{quote|We sail.|Tove}}", "> We sail. (Tove)"),
        ("{{formatnum:1234}} people", "1234 people"),
        ("-{zh-hans:软件; zh-hant:軟體}- is", "软件 is"),
        ('<div style="display: none">no</div>yes', "yes"),
    ],
)  # fmt: skip
def test_markup(wikitext: str, markdown: str) -> None:
    assert wikitext_to_markdown(wikitext) == markdown


def test_tables_with_spans_captions_and_tables_inside() -> None:
    table = """{| class="wikitable"
|+ Fares in 1931
! Day !! Fare !! Note
|-
| rowspan="2" | Sunday || 2.50 || a|b
|-
| 3.00
|
{|
| inner || cell
|}
|-
| colspan=2 | free<br/>always || x
|}"""
    assert wikitext_to_markdown(table) == (
        "Fares in 1931\n\n| Day | Fare | Note |\n| --- | --- | --- |\n"
        "| Sunday | 2.50 | b |\n| Sunday | 3.00 | inner, cell |\n| free always | | x |"
    )


def test_spans_of_any_size_stay_small() -> None:
    rows = "| colspan=99999999 rowspan=99999999 | x\n|-\n" * 50
    assert len(wikitext_to_markdown("{|\n" + rows + "|}")) < 200_000


def test_a_table_of_one_column_only_lays_out() -> None:
    assert wikitext_to_markdown("{|\n| First\n|-\n| Second\n|}") == "First\n\nSecond"


def test_infobox_becomes_a_table() -> None:
    box = """{{Infobox ferry
| name = Alba
| image = a.jpg
| built = {{start date|1931|6|2}}
| crew = {{ubl|[[Tove]]|Per}}
| empty =
}}
'''Alba''' sails."""
    assert wikitext_to_markdown(box) == (
        "| Alba | |\n| --- | --- |\n| built | 2 June 1931 |\n| crew | Tove; Per |\n\n"
        "**Alba** sails."
    )


def test_categories_and_names_of_other_languages() -> None:
    names = LinkNames.of(files=("Datei",), categories=("Kategorie",))
    text = "Alba. [[Kategorie:Schiffe|*]][[Category:Ships]] [[:Kategorie:Alle]] [[Datei:a.jpg|x]]"
    cleaned = clean_wikitext(text, names)
    assert cleaned.categories == ("Schiffe", "Ships")
    assert cleaned.markdown == "Alba. Kategorie:Alle"


@pytest.mark.parametrize("mark", ["{{a|", "[[b|", "{|\n", "<ref>", "<div>", "[http://", "<!--"])
def test_marks_that_never_close_end_as_a_fault(mark: str) -> None:
    with pytest.raises(UnreadableError, match="never closed"):
        wikitext_to_markdown("x" + mark * 20_000)


@pytest.mark.parametrize(
    "text",
    ["{{a|" * 20_000 + "}}" * 20_000, "[[" * 20_000 + "x" + "]]" * 20_000, "<li>" * 20_000,
     "{|\n|\n" * 3_000 + "|}\n" * 3_000, ";a" + ":b" * 20_000, " " * 100_000 + "\n"],
)  # fmt: skip
def test_absurd_nesting_ends(text: str) -> None:
    assert len(wikitext_to_markdown(text)) <= len(text) + 10


def test_control_characters_of_a_page_are_no_marks(tmp_path: Path) -> None:
    assert wikitext_to_markdown("a\x01*\x01b\x030\x03c") == "a*b0c"


def test_labels_of_an_infobox_name_their_values() -> None:
    box = """{{Infobox settlement <!-- see the table -->
| name = Booterstown
|subdivision_type1 = Province
|subdivision_name1 = [[Leinster]]
| leader_title =
| leader_name = Tove
| coordinates = {{coord|53|N}}
| map_size = 200
| population_total = 50000
| established_title = Founded
}}"""
    assert wikitext_to_markdown(box) == (
        "| Booterstown | |\n| --- | --- |\n| Province | Leinster |\n"
        "| leader name | Tove |\n| population total | 50000 |\n"
        "| established title | Founded |"
    )
