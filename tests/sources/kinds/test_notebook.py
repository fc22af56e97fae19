import json
from pathlib import Path
from typing import Any

import pytest

from tests.sources.samples import load_bytes


def notebook(*cells: dict[str, Any], **metadata: Any) -> bytes:
    return json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4}).encode()


def code(source: str, *outputs: dict[str, Any]) -> dict[str, Any]:
    return {"cell_type": "code", "id": "a1", "source": source, "outputs": outputs}


def test_cells_and_outputs(tmp_path: Path) -> None:
    html = "<table><tr><th>Day</th></tr><tr><td>Sunday</td></tr></table>"
    data = notebook(
        {"cell_type": "markdown", "source": ["# Ferry\n", "Fares *rise*."]},
        code("print(2)", {"output_type": "stream", "text": ["\x1b[31m2\x1b[0m\n"]}),
        code("table", {"output_type": "execute_result",
                       "data": {"text/plain": "   Day", "text/html": html}}),
        code("1 / 0", {"output_type": "error", "ename": "ZeroDivisionError", "evalue": "no",
                       "traceback": ["long"]}),
        code("plot()", {"output_type": "display_data",
                        "data": {"image/png": "iVBOR", "text/plain": "<Figure>"}}),
        language_info={"name": "R"},
    )  # fmt: skip
    (document,) = load_bytes(tmp_path, "n.ipynb", data).documents
    assert document.title == "Ferry"
    assert document.text == (
        "# Ferry\nFares *rise*.\n\n```R\nprint(2)\n```\n\n```\n2\n```\n\n```R\ntable\n```\n\n"
        "| Day |\n| --- |\n| Sunday |\n\n```R\n1 / 0\n```\n\n```\nZeroDivisionError: no\n```\n\n"
        "```R\nplot()\n```\n\n```\n<Figure>\n```"
    )


def test_code_cannot_close_its_fence(tmp_path: Path) -> None:
    data = notebook(code('x = """\n```\n"""'))
    (document,) = load_bytes(tmp_path, "n.ipynb", data).documents
    assert document.text.startswith("````python\n")
    assert document.text.endswith("\n````")


def test_outputs_are_cut(tmp_path: Path) -> None:
    text = "".join(f"step {i}\n" for i in range(10_000))
    data = notebook(code("train()", {"output_type": "stream", "text": text}))
    (document,) = load_bytes(tmp_path, "n.ipynb", data).documents
    assert len(document.text) < 2200
    assert document.text.endswith("\n...\n```")


def test_the_old_format(tmp_path: Path) -> None:
    cells = [
        {"cell_type": "heading", "level": 2, "source": "Old"},
        {
            "cell_type": "code",
            "input": "print 1",
            "outputs": [{"output_type": "pyout", "text": "1"}],
        },
    ]
    data = json.dumps({"worksheets": [{"cells": cells}], "metadata": {}, "nbformat": 3}).encode()
    (document,) = load_bytes(tmp_path, "n.ipynb", data).documents
    assert document.text == "## Old\n\n```python\nprint 1\n```\n\n```\n1\n```"


@pytest.mark.parametrize(
    "value",
    [[], {}, {"cells": 5}, "x", {"worksheets": {}}],
)
def test_what_is_no_notebook_is_a_fault(tmp_path: Path, value: Any) -> None:
    loaded = load_bytes(tmp_path, "n.ipynb", json.dumps(value).encode())
    assert [fault.reason for fault in loaded.faults] == ["unreadable"]


def test_odd_fields_never_crash(tmp_path: Path) -> None:
    odd: list[Any] = [None, 5, [], {}, [1], "x", {"a": {}}]
    cells: list[Any] = [*odd]
    for value in odd:
        cells.append({"cell_type": value, "source": value, "outputs": value})
        cells.append(code("x", {"output_type": value, "data": value, "text": value}))
        cells.append({"cell_type": "code", "source": value, "outputs": odd})
        cells.append({"cell_type": "heading", "level": value, "source": "h"})
    for value in odd:
        data = json.dumps({"cells": cells, "metadata": value}).encode()
        assert load_bytes(tmp_path, "n.ipynb", data).documents
