"""Answers requests through batches in a process of its own, so that a test can kill it.

Usage: python -m tests.teacher.batch.submit_many BASE_URL LEDGER COUNT
Prints a line for each reply.
"""

import sys
from pathlib import Path

from tests.teacher.batch.desk import answer, chats


def main() -> None:
    base_url, path, count = sys.argv[1:]
    for key, done in answer(base_url, Path(path), chats(int(count))).items():
        print(key, done.response is not None, flush=True)


if __name__ == "__main__":
    main()
