"""litellm's `acompletion` as it comes."""

import asyncio
from collections.abc import Sequence

import litellm
import openai
from measure import ask_in_workers, prompt, read_arguments, report


def main() -> None:
    """Ask every row from so many workers."""
    options = read_arguments(__doc__)
    litellm.telemetry = False

    async def ask(row: int) -> bool:
        try:
            completion = await litellm.acompletion(
                model="openai/load",
                api_base=options.base_url,
                api_key="none",
                messages=[{"role": "user", "content": prompt(row)}],
                max_tokens=300,
            )
        except openai.APIError:
            return False
        return bool(completion.choices[0].message.content)

    async def ask_all(rows: Sequence[int]) -> list[int]:
        return await ask_in_workers(rows, options.concurrency, ask)

    with asyncio.Runner() as runner:
        report(options.count, lambda rows: runner.run(ask_all(rows)))


if __name__ == "__main__":
    main()
