"""bespokelabs-curator's `LLM` through its OpenAI backend, its limits raised, its cache fresh."""

import os
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

os.environ.update(TELEMETRY_ENABLED="0", CURATOR_DISABLE_RICH_DISPLAY="1")
# It fetches a table of tokens from the internet, unless it finds the copy that litellm carries.
_litellm = find_spec("litellm")
if _litellm is not None and _litellm.origin is not None:
    _tables = Path(_litellm.origin).parent / "litellm_core_utils" / "tokenizers"
    os.environ.setdefault("TIKTOKEN_CACHE_DIR", str(_tables))

from bespokelabs import curator  # noqa: E402 - it reads those variables when imported
from measure import prompt, read_arguments, report  # noqa: E402


class Asker(curator.LLM):  # type: ignore[misc]
    """Sends the row's prompt as it is."""

    def prompt(self, input: dict[str, Any]) -> str:
        """Return the text to send."""
        return str(input["prompt"])

    def parse(self, input: dict[str, Any], response: str) -> dict[str, Any]:
        """Keep the row's number with the reply."""
        return {"row": input["row"], "reply": response}


def main() -> None:
    """Ask every row in one call."""
    options = read_arguments(__doc__)

    def ask_all(rows: Sequence[int]) -> list[int]:
        asker = Asker(
            model_name="load",
            backend="openai",
            generation_params={"max_tokens": 300},
            backend_params={
                "base_url": options.base_url,
                "api_key": "none",
                "max_concurrent_requests": options.concurrency,
                "max_requests_per_minute": 100_000_000,
                "max_tokens_per_minute": 10_000_000_000,
                "require_all_responses": False,
            },
        )
        with tempfile.TemporaryDirectory(prefix="curator-") as folder:
            asked = [{"row": row, "prompt": prompt(row)} for row in rows]
            replies = asker(asked, working_dir=folder).dataset
            return [int(row) for row in replies["row"]]

    report(options.count, ask_all)


if __name__ == "__main__":
    main()
