import time
from pathlib import Path

import pytest

from domainforge.sources.workspaces.obsidian import ObsidianSource
from tests.sources.workspaces.exports import (
    by_uri,
    read,
    reader,
    reasons,
    source,
    write_folder,
    write_zip,
)
from tests.support.source_reader import read_all

NOTE = """---
aliases: [The old boat, MS Alba]
tags:
  - ships
created: 2021-08-01
modified: 2023-05-02 10:30
rating: 5
---
The [[Ferry Office|office]] runs ==two== boats, see [[Fares#Sunday]] and [[#Crew]]. #boats/old

> [!warning]- Mind the gap
> It is [[wide]].

%% a secret
comment %%

![[Fares#Sunday]]
![[alba.png|300]]
![[Tove^]]
A fact. ^fact-1

## Crew

`[[code]]` and #1 is no tag.

```python
x = [[1]]  # %% kept %% #kept
```

```dataview
LIST FROM #ships
```
"""
FARES = """# Fares

All fares. ![[Alba]]

## Sunday

Adults pay 3.00, see [[Alba]]. %% hidden %%

## Monday

Adults pay 2.50.
"""
FILES: dict[str, str | bytes] = {
    "Boats/Alba.md": NOTE,
    "Fares.md": FARES,
    "Bad.md": "Text with ![[nowhere]] and [[gone]].",
    "alba.png": b"\x89PNG",
    "rules.txt": "Dogs pay half.",
    ".obsidian/app.json": "{}",
    ".trash/Old.md": "old",
}


@pytest.fixture(params=["folder", "zip"])
def vault(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        write_folder(tmp_path / "Vault", FILES)
        return "Vault"
    write_zip(tmp_path / "Vault.zip", FILES)
    return "Vault.zip"


def test_a_vault(vault: str, tmp_path: Path) -> None:
    readings = read(ObsidianSource, "obsidian", {"path": vault}, tmp_path)
    documents = by_uri(readings)
    assert set(documents) == {
        "Vault/Boats/Alba.md", "Vault/Fares.md", "Vault/Bad.md", "Vault/rules.txt",
    }  # fmt: skip
    assert reasons(readings) == {"Vault/alba.png": "unknown_kind"}
    note = documents["Vault/Boats/Alba.md"]
    assert (note.title, note.created, note.modified) == ("Alba", "2021-08-01", "2023-05-02T10:30")
    assert note.metadata["aliases"] == ["The old boat", "MS Alba"]
    assert note.metadata["tags"] == ["ships", "boats/old"]
    assert note.metadata["rating"] == "5"
    for kept in (
        "The office runs two boats, see Fares > Sunday and Crew. #boats/old",
        "> **Warning: Mind the gap**\n> It is wide.",
        "## Sunday\n\nAdults pay 3.00, see Alba.",
        "A fact.\n",
        "`[[code]]`",
        "x = [[1]]  # %% kept %% #kept",
    ):
        assert kept in note.text
    for left_out in ("secret", "hidden", "alba.png", "fact-1", "Monday", "dataview", "!["):
        assert left_out not in note.text
    assert documents["Vault/Bad.md"].text == "Text with nowhere and gone."
    fares = documents["Vault/Fares.md"]
    assert fares.title == "Fares"
    # Embedded notes are put in one level deep: what is embedded there stays a link.
    assert "The office runs two boats" in fares.text
    assert "All fares. Fares > Sunday" not in fares.text


def test_a_change_of_an_embedded_note_counts(tmp_path: Path) -> None:
    place = write_folder(tmp_path / "Vault", FILES)
    made = source(ObsidianSource, "obsidian", {"path": "Vault"}, tmp_path)
    first = reader(tmp_path)
    second = first.take_over(read_all(made, first))
    (place / "Fares.md").write_text(FARES.replace("3.00", "3.50"))
    (place / "rules.txt").write_text("Dogs travel free.")
    after = read_all(made, second)
    changed = {reading.uri for reading in after if not reading.unchanged and reading.revision}
    assert changed == {"Vault/Boats/Alba.md", "Vault/Fares.md", "Vault/rules.txt"}
    assert "3.50" in by_uri(after)["Vault/Boats/Alba.md"].text


def test_titles(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "a.md": "---\ntitle: From above\n---\n# Heading\n\nText.",
        "b.md": "# Heading\n\nText.",
        "File name.md": "Text.\n\n## Later",
    }
    write_folder(tmp_path / "V", files)
    documents = by_uri(read(ObsidianSource, "obsidian", {"path": "V"}, tmp_path))
    assert [documents[f"V/{name}"].title for name in ("a.md", "b.md", "File name.md")] == [
        "From above", "Heading", "File name",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text", ["`" * 100_001, " \t" * 50_000 + "^", "![[" * 50_000, "%%" * 50_001, "==a" * 50_000]
)
def test_absurd_notes_end(text: str, tmp_path: Path) -> None:
    write_folder(tmp_path / "V", {"a.md": text})
    started = time.process_time()
    assert len(read(ObsidianSource, "obsidian", {"path": "V"}, tmp_path)) == 1
    assert time.process_time() - started < 3  # was 20 seconds where it took quadratic time


def test_a_longer_fence_closes_code(tmp_path: Path) -> None:
    write_folder(tmp_path / "V", {"a.md": "```\n[[x]]\n`````\n[[y]]\n"})
    (document,) = by_uri(read(ObsidianSource, "obsidian", {"path": "V"}, tmp_path)).values()
    assert document.text == "```\n[[x]]\n`````\ny"
