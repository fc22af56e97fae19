import random
import subprocess
import sys
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domainforge.deduplicate import chains
from domainforge.deduplicate.chains import cut_chains
from domainforge.deduplicate.near import find_clusters
from domainforge.deduplicate.shingles import Shingling, text_jaccard

NAMES = "alder birch cedar daisy elder fern gorse hazel iris juniper kale lilac moss nettle"
WORDS = NAMES.split()


def labels_of(
    texts: Sequence[str],
    ranks: Sequence[float] | None = None,
    names: Sequence[int] | None = None,
    near_jaccard: float = 0.7,
    shingling: Shingling | None = None,
) -> list[int]:
    shingling = shingling or Shingling()
    clusters = find_clusters(texts, near_jaccard, 7, shingling)
    order = np.array(ranks if ranks is not None else range(len(texts)), np.float64)
    made_of = np.array(names or [0] * len(texts), np.uint64)
    known = (order.reshape(-1, 1), made_of, texts.__getitem__)
    return [int(label) for label in cut_chains(clusters, *known, near_jaccard, shingling)]


def chain(links: int) -> list[str]:
    """Texts of which each has three words of twelve other than the one before it."""
    draw = random.Random(3)
    words = [f"{draw.choice(WORDS)}{at}" for at in range(40 + 3 * links)]
    return [" ".join(words[3 * at : 3 * at + 40]) for at in range(links)]


def test_the_ends_of_a_chain_have_clusters_of_their_own() -> None:
    texts = chain(20)
    clusters = find_clusters(texts, 0.7, 7)
    assert set(clusters.labels.tolist()) == {0}
    labels = labels_of(texts)
    assert len(set(labels)) > 2
    for row, label in enumerate(labels):
        # The best of a cluster is its first row here.
        assert text_jaccard(texts[row], texts[label], Shingling()) >= 0.4
    assert text_jaccard(texts[0], texts[-1], Shingling()) < 0.1


@pytest.mark.parametrize("long", [False, True])
def test_what_surrounds_one_text_stays_together_whoever_is_best(*, long: bool) -> None:
    draw = random.Random(5)
    middle = [f"{draw.choice(WORDS)}{at}" for at in range(160 if long else 40)]
    texts = [" ".join(middle)]
    for at in range(6):
        own = list(middle)
        size = 16 if long else 5
        start = at * (25 if long else 7)
        own[start : start + size] = [f"oak{at}x{n}" for n in range(size)]
        texts.append(" ".join(own))
    shingling = Shingling(long_text_words=100)
    pairs = [text_jaccard(texts[0], text, shingling) for text in texts[1:]]
    assert min(pairs) >= 0.7
    assert min(text_jaccard(texts[1], text, shingling) for text in texts[2:]) < 0.7
    for best in range(7):
        ranks = [0.0 if at == best else 1.0 + at for at in range(7)]
        assert labels_of(texts, ranks, shingling=shingling) == [0] * 7


def test_rows_of_one_sentence_never_meet_through_another() -> None:
    text = "The engineer Ilse Varga designed the old bridge of nine stone arches over the Osk in"
    texts = [f"{text} 1347 for the town", f"{text} 1347 for a town", f"{text} 1348 for the town"]
    assert labels_of(texts, names=[0, 0, 0]) == [0, 0, 0]
    assert labels_of(texts, names=[5, 0, 5]) == [0, 0, 2]


def test_after_many_clusters_a_row_follows_its_nearest_link(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    texts = chain(20)
    monkeypatch.setattr(chains, "MOST_COMPARED", 1)
    labels = labels_of(texts)
    far = [row for row in range(20) if text_jaccard(texts[row], texts[0], Shingling()) < 0.4]
    assert {labels[row] for row in range(20) if row not in far} == {0}
    # Each is linked to a neighbour; those whose neighbour has a cluster already join it.
    assert 1 < len({labels[row] for row in far}) < len(far)


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_clusters_only_become_smaller_and_copies_stay_together(data: st.DataObject) -> None:
    vocabulary = WORDS[:5]
    texts = data.draw(
        st.lists(
            st.lists(st.sampled_from(vocabulary), min_size=0, max_size=6).map(" ".join),
            max_size=14,
        )
    )
    before = find_clusters(texts, 0.5, 7).labels.tolist()
    after = labels_of(texts, near_jaccard=0.5)
    for row, label in enumerate(after):
        assert label <= row
        assert after[label] == label
        assert before[label] == before[row]
        for other in range(row):
            if texts[other] == texts[row]:
                assert after[other] == label


def test_what_is_compiled_is_loaded_when_it_is_needed() -> None:
    # Every command that looks at a run imports the stages; numba alone takes half a second.
    code = "import sys, domainforge.pipeline; print({'numba', 'scipy', 'sklearn'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "set()", done.stdout + done.stderr
