"""How much a question helps the student to its answer, before it has learned anything.

Instruction-following difficulty (Li et al. 2024, "From Quantity to Quality", section 2): the loss
of the answer after its question over the loss of the answer alone.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from domainforge.evaluation.scoring import Candidate, score_answers
from domainforge.judging.config import DifficultyConfig
from domainforge.judging.marks import NO_MARK, Mark
from domainforge.training.render import prompt_text, tokenize
from domainforge.training.students import load_model, load_tokenizer

# Of both passes over a batch of rows; a longer row makes a batch of its own.
_TOKENS_PER_BATCH = 2048
_MOST_TOKENS = 2048
# A student that is this sure of an answer without its question has seen it.
_LEAST_LOSS = 0.01


class DifficultyScorer:
    """Scores chats by the losses of a student; in memory are the student and one batch of rows."""

    def __init__(
        self,
        config: DifficultyConfig,
        folder: Path,
        progress: Callable[[int], None] = lambda done: None,
    ) -> None:
        """Load the student.

        Args:
            config: From where to where rows stay.
            folder: Of the base model.
            progress: Told how many rows were scored or passed over so far.

        Raises:
            TrainingError: The model can't be loaded.
        """
        self._config = config
        self._tokenizer = load_tokenizer(folder)
        self._model = load_model(folder)
        limit = getattr(self._model.config, "max_position_embeddings", None)
        self._most_tokens = min(_MOST_TOKENS, limit or _MOST_TOKENS)
        # The same answer after an empty question: the student knows that it is to answer, and both
        # losses are of the same tokens. Alone, an answer of one word would have no loss at all.
        self._nothing = prompt_text([{"role": "user", "content": ""}], self._tokenizer)
        self._progress = progress
        self._done = 0

    def score(self, rows: Sequence[Mapping[str, Any]]) -> list[Mark]:
        """Return the marks of rows; texts and what is too long for the student have none."""
        pairs = [self._candidates(row) for row in rows]
        asked = [at for at, pair in enumerate(pairs) if pair is not None]
        flat = [candidate for pair in pairs if pair is not None for candidate in pair]
        found = score_answers(
            self._model,
            self._tokenizer,
            flat,
            lambda count: None,
            tokens_per_batch=_TOKENS_PER_BATCH,
        )
        marks = [NO_MARK] * len(rows)
        for at, after, alone in zip(asked, found[::2], found[1::2], strict=True):
            marks[at] = self._mark(-after, -alone)
        self._done += len(rows)
        self._progress(self._done)
        return marks

    def _candidates(self, row: Mapping[str, Any]) -> tuple[Candidate, Candidate] | None:
        """Return the last answer of a chat after what was said, and after nothing."""
        messages: Sequence[Mapping[str, str]] = row["messages"] or ()
        if len(messages) < 2 or messages[-1]["role"] != "assistant":
            return None
        answer = str(messages[-1]["content"])
        said = prompt_text(messages[:-1], self._tokenizer)
        if not answer.strip() or len(tokenize(f"{said} {answer}", self._tokenizer)) > (
            self._most_tokens
        ):
            return None
        return Candidate(said, answer), Candidate(self._nothing, answer)

    def _mark(self, after: float, alone: float) -> Mark:
        """Compare the two losses, in nats per token."""
        if not alone > _LEAST_LOSS:
            return NO_MARK
        ifd = round(after / alone, 4)
        scores = {"ifd": ifd}
        losses = f"loss {after:.2f} after the question, {alone:.2f} without"
        least, most = self._config.min, self._config.max
        if least is not None and ifd < least:
            return Mark(scores, "too_easy", f"ifd {ifd:g} < {least:g}: {losses}")
        if most is not None and ifd > most:
            return Mark(scores, "too_hard", f"ifd {ifd:g} > {most:g}: {losses}")
        return Mark(scores)
