"""How long examples are, in tokens of the student."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

TOKENS = "tokens"


class TokenLengths:
    """Counts with a tokenizer, a batch of examples at a time."""

    def __init__(self, path: Path) -> None:
        """Load it from a `tokenizer.json`."""
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(path))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def count(self, examples: Sequence[Mapping[str, Any]]) -> list[int]:
        """Return the tokens of each example's messages or text.

        The marks that a chat template puts around them don't count, nor a rejected answer.
        """
        texts, owners = list[str](), list[int]()
        for at, example in enumerate(examples):
            own = [message["content"] or "" for message in example["messages"] or ()]
            texts += own or [example["text"] or ""]
            owners += [at] * max(len(own), 1)
        counts = [0] * len(examples)
        encoded = self._tokenizer.encode_batch(texts, add_special_tokens=False)
        for owner, one in zip(owners, encoded, strict=True):
            counts[owner] += len(one)
        return counts
