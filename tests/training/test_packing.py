from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domainforge.training.config import Mixture, TrainConfig
from domainforge.training.packing import SMALLEST_ROW_TOKENS, cut_long, pack_rows, sequence_columns
from domainforge.training.plan import plan_training
from domainforge.training.render import IGNORED, Rendered, render_row
from domainforge.training.students import load_model, load_tokenizer
from tests.training.rows import make_rows

LENGTHS = st.lists(st.integers(1, 100), min_size=1, max_size=60)


def row(id: str, length: int, *, trained_from: int = 0) -> Rendered:
    ids = list(range(10, 10 + length))
    return Rendered(id, ids, [IGNORED] * min(trained_from, length) + ids[trained_from:])


@given(LENGTHS, st.integers(3, 40))
def test_pieces_hold_every_token_in_order_and_are_never_too_long(
    lengths: list[int], most: int
) -> None:
    rows = [row(str(index), length) for index, length in enumerate(lengths)]
    pieces = cut_long(rows, most)
    assert all(2 <= len(piece.input_ids) <= most for piece in pieces)
    for whole in rows:
        held = [i for piece in pieces if piece.id == whole.id for i in piece.input_ids]
        assert held == (list(whole.input_ids) if len(whole.input_ids) > 1 else [])


@given(st.integers(1, 100), st.integers(0, 100), st.integers(2, 40))
def test_no_trained_token_is_lost_to_cutting_but_first_ones(
    length: int, prompt: int, most: int
) -> None:
    whole = row("c", length, trained_from=prompt)
    pieces = cut_long([whole], most)
    assert all(piece.trained_tokens for piece in pieces)
    kept = sum(piece.trained_tokens for piece in pieces)
    assert 0 <= whole.trained_tokens - kept <= len(range(0, length, most))


@given(LENGTHS, st.integers(100, 200))
def test_packing_loses_no_row_and_overfills_no_sequence(lengths: list[int], most: int) -> None:
    rows = [row(str(index), length) for index, length in enumerate(lengths)]
    bins = pack_rows(rows, most, 7)
    assert Counter(r.id for packed in bins for r in packed) == Counter(r.id for r in rows)
    assert all(0 < sum(len(r.input_ids) for r in packed) <= most for packed in bins)
    # Best-fit never leaves two sequences that would go into one, but for those so full that no
    # real row could.
    used = sorted(sum(len(r.input_ids) for r in packed) for packed in bins)
    assert len(used) < 2 or used[0] + used[1] > most - SMALLEST_ROW_TOKENS


@settings(max_examples=30)
@given(LENGTHS)
def test_the_first_token_of_a_row_never_counts(lengths: list[int]) -> None:
    bins = pack_rows([row(str(i), length) for i, length in enumerate(lengths)], 128, 7)
    columns = sequence_columns(bins)
    for packed, ids, labels, parts in zip(bins, *columns.values(), strict=True):
        assert len(ids) == len(labels) == sum(parts)
        starts = [sum(parts[:index]) for index in range(len(parts))]
        assert all(labels[start] == IGNORED for start in starts)
        counted = sum(label != IGNORED for label in labels)
        assert counted == sum(r.trained_tokens for r in packed)


def test_copies_of_a_row_lie_in_different_sequences() -> None:
    rows = [row(str(name), 10) for name in range(12)] * 4
    bins = pack_rows(rows, 60, 7)
    assert sorted(r.id for packed in bins for r in packed) == sorted(r.id for r in rows)
    assert all(len({r.id for r in packed}) == len(packed) for packed in bins)
    assert len(bins) <= 10  # eight would hold them without a gap


def test_the_order_of_packing_follows_the_seed() -> None:
    rows = [row(str(name), 5 + name) for name in range(12)]
    assert pack_rows(rows, 30, 1) == pack_rows(rows, 30, 1)
    assert pack_rows(rows, 30, 1) != pack_rows(rows, 30, 2)


def test_a_row_one_token_too_long_leaves_no_sequence_without_a_loss() -> None:
    (first, second) = cut_long([row("t", 65)], 64)
    assert (len(first.input_ids), len(second.input_ids)) == (32, 33)


@pytest.mark.parametrize("texts", [6, 14])
def test_packed_rows_do_not_see_each_other(tiny_student: Path, tmp_path: Path, texts: int) -> None:
    """The batch as the trainer feeds it gives each row the logits that it has alone."""
    import torch
    from datasets import Dataset

    from domainforge.training.sft import _make_trainer

    tokenizer = load_tokenizer(tiny_student)
    rows = make_rows(texts, 3)
    rendered = [render_row(r, tokenizer) for r in rows]
    config = TrainConfig(sequence_tokens=200, mixture=Mixture(replay=0))
    plan, bins = plan_training(rows, rendered, config, 7)
    assert max(len(packed) for packed in bins) > 1
    data = Dataset.from_dict(sequence_columns(bins))
    trainer = _make_trainer(
        load_model(tiny_student), tokenizer, data, data, plan, tmp_path, config, 7
    )
    alone = load_model(tiny_student).eval()
    trainer.model.eval()
    for packed, batch in zip(bins, trainer.get_eval_dataloader(), strict=True):
        batch.pop("labels")
        with torch.no_grad():
            together = trainer.model(**batch).logits[0].float()
        start = 0
        for r in packed:
            length = len(r.input_ids)
            with torch.no_grad():
                apart = alone(input_ids=torch.tensor([list(r.input_ids)])).logits[0]
            assert torch.allclose(together[start : start + length], apart, atol=1e-4)
            start += length
