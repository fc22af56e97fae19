"""The filter stage and what it needs beside the rows: a tokenizer, models, and what it tells."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from domainforge.context import Context
from domainforge.errors import ConfigError
from domainforge.filters.rows import FilterConfig
from domainforge.run_folder import Inputs, Output
from domainforge.stage import StageResult
from domainforge.stages import filter as stage
from domainforge.tables import example_table
from tests.stages.runs import make_context
from tests.stages.test_filter import CHUNK, GOOD, example
from tests.support.tables import chunk_table

MAIL = "ilse.varga@veltren" + ".example.org"


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """Make a context whose student has a tokenizer of words."""
    folder = tmp_path / "student"
    folder.mkdir()
    (folder / "config.json").write_text("{}", "utf-8")
    words = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.save(str(folder / "tokenizer.json"))
    return replace(make_context(tmp_path), run_name="town", student="student")


def run(context: Context, config: FilterConfig, *rows: Any) -> tuple[StageResult, Output]:
    """Run the stage on rows about one passage."""
    folder = context.project
    generated, chunked = Output(folder / "examples"), Output(folder / "chunks")
    generated.write(example_table(rows))
    chunked.write(chunk_table([CHUNK]))
    out = Output(folder / "kept")
    inputs = Inputs({"generate": generated.folder, "chunk": chunked.folder})
    return stage.run(config, inputs, out, context), out


def test_flagged_rows_are_told_of(context: Context) -> None:
    mailed = example("Who designed the bridge?", f"Ilse Varga, {MAIL}", basis="free")
    result, out = run(context, FilterConfig(), example(*GOOD), mailed)
    assert out.read().num_rows == 2
    assert result.figures["private_rows"] == {"personal_data": 1}
    assert result.figures["private_kinds"] == {"e-mail": 1}
    assert any("1 kept rows hold personal data (e-mail: 1)" in note for note in result.notes)
    assert MAIL not in "".join(result.notes)


def test_redacted_rows_are_counted_and_not_warned_of(context: Context) -> None:
    mailed = example("Who designed the bridge?", f"Ilse Varga, {MAIL}", basis="free")
    result, out = run(context, FilterConfig(personal_data="redact"), mailed)
    (row,) = out.read().to_pylist()
    assert row["id"] == mailed.id
    assert MAIL not in str(row)
    assert result.figures["private_kinds"] == {"e-mail": 1}
    assert not any("personal data" in note for note in result.notes)


def test_tokens_are_the_students(context: Context) -> None:
    short = example("Who designed the bridge?", "Ilse Varga", basis="free")
    long = example("Who designed the bridge of stone?", "The engineer Ilse Varga", basis="free")
    result, out = run(context, FilterConfig(max_tokens=8), short, long)
    assert result.account.dropped == {"too_long": 1}
    assert out.read("dropped").column("evidence").to_pylist() == ["11 tokens, at most 8 wanted"]


def test_what_a_run_depends_on(context: Context, tmp_path: Path) -> None:
    assert stage.identity(FilterConfig(), context) == {}
    first = stage.identity(FilterConfig(max_tokens=8), context)
    assert first.keys() == {"tokenizer"}
    path = tmp_path / "student" / "tokenizer.json"
    path.write_text(path.read_text("utf-8").replace("[UNK]", "[NEW]"), "utf-8")
    assert stage.identity(FilterConfig(max_tokens=8), context) != first
    with pytest.raises(ConfigError, match=r"filter\.toxicity_model: no model in .*scorer"):
        stage.identity(FilterConfig(toxicity_model="scorer"), context)
