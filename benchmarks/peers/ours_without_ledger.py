"""DomainForge's own teacher with a ledger that keeps nothing: what the real one costs."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from measure import prompt, read_arguments, report

from domainforge.teacher.client import Teacher
from domainforge.teacher.config import TeacherConfig
from domainforge.teacher.endpoint import Endpoint
from domainforge.teacher.ledger import Entry, Ledger, Written
from domainforge.teacher.pace import Pace
from domainforge.teacher.prices import teacher_price
from domainforge.teacher.privacy import Gate
from domainforge.teacher.request import Request


class Nowhere(Ledger):
    """Knows nothing and writes nothing."""

    def write(self, entries: Sequence[Entry]) -> Written:
        """Forget the entries."""
        return Written()

    def get_many(self, keys: Sequence[str]) -> dict[str, str]:
        """Find nothing."""
        return {}


def main() -> None:
    """Ask every row once."""
    options = read_arguments(__doc__)
    config = TeacherConfig(
        base_url=options.base_url,
        model="load",
        json_schema="no",
        concurrency=options.concurrency,
    )

    def ask_all(rows: Sequence[int]) -> Iterator[int]:
        requests = (
            Request(messages=({"role": "user", "content": prompt(row)},), tag=row) for row in rows
        )
        ends = [(Endpoint(options.base_url, "load"), teacher_price(config))]
        gate = Gate(config.privacy, leaves_machine=False)
        with tempfile.TemporaryDirectory() as place, Nowhere(Path(place) / "l") as ledger:
            teacher = Teacher("load", "", config, ledger, lambda: ends, Pace(), print, gate)
            try:
                for reply in teacher.ask(requests):
                    if reply.status == "ok":
                        yield reply.request.tag
            finally:
                teacher.close()

    report(options.count, ask_all)


if __name__ == "__main__":
    main()
