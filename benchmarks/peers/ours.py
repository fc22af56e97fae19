"""DomainForge's own teacher, through its public door, ledger on."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from measure import NO_ROW, prompt, read_arguments, report

from domainforge.teacher.config import TeacherConfig
from domainforge.teacher.request import Request
from domainforge.teacher.session import open_teacher


def main() -> None:
    """Ask every row once, through one transport, with a fresh ledger."""
    options = read_arguments(__doc__, transport="direct", ledger="ledger.sqlite")
    config = TeacherConfig(
        base_url=options.base_url,
        model="load",
        json_schema="no",
        concurrency=options.concurrency,
        transport=options.transport,
    )

    def ask_all(rows: Sequence[int]) -> Iterator[int]:
        requests = (
            Request(messages=({"role": "user", "content": prompt(row)},), tag=row) for row in rows
        )
        ledger = Path(options.ledger)
        if rows[0] == NO_ROW:
            ledger = ledger.with_suffix(".first")
        with open_teacher(config, ledger) as teacher:
            for reply in teacher.ask(requests):
                if reply.status == "ok":
                    yield reply.request.tag

    report(options.count, ask_all)


if __name__ == "__main__":
    main()
