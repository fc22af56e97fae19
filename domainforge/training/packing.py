"""Packing rows into sequences of one length, without letting them see each other."""

import bisect
import itertools
import math
import random
from collections.abc import Sequence
from typing import Any

from domainforge.training.render import IGNORED, Rendered

SMALLEST_ROW_TOKENS = 2  # a shorter row has nothing to predict


def cut_long(rows: Sequence[Rendered], max_tokens: int) -> list[Rendered]:
    """Cut rows that are longer than a sequence into pieces of like length; no token is lost.

    Of like length, because a last piece of one token has nothing to predict: alone in a sequence
    it would make the loss 0 / 0. A piece without a trained token is left out: it would cost time
    and teach nothing.
    """
    pieces: list[Rendered] = []
    for row in rows:
        length = len(row.input_ids)
        count = math.ceil(length / max_tokens)
        bounds = [length * index // count for index in range(count + 1)]
        for start, end in itertools.pairwise(bounds):
            pieces.append(Rendered(row.id, row.input_ids[start:end], row.labels[start:end]))
    return [piece for piece in pieces if piece.trained_tokens]


def pack_rows(rows: Sequence[Rendered], max_tokens: int, seed: int) -> list[list[Rendered]]:
    """Put rows into sequences by best fit, in shuffled order, copies of a row apart.

    Best-fit *decreasing* (arXiv 2404.10830) packs a little tighter, but puts copies of one
    passage, and rows of one kind, into the same step; a step should be a fair sample of the mix.
    Rows must not be longer than `max_tokens`.
    """
    order = list(range(len(rows)))
    random.Random(seed).shuffle(order)
    bins: list[list[Rendered]] = []
    inside: list[set[str]] = []
    room: list[tuple[int, int]] = []  # (free tokens, bin), sorted; the fullest that fits is taken
    for index in order:
        row, length = rows[index], len(rows[index].input_ids)
        place = bisect.bisect_left(room, (length, -1))
        while place < len(room) and row.id in inside[room[place][1]]:
            place += 1
        if place < len(room):
            free, chosen = room.pop(place)
            bins[chosen].append(row)
            inside[chosen].add(row.id)
        else:
            free, chosen = max_tokens, len(bins)
            bins.append([row])
            inside.append({row.id})
        if free - length >= SMALLEST_ROW_TOKENS:
            bisect.insort(room, (free - length, chosen))
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
