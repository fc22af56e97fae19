"""Training rows that are like something held out."""

from collections.abc import Mapping, Sequence
from typing import Any

from domainforge.deduplicate.near import find_matches
from domainforge.records import REPLAY, chunk_ids_of, said_in
from domainforge.splitting.config import SplitConfig
from domainforge.splitting.exam_overlap import Drop

Row = dict[str, Any]


def find_near_test(
    rows: Sequence[Row], passages: Mapping[str, Row], config: SplitConfig, seed: int
) -> dict[str, Drop]:
    """Find training rows that share a cluster, or nearly a passage, with what is held out.

    General rows have neither; they go where what they say is like a row of the test.

    Args:
        rows: All rows, with their side.
        passages: The chunks, by id.
        config: From which likeness on.
        seed: Chooses the hash functions.
    """
    held = {row["cluster"]: row["id"] for row in rows if row["side"] == "test" and row["cluster"]}
    like = _match_passages(rows, passages, config, seed)
    drops = _match_replay(rows, config, seed)
    for row in rows:
        if row["side"] != "train" or row["prompt"] == REPLAY:
            continue
        if row["cluster"] in held:
            drops[row["id"]] = Drop("near_test", f"like row {held[row['cluster']]} of the test")
            continue
        near = next((like[at] for at in chunk_ids_of(row) if at in like), None)
        if near is not None:
            evidence = f"its passage is like chunk {near}, of the test"
            drops[row["id"]] = Drop("near_test", evidence)
    return drops


def _match_passages(
    rows: Sequence[Row], passages: Mapping[str, Row], config: SplitConfig, seed: int
) -> dict[str, str]:
    """Return the passages of training that are like a held-out one: which, and how alike."""
    chunks: dict[str, list[str]] = {"train": [], "test": []}
    for row in rows:
        if row["kind"] == "text" and not row["prompt_hash"]:
            chunks[row["side"]].append(row["chunk_id"])
    texts = {side: [passages[at]["text"] for at in ids] for side, ids in chunks.items()}
    matches = find_matches(texts["train"], texts["test"], config.near_test_jaccard, seed)
    return {
        chunks["train"][link.left]: f"{chunks['test'][link.right]}, jaccard {link.jaccard:.2f}"
        for link in matches
        if link is not None
    }


def _match_replay(rows: Sequence[Row], config: SplitConfig, seed: int) -> dict[str, Drop]:
    replay = [row for row in rows if row["prompt"] == REPLAY]
    held = [row for row in rows if row["side"] == "test"]
    if not replay or not held:
        return {}
    matches = find_matches(
        [said_in(row) for row in replay],
        [said_in(row) for row in held],
        config.near_test_jaccard,
        seed,
    )
    drops = {}
    for link in matches:
        if link is not None:
            evidence = f"like row {held[link.right]['id']} of the test, jaccard {link.jaccard:.2f}"
            drops[replay[link.left]["id"]] = Drop("near_test", evidence)
    return drops
