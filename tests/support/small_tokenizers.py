"""Small byte-pair tokenizers of many makes, trained on a few lines."""

from collections.abc import Callable
from functools import cache

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEXT = (
    "The ferry's fee isn't 3.50 crowns. It was 12345 in 1347!\n\nChildren travel free; dogs "
    "half.\n\n| a | b |\n|---|---|\n| cafe\u0301 | 日本語 |\n\n```\nx = f(y)  # why?\n```\n"
)


def byte_level(**options: bool) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.ByteLevel(**{"add_prefix_space": False, **options})


def split(pattern: str) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Split(Regex(pattern), "isolated")


CUTTERS: dict[str, Callable[[], pre_tokenizers.PreTokenizer]] = {
    "gpt2": byte_level,
    "llama3": lambda: pre_tokenizers.Sequence([split(LLAMA_3), byte_level(use_regex=False)]),
    "digits": lambda: pre_tokenizers.Sequence([pre_tokenizers.Digits(True), byte_level()]),
    "prefix": lambda: byte_level(add_prefix_space=True),
    "behind": lambda: pre_tokenizers.Sequence(
        [split(r"(?<=e)\w+|\S|\s"), byte_level(use_regex=False)]
    ),
    "twice": lambda: pre_tokenizers.Sequence([split(r"\w+ \w+"), byte_level()]),
    "metaspace": lambda: pre_tokenizers.Metaspace(prepend_scheme="always"),
    "none": lambda: byte_level(use_regex=False),
}


@cache
def tokenizer_of(name: str) -> Tokenizer:
    """Train the tokenizer with that way of cutting words."""
    tokenizer = Tokenizer(models.BPE(unk_token="?"))
    tokenizer.normalizer = normalizers.NFC()  # type: ignore[assignment]
    tokenizer.pre_tokenizer = CUTTERS[name]()  # type: ignore[assignment]
    tokenizer.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)  # type: ignore[assignment]
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["?"],
        show_progress=False,
    )
    tokenizer.train_from_iterator([TEXT] * 5, trainer)
    tokenizer.add_tokens([AddedToken("<end>", lstrip=True), AddedToken("fee is")])
    return tokenizer
