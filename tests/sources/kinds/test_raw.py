from pathlib import Path

import pytest

from tests.sources.kinds.test_mail import make_message
from tests.sources.samples import load_bytes

# A soft hyphen goes in cleaning.
WORD = "fer\u00adry"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("x.txt", WORD),
        ("x.md", f"---\ntitle: t\n---\n{WORD}"),
        ("x.jsonl", f'{{"text": "{WORD}"}}'),
        ("x.json", f'{{"a": "{WORD}"}}'),
        ("x.csv", f"a,b\n1,{WORD}"),
        ("x.ipynb", f'{{"cells": [{{"cell_type": "markdown", "source": "{WORD}"}}]}}'),
        ("x.xml", f"<a>{WORD}</a>"),
        ("x.rss", f"<rss version='2.0'><channel><title>{WORD}</title></channel></rss>"),
        ("x.rst", WORD),
        ("x.adoc", WORD),
        ("x.py", f"# {WORD}"),
        ("x.eml", make_message(WORD).as_string()),
    ],
)
def test_the_text_before_cleaning_is_kept_where_asked(tmp_path: Path, name: str, data: str) -> None:
    (kept,) = load_bytes(tmp_path, name, data.encode(), keep_raw=True).documents
    assert WORD not in kept.text
    assert "ferry" in kept.text
    (plain,) = load_bytes(tmp_path, name, data.encode()).documents
    assert plain.raw is None
    if name == "x.rss":
        # A feed's own text is cleaned piece by piece on its way.
        assert kept.raw is not None
    else:
        assert WORD in (kept.raw or "")
