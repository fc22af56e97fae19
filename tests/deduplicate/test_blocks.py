import random
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from domainforge.deduplicate.bands import Family, make_family
from domainforge.deduplicate.blocks import cut_blocks, shingle_block, sketch_block, to_array
from domainforge.deduplicate.exact import normalise, split_words
from domainforge.deduplicate.folding import LETTER, NOT_HERE, NOTHING, fold_tables
from domainforge.deduplicate.shingles import (
    Shingling,
    char_shingles,
    jaccard,
    word_shingles,
)

SHINGLING = Shingling(chars=3, words=2)
# Letters that fold to none, one or several others, that compose, that are no letters; spaces;
# marks that end a text; a character of each length in UTF-8; half of a pair.
HARD = "aZ9 _.,!-'\t\u00ad\u00df\u0130\u0301\u00e9\u2019\u2014\u2026\ufb01\uff21\uff0c\u3000"
HARD += (
    "\u6a4b\u1112\u1161\uac00\u0915\u093f\u200b\U0001f600\U0001f1e9\U00020000\ud800\udfff\x1f\x00"
)
TEXTS = st.one_of(
    st.text(st.sampled_from(HARD), max_size=40),
    st.text(max_size=20),
    st.text(st.characters(codec=None, categories=None), max_size=12),
)


def family(*, by_words: bool) -> Family:
    return make_family(SHINGLING, 0.7, 7, by_words=by_words)


def shingles_of(texts: Sequence[str], *, by_words: bool) -> list[np.ndarray]:
    sets = []
    for block in cut_blocks([to_array(texts)]):
        found, lengths = shingle_block(block, np.arange(block.rows), family(by_words=by_words))
        assert lengths.sum() == len(found)
        sets += np.split(found, np.cumsum(lengths)[:-1])
    return sets


@settings(max_examples=150, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=8))
@example(["Stra\u00dfe", "STRASSE", "\u1e9e", "\ufb03", "ffi"])
@example(["a" * 63 + "b", "a" * 64 + "b", "a" * 64, "\u00e9" * 100, "e\u0301" * 100])
@example(["don\u2019t  stop...", "Don't stop", "don't-stop", "don 't stop"])
@example(["", " ", "...", "---", "\u00ad", "_", "\x00"])
def test_the_compiled_engine_reads_texts_as_the_reference_does(texts: list[str]) -> None:
    (block,) = cut_blocks([to_array(texts)])
    sketch = sketch_block(block, (), (1, 1))
    assert sketch.words.tolist() == [len(split_words(text)) for text in texts]
    names = {text: at for at, text in enumerate(dict.fromkeys(map(normalise, texts)))}
    keys = {key: at for at, key in enumerate(dict.fromkeys(map(tuple, sketch.exact.tolist())))}
    ours = [keys[tuple(key)] for key in sketch.exact.tolist()]
    assert ours == [names[normalise(text)] for text in texts]
    for by_words, reference in ((False, char_shingles), (True, word_shingles)):
        size = SHINGLING.words if by_words else SHINGLING.chars
        expected = [reference(split_words(text), size) for text in texts]
        found = shingles_of(texts, by_words=by_words)
        assert [len(one) for one in found] == [len(one) for one in expected]
        for left in range(len(texts)):
            for right in range(left):
                assert jaccard(found[left].astype(np.uint64), found[right].astype(np.uint64)) == (
                    pytest.approx(jaccard(expected[left], expected[right]))
                )


def test_every_letter_of_a_word_and_its_place_count() -> None:
    word = "abcdefghijklmnopqrstuvwxyz" * 2
    texts = [word[:size] for size in range(1, 50)]
    texts += [f"{'-' * at}{word[:at]}0{word[at:]}" for at in range(40)]
    texts += [f"{word[:at]}\u00e9{word[at:]}" for at in range(40)]
    sets = shingles_of(texts, by_words=True)
    assert len({int(one[0]) for one in sets}) == len(texts)


def test_every_code_point_folds_as_the_reference_says() -> None:
    tables = fold_tables()
    for code in np.flatnonzero(tables.folds != NOT_HERE):
        # Letters on both sides, so that nothing is stripped off the ends.
        folded = int(tables.folds[code])
        ours = "" if folded == NOTHING else chr(folded)
        assert normalise(f"a{chr(code)}b") == " ".join(f"a{ours}b".split())
        assert split_words(chr(code)) == ([ours] if ours and tables.kinds[folded] == LETTER else [])
        assert len(ours.encode("utf-8", "surrogatepass")) * 2 <= 3 * len(chr(code).encode())
    assert (tables.folds[:0x250] != NOT_HERE).mean() > 0.9


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary(), pa.large_binary()])
def test_arrays_of_every_kind_sliced_and_with_gaps_are_read(kind: pa.DataType) -> None:
    texts = ["lost", "The old bridge", None, "\u00e9el \U0001f600 pie", "", "lost"]
    raw = texts if "binary" not in str(kind) else [t if t is None else t.encode() for t in texts]
    array = pa.array(raw, kind)[1:5]
    (block,) = cut_blocks([array])
    assert sketch_block(block, (), (1, 1)).words.tolist() == [3, 0, 2, 0]
    assert list(cut_blocks([array[:0]])) == []


def test_how_texts_are_cut_into_arrays_changes_nothing() -> None:
    rng = random.Random(4)
    texts = ["".join(rng.choice(HARD) for _ in range(rng.randrange(60))) for _ in range(300)]
    families = family(by_words=False), family(by_words=True)

    def sketch(*arrays: pa.Array) -> list[np.ndarray]:
        parts = [sketch_block(block, families, (9, 12)) for block in cut_blocks(arrays)]
        words = np.concatenate([part.words for part in parts])
        chars = np.concatenate([part.keys[0] for part in parts], axis=1)
        runs = np.concatenate([part.keys[1] for part in parts], axis=1)
        exact = np.concatenate([part.exact for part in parts])
        return [words, exact, chars[:, (words > 0) & (words < 12)], runs[:, words >= 9]]

    whole = to_array(texts)
    for one, other in zip(sketch(whole), sketch(whole[:7], whole[7:8], whole[8:]), strict=True):
        assert (one == other).all()
