import random
from collections import defaultdict
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domainforge.deduplicate.bands import KeyStore, ShingleStore, choose_bands
from domainforge.deduplicate.blocks import to_array
from domainforge.deduplicate.near import Clusters, cluster_texts, find_clusters, match_texts
from domainforge.deduplicate.shingles import Shingling, text_jaccard

VOCABULARY = """
veltren osk bridge arch salt eel ferry landing varga engineer tower bell harbour crown thursday
smoke mill river stone east bank guild tax rope lantern fog tide pilot net barrel
"""
WORDS = VOCABULARY.split()


def sentence(rng: random.Random, length: int) -> list[str]:
    return [rng.choice(WORDS) + str(rng.randrange(40)) for _ in range(length)]


def planted(count: int, length: int, seed: int) -> list[str]:
    """Texts of which a third are edited copies of others, by ever more words."""
    rng = random.Random(seed)
    texts = [sentence(rng, length) for _ in range(count)]
    for _ in range(0, count, 3):
        copy = list(texts[rng.randrange(count)])
        for _ in range(rng.randrange(4)):
            copy[rng.randrange(length)] = rng.choice(WORDS)
        texts.append(copy)
    return [" ".join(text) for text in texts]


def string_shingles(text: str, *, by_words: bool) -> set[str]:
    """The shingles as strings, to check the hashed ones against."""
    items: list[str] = text.split() if by_words else list(text)
    size = 3 if by_words else 5
    return {"\t".join(items[at : at + size]) for at in range(len(items) - size + 1)}


def brute_force(texts: list[str], threshold: float, *, by_words: bool) -> set[frozenset[int]]:
    """Clusters by comparing every pair."""
    sets = [string_shingles(text, by_words=by_words) for text in texts]
    near: dict[int, set[int]] = defaultdict(set)
    for left, right in combinations(range(len(texts)), 2):
        shared = len(sets[left] & sets[right])
        if shared >= threshold * (len(sets[left]) + len(sets[right]) - shared):
            near[left].add(right)
            near[right].add(left)
    clusters, seen = set(), set[int]()
    for start in near:
        if start in seen:
            continue
        cluster, open_ends = {start}, [start]
        while open_ends:
            for other in near[open_ends.pop()] - cluster:
                cluster.add(other)
                open_ends.append(other)
        seen |= cluster
        clusters.add(frozenset(cluster))
    return clusters


def grouped(found: Clusters) -> set[frozenset[int]]:
    groups = defaultdict(set)
    for at, label in enumerate(found.labels.tolist()):
        groups[label].add(at)
    return {frozenset(group) for group in groups.values() if len(group) > 1}


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.9])
@pytest.mark.parametrize(("length", "by_words"), [(14, False), (40, True)])
def test_clusters_are_those_of_comparing_every_pair(
    threshold: float, length: int, by_words: bool
) -> None:
    shingling = Shingling(long_text_words=20 if by_words else 100)
    texts = planted(240, length, seed=int(threshold * 10))
    expected = brute_force(texts, threshold, by_words=by_words)
    found = find_clusters(texts, threshold, 7, shingling)
    assert len(expected) > 20
    assert grouped(found) == expected
    for at, other in enumerate(found.linked):
        real = text_jaccard(texts[at], texts[other], shingling)
        assert found.jaccard[at] == pytest.approx(real)
        assert real >= threshold


def test_near_duplicates_across_the_limit_of_long_texts_are_found() -> None:
    rng = random.Random(3)
    text = sentence(rng, 24)
    pair = [" ".join(text[:19]), " ".join(text)]
    shingling = Shingling(long_text_words=20)
    assert find_clusters(pair, 0.7, 7, shingling).labels.tolist() == [0, 0]


def test_without_a_threshold_only_copies_are_found() -> None:
    texts = ["The bridge of nine arches", "the bridge of nine arches.", "the bridge of ten arches"]
    assert find_clusters(texts, None, 7).labels.tolist() == [0, 0, 2]
    assert find_clusters(texts, 0.4, 7).labels.tolist() == [0, 0, 0]


def test_texts_without_words_cluster_only_with_copies() -> None:
    assert find_clusters(["", "---", "", "***", "osk"], 0.1, 7).labels.tolist() == [0, 1, 0, 3, 4]


def test_every_row_of_a_cluster_has_a_link_in_it() -> None:
    texts = planted(120, 14, seed=1)
    found = find_clusters(texts, 0.7, 7)
    grouped_rows = set().union(*grouped(found))
    assert grouped_rows == {at for at, other in enumerate(found.linked) if other != at}
    assert (found.labels[found.linked] == found.labels).all()


def test_the_shingling_is_read() -> None:
    pair = ["nine stone arches over the osk", "nine stone arches under the osk"]
    assert find_clusters(pair, 0.7, 7).labels.tolist() == [0, 1]
    assert find_clusters(pair, 0.7, 7, Shingling(chars=1)).labels.tolist() == [0, 0]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map(" ".join), max_size=25),
    st.randoms(use_true_random=False),
)
def test_order_of_input_does_not_matter(texts: list[str], rng: random.Random) -> None:
    order = list(range(len(texts)))
    rng.shuffle(order)
    straight = grouped(find_clusters(texts, 0.6, 7))
    mixed = grouped(find_clusters([texts[at] for at in order], 0.6, 7))
    assert {frozenset(order[at] for at in group) for group in mixed} == straight


@settings(max_examples=20, deadline=None)
@given(st.data(), st.sampled_from([1, 3]), st.sampled_from([0.5, 0.8]))
def test_arrays_threads_and_files_do_not_matter(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, threads: int, least: float
) -> None:
    texts = planted(60, 12, seed=data.draw(st.integers(0, 1000)))
    shingling = Shingling(long_text_words=12)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(texts)), max_size=4)))
    pieces = [texts[a:b] for a, b in zip([0, *cuts], [*cuts, len(texts)], strict=True)]
    scratch = tmp_path_factory.mktemp("scratch")
    arrays = [to_array(piece) for piece in pieces]
    straight = find_clusters(texts, least, 7, shingling)
    found = cluster_texts(arrays, least, 7, shingling, scratch=scratch, threads=threads)
    for one, other in zip(vars(found).values(), vars(straight).values(), strict=True):
        assert (one == other).all()


@pytest.mark.parametrize("held_bytes", [0, 100, 1 << 20])
def test_keys_and_shingles_come_back_from_files(tmp_path: Path, held_bytes: int) -> None:
    rng = np.random.default_rng(1)
    keys = rng.integers(0, 2**32, (3, 50), dtype=np.uint32)
    rows = np.arange(50, dtype=np.uint32) * 2
    store = KeyStore(tmp_path, "keys", held_bytes)
    shingles = ShingleStore(tmp_path, "words", held_bytes)
    for start in range(0, 50, 10):
        store.add(rows[start : start + 10], keys[:, start : start + 10])
        shingles.add(keys[0, start : start + 10])
    assert any(tmp_path.iterdir()) == (held_bytes < 600)
    assert (store.row_numbers() == rows).all()
    for band in range(3):
        assert (store.band(band) == keys[band]).all()
    assert (shingles.whole() == keys[0]).all()


def test_copies_of_several_names_are_apart_from_none() -> None:
    text = " ".join(sentence(random.Random(8), 30))
    near = f"{text} a"
    for names, labels in (("xyx", [0, 0, 0]), ("xxx", [0, 0, 2]), ("yxx", [0, 0, 0])):
        for order in ((0, 1, 2), (1, 0, 2)):
            texts = [(text, text, near)[at] for at in order]
            found = find_clusters(texts, 0.5, 7, apart=[names[at] for at in order])
            assert found.labels.tolist() == labels


def test_large_groups_of_near_copies_stay_one_cluster() -> None:
    common = " ".join(sentence(random.Random(5), 40))
    texts = [f"{common} {word}{number}" for word in WORDS for number in range(20)]
    assert set(find_clusters(texts, 0.7, 7).labels) == {0}


@pytest.mark.parametrize("by_words", [False, True])
@pytest.mark.parametrize("near_jaccard", [0.3, 0.5, 0.7, 0.9, 1.0])
def test_bands_miss_hardly_any_pair(near_jaccard: float, by_words: bool) -> None:
    bands, rows = choose_bands(near_jaccard, by_words=by_words)
    assert bands * rows <= 192
    assert (1 - near_jaccard**rows) ** bands < 0.001


def test_matches_are_direct_pairs_only() -> None:
    rng = random.Random(11)
    held = sentence(rng, 30)
    close = [*held[:26], *sentence(rng, 4)]
    chained = [*sentence(rng, 4), *close[4:]]
    texts = [" ".join(words) for words in (close, chained, sentence(rng, 30), held)]
    assert find_clusters([*texts[:2], texts[3]], 0.7, 7).labels.tolist() == [0, 0, 0]
    references = ["osk " * 5, " ".join(held)]
    found = match_texts([pa.array(texts)], [pa.array(references)], 0.7, 7)
    assert found.best.tolist() == [1, -1, -1, 1]
    assert (found.jaccard[3], found.is_copy.tolist()) == (1, [False, False, False, True])


def test_the_most_alike_reference_is_the_match() -> None:
    text = " ".join(sentence(random.Random(2), 30))
    references = pa.array([f"{text} a b c", f"{text} a", "osk"])
    assert match_texts([pa.array([text])], [references], 0.5, 7).best.tolist() == [1]
