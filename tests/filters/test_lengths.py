import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from domainforge.filters.filtering import RowFilter
from domainforge.filters.lengths import TokenLengths
from domainforge.filters.rows import FilterConfig
from domainforge.tables import example_table
from tests.filters.test_private import CHUNK, example
from tests.support.tables import chunk_table


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a tokenizer whose tokens are words and marks."""
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    words = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.save(str(path))
    return path


def rows() -> list[dict[str, Any]]:
    chat = example("Who designed it?", "Ilse Varga.", basis="free")
    text = example("", "", kind="text", messages=(), text="Ilse Varga of Veltren.", basis="free")
    table: list[dict[str, Any]] = example_table([chat, text]).to_pylist()
    return table


def test_counts(tokenizer: Path) -> None:
    assert sorted(TokenLengths(tokenizer).count(rows())) == [5, 7]
    assert TokenLengths(tokenizer).count([]) == []


def test_rows_of_too_many_tokens(tokenizer: Path) -> None:
    chunks = {chunk["id"]: chunk for chunk in chunk_table([CHUNK]).to_pylist()}

    def reasons(max_tokens: int | None) -> list[str]:
        config = FilterConfig(max_tokens=max_tokens, min_text_words=1)
        checked = RowFilter(chunks, config, tokenizer=tokenizer).check(rows())
        for row in checked.kept:
            assert ("tokens" in json.loads(row["scores"])) == (max_tokens is not None)
        return [row["evidence"] for row in checked.dropped]

    assert reasons(7) == []
    assert reasons(6) == ["7 tokens, at most 6 wanted"]
    assert len(reasons(4)) == 2
    assert reasons(None) == []
