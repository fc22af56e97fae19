from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domainforge.passages import PassageStore
from domainforge.run_folder import Output

_SCHEMA = pa.schema([("id", pa.string()), ("headings", pa.list_(pa.string())), ("n", pa.int64())])


def _store(ids: list[str], folder: Path) -> PassageStore:
    rows = [{"id": at, "headings": [f"of {at}"], "n": n} for n, at in enumerate(ids)]
    Output(folder / "chunks").write(pa.Table.from_pylist(rows, schema=_SCHEMA))
    return PassageStore.of(folder / "chunks", folder / "scratch")


@given(ids=st.lists(st.text("abc0", min_size=1, max_size=4), unique=True, max_size=30))
def test_every_row_is_found_by_its_id(
    ids: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = _store(ids, tmp_path_factory.mktemp("store"))
    assert sorted(store) == sorted(ids)
    assert len(store) == len(ids)
    for number, at in enumerate(ids):
        assert store[at] == {"id": at, "headings": [f"of {at}"], "n": number}
        assert at in store


def test_rows_of_many_batches(tmp_path: Path) -> None:
    ids = [f"{number * 7919 % 100_003:016x}" for number in range(1500)]
    store = _store(ids, tmp_path)
    assert [store[at]["n"] for at in reversed(ids)] == list(reversed(range(1500)))


@pytest.mark.parametrize("wanted", ["", "a", "ab", "abc0", "zz", "ab\x00"])
def test_no_row_for_another_id(wanted: str, tmp_path: Path) -> None:
    store = _store(["abc", "b"], tmp_path)
    assert wanted not in store
    with pytest.raises(KeyError):
        store[wanted]
    assert store.get(wanted) is None


def test_scratch_is_gone_when_the_stage_is_whole(tmp_path: Path) -> None:
    from domainforge.run_folder import RunFolder

    run = RunFolder(tmp_path)
    out = run.begin("kept", "print", resumable=True)
    out.scratch.mkdir()
    (out.scratch / "bands").write_bytes(b"0")
    out.write(pa.Table.from_pylist([{"id": "a", "headings": [], "n": 1}], schema=_SCHEMA))
    facts = {
        "stage": "filter",
        "fingerprint": "print",
        "account": {},
        "notes": [],
        "figures": {},
        "seconds": 0.1,
    }
    run.finish("kept", out, facts)
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == [
        "manifest.json",
        "part-00000.parquet",
    ]
