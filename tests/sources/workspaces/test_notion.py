import io
import zipfile
from pathlib import Path

from domainforge.sources.workspaces.notion import NotionSource, without_ids
from tests.sources.workspaces.exports import by_uri, read, reasons, write_folder, write_zip

HOME = "0123456789abcdef0123456789abcdef"
SUB = "a1b2c3d4e5f60718293a4b5c6d7e8f90"
DATA = "ffffffff00000000ffffffff00000000"
ROW = "11111111222222223333333344444444"

FILES: dict[str, str | bytes] = {
    f"Handbook {HOME}.md": f"""# Handbook

Note: not a property, this is a page.

[Fares](Handbook%20{HOME}/Fares%20{SUB}.md)

[Trips](Handbook%20{HOME}/Trips%20{DATA}.csv)

[Outside](https://example.org/{HOME}.html)

![a.png](Handbook%20{HOME}/a.png)
""",
    f"Handbook {HOME}/Fares {SUB}.md": "# Fares\n\nA crossing costs 2.50 crowns.\n",
    f"Handbook {HOME}/a.png": b"\x89PNG",
    f"Handbook {HOME}/Trips {DATA}.csv": "Name,Tags\nRome,sea\n",
    f"Handbook {HOME}/Trips {DATA}_all.csv": "Name,Tags\nRome,sea\n",
    f"Handbook {HOME}/Trips {DATA}/Rome {ROW}.md": """# Rome

Tags: sea, sun
Created: August 1, 2021 3:05 PM
Last edited time: December 12, 2023 12:30 AM

It takes two days.
""",
    f"Prices {SUB}.csv": "What,Price\nAdult,2.50\n",
    f"Prices {SUB}_all.csv": "What,Price\nAdult,2.50\nChild,0\n",
}


def check(readings: list, label: str) -> None:  # type: ignore[type-arg]
    documents = by_uri(readings)
    home = documents[f"{label}/Handbook {HOME}.md"]
    assert home.title == "Handbook"
    assert home.text == (
        "# Handbook\n\nNote: not a property, this is a page.\n\n"
        "[Fares](Handbook/Fares.md)\n\n[Trips](Handbook/Trips.csv)\n\n"
        f"[Outside](https://example.org/{HOME}.html)\n\n![a.png](Handbook/a.png)"
    )
    assert home.metadata == {}
    fares = documents[f"{label}/Handbook {HOME}/Fares {SUB}.md"]
    assert (fares.title, fares.metadata) == ("Fares", {"parents": ["Handbook"]})
    row = documents[f"{label}/Handbook {HOME}/Trips {DATA}/Rome {ROW}.md"]
    assert row.metadata["Tags"] == "sea, sun"
    assert row.metadata["parents"] == ["Handbook", "Trips"]
    assert (row.created, row.modified) == ("2021-08-01T15:05:00", "2023-12-12T00:30:00")
    assert row.text.startswith("# Rome\n\n- Tags: sea, sun\n- Created: August 1")
    assert row.text.endswith("\n\nIt takes two days.")
    table = documents[f"{label}/Prices {SUB}_all.csv"]
    assert table.title == "Prices"
    assert "Child" in table.text
    left_out = reasons(readings)
    for name in ("Trips {}.csv", "Trips {}_all.csv"):
        assert left_out[f"{label}/Handbook {HOME}/{name.format(DATA)}"] == "duplicate"
    assert left_out[f"{label}/Prices {SUB}.csv"] == "duplicate"
    assert left_out[f"{label}/Handbook {HOME}/a.png"] == "unknown_kind"


def test_a_folder(tmp_path: Path) -> None:
    write_folder(tmp_path / "Export", FILES)
    check(read(NotionSource, "notion", {"path": "Export"}, tmp_path), "Export")


def test_a_zip_with_zips_of_its_parts(tmp_path: Path) -> None:
    parts: dict[str, str | bytes] = {}
    names = sorted(FILES)
    for number, chosen in enumerate((names[:3], names[3:]), 1):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name in chosen:
                archive.writestr(name, FILES[name])
        parts[f"ExportBlock-8a0c9b1e-Part-{number}.zip"] = buffer.getvalue()
    write_zip(tmp_path / "Export-5f.zip", parts)
    check(read(NotionSource, "notion", {"path": "Export-5f.zip"}, tmp_path), "Export-5f")


PAGE = f"""<html><head><meta http-equiv="Content-Type" content="text/html; charset=utf-8"/>
<title>Rome</title><style>.x {{}}</style></head><body>
<article id="11111111-2222-2222-3333-333344444444" class="page sans"><header>
<div class="page-header-icon undefined"><span class="icon">R</span></div>
<h1 class="page-title" dir="auto">Rome</h1><p class="page-description" dir="auto"></p>
<table class="properties"><tbody><tr class="property-row property-row-multi_select"><th>
<span class="icon property-icon"><svg></svg></span>Tags</th><td>
<span class="selected-value select-value-color-blue">sea</span><span class="selected-value">sun
</span></td></tr><tr class="property-row property-row-created_time"><th>Created</th>
<td><time>@February 1, 2023 9:00 AM</time></td></tr></tbody></table></header>
<div class="page-body"><nav class="table_of_contents"><a href="#x">Contents</a></nav>
<div style="display:contents" dir="auto"><h2 id="x" class="">Way</h2></div>
<p id="y" class="">Back to <a href="../Handbook%20{HOME}.html">Handbook</a></p>
<ul id="z" class="to-do-list"><li><div class="checkbox checkbox-on"></div>
<span class="to-do-children-checked">Book</span></li></ul>
<ul class="toggle"><li><details open=""><summary>More</summary><p>Two days.</p></details></li></ul>
</div></article></body></html>"""


def test_the_html_export(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        f"Handbook {HOME}/Rome {ROW}.html": PAGE,
        "index.html": "<ul id='sitemap'><li>Rome</li></ul>",
    }
    write_zip(tmp_path / "e.zip", files)
    readings = read(NotionSource, "notion", {"path": "e.zip"}, tmp_path)
    (document,) = by_uri(readings).values()
    assert document.title == "Rome"
    assert document.created == "2023-02-01T09:00:00"
    assert document.metadata["Tags"] == "sea, sun"
    assert document.text.startswith("# Rome\n\n- Tags: sea, sun\n- Created:")
    for kept in ("## Way", "[Handbook](../Handbook.html)", "[x]", "Book", "More", "Two days."):
        assert kept in document.text
    assert "Contents" not in document.text
    assert reasons(readings) == {"e/index.html": "navigation"}


def test_ids_go_and_other_digits_stay() -> None:
    assert without_ids(f"A {HOME}/B {SUB}_all.csv") == "A/B_all.csv"
    assert without_ids(f"{HOME}.md") == f"{HOME}.md"
    assert without_ids(f"x {HOME}0.md") == f"x {HOME}0.md"


def test_a_row_that_was_exported_alone(tmp_path: Path) -> None:
    page = "# Rome\n\nOwner: Tove\nCreated time: Apr 02, 2021 8:07 AM\n\nTwo days.\n"
    write_folder(tmp_path / "E", {f"Rome {ROW}.md": page})
    (document,) = by_uri(read(NotionSource, "notion", {"path": "E"}, tmp_path)).values()
    assert document.created == "2021-04-02T08:07:00"
    assert document.metadata == {"Owner": "Tove", "Created time": "Apr 02, 2021 8:07 AM"}
