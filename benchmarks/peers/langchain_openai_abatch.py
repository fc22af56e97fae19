"""LangChain's `ChatOpenAI.abatch` with its concurrency raised."""

import asyncio
from collections.abc import Sequence

from langchain_openai import ChatOpenAI
from measure import prompt, read_arguments, report


def main() -> None:
    """Ask every row in one batch."""
    options = read_arguments(__doc__)
    model = ChatOpenAI(model="load", base_url=options.base_url, api_key="none", max_tokens=300)

    async def ask_all(rows: Sequence[int]) -> list[int]:
        replies = await model.abatch(
            [prompt(row) for row in rows],
            config={"max_concurrency": options.concurrency},
            return_exceptions=True,
        )
        answered = zip(rows, replies, strict=True)
        return [row for row, reply in answered if not isinstance(reply, BaseException)]

    with asyncio.Runner() as runner:
        report(options.count, lambda rows: runner.run(ask_all(rows)))


if __name__ == "__main__":
    main()
