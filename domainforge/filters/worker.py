"""What a process of the filter runs: takes batches of examples, answers what they came to."""

import signal
import sys

from domainforge.errors import DataError
from domainforge.filters.pool import FilterPlan, receive, send


def main() -> None:
    """Answer until the other side ends."""
    # Ctrl-C reaches the whole group; whoever started this decides what becomes of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    source, answers = sys.stdin.buffer, sys.stdout.buffer
    plan: FilterPlan = receive(source)
    rows = plan.open()
    while True:
        try:
            batch = receive(source)
        except EOFError:
            return
        try:
            send(answers, tuple(rows.check(batch)))
        except DataError as error:
            send(answers, str(error))


if __name__ == "__main__":
    main()
