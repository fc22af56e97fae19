"""What tells two rows apart however alike they sound: numbers, names, negations, the answer.

A likeness of vectors doesn't see that "in 1742" and "in 1724" are two facts. These rules do, and
where they are in doubt they keep a row: a paraphrase too many costs less than a fact too few.
"""

import hashlib
import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache

from domainforge.deduplicate.exact import normalise

_TOKEN = re.compile(r"[^\W_]+(?:[.,]\d+)*")
_GROUPED = re.compile(r"\d{1,3}(?:[.,]\d{3})+")
_ENDS_BEFORE = re.compile(r"(?:^|[.!?:;\n\"'*#>|\u201c\u2018\u00ab-])\s*$")
_NOT_SHORT = re.compile(r"n['\u2019]t\b", re.IGNORECASE)
# Scripts without spaces: their "words" are whole clauses.
_NOT_UNSPACED = re.compile("[\u4e0d\u6ca1\u6c92\u7121\u975e\u672a]|\u306a\u3044|\u307e\u305b\u3093")

_NOT_LIST = """
no not nor none never nobody nothing nowhere neither without cannot except unless hardly
nicht kein keine keinen keinem keiner keines nie niemals niemand nichts ohne weder
ne pas jamais rien aucun aucune sans ni nunca nadie nada sin ning\u00fan ninguna tampoco
non nessuno niente mai senza n\u00e3o sem nenhum
\u043d\u0435 \u043d\u0435\u0442 \u043d\u0438 \u0431\u0435\u0437
"""
_NOT = frozenset(_NOT_LIST.split())

# English values; of other languages the words stand for themselves. "one" and its like are left
# out: mostly they are no numbers.
_NUMBER_LIST = """
zero two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen
"""
_NUMBERS = {
    word: str(value) for word, value in zip(_NUMBER_LIST.split(), (0, *range(2, 20)), strict=True)
}
_MORE_NUMBER_LIST = """
twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion dozen half
twice third thirds fourth fifth sixth seventh eighth ninth tenth quarter
zwei drei vier f\u00fcnf sechs sieben acht neun zehn elf
zw\u00f6lf zwanzig drei\u00dfig hundert tausend
deux trois quatre cinq sept huit neuf dix onze douze vingt trente cent mille
dos tres cuatro cinco seis siete ocho nueve diez once doce veinte treinta cien mil
due tre quattro cinque sei sette otto nove dieci venti trenta cento
"""
_NUMBERS |= {normalise(word): word for word in _MORE_NUMBER_LIST.split()}

# Both of a pair in one row, and the one is no more said than the other.
_OPPOSITE_LIST = """
first:last before:after more:less more:fewer most:least most:fewest largest:smallest larger:smaller
big:small highest:lowest higher:lower high:low longest:shortest longer:shorter oldest:youngest
older:younger best:worst better:worse left:right north:south east:west northern:southern
eastern:western above:below over:under up:down in:out on:off open:closed opens:closes open:close
start:end starts:ends begin:end begins:ends began:ended opened:closed arrive:depart
arrives:departs arrived:departed arrival:departure buy:sell bought:sold win:lose won:lost
increase:decrease increased:decreased rise:fall rose:fell gain:loss minimum:maximum min:max
earliest:latest earlier:later early:late summer:winter spring:autumn morning:evening day:night
male:female man:woman men:women mother:father son:daughter brother:sister husband:wife
king:queen he:she his:her true:false yes:no allowed:forbidden with:without inside:outside
advantage:disadvantage advantages:disadvantages benefits:risks cause:effect causes:effects
import:export
"""
_OPPOSITES = [tuple(pair.split(":")) for pair in _OPPOSITE_LIST.split()]

_LITTLE_LIST = """
a an the of in on at to and or is was were are be by it its for with from that this as they he she
his her their had has have did do does der die das ein eine und ist war in im am von zu le la les
un une et est de du des el los las y es en que
"""
_LITTLE = frozenset(_LITTLE_LIST.split())

# What sentences begin with and no name does, whether or not the sample has it written small.
_OPENER_LIST = """
who whom whose what when where which why how for name tell list describe explain give say state
show find complete write true false yes no can could would should may if in on at by from about
during after before wer was wann wo welche welcher welches warum wie nenne qui que quoi quand
o\u00f9 quel quelle pourquoi comment qu\u00e9 qui\u00e9n cu\u00e1ndo d\u00f3nde c\u00f3mo cu\u00e1l
"""
_OPENERS = frozenset(_OPENER_LIST.split()) | _LITTLE

_CHOICE_LIST = "or both either oder beide ou o y/o"
_CHOICES = frozenset(_CHOICE_LIST.split())

_LEAST_AGREEMENT = 0.75
_STEM_CHARS = 6
_SHORT_ANSWER_WORDS = 8
_SAME_WORD = 0.8


@dataclass(frozen=True)
class Marks:
    """What of a row must be the same in another for both to say the same.

    Attributes:
        numbers: By value, sorted, each once.
        negations: How many words deny something.
        words: All words, folded.
        names: Words that are written as names, folded.
        answer: Words of the answer that say something, folded and cut; empty without an answer.
        asked: The same of what comes before the answer.
        chosen: Names in the answer to a question that offers a choice.
    """

    numbers: tuple[str, ...]
    negations: int
    words: frozenset[str]
    names: frozenset[str]
    answer: frozenset[str] = frozenset()
    asked: frozenset[str] = frozenset()
    chosen: frozenset[str] = frozenset()

    @property
    def key(self) -> int:
        """A number of 64 bits that rows have in common unless numbers or negations differ."""
        told = f"{self.negations}:{' '.join(self.numbers)}".encode("utf-8", "surrogatepass")
        return int.from_bytes(hashlib.blake2b(told, digest_size=8).digest(), "little")


def small_words(texts: Iterable[str]) -> frozenset[str]:
    """Return the words that are somewhere written small: at the head of a sentence no names."""
    found: set[str] = set()
    for text in texts:
        found.update(word for word in _TOKEN.findall(text) if word.islower())
    return frozenset(found)


def read_marks(text: str, answer_chars: int, small: frozenset[str]) -> Marks:
    """Read what tells a row apart.

    Args:
        text: What the row says, the answer last.
        answer_chars: How long the answer is; 0 for a text.
        small: From `small_words`.
    """
    numbers, words, names, chosen = set[str](), set[str](), set[str](), set[str]()
    cut = len(text) - answer_chars
    offers_choice = False
    negations = len(_NOT_SHORT.findall(text)) + len(_NOT_UNSPACED.findall(text))
    for found in _TOKEN.finditer(text):
        word = found[0]
        folded = _fold(word)
        value = _value(folded)
        if value is not None:
            numbers.add(value)
        negations += folded in _NOT
        words.add(folded)
        if word[0].isupper() and len(word) > 1:
            before = text[max(found.start() - 4, 0) : found.start()]
            begins = _ENDS_BEFORE.search(before) is not None
            if not begins or not (folded in small or folded in _OPENERS):
                names.add(folded)
                if found.start() >= cut:
                    chosen.add(folded)
        elif folded in _CHOICES:
            offers_choice = offers_choice or found.start() < cut
            if found.start() >= cut:
                chosen.add(folded)
    answer, asked = (text[cut:], text[:cut]) if answer_chars else ("", text)
    return Marks(
        tuple(sorted(numbers)),
        negations,
        frozenset(words),
        frozenset(names),
        _content(answer),
        _content(asked),
        frozenset(chosen if offers_choice and answer_chars else ()),
    )


def differ(one: Marks, other: Marks) -> str | None:
    """Say what keeps two rows apart; None where nothing does.

    Texts in which every noun is written like a name (German) need the same nouns.
    """
    if one.numbers != other.numbers:
        return "numbers"
    if one.negations != other.negations:
        return "negation"
    if not (one.names <= other.words and other.names <= one.words):
        return "names"
    if any(_has_turned(one.words, other.words, *pair) for pair in _OPPOSITES):
        return "opposites"
    if one.chosen != other.chosen:
        return "choice"
    if bool(one.answer) != bool(other.answer) or _agree(one, other) < _LEAST_AGREEMENT:
        return "answer"
    return None


def are_other_facts(one: str, other: str) -> bool:
    """Tell whether two short answers say different things: other numbers, or no word in common.

    Words that differ in a letter or two count as common ones, and of two dates that one may say
    less than the other. Of long answers nothing is said.
    """
    mine, theirs = _content(one), _content(other)
    if not mine or not theirs or min(len(mine), len(theirs)) > _SHORT_ANSWER_WORDS:
        return False
    numbers, others = set(filter(_is_number, mine)), set(filter(_is_number, theirs))
    if numbers and others and not (numbers <= others or others <= numbers):
        return True
    if mine & theirs:
        return False
    pairs = itertools.product(mine - numbers, theirs - others)
    return not any(SequenceMatcher(None, *pair).ratio() >= _SAME_WORD for pair in pairs)


def _is_number(word: str) -> bool:
    return word[0].isdigit()


def _has_turned(one: frozenset[str], other: frozenset[str], left: str, right: str) -> bool:
    here, there = (left in one, right in one), (left in other, right in other)
    return here != there and here == there[::-1]


def _agree(one: Marks, other: Marks) -> float:
    """Return how much of the shorter answer the other has, what was asked aside."""
    known = one.asked | other.asked
    mine, theirs = (one.answer - known), (other.answer - known)
    if not mine or not theirs:
        mine, theirs = one.answer, other.answer
    if not mine or not theirs:
        return 1.0
    return len(mine & theirs) / min(len(mine), len(theirs))


def _content(text: str) -> frozenset[str]:
    words = [_fold(word) for word in _TOKEN.findall(text)]
    words = [_value(word) or word for word in words]
    told = [word for word in words if word not in _LITTLE] or words
    return frozenset(word[:_STEM_CHARS] for word in told)


@lru_cache(maxsize=1 << 16)
def _value(folded: str) -> str | None:
    if folded[0].isdigit():
        return re.sub("[.,]", "", folded) if _GROUPED.fullmatch(folded) else folded
    if any(character.isdigit() for character in folded):
        return folded
    return _NUMBERS.get(folded)


@lru_cache(maxsize=1 << 16)
def _fold(word: str) -> str:
    return normalise(word) or word
