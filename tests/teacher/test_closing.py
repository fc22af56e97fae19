import gc
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from domainforge.errors import TeacherError
from domainforge.teacher.ledger import Ledger
from domainforge.teacher.pace import Pace
from domainforge.teacher.request import Request
from domainforge.teacher.session import open_teacher
from tests.support.teacher_server import TeacherServer
from tests.teacher.quick import FAST, chat, config_for

pytestmark = pytest.mark.timeout(20)

PRICE = {"input_usd_per_million": 1.0, "output_usd_per_million": 2.0}


def test_a_source_that_goes_on_after_the_end_opens_nothing_again(tmp_path: Path) -> None:
    usual = gc.get_threshold()
    errors: list[str] = []

    def source() -> Iterator[Request]:
        for number in range(10_000):
            yield chat(number)
            time.sleep(0.003)

    with TeacherServer(delay_seconds=0.01) as server:
        config = config_for(server.base_url, concurrency=4)
        with open_teacher(config, tmp_path / "l", FAST) as teacher:

            def ask() -> None:
                try:
                    list(teacher.ask(source()))
                except TeacherError as error:
                    errors.append(str(error))

            asker = threading.Thread(target=ask, daemon=True)
            asker.start()
            time.sleep(0.1)
        asker.join(10)
    assert errors == ["the teacher was closed meanwhile"]
    assert not {"teacher", "ledger"} & {thread.name for thread in threading.enumerate()}
    assert gc.get_threshold() == usual


def test_closing_charges_what_a_call_that_is_ending_has_in_flight(tmp_path: Path) -> None:
    patient = Pace(base_seconds=0.005, cap_seconds=0.02, grace_seconds=15)
    hangs = ["timeout", None]
    with TeacherServer(hangs) as server:
        config = config_for(server.base_url, price=PRICE)
        with open_teacher(config, tmp_path / "l", patient, account="run") as teacher:
            replies = teacher.ask([chat(5), chat(6)])

            def end() -> None:
                next(replies)
                replies.close()  # type: ignore[attr-defined]

            ending = threading.Thread(target=end, daemon=True)
            ending.start()
            time.sleep(0.2)
        ending.join(10)
    with Ledger(tmp_path / "l") as ledger:
        assert ledger.spent("run").nano_usd == teacher.budget.spent.nano_usd > 0
