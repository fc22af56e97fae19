"""Packing rows into sequences of one length, without letting them see each other."""

import heapq
from collections.abc import Sequence
from typing import Any

from domainforge.training.render import IGNORED, Rendered


def cut_long(rows: Sequence[Rendered], max_tokens: int) -> list[Rendered]:
    """Cut rows that are longer than a sequence into pieces, so that no token is lost.

    A piece without a trained token is left out: it would cost time and teach nothing.
    """
    pieces: list[Rendered] = []
    for row in rows:
        for start in range(0, len(row.input_ids), max_tokens):
            labels = row.labels[start : start + max_tokens]
            if any(label != IGNORED for label in labels):
                piece = row.input_ids[start : start + max_tokens]
                pieces.append(Rendered(row.id, piece, labels))
    return pieces


def pack_rows(rows: Sequence[Rendered], max_tokens: int) -> list[list[Rendered]]:
    """Put rows into as few sequences as best-fit decreasing finds.

    Best-fit decreasing as in "Fewer Truncations Improve Language Modeling" (arXiv 2404.10830),
    with a heap of bins by free room; rows must not be longer than `max_tokens`.
    """
    order = sorted(range(len(rows)), key=lambda i: (-len(rows[i].input_ids), i))
    bins: list[list[Rendered]] = []
    room: list[tuple[int, int]] = []  # (free tokens, bin), the fullest that fits is taken
    for index in order:
        row, length = rows[index], len(rows[index].input_ids)
        fitting = [entry for entry in room if entry[0] >= length]
        if fitting:
            best = min(fitting)
            room.remove(best)
            bins[best[1]].append(row)
            heapq.heappush(room, (best[0] - length, best[1]))
        else:
            bins.append([row])
            heapq.heappush(room, (max_tokens - length, len(bins) - 1))
        if len(room) > 512:  # bins this full take nothing more worth a search
            room = sorted(room)[-256:]
            heapq.heapify(room)
    return bins


def sequence_columns(bins: Sequence[Sequence[Rendered]]) -> dict[str, list[Any]]:
    """Return columns for the trainer: `input_ids`, `labels` and the lengths that part the rows.

    The first token of a row never counts: its label would be predicted from the row before it.
    """
    columns: dict[str, list[Any]] = {"input_ids": [], "labels": [], "seq_lengths": []}
    for rows in bins:
        columns["input_ids"].append([i for row in rows for i in row.input_ids])
        columns["labels"].append([i for row in rows for i in [IGNORED, *row.labels[1:]]])
        columns["seq_lengths"].append([len(row.input_ids) for row in rows])
    return columns
