from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from domainforge.deduplicate.best import rank_row
from domainforge.judging.choice import Best, find_repeated
from domainforge.tables import EXAMPLE_SCHEMA
from tests.judging.rows import make_row

ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", None]),
        st.sampled_from(["train", "test", None]),
        st.sampled_from([None, 1, 2]),
        st.sampled_from([None, "judged_low"]),
    ),
    max_size=12,
)


def batches_of(rows: list[dict[str, Any]], size: int) -> list[pa.RecordBatch]:
    parts = [rows[at : at + size] for at in range(0, len(rows), size)]
    return [pa.RecordBatch.from_pylist(part, schema=EXAMPLE_SCHEMA) for part in parts]


@settings(deadline=None)
@given(ROWS, st.integers(1, 5))
def test_each_group_keeps_its_best_row_whatever_the_batches(
    values: list[tuple[Any, ...]], size: int
) -> None:
    rows = [
        make_row(
            id=f"r{n}",
            cluster=cluster,
            side=side,
            reason=reason,
            scores={} if judge is None else {"judge": judge},
        )
        for n, (cluster, side, judge, reason) in enumerate(values)
    ]
    batches = batches_of(rows, size)
    best = Best(find_repeated(batches))
    for batch in batches:
        best.take(batch)
    beaten = [row["id"] for batch in batches for row in best.beaten(batch).values()]
    groups: dict[Any, list[dict[str, Any]]] = {}
    for row in rows:
        if row["reason"] is None:
            groups.setdefault((row["cluster"] or row["id"], row["side"]), []).append(row)
    expected = [r["id"] for g in groups.values() for r in g if r is not min(g, key=rank_row)]
    assert sorted(beaten) == sorted(expected)


def test_nothing_is_found_in_nothing() -> None:
    assert len(find_repeated([])) == 0


def test_the_first_difference_is_told() -> None:
    def told(one: dict[str, Any], other: dict[str, Any]) -> str:
        rows = [make_row(id="one", cluster="k", **one), make_row(id="two", cluster="k", **other)]
        (batch,) = batches_of(rows, 2)
        best = Best(find_repeated([batch]))
        best.take(batch)
        (row,) = best.beaten(batch).values()
        assert row["reason"] == "not_best_of_cluster"
        return str(row["evidence"])

    kept = told({"scores": {"judge": 5}}, {"scores": {"reviewed": 1}})
    assert kept == "two is the better one of its cluster: reviewed 1, here 0"
    assert "judge 5, here 0" in told({"scores": {"judge": 5}}, {"scores": {"support": 1}})
    short = told({"question": "Who?"}, {"question": "Who, then?"})
    assert short.endswith("its question has 4 characters, here 10")
    assert told({}, {}) == "one is as good, and the first by id"
