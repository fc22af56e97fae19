import json
from pathlib import Path

import pytest

from domainforge.errors import ConfigError
from domainforge.filters.checks import check_rows
from domainforge.filters.classifier import load_classifier
from domainforge.filters.filtering import filter_rows
from domainforge.filters.models import identify_models, locate_models, without_models
from domainforge.filters.rows import FilterConfig
from domainforge.filters.toxicity import find_toxic
from domainforge.tables import example_table
from tests.filters.passages import make_row, make_text
from tests.filters.test_private import CHUNK, example
from tests.support.tables import chunk_table
from tests.support.tiny_classifier import make_tiny_classifier

MODEL = "filter.toxicity_model"
QUESTION = "Who was the engineer of the bridge?"
ONLY_TOXIC = ("unsupported", "question_unrelated", "repetition", "not_prose", "too_long")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a model that holds a text for toxic where it has the word `damned`."""
    return make_tiny_classifier(tmp_path_factory.mktemp("model"), ("non-toxic", "toxic"))


def test_without_a_model_nothing_is_asked() -> None:
    row = make_row(QUESTION, "A damned engineer")
    assert find_toxic([row], FilterConfig()) == [None]
    assert row.scores().keys().isdisjoint({"toxicity"})


@pytest.mark.slow
def test_toxic_rows_go_and_others_have_a_score(model: Path) -> None:
    config = FilterConfig(toxicity_model=str(model), skip=ONLY_TOXIC)
    rows = [
        make_row(QUESTION, "The damned engineer of the town"),
        make_row(QUESTION, "The engineer of the town"),
        make_text(f"The ferry was {'in the town of the river, ' * 60} and it was damned."),
        make_row(QUESTION, "The engineer of the town", rejected="The damned engineer"),
    ]
    found = [finding and finding.reason for finding in check_rows(rows, config)]
    assert found == ["toxic", None, "toxic", None]
    assert rows[1].scores()["toxicity"] < 0.1
    lenient = FilterConfig(toxicity_model=str(model), max_toxicity=1, skip=ONLY_TOXIC)
    assert check_rows(rows, lenient) == [None] * 4


@pytest.mark.slow
def test_the_score_of_a_chat_is_its_worst_answers(model: Path) -> None:
    said = ("Who was it?", "The engineer", "Who was it of the town?", "The damned engineer")
    messages = tuple(
        {"role": role, "content": text}
        for role, text in zip(("user", "assistant") * 2, said, strict=True)
    )
    row = example("", "", messages=messages, prompt="given", fields={})
    config = FilterConfig(toxicity_model=str(model), max_toxicity=1)
    kept, _ = filter_rows(example_table([row]), chunk_table([CHUNK]), config)
    assert json.loads(kept.to_pylist()[0]["scores"])["toxicity"] > 0.9


@pytest.mark.slow
def test_labels_that_do_not_exclude_each_other(tmp_path: Path) -> None:
    several = make_tiny_classifier(tmp_path / "several", ("insult", "hate"), several=True)
    rows = [make_row(QUESTION, "The damned engineer"), make_row(QUESTION, "The engineer")]
    evidence = find_toxic(rows, FilterConfig(toxicity_model=str(several), max_toxicity=0.6))
    assert evidence[0] is not None
    assert evidence[0].startswith("hate: ")
    assert evidence[1] is None


@pytest.mark.slow
def test_pairs_are_read_together(model: Path) -> None:
    classifier = load_classifier(model, MODEL)
    pairs = [("the town", "the damned bridge"), ("the town " * 90, "the bridge")]
    found = [shares["toxic"] > 0.5 for shares in classifier.classify(pairs)]
    assert found == [True, False]


@pytest.mark.slow
def test_labels_that_say_nothing(tmp_path: Path) -> None:
    unclear = make_tiny_classifier(tmp_path / "unclear", ("A", "B"))
    with pytest.raises(ConfigError, match=r"which of its labels are toxic: A, B; rename them"):
        find_toxic([make_row(QUESTION, "A")], FilterConfig(toxicity_model=str(unclear)))


@pytest.mark.slow
def test_a_model_that_is_none(tmp_path: Path, model: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text("{}", "utf-8")
    (broken / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ConfigError, match="can't be loaded as a classifier"):
        load_classifier(broken, MODEL)


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    config = locate_models(FilterConfig(toxicity_model="models/none"), tmp_path)
    assert config.toxicity_model == str(tmp_path / "models" / "none")
    with pytest.raises(ConfigError, match=r"filter.toxicity_model: no model in .*models/none"):
        identify_models(config)
    folder = tmp_path / "models" / "none"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}", "utf-8")
    with pytest.raises(ConfigError, match=r"has no \*.safetensors"):
        load_classifier(folder, MODEL)


def test_another_model_is_another_identity(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}", "utf-8")
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"one")
    config = FilterConfig(toxicity_model=str(tmp_path))
    first = identify_models(config)
    weights.write_bytes(b"two")
    assert identify_models(config) != first
    assert identify_models(FilterConfig()) == {}
    assert without_models(config).toxicity_model is None
