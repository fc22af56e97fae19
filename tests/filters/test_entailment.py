from pathlib import Path

import pytest

from domainforge.errors import ConfigError
from domainforge.filters.checks import check_rows
from domainforge.filters.entailment import find_not_entailed
from domainforge.filters.models import identify_models, locate_models
from domainforge.filters.rows import FilterConfig
from tests.filters.passages import make_row
from tests.support.tiny_classifier import make_tiny_classifier

QUESTION = "Who was the engineer of the bridge?"
LABELS = ("not_entailment", "entailment")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a model for which a text follows where a pair has the word `river`."""
    return make_tiny_classifier(tmp_path_factory.mktemp("nli"), LABELS, "river")


def test_without_a_model_nothing_is_asked() -> None:
    row = make_row(QUESTION, "The engineer")
    assert find_not_entailed([row], FilterConfig()) == [None]
    assert "entailment" not in row.scores()


@pytest.mark.slow
def test_answers_that_do_not_follow_go(model: Path) -> None:
    passage = f"{'the bridge in the town ' * 40} and the engineer of the town"
    config = FilterConfig(nli_model=str(model), skip=("unsupported", "repetition"))
    rows = [
        make_row(QUESTION, "The engineer of the river", passage=passage),
        make_row(QUESTION, "The engineer of the town", passage=passage),
        make_row(QUESTION, "The engineer of the town", passage=f"{passage} with the river"),
        make_row("Where was it?", "Nowhere: it does not say", basis="absent", passage=passage),
    ]
    found = [finding and finding.reason for finding in check_rows(rows, config)]
    assert found == [None, "not_entailed", None, None]
    assert rows[0].scores()["entailment"] > 0.9
    assert "entailment" not in rows[3].scores()
    # A claim that leaves the passage no room is read as far as half of the tokens go.
    answers = [f"{word} {'the town ' * 400}" for word in ("A river", "A town")]
    endless = [make_row(QUESTION, answer, passage=passage) for answer in answers]
    assert [bool(each) for each in find_not_entailed(endless, config)] == [False, True]
    lenient = config.model_copy(update={"min_entailment": 0.0})
    assert check_rows(rows, lenient) == [None] * 4


@pytest.mark.slow
def test_a_model_of_something_else(tmp_path: Path) -> None:
    other = make_tiny_classifier(tmp_path / "other", ("fine", "not_entailment"))
    with pytest.raises(ConfigError, match="none of its labels says 'entailment': fine, not_ent"):
        find_not_entailed([make_row(QUESTION, "A")], FilterConfig(nli_model=str(other)))


def test_it_is_in_the_identity(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}", "utf-8")
    (tmp_path / "model.safetensors").write_bytes(b"one")
    config = locate_models(FilterConfig(nli_model="."), tmp_path)
    assert list(identify_models(config)) == ["nli_model"]
