"""Which language a text is in, by n-grams (py3langid)."""

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

NO_LANGUAGE = "zxx"


class Language(NamedTuple):
    """The likeliest language, as ISO 639-1 where there is a code, and its probability."""

    code: str
    probability: float


@lru_cache(maxsize=1024)
def detect_language(text: str) -> Language:
    """Return the likeliest language among all that the detector knows; `zxx` is none."""
    code, probability = _identifier().classify(text)
    return Language(str(code), float(probability))


@lru_cache(maxsize=1)
def _identifier() -> "LanguageIdentifier":
    # Our own instance, because the module's shared one gives scores instead of probabilities;
    # the model takes half a second to load, so only a run that checks languages pays for it.
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
