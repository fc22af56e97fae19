from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domainforge.deduplicate.exact import split_words
from domainforge.errors import DataError
from domainforge.records import Chunk, Document
from domainforge.run_folder import Inputs, Output
from domainforge.stage import StageResult
from domainforge.stages import assign as stage
from domainforge.stages.assign import assign_sides, find_copies
from tests.stages.runs import make_context
from tests.support.tables import chunk_table, document_table

Pages = Mapping[str, Mapping[str, str]]  # uri -> top heading -> text


def words(name: str, count: int) -> str:
    return " ".join(f"{name}{number}" for number in range(count))


def make_chunks(pages: Pages) -> list[Chunk]:
    chunks = []
    for uri, sections in pages.items():
        for index, (heading, text) in enumerate(sections.items()):
            path = (heading, "Sub") if heading else ()
            document = Document(uri, uri, "\n".join(sections.values()))
            chunks.append(
                Chunk(document.id, uri, uri, path, index, 0, len(text), text, len(text) // 4)
            )
    return chunks


def assign(
    project: Path, pages: Pages, test_share: float | None = None, seed: int = 7
) -> tuple[StageResult, list[dict[str, Any]]]:
    documents = [Document(uri, uri, "\n".join(parts.values())) for uri, parts in pages.items()]
    folders = {"ingest": project / "documents", "chunk": project / "chunks"}
    Output(folders["ingest"]).write(document_table(documents))
    Output(folders["chunk"]).write(chunk_table(make_chunks(pages)))
    out = Output(project / "sides")
    config = stage.AssignConfig(test_share=test_share)
    result = stage.run(config, Inputs(folders), out, make_context(project, seed=seed))
    return result, out.read().to_pylist()


def many(count: int, length: int = 100) -> dict[str, dict[str, str]]:
    return {f"p{n:02}.md": {"": words(f"w{n}x", length)} for n in range(count)}


def sides_of(rows: list[dict[str, Any]], key: str = "uri") -> dict[str, set[str]]:
    sides: dict[str, set[str]] = {}
    for row in rows:
        sides.setdefault(row[key], set()).add(row["side"])
    return sides


def test_below_ten_documents_nothing_is_held_out_unasked(tmp_path: Path) -> None:
    result, rows = assign(tmp_path, many(9))
    assert {row["side"] for row in rows} == {"train"}
    assert result.figures["wanted_share"] == result.figures["real_share"] == 0
    assert result.notes == ()


def test_from_ten_documents_a_tenth_is_held_out(tmp_path: Path) -> None:
    result, rows = assign(tmp_path, many(20))
    assert sum(row["side"] == "test" for row in rows) == 2
    assert result.figures["wanted_share"] == 0.1
    assert result.figures["real_share"] == pytest.approx(0.1, abs=0.01)
    assert result.account.as_dict()["total"] == result.account.done == 20
    assert any("wanted 10.0%" in note for note in result.notes)


def test_zero_means_none(tmp_path: Path) -> None:
    _, rows = assign(tmp_path, many(12), test_share=0)
    assert {row["side"] for row in rows} == {"train"}


def test_whole_documents_are_the_unit(tmp_path: Path) -> None:
    pages = {uri: {"": text[""], "B": words(uri, 50)} for uri, text in many(12).items()}
    _, rows = assign(tmp_path, pages, test_share=0.3)
    assert len(rows) == 24
    assert all(len(sides) == 1 for sides in sides_of(rows).values())
    assert {row["unit"] for row in rows} == set(pages)


def test_share_is_met_by_characters_not_by_count(tmp_path: Path) -> None:
    pages = {f"p{n:02}.md": {"": words(f"w{n}x", 20 + 60 * n)} for n in range(15)}
    for seed in range(5):
        result, _ = assign(tmp_path, pages, test_share=0.25, seed=seed)
        assert result.figures["real_share"] == pytest.approx(0.25, abs=0.03)


def test_seed_and_uris_decide(tmp_path: Path) -> None:
    first = assign(tmp_path, many(30), 0.2)[1]
    assert assign(tmp_path, dict(reversed(many(30).items())), 0.2)[1] == first
    assert assign(tmp_path, many(30), 0.2, seed=8)[1] != first
    more = sides_of(assign(tmp_path, many(31), 0.2)[1])
    kept = sum(more[uri] == sides for uri, sides in sides_of(first).items())
    assert kept >= 28, "one more document hardly moves the others"


def test_few_documents_are_divided_by_top_level_section(tmp_path: Path) -> None:
    pages = {"only.md": {name: words(name, 50) for name in ("Fares", "Hours", "Dogs", "Tolls")}}
    result, rows = assign(tmp_path, pages, test_share=0.25)
    assert [len(sides) for sides in sides_of(rows, "unit").values()] == [1, 1, 1, 1]
    assert sum(row["side"] == "test" for row in rows) == 1
    assert "only.md#Fares" in {row["unit"] for row in rows}
    assert any("sections" in note for note in result.notes)


def test_two_small_documents_give_one_to_each_side(tmp_path: Path) -> None:
    for share in (0.01, 0.5, 0.99):
        _, rows = assign(tmp_path, many(2), test_share=share)
        assert sorted(row["side"] for row in rows) == ["test", "train"]


def test_one_section_cannot_be_divided(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="set assign\\.test_share to 0"):
        assign(tmp_path, many(1), test_share=0.1)
    copies = {f"p{n}.md": {"": words("same", 60) + f" end{n}"} for n in range(12)}
    with pytest.raises(DataError, match="near copies"):
        assign(tmp_path, copies)


def test_near_copies_fall_on_one_side(tmp_path: Path) -> None:
    text = words("same", 100)
    for seed in range(6):
        pages = many(18) | {"a.md": {"": text}, "z.md": {"": text + " and one more"}}
        _, rows = assign(tmp_path, pages, test_share=0.4, seed=seed)
        units = {row["uri"]: row["unit"] for row in rows}
        sides = sides_of(rows)
        assert units["a.md"] == units["z.md"] == "a.md"
        assert sides["a.md"] == sides["z.md"]


def test_changed_section_of_a_near_copy_follows_its_original(tmp_path: Path) -> None:
    base = {name: words(name, 120) for name in ("Fares", "Hours", "Dogs")}
    changed = {**base, "Dogs": words("Dogs", 90) + " " + words("other", 30)}
    pages = {"old.md": {**base, "Note": words("n", 10)}, "new.md": changed}
    chunks = chunk_table(make_chunks(pages)).to_pylist()
    assert find_copies({"a": base["Dogs"], "b": changed["Dogs"]}) == []
    sides = assign_sides(chunks, 0.3, 7, by_section=True)
    names = {(row["uri"], row["headings"][0]): sides.unit_of[row["id"]] for row in chunks}
    for heading in base:
        assert names["old.md", heading] == names["new.md", heading]
    assert len(set(names.values())) == 4


def test_documents_without_chunks_are_accounted_for(tmp_path: Path) -> None:
    pages: dict[str, dict[str, str]] = {**many(11), "blank.md": {}}
    result, _ = assign(tmp_path, pages)
    assert result.account.balances
    assert result.account.dropped == {"no_chunks": 1}


def naive_pairs(texts: Mapping[str, str]) -> set[frozenset[str]]:
    sets = {}
    for name, text in texts.items():
        found = split_words(text)
        size = min(5, len(found))
        sets[name] = {tuple(found[i : i + size]) for i in range(len(found) - size + 1)}
    return {
        frozenset((a, b))
        for a in texts
        for b in texts
        if a < b and len(sets[a] & sets[b]) >= 0.8 * len(sets[a] | sets[b]) > 0
    }


@pytest.mark.slow
@settings(deadline=None, max_examples=100)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(5, 40), st.lists(st.integers(0, 39), max_size=3)),
        max_size=12,
    )
)
def test_find_copies_misses_no_pair(recipes: list[tuple[int, int, list[int]]]) -> None:
    texts = {}
    for number, (family, length, edits) in enumerate(recipes):
        parts = [f"f{family}w{i}" for i in range(length)]
        for place in edits:
            parts[place % length] = f"edit{place}"
        texts[f"d{number}"] = " ".join(parts)
    assert {frozenset(pair) for pair in find_copies(texts)} == naive_pairs(texts)


def test_find_copies_in_a_script_without_spaces() -> None:
    text = "".join(chr(0x4E00 + n * 7) for n in range(400))
    other = "".join(chr(0x6E00 + n * 5) for n in range(400))
    assert find_copies({"a": text, "b": text + "了", "c": other}) == [("a", "b")]


def test_find_copies_ignores_texts_without_words() -> None:
    assert find_copies({"a": "---", "b": "***", "c": ""}) == []
