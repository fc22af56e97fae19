"""Which language a text is in, by n-grams (py3langid)."""

from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import BeforeValidator

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

NO_LANGUAGE = "zxx"


def _check_code(value: Any) -> Any:
    # YAML 1.1 reads Norwegian as false.
    code = "no" if value is False else value
    if code is not None and not (isinstance(code, str) and code in _known_codes()):
        raise ValueError("write a language's ISO 639-1 code, for example en or de")
    return code


LanguageCode = Annotated[str | None, BeforeValidator(_check_code)]
"""A language that can be detected; None for none in particular."""


class Language(NamedTuple):
    """The likeliest language, as ISO 639-1 where there is a code, and its probability."""

    code: str
    probability: float


@lru_cache(maxsize=1024)
def detect_language(text: str) -> Language:
    """Return the likeliest language among all that the detector knows; `zxx` is none."""
    code, probability = _identifier().classify(text)
    return Language(str(code), float(probability))


def _known_codes() -> frozenset[str]:
    return frozenset(map(str, _identifier().nb_classes)) - {NO_LANGUAGE}


@lru_cache(maxsize=1)
def _identifier() -> "LanguageIdentifier":
    # Our own instance, because the module's shared one gives scores instead of probabilities;
    # the model takes half a second to load, so only a run that checks languages pays for it.
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
