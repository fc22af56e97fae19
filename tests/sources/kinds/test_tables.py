import pytest
from bs4 import BeautifulSoup

from domainforge.sources.kinds.html import html_to_markdown, parse_html
from domainforge.sources.kinds.tables import markdown_table, spread_merged_cells


def spread(markup: str) -> str:
    soup = parse_html(markup)
    spread_merged_cells(soup)
    return html_to_markdown(soup)


def test_a_table_is_square_and_its_cells_stay_cells() -> None:
    rows = [["Pier", "", "Note"], ["North", "", "open | shut\nat night"], ["South"], ["", ""]]
    assert markdown_table(rows) == (
        "| Pier | Note |\n| --- | --- |\n| North | open \\| shut at night |\n| South |  |"
    )


def test_a_table_without_text_is_no_table() -> None:
    assert markdown_table([["", " "], []]) == ""


def test_merged_cells_are_said_in_each_row_and_once_in_each_line() -> None:
    text = spread(
        "<table><tr><th>Pier</th><th colspan='2'>Hours</th></tr>"
        "<tr><td rowspan='2'>North</td><td>6</td><td>9</td></tr>"
        "<tr><td>10</td><td>18</td></tr></table>"
    )
    assert text.splitlines() == [
        "| Pier | Hours |  |",
        "| --- | --- | --- |",
        "| North | 6 | 9 |",
        "| North | 10 | 18 |",
    ]


@pytest.mark.slow
def test_absurd_spans_are_bounded() -> None:
    digits = "9" * 5000
    cells = "<td rowspan='999999999' colspan='999999999'>x</td>" + f"<td colspan='{digits}'>y</td>"
    soup: BeautifulSoup = parse_html("<table><tr>" + cells + "<tr>" * 2_000 + "</table>")
    spread_merged_cells(soup)
    assert len(soup.find_all("td")) < 210_000
