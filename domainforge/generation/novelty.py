"""When to stop asking about a passage: where new rows mostly say what earlier ones said."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby

from pydantic import Field

from domainforge.deduplicate.shingles import ShingledText, Shingling
from domainforge.generation.units import Unit
from domainforge.records import Example, said_in
from domainforge.stage import Settings

Place = tuple[str, str, int]
"""What samples are of: prompt, first passage, and the number of what begins with it."""


REPEATING = "repeating"
"""The reason of a row that was not asked for."""


class NoveltyConfig(Settings):
    """When a passage has been asked about often enough."""

    stop_share: float = Field(
        0.75,
        gt=0,
        le=1,
        description="No more is asked about a passage with a prompt once this share of the rows of "
        "its last `wave` are near-duplicates of earlier ones.",
    )
    wave: int = Field(
        4, ge=1, description="Requests about a passage between two looks at what came of them."
    )
    near_jaccard: float = Field(
        0.7,
        gt=0,
        le=1,
        description="Rows as alike as this are near-duplicates (Jaccard similarity of their "
        "shingles).",
    )


def place_of(unit: Unit) -> Place:
    """Return what a unit is a sample of."""
    return unit.prompt.name, unit.chunk["id"], unit.index


@dataclass
class _Open:
    """A place whose last wave is on its way.

    Attributes:
        waves: Those that were not asked yet.
        pending: Samples of the wave that is on its way.
        said: What rows of earlier waves say.
        earlier: The same, to be compared with.
        fresh: What the rows of this wave say, by sample.
    """

    waves: list[list[Unit]]
    said: list[str]
    earlier: list[ShingledText]
    pending: set[int] = field(default_factory=set)
    fresh: dict[int, list[str]] = field(default_factory=dict)


class Waves:
    """Hands out the units of each place in waves, and stops where a wave brought little new.

    Decided place by place and in the order of the samples, so that the order in which replies come
    changes nothing.

    Attributes:
        stopped: Units that are not worth asking, each with the reason in words.
        said: What the rows of each place say, to be gone on from.
    """

    def __init__(
        self,
        units: Sequence[Unit],
        config: NoveltyConfig | None,
        said: dict[Place, list[str]] | None = None,
    ) -> None:
        """Begin; without a config every unit is handed out at once."""
        self.stopped: list[tuple[Unit, str]] = []
        self.said = {} if said is None else said
        self._config = config
        self._units = units
        self._open: dict[Place, _Open] = {}

    def first(self) -> Iterator[Unit]:
        """Yield what is asked in any case, in the order of the plan."""
        config = self._config
        if config is None:
            yield from self._units
            return
        for place, group in groupby(self._units, place_of):
            samples = list(group)
            size = config.wave
            waves = [samples[start : start + size] for start in range(0, len(samples), size)]
            said = self.said.setdefault(place, [])
            earlier = [ShingledText(text, _SHINGLING) for text in said]
            opened = self._open[place] = _Open(waves, said, earlier)
            yield from _begin_wave(opened)

    def after(self, unit: Unit, rows: Iterable[Example]) -> list[Unit]:
        """Take what came of a unit; return what is to be asked next.

        Args:
            unit: What was asked about.
            rows: Its rows; dropped ones say nothing.
        """
        opened = self._open.get(place_of(unit))
        if opened is None or self._config is None:
            return []
        opened.pending.discard(unit.sample)
        opened.fresh[unit.sample] = [said_in(asdict(row)) for row in rows if row.reason is None]
        if opened.pending:
            return []
        why = self._judge(opened, self._config)
        if why is not None:
            self.stopped += [(left, why) for wave in opened.waves for left in wave]
            opened.waves = []
        if not opened.waves:
            del self._open[place_of(unit)]
            return []
        return _begin_wave(opened)

    def waiting(self) -> list[Unit]:
        """Return the units that were neither handed out nor stopped: the wave before them is."""
        return [unit for opened in self._open.values() for wave in opened.waves for unit in wave]

    def _judge(self, opened: _Open, config: NoveltyConfig) -> str | None:
        """Say why nothing more should be asked; None where the wave brought enough that is new."""
        new = [text for _, texts in sorted(opened.fresh.items()) for text in texts]
        repeats = 0
        for text in new:
            own = ShingledText(text, _SHINGLING)
            repeats += any(own.jaccard(one) >= config.near_jaccard for one in opened.earlier)
            opened.said.append(text)
            opened.earlier.append(own)
        opened.fresh.clear()
        if not new or repeats / len(new) < config.stop_share:
            return None
        return (
            f"{repeats} of the last {len(new)} rows about this passage are near-duplicates of "
            "earlier ones"
        )


_SHINGLING = Shingling()


def _begin_wave(opened: _Open) -> list[Unit]:
    wave = opened.waves.pop(0)
    opened.pending = {unit.sample for unit in wave}
    return wave
