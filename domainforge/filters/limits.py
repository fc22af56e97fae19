"""The thresholds of the rules for running text."""

from pydantic import Field

from domainforge.stage import Settings

_GOPHER = "Gopher, Rae et al. 2021, table A1"


class ProseConfig(Settings):
    """When a longer answer or text is no prose that is worth learning."""

    min_words: int | None = Field(
        50,
        ge=1,
        description="Shorter answers and texts are not asked for any of this; null asks none. "
        "Code, tables, lists and quotations don't count.",
    )
    min_mean_word_chars: float = Field(
        3, ge=0, description="Least mean length of a word (Latin, Greek and Cyrillic script)."
    )
    max_mean_word_chars: float = Field(
        10, ge=1, description="Greatest mean length of a word (the same scripts)."
    )
    max_symbol_share: float = Field(
        0.1, ge=0, description="Hash signs, or ellipses, for each word."
    )
    max_bullet_line_share: float = Field(
        0.9, ge=0, le=1, description="Share of a text's lines that begin with a bullet."
    )
    max_ellipsis_line_share: float = Field(
        0.3, ge=0, le=1, description="Share of lines that end with an ellipsis (of three or more)."
    )
    min_alphabetic_share: float = Field(
        0.8, ge=0, le=1, description="Share of words with a letter in them."
    )
    min_stop_words: int = Field(
        2,
        ge=0,
        le=8,
        description="How many of a language's eight commonest words must occur (English, German, "
        "French, Spanish, Italian, Portuguese, Dutch, Polish, Russian).",
    )
    max_top_ngram_share: tuple[float, ...] | None = Field(
        (0.2, 0.18, 0.16),
        description="Share of the characters that the commonest sequence of two, three, four "
        f"words may take ({_GOPHER}); null asks none.",
    )
    max_duplicate_ngram_share: tuple[float, ...] | None = Field(
        (0.15, 0.14, 0.13, 0.12, 0.11, 0.1),
        description="Share of the characters in sequences of five to ten words that stood there "
        f"before ({_GOPHER}); null asks none.",
    )
