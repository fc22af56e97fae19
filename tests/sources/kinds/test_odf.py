from pathlib import Path

import pytest
from lxml import etree

from domainforge.sources.kinds.odf_cells import GridBudget, table_rows
from tests.sources.kinds.office_samples import make_odp, make_ods, make_odt, replaced
from tests.sources.samples import load_bytes


def changed(data: bytes, old: str, new: str) -> bytes:
    def change(name: str, body: bytes) -> bytes:
        if name != "content.xml":
            return body
        assert old.encode() in body
        return body.replace(old.encode(), new.encode(), 1)

    return replaced(data, change)


def test_text_with_notes_comments_lists_and_tables(tmp_path: Path) -> None:
    (document,) = load_bytes(tmp_path, "x.odt", make_odt()).documents
    assert document.text == (
        "# Ferry rules\n\nA crossing[^1] costs 2.50 crowns.\n\n"
        "* Dogs pay half.\n    * Small ones too.\n* Cats go free.\n\n"
        "| Day | Last ferry |\n| --- | --- |\n| Sunday | 18:40 |\n\n"
        "[^1]: One way.\n\nComments:\n\n* Still right?"
    )
    assert document.title == "Ferry rules"
    assert document.created is not None
    assert document.media_type == "application/vnd.oasis.opendocument.text"


def test_the_title_of_a_text_without_one_is_in_its_properties(tmp_path: Path) -> None:
    data = changed(make_odt(), "Ferry rules", "")
    (document,) = load_bytes(tmp_path, "x.odt", data).documents
    assert document.title == "Rules of the ferry"


def test_links_spaces_deleted_text_and_contents(tmp_path: Path) -> None:
    inside = (
        "<text:tracked-changes><text:p>deleted</text:p></text:tracked-changes>"
        "<text:table-of-content><text:p>Fares ... 3</text:p></text:table-of-content>"
        '<text:p>See<text:s text:c="3"/><text:a xlink:href="https://ferry.example">fares</text:a>'
        ' and <text:a xlink:href="../x.odt">more</text:a></text:p><office:text-end/>'
    )
    data = changed(make_odt(), "<text:h ", inside.replace("<office:text-end/>", "") + "<text:h ")
    (document,) = load_bytes(tmp_path, "x.odt", data).documents
    assert document.text.startswith("See [fares](https://ferry.example) and more\n\n# Ferry rules")
    assert "deleted" not in document.text


def test_text_boxes_pictures_and_formulas(tmp_path: Path) -> None:
    frames = (
        "<text:p>Look:<draw:frame><draw:text-box><text:p>in a box</text:p></draw:text-box>"
        '</draw:frame><draw:frame><draw:image xlink:href="Pictures/map.png"/>'
        "<svg:desc>Map of ports</svg:desc></draw:frame></text:p>"
    )
    data = changed(make_odt(), "<text:h ", frames + "<text:h ")
    (document,) = load_bytes(tmp_path, "x.odt", data).documents
    assert document.text.startswith("Look:\n\nin a box\n\n![Map of ports](map.png)\n\n# Ferry")


def test_numbered_lists(tmp_path: Path) -> None:
    style = (
        '<text:list-style style:name="L1"><text:list-level-style-number text:level="1"/>'
        "</text:list-style>"
    )
    data = changed(
        changed(make_odt(), "<office:automatic-styles/>",
                f"<office:automatic-styles>{style}</office:automatic-styles>"),
        "<text:list>", '<text:list text:style-name="L1">',
    )  # fmt: skip
    (document,) = load_bytes(tmp_path, "x.odt", data).documents
    assert "1. Dogs pay half.\n    * Small ones too.\n2. Cats go free." in document.text


def test_sheets(tmp_path: Path) -> None:
    (document,) = load_bytes(tmp_path, "x.ods", make_ods()).documents
    assert document.text == (
        "## Fares\n\n| Port | From | Price |\n| --- | --- | --- |\n"
        "| North | 2024-03-01 | 2.5 |\n| South | 2024-03-01 | 3 |"
    )


def test_a_million_blank_rows_and_merged_rows(tmp_path: Path) -> None:
    row = "<table:table-row"
    blank = (
        f'{row} table:number-rows-repeated="1048576"><table:table-cell '
        'table:number-columns-repeated="16384"/></table:table-row>'
    )
    merged = (
        f'{row}><table:table-cell table:number-rows-spanned="2"><text:p>Pier</text:p>'
        "</table:table-cell><table:table-cell><text:p>a</text:p></table:table-cell>"
        f"</table:table-row>{row}><table:covered-table-cell/><table:table-cell><text:p>b</text:p>"
        "</table:table-cell></table:table-row>"
    )
    data = changed(make_ods(), "</table:table>", merged + blank * 50 + "</table:table>")
    loaded = load_bytes(tmp_path, "x.ods", data)
    assert loaded.documents[0].text.endswith("| Pier | a |  |\n| Pier | b |  |")
    assert not loaded.faults


@pytest.mark.slow
def test_repeating_without_end_is_cut(tmp_path: Path) -> None:
    bomb = (
        '<table:table-row table:number-rows-repeated="999999999"><table:table-cell '
        'table:number-columns-repeated="16000"><text:p>again and again</text:p>'
        "</table:table-cell></table:table-row>"
    )
    data = changed(make_ods(), "</table:table>", bomb * 3 + "</table:table>")
    loaded = load_bytes(tmp_path, "x.ods", data)
    assert [fault.reason for fault in loaded.faults] == ["too_large"]


def test_a_budget_ends_what_repeats() -> None:
    names = "urn:oasis:names:tc:opendocument:xmlns:"
    table = etree.fromstring(
        f'<t:table xmlns:t="{names}table:1.0" xmlns:x="{names}text:1.0"><t:table-row '
        't:number-rows-repeated="999999999"><t:table-cell><x:p>again</x:p></t:table-cell>'
        "</t:table-row></t:table>"
    )
    budget = GridBudget(chars=100)
    rows = list(table_rows(table, budget))
    assert rows == [["again"]] * 15
    assert budget.spent


def test_hidden_sheets_and_slides_are_left_out(tmp_path: Path) -> None:
    for make, name, element, properties in (
        (make_ods, "x.ods", "table:table ", '<style:table-properties table:display="false"/>'),
        (
            make_odp,
            "x.odp",
            "draw:page ",
            '<style:drawing-page-properties presentation:visibility="hidden"/>',
        ),
    ):
        prefix = element.partition(":")[0]
        style = f'<style:style style:name="gone">{properties}</style:style>'
        extra = (
            '<table:table table:name="Other"><table:table-row><table:table-cell><text:p>shown'
            "</text:p></table:table-cell></table:table-row></table:table></office:spreadsheet>"
        )
        data = changed(make(), f"<{element}", f'<{element}{prefix}:style-name="gone" ')
        data = changed(data, "<office:automatic-styles", f"{style}<office:automatic-styles")
        if name == "x.ods":
            data = changed(data, "</office:spreadsheet>", extra)
        loaded = load_bytes(tmp_path, name, data)
        assert [left.reason for left in loaded.dropped] == ["hidden"]
        assert ("shown" in loaded.documents[0].text) == (name == "x.ods")
        assert "Ferry rules" not in loaded.documents[0].text


def test_slides(tmp_path: Path) -> None:
    (document,) = load_bytes(tmp_path, "x.odp", make_odp()).documents
    assert document.text == "## Ferry rules\n\nDogs pay half\n\n## Slide 2\n\nCats go free"
    assert document.title == "Ferry rules"


@pytest.mark.parametrize(
    ("name", "make", "said"), [("x.ods", make_odt, ".odt"), ("x.odt", make_odp, ".odp")]
)
def test_one_opendocument_under_anothers_name(
    tmp_path: Path, name: str, make: object, said: str
) -> None:
    assert callable(make)
    (fault,) = load_bytes(tmp_path, name, make()).faults
    assert fault.reason == "wrong_kind"
    assert said in fault.detail


def test_absurd_nesting_is_a_fault(tmp_path: Path) -> None:
    deep = "<text:section>" * 100 + "<text:p>x</text:p>" + "</text:section>" * 100
    data = changed(make_odt(), "<text:h ", deep + "<text:h ")
    (fault,) = load_bytes(tmp_path, "x.odt", data).faults
    assert fault.reason == "unreadable"
