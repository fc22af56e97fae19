"""Which passages may be trained on, decided before anything is written about them."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pydantic import Field

from domainforge.context import Context
from domainforge.deduplicate.exact import split_words
from domainforge.deduplicate.shingles import char_shingles, word_shingles
from domainforge.errors import DataError
from domainforge.records import section_of
from domainforge.run_folder import Inputs, Output
from domainforge.stage import Account, Settings, Stage, StageResult
from domainforge.tables import ordered_table

SIDES_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("id", "document_id", "uri", "unit", "side")]
)
DEFAULT_TEST_SHARE = 0.1
MIN_DOCUMENTS = 10
NEAR_SAME_JACCARD = 0.8
_GRAM_WORDS = 5
_GRAM_CHARS = 10
_MAX_CHARS_PER_WORD = 20


class AssignConfig(Settings):
    """How much is kept from training."""

    test_share: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="Part of the text held out of training to test on, 0 to 1; "
        "default: 0.1 from ten documents up, else 0.",
    )


@dataclass(frozen=True)
class Sides:
    """Which units are held out.

    Attributes:
        unit_of: Unit of every chunk, by chunk id.
        test: Names of the units held out.
        real_share: Their part of all characters.
    """

    unit_of: Mapping[str, str]
    test: frozenset[str]
    real_share: float


def run(config: AssignConfig, inputs: Inputs, out: Output, context: Context) -> StageResult:
    """Give every chunk a side.

    Whole documents are the unit. With fewer than ten of them and a share asked for, top-level
    sections are (what stands before the first heading is one too).

    Raises:
        DataError: A share is asked for and there is only one unit.
    """
    documents = inputs.table("ingest").select(["id"]).num_rows
    chunks = inputs.table("chunk").to_pylist()
    wanted = config.test_share
    if wanted is None:
        wanted = DEFAULT_TEST_SHARE if documents >= MIN_DOCUMENTS else 0.0
    by_section = wanted > 0 and documents < MIN_DOCUMENTS
    sides = assign_sides(chunks, wanted, context.seed, by_section=by_section)
    rows = [
        {
            "id": chunk["id"],
            "document_id": chunk["document_id"],
            "uri": chunk["uri"],
            "unit": sides.unit_of[chunk["id"]],
            "side": "test" if sides.unit_of[chunk["id"]] in sides.test else "train",
        }
        for chunk in chunks
    ]
    out.write(ordered_table(rows, SIDES_SCHEMA))
    units = len(set(sides.unit_of.values()))
    figures = {
        "wanted_share": wanted,
        "real_share": round(sides.real_share, 4),
        "units": units,
        "test_units": len(sides.test),
        "test_chunks": sum(row["side"] == "test" for row in rows),
    }
    notes = []
    if by_section:
        notes.append(
            f"only {documents} documents, so top-level sections are held out instead of whole "
            "documents; train and test may share facts"
        )
    if wanted > 0:
        held = ", ".join(sorted(sides.test)[:5]) + (", ..." if len(sides.test) > 5 else "")
        notes.append(f"held out {sides.real_share:.1%} of the text (wanted {wanted:.1%}): {held}")
    filled = len({chunk["document_id"] for chunk in chunks})
    account = Account(
        unit="documents",
        total=documents,
        done=filled,
        dropped={"no_chunks": documents - filled} if documents > filled else {},
    )
    return StageResult(account, tuple(notes), figures)


def assign_sides(
    chunks: Sequence[Mapping[str, Any]], test_share: float, seed: int, *, by_section: bool
) -> Sides:
    """Decide which documents (or top-level sections) may be trained on.

    Units are ranked by a hash of seed and uri and held out in that order while they fit into the
    share; one more follows where that comes nearer to it. Units move whole, so the real share can
    miss the wanted one; at least one unit is held out and at least one is trained on. Near copies
    (five-word sequences, Jaccard of .8 or more) are one unit.

    Args:
        chunks: Rows with id, document_id, uri, headings, index and text.
        test_share: Wanted part of all characters held out, 0 <= x < 1.
        seed: Salts the ranking.
        by_section: Sections are the unit instead of documents.

    Raises:
        DataError: A share is wanted and there is only one unit.
    """
    keys = {chunk["id"]: _key(chunk, by_section) for chunk in chunks}
    if test_share == 0:
        return Sides(keys, frozenset(), 0.0)
    texts = _joined(chunks, keys)
    names = _copies(texts)
    if by_section:
        names = _copies_of_documents(chunks, keys, names)
    unit_of = {chunk_id: names[key] for chunk_id, key in keys.items()}
    sizes: dict[str, int] = defaultdict(int)
    for key, text in texts.items():
        sizes[names[key]] += len(text)
    if len(sizes) < 2:
        raise DataError(
            f"assign.test_share is {test_share:g}, but there is only one unit to divide "
            f"({next(iter(sizes), 'none')}; near copies count as one); set assign.test_share to 0, "
            "add documents, or give the one document headings"
        )
    test = _choose(sizes, test_share, seed)
    share = sum(sizes[name] for name in test) / sum(sizes.values())
    return Sides(unit_of, frozenset(test), share)


def find_copies(texts: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the pairs of texts whose sets of five-word sequences have a Jaccard of .8 or more.

    Exact: texts are compared only where their rarest sequences meet (prefix filtering, Chaudhuri
    et al. 2006), which misses no pair. Memory grows with the words of all texts, about 150 bytes
    each: meant for thousands of documents, not for millions.
    """
    grams = {name: _grams(text) for name, text in texts.items()}
    frequency: dict[int, int] = defaultdict(int)
    for found in grams.values():
        for gram in found:
            frequency[gram] += 1
    index: dict[int, list[str]] = defaultdict(list)
    pairs = []
    for name in sorted(grams, key=lambda name: (len(grams[name]), name)):
        mine = grams[name]
        rare_first = sorted(mine, key=lambda gram: (frequency[gram], gram))
        needed = -(-len(mine) * 4 // 5)  # ceil(.8 n), exact in integers
        candidates: set[str] = set()
        for gram in rare_first[: len(mine) - needed + 1]:
            candidates.update(index[gram])
            index[gram].append(name)
        for other in sorted(candidates):
            shared = len(mine & grams[other])
            if shared >= NEAR_SAME_JACCARD * (len(mine) + len(grams[other]) - shared):
                pairs.append((other, name))
    return pairs


def _key(chunk: Mapping[str, Any], by_section: bool) -> str:
    if not by_section:
        return str(chunk["uri"])
    return f"{chunk['uri']}#{section_of(chunk)}"


def _joined(chunks: Iterable[Mapping[str, Any]], keys: Mapping[str, str]) -> dict[str, str]:
    """Put the text of every unit together, in the order of the document."""
    parts: dict[str, list[str]] = defaultdict(list)
    for chunk in sorted(chunks, key=lambda chunk: (chunk["uri"], chunk["index"])):
        parts[keys[chunk["id"]]].append(chunk["text"])
    return {key: "\n".join(texts) for key, texts in parts.items()}


def _copies(texts: Mapping[str, str]) -> dict[str, str]:
    return _unite(texts, find_copies(texts))


def _copies_of_documents(
    chunks: Sequence[Mapping[str, Any]], keys: Mapping[str, str], names: Mapping[str, str]
) -> dict[str, str]:
    """Unite sections of the same heading in near-same documents, changed ones too."""
    uris = {chunk["id"]: str(chunk["uri"]) for chunk in chunks}
    section_keys = {
        (uris[chunk_id], key.removeprefix(uris[chunk_id])): key for chunk_id, key in keys.items()
    }
    pairs = list(names.items())
    for first, second in find_copies(_joined(chunks, uris)):
        for (uri, heading), key in section_keys.items():
            if uri == first and (second, heading) in section_keys:
                pairs.append((key, section_keys[second, heading]))
    return _unite(names, pairs)


def _unite(keys: Iterable[str], pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Name every key after the first key that it is linked to, however far."""
    parent = {key: key for key in keys}

    def find(key: str) -> str:
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for left, right in pairs:
        first, second = sorted((find(left), find(right)))
        parent[second] = first
    return {key: find(key) for key in parent}


def _choose(sizes: Mapping[str, int], share: float, seed: int) -> set[str]:
    """Take what fits under the target in ranked order, then one more if that comes nearer."""
    target = share * sum(sizes.values())
    ranked = sorted(sizes, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())
    chosen: set[str] = set()
    left = target
    for name in ranked:
        if sizes[name] <= left and len(chosen) < len(ranked) - 1:
            chosen.add(name)
            left -= sizes[name]
    others = [name for name in ranked if name not in chosen]
    nearest = min(others, key=lambda name: abs(left - sizes[name]))
    if not chosen or (len(others) > 1 and abs(left - sizes[nearest]) < left):
        chosen.add(nearest)
    return chosen


def _grams(text: str) -> frozenset[int]:
    """Hash every sequence of five words; of characters where words aren't set apart by spaces."""
    words = split_words(text)
    spaced = len(text) <= _MAX_CHARS_PER_WORD * len(words)
    grams = word_shingles(words, _GRAM_WORDS) if spaced else char_shingles(words, _GRAM_CHARS)
    return frozenset(grams.tolist())


STAGE = Stage(
    name="assign",
    config=AssignConfig,
    run=run,
    writes="sides",
    reads=("ingest", "chunk"),
)
