from domainforge.teacher.batch.terms import BatchProgress, BatchTerms


def test_looks_grow_apart_up_to_a_minute() -> None:
    waits = [BatchTerms().look_seconds(looks) for looks in range(10_000)]
    assert waits[0] == 5
    assert waits == sorted(waits)
    assert waits[-1] == 60


def test_progress_is_one_line() -> None:
    running = BatchProgress(2, 3, "in_progress", 412, 0, 5000, 30.0)
    assert str(running) == "batch 2 of 3: 412 of 5,000 done, next look in 30 s"
    ended = BatchProgress(1, 3, "expired", 400, 12, 5000, None)
    assert str(ended) == "batch 1 of 3: 400 of 5,000 done, 12 failed, expired"
