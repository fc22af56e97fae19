"""Asks many requests in a process of its own, so that a test can kill it.

Usage: python -m tests.teacher.ask_many BASE_URL LEDGER COUNT [CONCURRENCY]
Prints a line for each reply, and at the end how many requests an earlier, killed process had sent.
"""

import sys
from pathlib import Path

from domainforge.teacher.session import open_teacher
from tests.teacher.quick import FAST, chat, config_for


def main() -> None:
    base_url, ledger, count, *rest = sys.argv[1:]
    config = config_for(base_url, concurrency=int(rest[0]) if rest else 8)
    with open_teacher(config, Path(ledger), FAST) as teacher:
        for reply in teacher.ask(chat(number) for number in range(int(count))):
            print(reply.key, reply.status, reply.replayed, flush=True)
        print("asked_again", teacher.counts.asked_again)


if __name__ == "__main__":
    main()
