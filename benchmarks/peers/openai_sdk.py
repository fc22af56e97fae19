"""The raw `openai` client with its own retries, on its default transport or on aiohttp."""

import asyncio
from collections.abc import Sequence

import openai
from measure import ask_in_workers, prompt, read_arguments, report


def main() -> None:
    """Ask every row from so many workers."""
    options = read_arguments(__doc__, transport="default")

    async def ask_all(rows: Sequence[int]) -> list[int]:
        http_client = openai.DefaultAioHttpClient() if options.transport == "aiohttp" else None
        async with openai.AsyncOpenAI(
            base_url=options.base_url, api_key="none", http_client=http_client
        ) as client:

            async def ask(row: int) -> bool:
                try:
                    completion = await client.chat.completions.create(
                        model="load",
                        messages=[{"role": "user", "content": prompt(row)}],
                        max_tokens=300,
                    )
                except openai.APIError:
                    return False
                return bool(completion.choices[0].message.content)

            return await ask_in_workers(rows, options.concurrency, ask)

    with asyncio.Runner() as runner:
        report(options.count, lambda rows: runner.run(ask_all(rows)))


if __name__ == "__main__":
    main()
