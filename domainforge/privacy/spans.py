"""Where secrets and personal data stand in a text, in order, overlaps joined."""

from functools import lru_cache
from typing import NamedTuple

from domainforge.privacy.personal import find_personal_data
from domainforge.privacy.secrets import Finding, find_secrets


class Span(NamedTuple):
    """A stretch of text to take out; `mixed` when both a secret and personal data are in it."""

    start: int
    end: int
    kind: str
    secret: bool
    mixed: bool

    @property
    def label(self) -> str:
        """What stands in its place."""
        return f"[{'secret' if self.secret else self.kind} removed]"


# The same passage is asked several times in a row; nothing is kept beyond these.
@lru_cache(maxsize=64)
def find_spans(text: str, secrets: bool, personal: bool, region: str | None) -> tuple[Span, ...]:
    """Find what stands in a text.

    Args:
        text: Any text.
        secrets: Whether to look for secrets.
        personal: Whether to look for personal data.
        region: Two letters of the country whose local phone numbers count too.
    """
    found = [(finding, True) for finding in (find_secrets(text) if secrets else ())]
    found += [(data, False) for data in (find_personal_data(text, region) if personal else ())]
    groups: list[tuple[int, list[tuple[int, Finding, bool]]]] = []
    for place, (finding, secret) in sorted(enumerate(found), key=lambda item: item[1][0].start):
        if groups and finding.start < groups[-1][0]:
            end, items = groups.pop()
            groups.append((max(end, finding.end), [*items, (place, finding, secret)]))
        else:
            groups.append((finding.end, [(place, finding, secret)]))
    spans = []
    for end, items in groups:
        # Detectors come in order of how much they know, so the first one names the kind.
        _, first, secret = min(items)
        mixed = len({is_secret for *_, is_secret in items}) == 2
        spans.append(Span(items[0][1].start, end, first.kind, secret, mixed))
    return tuple(spans)
