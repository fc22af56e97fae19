from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from domainforge.splitting.keys import KeyTable, keys_of
from domainforge.splitting.validation import Candidates, share_out

Row = tuple[str, str, str]


def choose(
    rows: list[Row], share: float, seed: int = 7, staying: tuple[str, ...] = ()
) -> list[Row]:
    """Return the rows, as task, document and cluster, that become validation."""
    candidates = Candidates()
    for row in rows:
        candidates.add(*row)
    for cluster in staying:
        candidates.keep(cluster)
    table = KeyTable([candidates.choose(share, seed)])
    return [row for row in rows if table.find(keys_of([row[2]]))[0] >= 0]


def single(task: str, document: str, count: int) -> list[Row]:
    return [(task, document, f"{task} {document} {number}") for number in range(count)]


def test_every_task_and_document_gives_its_share() -> None:
    rows = [*single("qa", "a", 200), *single("qa", "b", 100), *single("list", "a", 60)]
    chosen = choose(rows, 0.1)
    assert Counter(row[:2] for row in chosen) == {
        ("qa", "a"): 20,
        ("qa", "b"): 10,
        ("list", "a"): 6,
    }


def test_what_rounding_leaves_goes_to_the_largest_remainders() -> None:
    # 4.5, 3.3 and 2.2 of ten.
    assert share_out(10, {"a": 45, "b": 33, "c": 22}, 7) == {"a": 5, "b": 3, "c": 2}
    assert share_out(1, {"a": 1, "b": 3}, 7) == {"a": 0, "b": 1}
    assert share_out(3, {}, 7) == {}
    ties = [share_out(1, {"a": 1, "b": 1, "c": 1}, seed) for seed in range(20)]
    assert all(sum(seats.values()) == 1 for seats in ties)
    assert len({tuple(seats.items()) for seats in ties}) == 3


def test_many_documents_with_a_row_each_still_give_the_total() -> None:
    rows = [row for number in range(70) for row in single("qa", f"doc {number}", 1)]
    rows += [row for number in range(30) for row in single("list", f"doc {number}", 1)]
    chosen = choose(rows, 0.1)
    assert Counter(row[0] for row in chosen) == {"qa": 7, "list": 3}


def test_seats_that_no_cluster_of_their_own_can_take_go_to_others() -> None:
    rows = [("qa", "a", "one large cluster")] * 50 + single("qa", "b", 50)
    chosen = choose(rows, 0.2)
    assert len(chosen) == 20
    assert {row[1] for row in chosen} == {"b"}


def test_clusters_that_stay_are_never_chosen() -> None:
    rows = single("qa", "a", 20)
    kept = tuple(row[2] for row in rows[:15])
    assert choose(rows, 0.5, staying=kept) == rows[15:]


def test_one_cluster_too_large_is_taken_where_it_misses_the_share_by_less() -> None:
    threes = [("qa", "a", f"cluster {number // 3}") for number in range(51)]
    assert len(choose(threes, 0.1)) == 6  # of 5 wanted, which 3 would miss by more
    assert len(choose(threes, 4 / 51)) == 3
    assert len(choose(threes, 0.01)) == 3  # one wanted; none would leave no validation


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("pqr"), st.sampled_from("abcd"), st.integers(0, 60).map(str)),
        max_size=80,
    ),
    st.sampled_from([0.0, 0.05, 0.1, 0.3, 0.5]),
    st.randoms(use_true_random=False),
)
def test_the_choice_is_whole_near_the_share_and_blind_to_order(
    rows: list[Row], share: float, rng: Any
) -> None:
    chosen = choose(rows, share)
    clusters = {row[2] for row in chosen}
    assert [row for row in rows if row[2] in clusters] == chosen
    largest = max(Counter(row[2] for row in rows).values(), default=0)
    wanted = round(share * len(rows))
    wanted = max(wanted, 1) if share and len(rows) >= 10 else wanted
    assert abs(len(chosen) - wanted) <= largest
    shuffled = rows.copy()
    rng.shuffle(shuffled)
    assert {row[2] for row in choose(shuffled, share)} == clusters
