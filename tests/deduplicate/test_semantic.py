import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from domainforge.deduplicate.neighbours import find_pairs
from domainforge.deduplicate.semantic import (
    Likenesses,
    Sayings,
    SemanticConfig,
    find_likenesses,
    find_model,
)
from domainforge.errors import ConfigError

PAIRS = [
    ("Who put up the mill at Harrow Bend?", "By whom was the mill at Harrow Bend put up?", "Rook"),
    (
        "What do the bakers of Lund Square sell?",
        "What is sold by the bakers of Lund Square?",
        "rye",
    ),
    ("Why does the ferry stop in winter?", "For what reason does the ferry stop in winter?", "ice"),
    ("Where do the eels of the Osk spawn?", "In which place do the eels of the Osk spawn?", "sea"),
]


def compare(
    texts: list[tuple[str, str]], scratch: Path | None = None, **options: Any
) -> Likenesses:
    said = [f"{question}\n{answer}" for question, answer in texts]
    kinds = options.pop("kinds", [0] * len(said))
    model = options.pop("folder", None)
    sayings = Sayings(
        said.__getitem__,
        np.arange(len(said)),
        np.array(kinds, np.int8),
        np.array([len(answer) for _, answer in texts], np.int32),
    )
    return find_likenesses(sayings, SemanticConfig(**options), 7, model, scratch)


def both_ways() -> list[tuple[str, str]]:
    asked = [(one, answer) for one, _, answer in PAIRS]
    return asked + [(other, answer) for _, other, answer in PAIRS]


def test_the_same_question_in_other_words_is_found(tmp_path: Path) -> None:
    found = compare(both_ways(), tmp_path, min_cosine=0.5)
    assert found.labels.tolist() == [0, 1, 2, 3] * 2
    assert found.linked.tolist() == [4, 5, 6, 7, 0, 1, 2, 3]
    assert found.cosines.min() >= 0.5
    assert (tmp_path / "vectors.f16").exists()


def test_the_same_words_with_another_number_or_answer_are_not() -> None:
    question = "When was the old stone bridge of nine arches over the river Osk opened?"
    rows = [
        (question, "In 1742"),
        (question, "In 1743"),
        (question.replace("nine", "ten"), "In 1742"),
    ]
    assert compare(rows).labels.tolist() == [0, 1, 2]
    assert (
        compare([(question, "In 1742"), (question.replace("old", "wide"), "In 1742")]).labels[1]
        == 0
    )


def test_settings_and_kinds_are_read() -> None:
    assert compare(both_ways(), min_cosine=0.999).labels.tolist() == list(range(8))
    assert compare(both_ways(), min_cosine=0.5, kinds=[0] * 4 + [1] * 4).labels[4] == 4
    assert (SemanticConfig().least, SemanticConfig(model="m").least) == (0.7, 0.95)
    assert compare([]).labels.size == 0
    assert compare([("", ""), ("", "")]).labels.size == 2


def test_hardly_a_neighbour_is_lost_between_buckets() -> None:
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(1_500, 24))
    vectors[750:] = vectors[:750] + rng.normal(scale=0.3, size=(750, 24))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    short = vectors.astype(np.float16)
    keys = np.zeros(len(short), np.uint64)
    cosines = short.astype(np.float32) @ short.astype(np.float32).T
    wanted = {(int(a), int(b)) for a, b in np.argwhere(cosines >= 0.85) if a < b}
    met = {
        (int(left), int(right))
        for pairs in find_pairs(short, keys, 0.85, 7, bucket_rows=150)
        for left, right in zip(pairs.left, pairs.right, strict=True)
    }
    assert len(wanted) > 700
    assert len(met & wanted) >= 0.97 * len(wanted)
    assert met <= wanted
    keys[750:] = 1
    apart = find_pairs(short, keys, 0.85, 7, bucket_rows=150)
    assert all((pairs.left < 750).all() == (pairs.right < 750).all() for pairs in apart)


def test_many_rows_of_one_form_don_t_make_all_pairs() -> None:
    rows = np.tile(np.array([[1.0, 0.0]], np.float16), (3_000, 1))
    found = find_pairs(rows, np.zeros(3_000, np.uint64), 0.9, 7)
    assert 3_000 <= sum(len(pairs.left) for pairs in found) <= 3_000 * 16


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random encoder with a vocabulary of the tests' words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("encoder")
    words = sorted({word for text in both_ways() for word in " ".join(text).split()})
    vocabulary = {word: at for at, word in enumerate(["[PAD]", "[UNK]", *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", model_max_length=32
    ).save_pretrained(folder)
    torch.manual_seed(1)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = BertConfig(vocab_size=len(vocabulary), intermediate_size=32, **sizes)
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


@pytest.mark.slow
def test_an_embedding_model_on_this_machine_is_used(encoder: Path) -> None:
    assert find_model(SemanticConfig(model="e"), lambda name: encoder) == encoder
    rows = both_ways()
    random.Random(1).shuffle(rows)
    found = compare(rows, model="e", folder=encoder, min_cosine=0.6)
    for one, other, answer in PAIRS:
        places = [rows.index((one, answer)), rows.index((other, answer))]
        assert found.labels[places[0]] == found.labels[places[1]]
    assert compare(rows, model="e", folder=encoder, min_cosine=0.99999).labels.tolist() == [
        *range(8)
    ]


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert find_model(SemanticConfig(), lambda name: tmp_path) is None
    with pytest.raises(ConfigError, match=r"dedup\.semantic\.model: m is no folder"):
        find_model(SemanticConfig(model="m"), lambda name: tmp_path)


@pytest.mark.slow
def test_many_rows_find_each_other_by_their_short_vectors(tmp_path: Path) -> None:
    rng = random.Random(5)
    letters = "aeioustrnldmk"
    words = ["".join(rng.choices(letters, k=rng.randint(4, 9))) for _ in range(4_000)]
    rows = [" ".join(rng.choices(words, k=20)) for _ in range(1_300)]
    copies = []
    for said in rows[:1_200]:
        own = said.split()
        own[rng.randrange(20)] = rng.choice(words)
        cut = rng.randrange(20)
        copies.append(" ".join([*own[cut:], *own[:cut]]))
    found = compare([(said, "") for said in rows + copies], tmp_path)
    met = found.labels[1_300:] == found.labels[:1_200]
    assert met.mean() > 0.98
    assert len(set(found.labels.tolist())) >= 1_300
    assert (found.labels[1_200:1_300] == np.arange(1_200, 1_300)).all()
