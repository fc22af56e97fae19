import asyncio
import time

from domainforge.teacher.transports.deadlines import Deadlines


def test_each_task_gets_its_time_and_no_more() -> None:
    async def work(deadlines: Deadlines, seconds: float) -> str:
        task = deadlines.begin()
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            if not deadlines.has_passed(task):
                raise
            return "late"
        finally:
            deadlines.end(task)
        await asyncio.sleep(0.05)
        return "done"

    async def main() -> list[str]:
        deadlines = Deadlines(0.05)
        first = [asyncio.create_task(work(deadlines, s)) for s in (0.0, 0.2, 0.03)]
        await asyncio.sleep(0.04)
        second = [asyncio.create_task(work(deadlines, s)) for s in (0.02, 0.5)]
        return list(await asyncio.gather(*first, *second))

    started = time.monotonic()
    assert asyncio.run(main()) == ["done", "late", "done", "done", "late"]
    assert time.monotonic() - started < 0.3


def test_a_task_that_is_cancelled_by_others_stays_cancelled() -> None:
    async def work(deadlines: Deadlines) -> str:
        task = deadlines.begin()
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            if not deadlines.has_passed(task):
                raise
            return "late"
        finally:
            deadlines.end(task)
        return "done"

    async def main() -> bool:
        early = asyncio.create_task(work(Deadlines(0.05)))
        await asyncio.sleep(0.01)
        early.cancel()
        await asyncio.wait({early})
        return early.cancelled()

    assert asyncio.run(main())
