"""The table of kinds names loaders by their modules; each of them is there."""

from io import BytesIO
from pathlib import Path

import pytest

from domainforge.sources.config import SourceConfig
from domainforge.sources.kinds.known import KINDS, Kind
from domainforge.sources.kinds.markup import _CONVERTERS
from domainforge.sources.kinds.names import MARKUP_ENDINGS
from domainforge.sources.loaded import SourceFile, UnreadableError

FILE = SourceFile(Path("x.tex"), "x.tex", SourceConfig(files="x"))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_kind_has_its_one_loader(kind: Kind) -> None:
    """Whatever it says of a file that is none of its kind: it was found."""
    assert (kind.load is None) != (kind.stream is None)
    try:
        if kind.load is not None:
            kind.load(b"x", FILE)
        else:
            assert kind.stream is not None
            list(kind.stream(BytesIO(b"x"), FILE, 0))
    except (UnreadableError, ValueError, LookupError, RuntimeError):
        pass  # a loader that only its source calls may take for granted what that wrote


def test_endings_are_those_that_have_a_converter() -> None:
    assert tuple(_CONVERTERS) == MARKUP_ENDINGS
